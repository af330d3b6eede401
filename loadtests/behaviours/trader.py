"""The virtual user that trades."""

from __future__ import annotations

import time

from locust.env import Environment

from gateway.contract import Channel, ClientEvent
from loadtests.behaviours.virtual_user import VirtualUser
from loadtests.plan.schedule import ArrivalPlan, count_missed, user_arrivals
from scenarios.groups import TraderGroup


class Trader(VirtualUser):
    """Listens to the trading channel and its symbols, and sends requests at intended times.

    It repeats four requests: list subscriptions, subscribe to a symbol, ping, unsubscribe. The
    plan is fixed when the user connects. A late request is sent late, and a request that was
    never sent is counted as missed.
    """

    group = "trader"
    own_symbols = 1

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self._settings = self.run_context.scenario.users.of(TraderGroup)
        count = self._settings.symbols
        symbols = self.run_context.symbols_of(self.user_id, count + self.own_symbols)
        self._symbols, self._extra = symbols[:count], symbols[count:]
        self._plan: ArrivalPlan | None = None
        self._sent = 0

    @property
    def may_own(self) -> bool:
        """Whether the publisher may name it as an owner: while it is connected."""
        return self.is_on

    def subscribe_all(self) -> None:
        """Subscribe to the trading channel and to the scenario's number of symbols."""
        self.request(ClientEvent.SUBSCRIBE, {"channel": Channel.TRADING})
        if self._symbols:
            self.change(ClientEvent.SUBSCRIBE, self._symbols)

    def behave(self) -> bool:
        """Send each request when it is due, or as soon as possible after that."""
        if self._plan is None:
            self._plan = user_arrivals(
                self.run_context.scenario.seed,
                self.user_id,
                time.monotonic_ns(),
                self._settings.request_every_s,
                self._settings.arrivals,
            )
        while not self.run_context.is_over():
            intended_ns = self._plan.due_ns(self._sent)
            self._wait_until(intended_ns)
            if self.run_context.is_over():
                break
            self._sent += 1
            self._ask(self._sent % 4, intended_ns)
        return super().behave()

    def stop_requests(self, now_ns: int) -> None:
        """Count the requests that were due and not sent."""
        if self._plan is not None:
            missed = count_missed(self._plan, self._sent, now_ns)
            self._recorder.count("offered", missed)
            self._recorder.count("missed", missed)
        super().stop_requests(now_ns)

    def _ask(self, turn: int, intended_ns: int) -> None:
        if turn == 1 or not self._extra:
            self.request(ClientEvent.GET_SUBSCRIPTIONS, None, intended_ns)
        elif turn == 2:
            self.change(ClientEvent.SUBSCRIBE, self._extra, intended_ns)
        elif turn == 3:
            self.request(ClientEvent.PING, None, intended_ns)
        else:
            self.change(ClientEvent.UNSUBSCRIBE, self._extra, intended_ns)
