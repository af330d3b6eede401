"""The virtual user that trades."""

from __future__ import annotations

import time

from locust.env import Environment

from gateway.contract import Channel, ClientEvent
from loadtests.behaviours.users import VirtualUser
from loadtests.plan.schedule import ArrivalPlan, count_missed, user_arrivals
from scenarios.schema import Arrivals


class Trader(VirtualUser):
    """Listens to trading and its symbols, and asks for something at intended times.

    In turn: its subscriptions, one more symbol, a ping, that symbol no more. The
    plan is fixed when the user comes on: late requests are sent late, and what was
    never sent is missed.
    """

    group = "trader"

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        settings = self.stage.scenario.users.trader
        self._every_s = settings.request_every_s if settings is not None else 4.0
        self._arrivals = settings.arrivals if settings is not None else Arrivals()
        count = settings.symbols if settings is not None else 1
        symbols = self.stage.symbols_of(self.user_id, count + 1)
        self._symbols, self._extra = symbols[:count], symbols[count:]
        self._plan: ArrivalPlan | None = None
        self._sent = 0

    def subscribe_all(self) -> None:
        """Subscribe to trading and to the scenario's number of symbols."""
        self.request(ClientEvent.SUBSCRIBE, {"channel": Channel.TRADING})
        if self._symbols:
            self.change(ClientEvent.SUBSCRIBE, self._symbols)

    def behave(self) -> bool:
        """Send each request when it is due, or as soon after as can be."""
        if self._plan is None:
            self._plan = user_arrivals(
                self.stage.scenario.seed,
                self.user_id,
                time.monotonic_ns(),
                self._every_s,
                self._arrivals,
            )
        while not self.stage.is_over():
            intended_ns = self._plan.due_ns(self._sent)
            self._wait_until(intended_ns)
            if self.stage.is_over():
                break
            self._sent += 1
            self._ask(self._sent % 4, intended_ns)
        return super().behave()

    def stop_requests(self, now_ns: int) -> None:
        """Count what was due and not sent."""
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
