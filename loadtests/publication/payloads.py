"""Payloads: what the publisher publishes, in the shapes of the wire contract.

Pure and repeatable: the same seed gives the same symbols, users and prices. Money and
quantities of orders, positions, trades and balances are decimal strings, market data are
numbers. Every private event carries its owner's canary, and every event a checksum of itself.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Final

import orjson

from gateway.contract import Audience, EventRow, iso_timestamp, symbol_room
from loadtests.oracles.canaries import canary
from loadtests.oracles.checksums import CHECK_BYTES, check_public_form, check_whole
from loadtests.oracles.ledger import ACCOUNTED

_DEPTH: Final = 5
_NOBODY: Final = "nobody"


@dataclass(frozen=True, slots=True)
class _Draw:
    """One publication to be made: its event, symbol and owner, the owner's count, the time."""

    row: EventRow
    symbol: str
    user_id: str
    number: int
    timestamp: str

    @property
    def happened(self) -> str:
        """What the event's name says after its colon: created, filled, closed."""
        return self.row.name.partition(":")[2]

    def canary(self) -> dict[str, str]:
        """Return the private field that names the owner, where the event has an owner."""
        subject = self.row.subject
        if subject is None or not subject.private:
            return {}
        return canary(subject, self.user_id, self.number)


class PayloadMaker:
    """Makes one publication at a time.

    Args:
        seed: decides every draw.
        symbols: the market, most popular first.
        weights: how often each symbol is drawn.
        user_ids: owners of private events. Without any, an event with a public form goes to
            its room alone, and another private event to a user who is not there.
    """

    def __init__(
        self, seed: int, symbols: Sequence[str], weights: Sequence[float], user_ids: Sequence[str]
    ) -> None:
        self._random = random.Random(seed)  # noqa: S311 - repeatable market data, no secret
        self._symbols = list(symbols)
        self._cumulative = list(accumulate(weights))
        self._user_ids = sorted(user_ids)
        self._prices = {s: 100.0 + self._random.random() * 900 for s in self._symbols}
        self._numbers: Counter[str] = Counter()
        self._bodies: dict[str, Callable[[_Draw], object]] = {
            "price": self._price,
            "ticker": self._ticker,
            "orderBook": self._book,
            "order": self._order,
            "position": self._position,
            "trade": self._trade,
            "balance": self._balance,
        }

    def make(
        self,
        event: str,
        *,
        source_us: int | None,
        unix_s: float,
        least_bytes: int | None = None,
    ) -> dict[str, object]:
        """Return one item for the publish route.

        Args:
            event: the name of an event that the ledger accounts for.
            source_us: the intended time for ``srcTs``, µs; None leaves it out.
            unix_s: wall-clock seconds for the times that the payload shows.
            least_bytes: the least size of the data as JSON; the field ``pad`` fills them up.

        Raises:
            ValueError: the ledger does not account for ``event``.
        """
        row = ACCOUNTED.get(event)
        if row is None:
            raise ValueError(
                f"no payload is made for {event!r}: the ledger does not account for it"
            )
        symbol = self._random.choices(self._symbols, cum_weights=self._cumulative)[0]
        target, user_id = self._target(row, symbol)
        self._numbers[user_id] += 1
        number, timestamp = self._numbers[user_id], iso_timestamp(unix_s)
        data = self._data(_Draw(row, symbol, user_id, number, timestamp))
        data = check_public_form(row, data)
        if least_bytes is not None:
            data = _padded(data, least_bytes - CHECK_BYTES)
        data = check_whole(data)
        stamp = {} if source_us is None else {"srcTs": source_us}
        return {**target, "event": event, "data": data, **stamp}

    def _target(self, row: EventRow, symbol: str) -> tuple[dict[str, object], str]:
        """Return whom a publication names, and its owner; an event without one has none."""
        if row.audience is Audience.SYMBOL_ROOMS:
            return {"room": symbol_room(symbol, row.channel)}, ""
        if row.audience is Audience.ROOM:
            return {"room": row.channel}, ""
        user_id = self._random.choice(self._user_ids or [_NOBODY])
        if row.audience is Audience.USER:
            return {"userId": user_id}, user_id
        owner = {"userId": user_id} if self._user_ids else {}
        return {"room": row.channel, **owner}, user_id

    def _data(self, draw: _Draw) -> Mapping[str, object]:
        subject = draw.row.subject
        symbol = {"symbol": draw.symbol} if draw.row.stream.by == "symbol" else {}
        if subject is None:
            return {**symbol, "number": draw.number}
        body = self._bodies.get(subject.key, self._other)(draw)
        if subject.is_payload and isinstance(body, dict):
            return body
        return {**symbol, subject.key: body}

    def _other(self, draw: _Draw) -> dict[str, object]:
        """Return the body of an event for which nothing better is known."""
        return {**draw.canary(), "symbol": draw.symbol, "value": f"{self._step(draw.symbol):.2f}"}

    def _price(self, draw: _Draw) -> float:
        return self._step(draw.symbol)

    def _ticker(self, draw: _Draw) -> dict[str, object]:
        price = self._step(draw.symbol)
        return {
            "symbol": draw.symbol,
            "price": price,
            "bid": round(price * 0.9995, 2),
            "ask": round(price * 1.0005, 2),
            "volume24h": round(self._random.random() * 1e6, 2),
            "change24h": round(self._random.uniform(-5, 5), 2),
            "high24h": round(price * 1.02, 2),
            "low24h": round(price * 0.98, 2),
            "timestamp": draw.timestamp,
        }

    def _book(self, draw: _Draw) -> dict[str, object]:
        price = self._step(draw.symbol)
        return {
            "symbol": draw.symbol,
            "bids": self._side(price, -1),
            "asks": self._side(price, 1),
            "timestamp": draw.timestamp,
        }

    def _order(self, draw: _Draw) -> dict[str, object]:
        price, quantity = self._deal(draw.symbol)
        happened, timestamp = draw.happened, draw.timestamp
        is_new = happened == "created"
        filled = {"filled": quantity, "partially-filled": quantity / 2}.get(happened, 0.0)
        return {
            "id": f"order-{draw.user_id}-{draw.number}",
            **draw.canary(),
            "symbol": draw.symbol,
            "side": self._random.choice(("buy", "sell")),
            "type": "limit",
            "quantity": f"{quantity:.4f}",
            "price": f"{price:.2f}",
            "stopPrice": None,
            "status": "pending" if is_new else happened.replace("-", "_"),
            "filledQuantity": f"{filled:.4f}",
            "averagePrice": f"{price:.2f}" if filled else None,
            "timeInForce": "GTC",
            "exchangeOrderId": None if is_new else f"x-{draw.number}",
            "rejectReason": "price" if happened == "rejected" else None,
            "createdAt": timestamp,
            "submittedAt": None if is_new else timestamp,
            "filledAt": timestamp if happened == "filled" else None,
            "cancelledAt": timestamp if happened == "cancelled" else None,
        }

    def _trade(self, draw: _Draw) -> dict[str, object]:
        price, quantity = self._deal(draw.symbol)
        return {
            "id": f"trade-{draw.user_id}-{draw.number}",
            **draw.canary(),
            "symbol": draw.symbol,
            "side": self._random.choice(("buy", "sell")),
            "type": "limit",
            "quantity": f"{quantity:.4f}",
            "price": f"{price:.2f}",
            "value": f"{price * quantity:.2f}",
            "fee": f"{price * quantity * 0.001:.4f}",
            "exchangeOrderId": f"x-{draw.number}",
            "executedAt": draw.timestamp,
        }

    def _position(self, draw: _Draw) -> dict[str, object]:
        price, quantity = self._deal(draw.symbol)
        is_closed = draw.happened == "closed"
        zeros = ("unrealizedPnL", "unrealizedPnLPercent", "realizedPnL", "totalPnL")
        return {
            **draw.canary(),
            "symbol": draw.symbol,
            "side": self._random.choice(("long", "short")),
            "quantity": f"{quantity:.4f}",
            "entryPrice": f"{price:.2f}",
            "currentPrice": f"{price:.2f}",
            **dict.fromkeys(zeros, "0.00"),
            "status": "closed" if is_closed else "open",
            "stopLoss": None,
            "takeProfit": None,
            "openedAt": draw.timestamp,
            "closedAt": draw.timestamp if is_closed else None,
            "lastUpdated": draw.timestamp,
        }

    def _balance(self, draw: _Draw) -> dict[str, object]:
        total, reserved = self._random.uniform(100, 10_000), self._random.uniform(0, 100)
        entry = {
            "currency": "USDT",
            "available": f"{total - reserved:.2f}",
            "reserved": f"{reserved:.2f}",
            "total": f"{total:.2f}",
        }
        return {
            **draw.canary(),
            "balance": entry["total"],
            "currency": entry["currency"],
            "balances": [entry],
        }

    def _deal(self, symbol: str) -> tuple[float, float]:
        """Return a price and a quantity."""
        return self._step(symbol), round(self._random.uniform(0.01, 5), 4)

    def _step(self, symbol: str) -> float:
        self._prices[symbol] = max(1.0, self._prices[symbol] * self._random.uniform(0.999, 1.001))
        return round(self._prices[symbol], 2)

    def _side(self, price: float, direction: int) -> list[dict[str, float]]:
        levels, total = [], 0.0
        for level in range(1, _DEPTH + 1):
            size = round(self._random.uniform(0.1, 10), 4)
            total = round(total + size, 4)
            at = round(price * (1 + direction * level * 0.0005), 2)
            levels.append({"price": at, "size": size, "total": total})
        return levels


def _padded(data: Mapping[str, object], least_bytes: int) -> Mapping[str, object]:
    """Return data of at least so many bytes as JSON; longer data stay as they are."""
    missing = least_bytes - len(orjson.dumps({**data, "pad": ""}))
    return {**data, "pad": "x" * missing} if missing >= 0 else data
