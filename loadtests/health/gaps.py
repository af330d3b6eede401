"""Times in which the gateway may be away because the scenario ordered it. Pure."""

from __future__ import annotations

from collections.abc import Iterable


class Gaps:
    """What fails within a gap is expected.

    A gap begins when the order is given, and is over with the first answer after a failure,
    or after ``longest_ns``.

    Args:
        begins_ns: when each order is given.
        longest_ns: how long the gateway may take to be back.
    """

    def __init__(self, begins_ns: Iterable[int], longest_ns: int) -> None:
        self._begins_ns = sorted(begins_ns)
        self._longest_ns = longest_ns
        self._has_failed = False

    def take_failure(self, now_ns: int) -> bool:
        """Take something that failed; return whether that was to be expected."""
        is_expected = self._newest_ns(now_ns) is not None
        self._has_failed = self._has_failed or is_expected
        return is_expected

    def take_answer(self, now_ns: int) -> bool:
        """Take an answer; return whether it is the first of a gateway that was away."""
        if not self._has_failed:
            return False
        self._has_failed = False
        self._begins_ns = [begin_ns for begin_ns in self._begins_ns if begin_ns > now_ns]
        return True

    def _newest_ns(self, now_ns: int) -> int | None:
        began = [at for at in self._begins_ns if at <= now_ns < at + self._longest_ns]
        return began[-1] if began else None
