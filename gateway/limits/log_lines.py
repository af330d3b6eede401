"""``LogLines``: how many lines about clients' faults are logged."""

from __future__ import annotations

from typing import Final

_WINDOW_NS: Final = 10_000_000_000
_MOST_LINES: Final = 20


class LogLines:
    """Admits the first 20 lines of each kind in 10 s, and counts the others.

    Kinds are the caller's own texts, so their number is bounded.
    """

    def __init__(self) -> None:
        self._ends_ns: dict[str, int] = {}
        self._admitted: dict[str, int] = {}
        self._left_out: dict[str, int] = {}

    def admit(self, kind: str, now_ns: int) -> int | None:
        """Admit a line of a kind, or leave it out and count it.

        Args:
            kind: what the line says, without any value of the client.
            now_ns: the time, monotonic ns.

        Returns:
            ``None`` to leave the line out; else the number left out since the last line.
        """
        if now_ns >= self._ends_ns.get(kind, now_ns):
            self._ends_ns[kind] = now_ns + _WINDOW_NS
            self._admitted[kind] = 0
        if self._admitted[kind] >= _MOST_LINES:
            self._left_out[kind] = self._left_out.get(kind, 0) + 1
            return None
        self._admitted[kind] += 1
        return self._left_out.pop(kind, 0)

    def take_left_out(self, now_ns: int) -> dict[str, int]:
        """Return the number left out by kind, for windows that have ended, and forget it."""
        ended = [kind for kind in self._left_out if now_ns >= self._ends_ns[kind]]
        return {kind: self._left_out.pop(kind) for kind in ended}
