"""The reactor: one epoll for all sockets of a process, behind one watcher of gevent's hub.

::

    hub ── one io watcher ── epoll ─┬─ link ── on_ready(mask): read once, stamp, decode
                                    ├─ link
                                    └─ …

With a watcher for each socket, a burst on thousands of them would run before any greenlet.
A turn of the reactor reads at most ``MAX_SOCKETS`` sockets and ends after ``MAX_TURN_NS``; then
the hub runs its greenlets. Epoll is level-triggered, so unread sockets come again.

A reactor has a descriptor, a watcher and a timer only while it has links. The first link
creates them, after Locust's ``--processes`` has forked; the last one removes them.
"""

from __future__ import annotations

import os
import time
from typing import Any, Final, Protocol
from weakref import WeakKeyDictionary

import gevent
from gevent import monkey

MAX_SOCKETS: Final = 64
"""The number of sockets that one turn reads."""
MAX_TURN_NS: Final = 3_000_000
"""A turn ends after the socket that exceeds this."""
_SWEEP_MOST_S: Final = 1.0
_SWEEP_LEAST_S: Final = 0.01
_SWEEPS_A_LIMIT: Final = 4
_NS_PER_S: Final = 1_000_000_000

READABLE: Final[int] = 0x001  # EPOLLIN; gevent removes the names from ``select``
WRITABLE: Final[int] = 0x004  # EPOLLOUT
BROKEN: Final[int] = 0x008 | 0x010  # EPOLLERR, EPOLLHUP: epoll always reports them
ENDING: Final[int] = 0x2000  # EPOLLRDHUP: the other end has closed, even with unread data


class Readable(Protocol):
    """Receives a reactor's callbacks in the hub; they must not block or raise."""

    heard_ns: int
    """Stamp of the last read."""
    silence_ns: int
    """The link is dead after this time without a read; 0 turns the check off."""

    def on_ready(self, mask: int) -> int:
        """Read or write; return the stamp of the read, 0 without one."""
        ...

    def on_silence(self) -> None:
        """Take ``silence_ns`` without a read."""
        ...


class Reactor:
    """Calls links when their descriptors are ready; one reactor for each hub.

    Attributes:
        longest_turn_ns: length of the longest turn, in which no greenlet ran.
    """

    _of_hubs: Final[WeakKeyDictionary[Any, Reactor]] = WeakKeyDictionary()

    def __init__(self) -> None:
        self.longest_turn_ns = 0
        self._process = os.getpid()
        self._links: dict[int, Readable] = {}
        self._left: list[tuple[int, int]] = []
        self._epoll: Any = None
        self._watcher: Any = None
        self._timer: Any = None
        self._sweep_s = _SWEEP_MOST_S

    @classmethod
    def of_hub(cls) -> Reactor:
        """Return this hub's reactor; a forked process gets a new one."""
        hub = gevent.get_hub()
        reactor = cls._of_hubs.get(hub)
        if reactor is None or reactor._process != os.getpid():  # noqa: SLF001 - its own class
            reactor = cls._of_hubs[hub] = cls()
        return reactor

    @property
    def is_idle(self) -> bool:
        """Whether it holds neither descriptor nor watcher."""
        return self._epoll is None

    def add(self, descriptor: int, link: Readable, mask: int) -> None:
        """Watch a descriptor.

        Args:
            descriptor: of the socket.
            link: its callbacks.
            mask: the epoll events to watch for.
        """
        if self._epoll is None:
            self._open()
        self._links[descriptor] = link
        self._epoll.register(descriptor, mask)

    def watch(self, descriptor: int, mask: int) -> None:
        """Watch a descriptor for other events."""
        self._epoll.modify(descriptor, mask)

    def remove(self, descriptor: int) -> None:
        """Stop watching a descriptor; call this before closing it, as numbers are reused."""
        del self._links[descriptor]
        self._left = [ready for ready in self._left if ready[0] != descriptor]
        self._epoll.unregister(descriptor)
        if not self._links:
            self._close()

    def judge_silence(self, silence_ns: int) -> None:
        """Check the links often enough to notice ``silence_ns`` with an error of a quarter."""
        wanted_s = max(_SWEEP_LEAST_S, silence_ns / _NS_PER_S / _SWEEPS_A_LIMIT)
        if wanted_s < self._sweep_s:
            self._sweep_s = wanted_s
            self._start_timer()

    def _open(self) -> None:
        # gevent removes epoll from ``select`` when it patches it.
        self._epoll = monkey.get_original("select", "epoll")()
        self._watcher = gevent.get_hub().loop.io(self._epoll.fileno(), 1)
        self._start_watcher()
        self._start_timer()

    def _close(self) -> None:
        self._watcher.stop()
        self._watcher.close()
        self._timer.stop()
        self._timer.close()
        self._epoll.close()
        self._epoll = self._watcher = self._timer = None
        self._left = []
        self._sweep_s = _SWEEP_MOST_S

    def _start_timer(self) -> None:
        if self._timer is not None:
            self._timer.stop()
            self._timer.close()
        self._timer = gevent.get_hub().loop.timer(self._sweep_s, self._sweep_s)
        self._timer.start(self._sweep)

    def _on_epoll(self) -> None:
        try:
            self._turn()
        except BaseException:
            # Links raise nothing, but a signal handler may raise anywhere. The hub stops a
            # watcher whose callback raised, so it is started again.
            gevent.get_hub().loop.run_callback(self._start_watcher)
            raise

    def _start_watcher(self) -> None:
        if self._watcher is not None:
            self._watcher.start(self._on_epoll)

    def _turn(self) -> None:
        began_ns = now_ns = time.monotonic_ns()
        until_ns = began_ns + MAX_TURN_NS
        # Sockets left from the last turn go first: epoll put them at its end.
        ready = self._left or self._epoll.poll(0, MAX_SOCKETS)
        self._left = []
        links = self._links
        for place, (descriptor, mask) in enumerate(ready, 1):
            link = links.get(descriptor)
            if link is None:
                continue  # closed during this turn
            now_ns = link.on_ready(mask) or now_ns
            if now_ns > until_ns:
                self._left = ready[place:]
                break
        held_ns = time.monotonic_ns() - began_ns
        if held_ns > self.longest_turn_ns:
            self.longest_turn_ns = held_ns

    def _sweep(self) -> None:
        now_ns = time.monotonic_ns()
        silent = [
            link
            for link in self._links.values()
            if link.silence_ns and now_ns - link.heard_ns > link.silence_ns
        ]
        for link in silent:
            link.on_silence()
