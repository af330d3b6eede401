"""``Gaps``: when the gateway may be down because a command ended it. Pure."""

from __future__ import annotations

from collections.abc import Iterable


class Gaps:
    """Failures within a gap are expected.

    A gap begins with its command. It ends with the first answer after a failure, or after
    ``longest_ns``.

    Args:
        begins_ns: when each command is given, monotonic.
        longest_ns: how long the gateway may take to answer again.
    """

    def __init__(self, begins_ns: Iterable[int], longest_ns: int) -> None:
        self._begins_ns = list(begins_ns)
        self._longest_ns = longest_ns
        self._has_failed = False

    def take_failure(self, now_ns: int) -> bool:
        """Note a failure. Returns whether it was expected."""
        is_expected = self._is_open(now_ns)
        self._has_failed = self._has_failed or is_expected
        return is_expected

    def take_answer(self, now_ns: int) -> bool:
        """Note an answer. Returns whether it ends a gap."""
        if not self._has_failed:
            return False
        self._has_failed = False
        self._begins_ns = [begin_ns for begin_ns in self._begins_ns if begin_ns > now_ns]
        return True

    def _is_open(self, now_ns: int) -> bool:
        return any(at_ns <= now_ns < at_ns + self._longest_ns for at_ns in self._begins_ns)
