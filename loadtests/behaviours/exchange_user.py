"""The virtual user that places orders at the paper exchange, and judges what it is told of them."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any, Final

from locust.env import Environment

from gateway.contract import EVENTS, ORDER, ORDER_STEPS, ORDERS_PATH, Audience, Channel, ClientEvent
from gateway.contract import OrderStatus as Status
from loadtests.behaviours.planned_user import PlannedUser
from loadtests.connection.http_calls import HttpCalls, HttpReply
from loadtests.errors import ClientError
from loadtests.oracles.canaries import canary
from loadtests.oracles.order_flow import OrderFlow
from loadtests.oracles.order_money import OrderMoney
from loadtests.plan.order_plan import OrderPlan
from loadtests.plan.schedule import SECOND_NS
from loadtests.results import Series, WrongOutcome
from scenarios.groups import ExchangeUserGroup

QUIET_S: Final = 2.0
"""Before the drain, users cancel their open orders and place no more: the exchange falls silent."""
COMPARED_EACH: Final = 10
"""One user in this many compares the public form of every event with its owner's form."""
REPEATED_EACH: Final = 10
"""One order in this many is sent twice, and must be placed once."""
MOST_OPEN: Final = 4
"""Above this many open orders, the user cancels its oldest one."""
_CREATED: Final = 201
_OK: Final = 200
_NOT_FOUND: Final = 404
_CONFLICT: Final = 409
_WITH_TWO_FORMS: Final = tuple(
    name for name, row in EVENTS.items() if row.audience is Audience.OWNER_AND_PUBLIC
)


class ExchangeUser(PlannedUser):
    """Listens to the trading channel, and places and cancels orders over HTTP at intended times.

    Only what its first connection receives is judged: of orders before a reconnection some
    events may be missing.
    """

    group = "exchange_user"

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        context = self.run_context
        settings = context.scenario.users.of(ExchangeUserGroup)
        self.every_s, self.arrivals = settings.order_every_s, settings.arrivals
        symbols = context.symbols_of(self.user_id, settings.traded_symbols)
        self._orders = OrderPlan(context.scenario.seed, self.user_id, symbols)
        self._flow, self._money = OrderFlow(), OrderMoney()
        self._http = HttpCalls(str(self.host), self.tls, self.call_timeout_s)
        self._bearer = self.token()
        self._open: dict[str, None] = {}
        self._awaited_ns: dict[str, int] = {}  # intended times of market orders, by clientOrderId
        if self.index % COMPARED_EACH == 0:
            for name in _WITH_TWO_FORMS:
                self.on(name, partial(self._compare, name))

    def subscribe_all(self) -> None:
        """Subscribe to the trading channel, and ask what the exchange holds of the user."""
        self.request(ClientEvent.SUBSCRIBE, {"channel": Channel.TRADING})
        answer = self._ask("GET", ORDERS_PATH)
        if answer is not None and answer.status == _NOT_FOUND:
            self.note_error("no exchange", "the gateway has none; set GATEWAY_EXCHANGE=paper")
        elif answer is not None and answer.status != _OK:
            self._note_refusal_of("GET", answer)
        elif answer is not None and self._is_judged:
            self._money.begin(answer.reply.payload)

    def behave(self) -> bool:
        """Place orders until the market is to fall silent, and cancel those that are open."""
        returns = super().behave()
        self._cancel(list(self._open))
        return returns

    def plan_end_ns(self) -> int:
        """Return when the user places its last order, monotonic, once that is known."""
        steady_ns = self.run_context.steady_ns()
        if steady_ns is None:
            return super().plan_end_ns()
        steady_s = self.run_context.scenario.phases.steady_s
        return steady_ns + round(max(steady_s - QUIET_S, steady_s / 2) * SECOND_NS)

    def received(self, stamp_ns: int, name: str, payload: Any) -> None:
        """Account for an event, and judge one of the exchange.

        Args:
            stamp_ns: read stamp, monotonic.
            name: of the event.
            payload: its first argument.
        """
        super().received(stamp_ns, name, payload)
        if not isinstance(payload, dict) or "userSeq" not in payload or not self._is_judged:
            return
        self._note_wrongs(WrongOutcome.ORDER, [self._flow.take(name, payload)], stamp_ns)
        self._note_wrongs(WrongOutcome.MONEY, [self._money.take(name, payload)], stamp_ns)
        forms = self.run_context.public_forms
        self._note_wrongs(WrongOutcome.FORM, [forms.take(name, payload)], stamp_ns)
        order = payload.get(ORDER.key)
        if isinstance(order, dict):
            self._follow_order(stamp_ns, order)

    def close_oracles(self, now_ns: int) -> None:
        """Judge what never came: events of answered orders, positions of trades."""
        super().close_oracles(now_ns)
        if self._is_judged and self.is_on:
            self._note_wrongs(WrongOutcome.ORDER, self._flow.close(), now_ns)
            self._note_wrongs(WrongOutcome.MONEY, self._money.close(), now_ns)

    def close(self) -> None:
        """Close both connections."""
        self._http.close()
        super().close()

    @property
    def _is_judged(self) -> bool:
        return self.connects <= 1

    def send(self, intended_ns: int) -> None:
        """Place an order, and cancel one when too many are open."""
        number = self._sent
        name = canary(ORDER, self.user_id, number)
        wanted = self._orders.next() | name
        if wanted["type"] == "market":
            self._awaited_ns[name["clientOrderId"]] = intended_ns
        self._recorder.count("offered")
        answer = self._ask("POST", ORDERS_PATH, wanted, intended_ns)
        self._recorder.count("sent")
        if answer is None:
            return
        reply = answer.reply
        if answer.status != _CREATED:
            self._note_refusal_of("POST", answer)
            return
        if self.is_measured:
            self._recorder.span(Series.SCHEDULE_DELAY, reply.schedule_delay_ns, reply.sent_ns)
            self._recorder.span(Series.ORDER_ACCEPT, reply.response_ns, reply.done_ns)
        order = reply.payload["order"]
        self._note_wrongs(WrongOutcome.ORDER, [self._flow.answer(order)], reply.done_ns)
        if number % REPEATED_EACH == 0:
            self._repeat(wanted, order["id"])
        if len(self._open) > MOST_OPEN:
            self._cancel(list(self._open)[:1])

    def _repeat(self, wanted: dict[str, Any], order_id: str) -> None:
        """Send an order again: the answer must be the order that there is."""
        answer = self._ask("POST", ORDERS_PATH, wanted)
        if answer is None:
            return
        if answer.status != _OK or answer.reply.payload["order"]["id"] != order_id:
            words = f"{order_id}, sent again, was answered with {answer.status}"
            self.note_wrong(WrongOutcome.ORDER, words, answer.reply.done_ns)

    def _cancel(self, order_ids: Iterable[str]) -> None:
        for order_id in order_ids:
            answer = self._ask("DELETE", f"{ORDERS_PATH}/{order_id}")
            if answer is None:
                return
            if answer.status == _OK:
                wrong = self._flow.answer(answer.reply.payload["order"])
                self._note_wrongs(WrongOutcome.ORDER, [wrong], answer.reply.done_ns)
            elif answer.status != _CONFLICT:  # it was filled or rejected in the meantime
                self._note_refusal_of("DELETE", answer)
            self._open.pop(order_id, None)

    def _ask(
        self, method: str, path: str, body: object = None, intended_ns: int | None = None
    ) -> HttpReply | None:
        """Return the answer to a request; None when there is none, which is an error."""
        try:
            answer = self._http.ask(
                method, path, token=self._bearer, body=body, intended_ns=intended_ns
            )
        except ClientError as error:
            self._fire(method, ORDERS_PATH, None, error)
            self.note_failure(error, f"{method}: {error}")
            return None
        self._fire(method, ORDERS_PATH, answer.reply.response_ns)
        return answer

    def _follow_order(self, stamp_ns: int, order: dict[str, Any]) -> None:
        """Keep which orders are open, the last price, and the time that a market order took."""
        status = Status(order["status"])
        if ORDER_STEPS[status]:
            self._open.setdefault(order["id"])
        else:
            self._open.pop(order["id"], None)
        if status is Status.FILLED:
            self._orders.note_price(order["symbol"], float(order["averagePrice"]))
        if ORDER_STEPS[status]:
            return
        intended_ns = self._awaited_ns.pop(str(order["clientOrderId"]), None)
        if intended_ns is not None and status is Status.FILLED and self.is_measured:
            self._recorder.span(Series.ORDER_FILL, stamp_ns - intended_ns, stamp_ns)

    def _compare(self, name: str, stamp_ns: int, payload: Any) -> None:
        """Compare a public form. The owner's is taken where it is received."""
        if isinstance(payload, dict) and "userSeq" not in payload:
            wrong = self.run_context.public_forms.take(name, payload)
            self._note_wrongs(WrongOutcome.FORM, [wrong], stamp_ns)

    def _note_refusal_of(self, method: str, answer: HttpReply) -> None:
        self.note_error(f"HTTP {answer.status}", f"{method}: {answer.reply.payload}")

    def _note_wrongs(self, outcome: WrongOutcome, found: Iterable[str | None], at_ns: int) -> None:
        for words in found:
            if words is not None:
                self.note_wrong(outcome, words, at_ns)
