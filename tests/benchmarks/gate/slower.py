"""A gateway that works longer for each delivery: ``python -m tests.benchmarks.gate.slower``.

The environment names how long, ``SLOWER_US``. It computes, as a slower encoder would; it does
not sleep. The product knows nothing of it.
"""

from __future__ import annotations

import os
import sys
import time
from typing import Final

from gateway.__main__ import main
from gateway.routing import Delivery
from gateway.server.local_broadcast import LocalBroadcaster
from gateway.transport import Keep

VARIABLE: Final = "SLOWER_US"


def burden(extra_ns: int) -> None:
    """Make every delivery of this process cost so much more."""
    deliver = LocalBroadcaster._deliver

    def deliver_later(self: LocalBroadcaster, delivery: Delivery, keep: Keep | None) -> None:
        end_ns = time.perf_counter_ns() + extra_ns
        while time.perf_counter_ns() < end_ns:
            pass
        deliver(self, delivery, keep)

    LocalBroadcaster._deliver = deliver_later  # type: ignore[method-assign]  # on purpose: a fault


if __name__ == "__main__":
    burden(1_000 * int(os.environ.get(VARIABLE, "0")))
    sys.exit(main())
