"""``FanOut``: sends parcels to many clients without holding the event loop for long.

Jobs are queued in two lanes, lossless before market data, and run in short slices. Parcels
of one lane for the same client are joined into one write.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from gateway.transport.outbox import Outbox
from gateway.transport.parcels import Lane, Parcel

SLICE_NS: Final = 4_000_000
_CLOCK_EVERY: Final = 16  # sends between two readings of the clock
_GATHERED_EVERY: Final = 512
_MOST_JOBS_A_PASS: Final = 64
_MOST_JOINED: Final = 256  # combinations of parcels whose joined frames are reused
_MOST_BYTES_A_PASS: Final = 65_536  # bytes for one client in one write

_NOTHING: Final = Parcel("")

OnDone = Callable[[int], None]

log = logging.getLogger("gateway.transport")


class _Job:
    __slots__ = ("began_ns", "is_passable", "on_done", "parcel", "sessions")

    def __init__(
        self,
        parcel: Parcel,
        sessions: Sequence[Outbox],
        began_ns: int,
        on_done: OnDone | None,
        is_passable: bool,
    ) -> None:
        self.parcel = parcel
        self.sessions = sessions
        self.began_ns = began_ns
        self.on_done = on_done
        self.is_passable = is_passable


class FanOut:
    """The two lanes, and the code that works through them.

    Attributes:
        waiting: queued sends of each lane; a parcel counts once per recipient.
        sent_bytes: bytes that were written, without those that slow clients had to wait for.
        longest_hold_ns: the longest time that one slice held the event loop; its reader resets it.
    """

    def __init__(self) -> None:
        self._jobs: tuple[deque[_Job], ...] = tuple(deque() for _ in Lane)
        self._passes: list[Iterator[None] | None] = [None for _ in Lane]
        self._taken: list[Sequence[_Job]] = [() for _ in Lane]
        self._is_running = False
        self._slice_ends_ns = 0
        self.waiting = [0 for _ in Lane]
        self._publications = [0 for _ in Lane]
        self.longest_hold_ns = 0
        self.sent_bytes = 0

    def is_idle(self, lane: Lane) -> bool:
        """Return whether a lane has no queued parcel that a reply must not overtake."""
        return not self._publications[lane]

    def submit(
        self,
        lane: Lane,
        parcel: Parcel,
        sessions: Sequence[Outbox],
        on_done: OnDone | None = None,
        *,
        is_passable: bool = False,
    ) -> None:
        """Send a parcel to sessions, after the queued jobs of the lane.

        Args:
            lane: the lane.
            parcel: the parcel.
            sessions: the recipients. The sequence is kept, not copied.
            on_done: called with the ns from now to the last send.
            is_passable: whether a reply may overtake it.
        """
        self._jobs[lane].append(_Job(parcel, sessions, time.monotonic_ns(), on_done, is_passable))
        self._publications[lane] += not is_passable
        self.waiting[lane] += len(sessions)
        if not self._is_running:
            self._is_running = True
            asyncio.get_running_loop().call_soon(self._turn)

    async def flushed(self) -> None:
        """Wait until all jobs that are queued now have been sent."""
        markers = []
        for lane in Lane:
            if not self.is_idle(lane):
                marker = asyncio.get_running_loop().create_future()
                self.submit(lane, _NOTHING, (), marker.set_result, is_passable=True)
                markers.append(marker)
        if markers:
            await asyncio.wait(markers)

    def when_sent(self, call: Callable[[], None]) -> None:
        """Call a function once all publications that are queued now have been sent."""
        busy = [lane for lane in Lane if not self.is_idle(lane)]
        left = len(busy)

        def finish(_elapsed_ns: int) -> None:
            nonlocal left
            left -= 1
            if not left:
                call()

        for lane in busy:
            self.submit(lane, _NOTHING, (), finish, is_passable=True)
        if not busy:
            call()

    def _turn(self) -> None:
        began_ns = time.monotonic_ns()
        self._slice_ends_ns = began_ns + SLICE_NS
        more = False
        for lane in Lane:
            try:
                more = self._work(lane)
            except Exception:  # one failing send must not stop the others
                log.exception("fan-out pass failed")
                self._passes[lane] = None
                self._finish(lane, self._taken[lane])
                more = True
            if more:
                break
        now_ns = time.monotonic_ns()
        self.longest_hold_ns = max(self.longest_hold_ns, now_ns - began_ns)
        more = more or any(self._jobs)  # the end of a job may have submitted to an earlier lane
        self._is_running = more
        if more:
            asyncio.get_running_loop().call_soon(self._turn)

    def _work(self, lane: Lane) -> bool:
        """Work through a lane until it is empty or the slice ends; return whether jobs are left."""
        while True:
            current = self._passes[lane]
            if current is None:
                if not self._jobs[lane]:
                    return False
                current = self._passes[lane] = self._begin_pass(lane)
            for _ in current:  # it yields when the slice ends
                return True
            self._passes[lane] = None
            if time.monotonic_ns() >= self._slice_ends_ns:
                return bool(self._jobs[lane]) or any(
                    self._jobs[other] or self._passes[other] is not None
                    for other in Lane
                    if other > lane
                )

    def _begin_pass(self, lane: Lane) -> Iterator[None]:
        jobs = self._jobs[lane]
        taken = [jobs.popleft()]
        size = len(taken[0].parcel.frame)
        while jobs and len(taken) < _MOST_JOBS_A_PASS:
            size += len(jobs[0].parcel.frame)
            if size > _MOST_BYTES_A_PASS:
                break
            taken.append(jobs.popleft())
        self._taken[lane] = taken
        return self._send_one(lane, taken[0]) if len(taken) == 1 else self._send_all(lane, taken)

    def _send_one(self, lane: Lane, job: _Job) -> Iterator[None]:
        parcel = job.parcel
        frame = parcel.frame
        held = 0
        for count, session in enumerate(job.sessions, start=1):
            if session.is_clear:
                session.write(frame)
            else:
                session.hold(parcel)
                held += 1
            if not count % _CLOCK_EVERY and time.monotonic_ns() >= self._slice_ends_ns:
                yield
        self.sent_bytes += len(frame) * (len(job.sessions) - held)
        self._finish(lane, (job,))

    def _send_all(self, lane: Lane, jobs: list[_Job]) -> Iterator[None]:
        """Gather the parcels of each client, then write them in one call per client."""
        gathered: dict[Outbox, list[Parcel]] = {}
        for job in jobs:
            parcel = job.parcel
            for count, session in enumerate(job.sessions, start=1):
                parcels = gathered.get(session)
                if parcels is None:
                    gathered[session] = [parcel]
                else:
                    parcels.append(parcel)
                if not count % _GATHERED_EVERY and time.monotonic_ns() >= self._slice_ends_ns:
                    yield
        joined: dict[tuple[int, ...], bytes] = {}
        for count, (session, parcels) in enumerate(gathered.items(), start=1):
            if session.is_clear:
                frames = _join(parcels, joined)
                session.write(frames)
                self.sent_bytes += len(frames)
            else:
                for parcel in parcels:
                    session.hold(parcel)
            if not count % _CLOCK_EVERY and time.monotonic_ns() >= self._slice_ends_ns:
                yield
        self._finish(lane, jobs)

    def _finish(self, lane: Lane, jobs: Sequence[_Job]) -> None:
        now_ns = time.monotonic_ns()
        self._taken[lane] = ()
        for job in jobs:
            self.waiting[lane] -= len(job.sessions)
            self._publications[lane] -= not job.is_passable
            if job.on_done is not None:
                try:
                    job.on_done(now_ns - job.began_ns)
                except Exception:
                    log.exception("on_done callback failed")


def _join(parcels: list[Parcel], joined: dict[tuple[int, ...], bytes]) -> bytes:
    """Return the joined frames of parcels. The same parcels for many clients are joined once."""
    if len(parcels) == 1:
        return parcels[0].frame
    same = tuple(map(id, parcels))
    frames = joined.get(same)
    if frames is None:
        frames = b"".join([parcel.frame for parcel in parcels])
        if len(joined) < _MOST_JOINED:
            joined[same] = frames
    return frames
