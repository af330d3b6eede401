"""``Meeting``: two load generators on one machine begin their warm-up at the same moment.

Each writes a file when it could begin, and waits for the other's. Both then compute the same
whole second of the monotonic clock. A run directory's seconds begin at whole seconds too, so
that the seconds of both runs are the same ones.

RuntimeError
└── PeerMissing      the other load generator did not come in time
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import gevent

from loadtests.plan.schedule import SECOND_NS
from loadtests.plan.turns import PLACES, Turns, whole_second

AGREEMENT_NS: Final = SECOND_NS // 4
"""The time that both have to read each other's file before they begin."""
_POLL_S: Final = 0.02


class PeerMissing(RuntimeError):  # noqa: N818 - a state of the other process
    """The other load generator did not come in time."""


@dataclass(frozen=True, slots=True)
class Meeting:
    """The meeting of two load generators.

    Attributes:
        announcement: the file that this one writes; the other's is beside it.
    """

    announcement: Path

    @property
    def turns(self) -> Turns:
        """The slices of this side."""
        return Turns(PLACES.index(self.announcement.name))

    def describe(self) -> dict[str, object]:
        """Return what the manifest says of it."""
        return {"place": self.announcement.name, "meeting": self.announcement.parent.name}

    def agree(self, ready_ns: int, timeout_s: float) -> int:
        """Announce this side, wait for the other, and return when both begin, monotonic.

        Other greenlets run meanwhile.

        Args:
            ready_ns: when this side can begin, monotonic.
            timeout_s: how long it waits for the other.

        Raises:
            PeerMissing: the other did not announce itself in time.
        """
        fresh = self.announcement.with_suffix(".new")
        fresh.write_text(str(ready_ns), encoding="ascii")
        fresh.replace(self.announcement)
        other = self.announcement.with_name(PLACES[1 - self.turns.place])
        deadline_ns = time.monotonic_ns() + round(timeout_s * SECOND_NS)
        while not other.exists():
            if time.monotonic_ns() > deadline_ns:
                raise PeerMissing(f"the other side was not ready within {timeout_s:g} s")
            gevent.sleep(_POLL_S)
        both_ns = max(ready_ns, int(other.read_text(encoding="ascii")))
        return whole_second(both_ns + AGREEMENT_NS)
