"""Whether a virtual user is away because something ordered so, and since when."""

from __future__ import annotations

from gevent.event import Event


class Absence:
    """One user's.

    Attributes:
        since_ns: when its connection ended by a command or in a drain of the gateway; None
            while it is not away so, or is back. A connection that is tried meanwhile is an
            attempt, and one that fails is no error.
    """

    __slots__ = ("_told", "since_ns")

    def __init__(self) -> None:
        self.since_ns: int | None = None
        self._told: Event | None = None

    @property
    def is_ordered(self) -> bool:
        """Whether it has to stay away until it is told to return."""
        return self._told is not None

    def begin(self, now_ns: int) -> None:
        """Be away, free to return at any time."""
        if self.since_ns is None:
            self.since_ns = now_ns

    def order(self, now_ns: int) -> None:
        """Be away until told to return."""
        self.since_ns = now_ns
        if self._told is None:
            self._told = Event()

    def allow_return(self) -> None:
        """Tell it to return."""
        told, self._told = self._told, None
        if told is not None:
            told.set()

    def wait(self) -> bool:
        """Wait until it may return; return whether there was anything to wait for."""
        told = self._told
        if told is None:
            return False
        told.wait()
        return True

    def end(self) -> int | None:
        """Be back; return since when it was away, None when it was not."""
        since_ns, self.since_ns = self.since_ns, None
        return since_ns
