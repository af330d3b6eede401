"""The pushes to each user in the steady phase: their number, sum and maximum latency."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple, Protocol

import numpy as np

from loadtests.reading.batches import Batch, Integers
from loadtests.record.recording import PhaseTimes, Recorder
from loadtests.results import Phase

_LEAST: Final = 1_024


class PushSum(NamedTuple):
    """One user's pushes.

    Attributes:
        pushes: number of timed pushes.
        sum_ns: sum of their latencies, ns.
        max_ns: the largest latency, ns; None without pushes.
    """

    pushes: int
    sum_ns: int
    max_ns: int | None


class UserPushes:
    """Adds up latencies by owner: the response time of a push, or else its service time."""

    def __init__(self, phases: PhaseTimes) -> None:
        self._phases = phases
        self._counts = np.zeros(_LEAST, dtype=np.int64)
        self._sums_ns = np.zeros(_LEAST, dtype=np.int64)
        self._most_ns = np.zeros(_LEAST, dtype=np.int64)

    def take(self, batch: Batch, latencies_ns: Integers) -> None:
        """Add a batch, without negative latencies (ns) and those outside the steady phase."""
        owners, stamps_ns = batch.owners, batch.stamps_ns
        if not len(owners):
            return
        phases = [self._phases.at(int(stamps_ns[place])) for place in (0, -1)]
        is_whole = phases == [Phase.STEADY, Phase.STEADY] and latencies_ns.min() >= 0
        if not is_whole:
            if Phase.STEADY not in phases and phases[0] is phases[1]:
                return
            is_taken = self._is_steady(stamps_ns) & (latencies_ns >= 0)
            owners, latencies_ns = owners[is_taken], latencies_ns[is_taken]
        if len(owners):
            self._add(owners, latencies_ns)

    def of(self, owner: int) -> PushSum:
        """Return the pushes to a user so far."""
        if owner >= len(self._counts) or not self._counts[owner]:
            return PushSum(0, 0, None)
        return PushSum(
            int(self._counts[owner]), int(self._sums_ns[owner]), int(self._most_ns[owner])
        )

    def _add(self, owners: Integers, latencies_ns: Integers) -> None:
        most = int(owners.max())
        if most >= len(self._counts):
            self._grow(most + 1)
        np.add.at(self._counts, owners, 1)
        np.add.at(self._sums_ns, owners, latencies_ns)
        np.maximum.at(self._most_ns, owners, latencies_ns)

    def _is_steady(self, stamps_ns: Integers) -> Integers:
        places = np.searchsorted(self._phases.starts_ns[1:], stamps_ns, side="right")
        is_steady = np.array([phase is Phase.STEADY for phase in self._phases.phases])
        found: Integers = is_steady[places]
        return found

    def _grow(self, size: int) -> None:
        more = max(size, 2 * len(self._counts)) - len(self._counts)
        empty = np.zeros(more, dtype=np.int64)
        self._counts = np.concatenate((self._counts, empty))
        self._sums_ns = np.concatenate((self._sums_ns, empty))
        self._most_ns = np.concatenate((self._most_ns, empty))


class RecordedUser(Protocol):
    """A virtual user as the table ``clients`` describes it.

    Attributes:
        user_id: ``sub`` of its token.
        index: its place in the order of arrival, over all processes.
        first_welcome_ns: read stamp of its first welcome, monotonic ns; None without one.
        connects: number of welcomes that it received.
    """

    user_id: str
    index: int
    first_welcome_ns: int | None
    connects: int

    @property
    def group(self) -> str:
        """Name of its behaviour."""
        ...


def record_clients(recorder: Recorder, users: Iterable[RecordedUser], pushes: UserPushes) -> None:
    """Write a row of the table ``clients`` for each user of a process.

    Args:
        recorder: writes the rows.
        users: the users, in the order of their numbers in batches (0, 1, …).
        pushes: their pushes.
    """
    for owner, user in enumerate(users):
        pushed, came_ns = pushes.of(owner), user.first_welcome_ns
        recorder.writer.row(
            "clients",
            {
                "worker": recorder.worker,
                "user": user.user_id,
                "group": user.group,
                "place": user.index,
                "welcome_ns": None if came_ns is None else came_ns - recorder.t0_ns,
                "connects": user.connects,
                "pushes": pushed.pushes,
                "push_sum_ns": pushed.sum_ns,
                "push_max_ns": pushed.max_ns,
            },
        )
