"""The virtual user that trades."""

from __future__ import annotations

from locust.env import Environment

from gateway.contract import Channel, ClientEvent
from loadtests.behaviours.planned_user import PlannedUser
from scenarios.groups import TraderGroup


class Trader(PlannedUser):
    """Listens to the trading channel and its symbols, and sends requests at intended times.

    It repeats four requests: list subscriptions, subscribe to a symbol, ping, unsubscribe.
    """

    group = "trader"
    own_symbols = 1

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        settings = self.run_context.scenario.users.of(TraderGroup)
        self.every_s, self.arrivals = settings.request_every_s, settings.arrivals
        self.turns = self.run_context.turns
        count = settings.symbols
        symbols = self.run_context.symbols_of(self.user_id, count + self.own_symbols)
        self._symbols, self._extra = symbols[:count], symbols[count:]

    @property
    def may_own(self) -> bool:
        """Whether the publisher may name it as an owner: while it is connected."""
        return self.is_on

    def subscribe_all(self) -> None:
        """Subscribe to the trading channel and to the scenario's number of symbols."""
        self.request(ClientEvent.SUBSCRIBE, {"channel": Channel.TRADING})
        if self._symbols:
            self.change(ClientEvent.SUBSCRIBE, self._symbols)

    def send(self, intended_ns: int) -> None:
        """Send the next of its four requests."""
        turn = self._sent % 4
        if turn == 1 or not self._extra:
            self.request(ClientEvent.GET_SUBSCRIPTIONS, None, intended_ns)
        elif turn == 2:
            self.change(ClientEvent.SUBSCRIBE, self._extra, intended_ns)
        elif turn == 3:
            self.request(ClientEvent.PING, None, intended_ns)
        else:
            self.change(ClientEvent.UNSUBSCRIBE, self._extra, intended_ns)
