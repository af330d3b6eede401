"""The table ``clients``: a row for each virtual user of a process, at the run's end."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from loadtests.reading.userpushes import UserPushes
from loadtests.record.recording import Recorder


class Client(Protocol):
    """A virtual user as its row tells of it.

    Attributes:
        user_id: who it is.
        index: its place in the order of arrival, over all processes.
        first_welcome_ns: when it came on, monotonic; None when it never did.
        connects: welcomes that it got.
    """

    user_id: str
    index: int
    first_welcome_ns: int | None
    connects: int

    @property
    def group(self) -> str:
        """Its behaviour."""
        ...


def record_clients(recorder: Recorder, clients: Iterable[Client], pushes: UserPushes) -> None:
    """Record a row for each of a process's users, who are the owners 0, 1, … of its pushes."""
    for owner, client in enumerate(clients):
        pushed, came_ns = pushes.of(owner), client.first_welcome_ns
        recorder.writer.row(
            "clients",
            {
                "worker": recorder.worker,
                "user": client.user_id,
                "group": client.group,
                "place": client.index,
                "welcome_ns": None if came_ns is None else came_ns - recorder.t0_ns,
                "connects": client.connects,
                "pushes": pushed.pushes,
                "push_sum_ns": pushed.sum_ns,
                "push_max_ns": pushed.max_ns,
            },
        )
