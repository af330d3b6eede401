"""The reactor: one watcher of the hub, on one epoll of our own, for all sockets of a process.

::

    hub ── one io watcher ── epoll ─┬─ link ── on_ready(mask): read once, stamp, decode
                                    ├─ link
                                    └─ …

A watcher for each socket would let a burst over thousands of them run before any
greenlet does. Here a turn takes at most ``MAX_SOCKETS`` of them and ``MAX_TURN_NS``,
then the hub runs its greenlets; epoll is level-triggered, so what was left comes back.

A reactor holds a descriptor, a watcher and a timer only while it has links: the first
link makes them, after Locust's ``--processes`` has forked, and the last takes them along.
"""

from __future__ import annotations

import os
import time
from typing import Any, Final, Protocol
from weakref import WeakKeyDictionary

import gevent
from gevent import monkey

MAX_SOCKETS: Final = 64
"""Sockets that one turn reads."""
MAX_TURN_NS: Final = 3_000_000
"""A turn ends after the socket that passes this."""
_SWEEP_MOST_S: Final = 1.0
_SWEEP_LEAST_S: Final = 0.01
_SWEEPS_A_LIMIT: Final = 4
_NS_PER_S: Final = 1_000_000_000

READABLE: Final[int] = 0x001  # EPOLLIN; gevent hides the names of ``select``
WRITABLE: Final[int] = 0x004  # EPOLLOUT
BROKEN: Final[int] = 0x008 | 0x010  # EPOLLERR, EPOLLHUP: epoll tells them unasked
ENDING: Final[int] = 0x2000  # EPOLLRDHUP: the other end has closed, whatever is still unread


class Readable(Protocol):
    """What a reactor calls, always in the hub: nothing of it may block or raise."""

    heard_ns: int
    """The last read's stamp."""
    silence_ns: int
    """After so long without a read the link is dead; 0 while nobody judges it."""

    def on_ready(self, mask: int) -> int:
        """Do what the descriptor is ready for; return the read's stamp, 0 without one."""
        ...

    def on_silence(self) -> None:
        """Take note that nothing came for longer than ``silence_ns``."""
        ...


class Reactor:
    """Calls links when their descriptors are ready. One for each hub.

    Attributes:
        longest_turn_ns: how long a turn has held the hub's greenlets, at most.
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
        """Return this hub's reactor; after a fork a new one, whose sockets are nobody else's."""
        hub = gevent.get_hub()
        reactor = cls._of_hubs.get(hub)
        if reactor is None or reactor._process != os.getpid():  # noqa: SLF001 - its own class
            reactor = cls._of_hubs[hub] = cls()
        return reactor

    @property
    def is_idle(self) -> bool:
        """Whether neither a descriptor nor a watcher is held."""
        return self._epoll is None

    def add(self, descriptor: int, link: Readable, mask: int) -> None:
        """Watch a descriptor."""
        if self._epoll is None:
            self._open()
        self._links[descriptor] = link
        self._epoll.register(descriptor, mask)

    def watch(self, descriptor: int, mask: int) -> None:
        """Watch a descriptor for something else."""
        self._epoll.modify(descriptor, mask)

    def remove(self, descriptor: int) -> None:
        """Watch a descriptor no more. To be called before it is closed: numbers are used again."""
        del self._links[descriptor]
        self._left = [ready for ready in self._left if ready[0] != descriptor]
        self._epoll.unregister(descriptor)
        if not self._links:
            self._close()

    def judge_silence(self, silence_ns: int) -> None:
        """Look at the links often enough to notice so long a silence with a quarter's error."""
        wanted_s = max(_SWEEP_LEAST_S, silence_ns / _NS_PER_S / _SWEEPS_A_LIMIT)
        if wanted_s < self._sweep_s:
            self._sweep_s = wanted_s
            self._start_timer()

    def _open(self) -> None:
        # gevent takes epoll out of ``select`` when it patches it.
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
            # A link raises nothing, but a signal's handler may, wherever Python is: the hub
            # stops a watcher whose callback raised, so it is started again behind its back.
            gevent.get_hub().loop.run_callback(self._start_watcher)
            raise

    def _start_watcher(self) -> None:
        if self._watcher is not None:
            self._watcher.start(self._on_epoll)

    def _turn(self) -> None:
        began_ns = now_ns = time.monotonic_ns()
        until_ns = began_ns + MAX_TURN_NS
        # What the last turn had no time for goes first: epoll has put it at its end.
        ready = self._left or self._epoll.poll(0, MAX_SOCKETS)
        self._left = []
        links = self._links
        for place, (descriptor, mask) in enumerate(ready, 1):
            link = links.get(descriptor)
            if link is None:
                continue  # closed by a callback of this turn
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
