"""The virtual user that reads too slowly."""

from __future__ import annotations

import time
from typing import Final, NoReturn

from locust.env import Environment

from loadtests.behaviours.subscriber import Subscriber
from scenarios.groups import SlowReaderGroup

_TURN_NS: Final = 100_000_000
_NS_PER_S: Final = 1_000_000_000


class SlowReader(Subscriber):
    """Subscribes, and then reads at most so many bytes a second, ten times a second.

    The rate counts from its welcome. Bytes that were not there when a read was due are not
    made up for later.
    """

    group = "slow_reader"
    is_well_behaved = False
    has_fixed_count = True

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        settings = self.run_context.scenario.users.of(SlowReaderGroup)
        self.receive_buffer_bytes = settings.receive_buffer_bytes
        self._bytes_per_second = settings.bytes_per_second

    def behave(self) -> NoReturn:
        """Read the bytes of each turn until the connection ends."""
        self.pause()
        began_ns = time.monotonic_ns()
        turn = allowed = 0
        while True:
            turn += 1
            self._wait_until(began_ns + turn * _TURN_NS)
            due = turn * _TURN_NS * self._bytes_per_second // _NS_PER_S
            if due > allowed:
                self._require().read(due - allowed)
                allowed = due
