"""``Canaries``: what the witness publishes, and the numbers that the gateway gave it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import Any, Final

from gateway.contract import PUBLISH_PATH, user_stream
from loadtests.connection.http_calls import HttpCalls
from loadtests.errors import ClientError
from loadtests.oracles.ledger import BY_SYMBOL
from loadtests.publication.payloads import PayloadMaker
from loadtests.watching import figures
from loadtests.watching.witness_metrics import WitnessMetrics

BALANCE: Final = "balance:updated"
ORDER: Final = "order:created"
_NS_PER_US: Final = 1_000


class Canaries:
    """Publishes canaries: market events of the witness's symbols, and private events of its users.

    Args:
        url: of the gateway.
        token: returns a token with the scope ``publish``.
        symbols: of the witness alone.
        users: the ids of its users.
        metrics: takes times and failures.
        trading: whether orders also go to the room ``trading``, where others see them.

    Attributes:
        numbers: the last number of each stream of the witness.
    """

    def __init__(
        self,
        url: str,
        token: Callable[[], str | None],
        *,
        symbols: Sequence[str],
        users: Sequence[str],
        metrics: WitnessMetrics,
        trading: bool,
    ) -> None:
        self.numbers: dict[str, int] = {}
        self._token = token
        self._symbols = symbols
        self._trading = trading
        self._metrics = metrics
        self._http = HttpCalls(url)
        seed = time.monotonic_ns()
        weights = [1.0] * len(symbols)
        self._market = PayloadMaker(seed, symbols, weights, [])
        self._private = {user: PayloadMaker(seed, symbols, weights, [user]) for user in users}

    def market(self, offset_ns: int | None) -> bool:
        """Publish each market event once for each symbol; return whether that succeeded."""
        events = sorted(BY_SYMBOL) * len(self._symbols)
        return self._publish([self._make(self._market, event, offset_ns) for event in events])

    def private(self, users: Sequence[str], offset_ns: int | None) -> bool:
        """Publish a balance and an order of each user; return whether that succeeded."""
        items = []
        for user in users:
            items.append(self._make(self._private[user], BALANCE, offset_ns))
            order = self._make(self._private[user], ORDER, offset_ns)
            if not self._trading:
                del order["room"]
            items.append(order)
        return self._publish(items)

    def forget(self) -> None:
        """Forget all numbers: the gateway has begun another epoch."""
        self.numbers = {}

    def close(self) -> None:
        """Close the connection."""
        self._http.close()

    def _make(self, maker: PayloadMaker, event: str, offset_ns: int | None) -> dict[str, Any]:
        source_us = None
        if offset_ns is not None:
            source_us = (time.monotonic_ns() + offset_ns) // _NS_PER_US
        return maker.make(event, source_us=source_us, unix_s=time.time())

    def _publish(self, items: Sequence[dict[str, Any]]) -> bool:
        token = self._token()
        if token is None or not items:
            return False
        try:
            answer = self._http.ask("POST", PUBLISH_PATH, token=token, body=items)
        except ClientError:
            self._metrics.failed()
            return False
        content = answer.reply.payload
        if answer.status != HTTPStatus.ACCEPTED or not isinstance(content, dict):
            self._metrics.failed()
            return False
        self._metrics.time(figures.PUBLISH, answer.reply.response_ns)
        for item, receipt in zip(items, content["published"], strict=True):
            if "seq" in receipt:
                self._keep(str(receipt["stream"]), int(receipt["seq"]))
            if "userSeq" in receipt:
                self._keep(user_stream(str(item["userId"])), int(receipt["userSeq"]))
        return True

    def _keep(self, stream: str, number: int) -> None:
        self.numbers[stream] = max(number, self.numbers.get(stream, 0))
