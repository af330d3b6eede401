"""The messages between a master and its workers, over Locust's own connection.

::

    worker                             master
    CLOCK {sent_ns}                 →
                                    ←  CLOCK {sent_ns, received_ns, answered_ns}
                                    ←  with the first "spawn", as option RUN_OPTION: Assignment
    STATUS {users, complete, …}     →
                                    ←  PHASES {starts_ns, phases}
    in each report, PARCELS         →
                                    ←  TAKEN {number}
                                    ←  CLOSE {last_numbers, drain_s}
    CLOSED {parcels, rows, …}       →

All times are the master's, and a worker converts them. The secret is never sent: each worker
reads it from its own environment.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

RUN_OPTION: Final = "tidegate_run"
PARCELS: Final = "tidegate_parcels"
LIVE: Final = "tidegate_live"
CLOCK: Final = "tidegate_clock"
STATUS: Final = "tidegate_status"
PHASES: Final = "tidegate_phases"
TAKEN: Final = "tidegate_taken"
CLOSE: Final = "tidegate_close"
CLOSED: Final = "tidegate_closed"


@dataclass(frozen=True, kw_only=True, slots=True)
class Assignment:
    """A run, as the master describes it to its workers.

    Attributes:
        run_id: which run.
        scenario: the text of the scenario, because a worker may have no file.
        t0_ns: the run's start, by the master's clock.
        clock_id: of the master's clock (``loadtests.health.clock_id``); None when unknown.
        gateway_clock_id: of the gateway's clock, from its welcome.
        counts: for each group, how many users each worker has, by rank.
        ranks: each worker's rank, by Locust's id of it.
        session_count: how many sessions the run begins with.
        session_rate: how many of them begin in a second.
        session_first_ns: when the first is due, by the master's clock.
        turn: the place of the run among two that take turns; None for a run on its own.
        urls: of the gateway's nodes.
    """

    run_id: str
    scenario: str
    t0_ns: int
    clock_id: str | None
    gateway_clock_id: str | None
    counts: Mapping[str, list[int]]
    ranks: Mapping[str, int]
    session_count: int
    session_rate: float
    session_first_ns: int
    turn: int | None = None
    urls: Sequence[str] = ()
