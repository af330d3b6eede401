"""The virtual user that listens."""

from __future__ import annotations

from gateway.contract import ClientEvent
from loadtests.behaviours.virtual_user import VirtualUser


class Subscriber(VirtualUser):
    """Listens to its symbols and does nothing else."""

    group = "subscriber"

    def subscribe_all(self) -> None:
        """Subscribe to the scenario's number of symbols."""
        count = self.run_context.scenario.users.symbols().get(self.group, 1)
        symbols = self.run_context.symbols_of(self.user_id, count)
        self.change(ClientEvent.SUBSCRIBE, symbols)
