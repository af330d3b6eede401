"""``python -m tests.nodes.faults.off_clock SECONDS``: a gateway whose wall clock is off."""

from __future__ import annotations

import sys

from gateway import __main__
from gateway.server import app
from gateway.server.clock import SystemClock


class OffClock(SystemClock):
    """The system's clocks; the wall clock is off by the seconds of the command line."""

    def unix_s(self) -> float:
        """Return CLOCK_REALTIME and the seconds."""
        return super().unix_s() + float(sys.argv[1])


if __name__ == "__main__":
    vars(app)["SystemClock"] = OffClock
    sys.exit(__main__.main())
