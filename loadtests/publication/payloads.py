"""What the publisher publishes: payloads in the shapes of the wire contract.

Pure and repeatable: the same seed gives the same symbols, users and prices. Money and
quantities of orders, positions, trades and balances are decimal strings, market data
numbers. Whatever is private carries its owner's canary.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from itertools import accumulate

import orjson

from gateway.contract import (
    BALANCE_EVENT,
    Channel,
    MarketEvent,
    TradingEvent,
    iso_timestamp,
    symbol_room,
)
from loadtests.oracles.canaries import BALANCE, CANARY_FIELDS, canary

_DEPTH = 5
_NOBODY = "nobody"
_ORDER_STATUS = {
    TradingEvent.ORDER_CREATED: "pending",
    TradingEvent.ORDER_SUBMITTED: "submitted",
    TradingEvent.ORDER_PARTIALLY_FILLED: "partially_filled",
    TradingEvent.ORDER_FILLED: "filled",
    TradingEvent.ORDER_CANCELLED: "cancelled",
    TradingEvent.ORDER_REJECTED: "rejected",
}


class PayloadMaker:
    """Makes one publication at a time.

    Args:
        seed: decides every draw.
        symbols: the market, most popular first.
        weights: how often each symbol is drawn.
        user_ids: owners of trading events and balances; without any, trading events go to the
            trading room alone, and balances to a user who is not there.
    """

    def __init__(
        self, seed: int, symbols: Sequence[str], weights: Sequence[float], user_ids: Sequence[str]
    ) -> None:
        self._random = random.Random(seed)  # noqa: S311 - repeatable market data, no secret
        self._symbols = list(symbols)
        self._cumulative = list(accumulate(weights))
        self._user_ids = sorted(user_ids)
        self._prices = {s: 100.0 + self._random.random() * 900 for s in self._symbols}
        self._orders: Counter[str] = Counter()

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
            event: a market or trading event's name, or the balance's.
            source_us: the intended time for ``srcTs``; None leaves it out.
            unix_s: wall-clock seconds for the times that the payload shows.
            least_bytes: what the data come to as JSON at least; ``pad`` fills them up.

        Raises:
            ValueError: ``event`` is neither a market nor a trading event, nor the balance.
        """
        symbol = self._random.choices(self._symbols, cum_weights=self._cumulative)[0]
        timestamp = iso_timestamp(unix_s)
        if event in set(MarketEvent):
            target: dict[str, object] = {"room": symbol_room(symbol)}
            data = self._market(MarketEvent(event), symbol, timestamp)
        elif event == BALANCE_EVENT:
            user_id = self._random.choice(self._user_ids or [_NOBODY])
            target = {"userId": user_id}
            data = self._balance(user_id)
        else:
            user_id = self._random.choice(self._user_ids or [_NOBODY])
            target = {"room": str(Channel.TRADING)}
            if self._user_ids:
                target["userId"] = user_id
            data = self._trading(TradingEvent(event), symbol, user_id, timestamp)
        if least_bytes is not None:
            data = _padded(data, least_bytes)
        stamp = {} if source_us is None else {"srcTs": source_us}
        return {**target, "event": event, "data": data, **stamp}

    def _market(self, event: MarketEvent, symbol: str, timestamp: str) -> dict[str, object]:
        price = self._step(symbol)
        if event is MarketEvent.PRICE:
            return {"symbol": symbol, "price": price}
        if event is MarketEvent.TICKER:
            ticker = {
                "symbol": symbol,
                "price": price,
                "bid": round(price * 0.9995, 2),
                "ask": round(price * 1.0005, 2),
                "volume24h": round(self._random.random() * 1e6, 2),
                "change24h": round(self._random.uniform(-5, 5), 2),
                "high24h": round(price * 1.02, 2),
                "low24h": round(price * 0.98, 2),
                "timestamp": timestamp,
            }
            return {"symbol": symbol, "ticker": ticker}
        book = {
            "symbol": symbol,
            "bids": self._side(price, -1),
            "asks": self._side(price, 1),
            "timestamp": timestamp,
        }
        return {"symbol": symbol, "orderBook": book}

    def _trading(
        self, event: TradingEvent, symbol: str, user_id: str, timestamp: str
    ) -> dict[str, object]:
        self._orders[user_id] += 1
        number, price = self._orders[user_id], self._step(symbol)
        quantity = round(self._random.uniform(0.01, 5), 4)
        if event in _ORDER_STATUS:
            return {
                "order": self._order(event, symbol, user_id, number, price, quantity, timestamp)
            }
        if event is TradingEvent.TRADE_EXECUTED:
            return {"trade": self._trade(symbol, user_id, number, price, quantity, timestamp)}
        return {
            "position": self._position(event, symbol, user_id, number, price, quantity, timestamp)
        }

    def _order(
        self,
        event: TradingEvent,
        symbol: str,
        user_id: str,
        number: int,
        price: float,
        quantity: float,
        timestamp: str,
    ) -> dict[str, object]:
        filled = {
            TradingEvent.ORDER_FILLED: quantity,
            TradingEvent.ORDER_PARTIALLY_FILLED: quantity / 2,
        }.get(event, 0.0)
        return {
            "id": f"order-{user_id}-{number}",
            CANARY_FIELDS["order"]: canary("order", user_id, number),
            "symbol": symbol,
            "side": self._random.choice(("buy", "sell")),
            "type": "limit",
            "quantity": f"{quantity:.4f}",
            "price": f"{price:.2f}",
            "stopPrice": None,
            "status": _ORDER_STATUS[event],
            "filledQuantity": f"{filled:.4f}",
            "averagePrice": f"{price:.2f}" if filled else None,
            "timeInForce": "GTC",
            "exchangeOrderId": None if event is TradingEvent.ORDER_CREATED else f"x-{number}",
            "rejectReason": "price" if event is TradingEvent.ORDER_REJECTED else None,
            "createdAt": timestamp,
            "submittedAt": None if event is TradingEvent.ORDER_CREATED else timestamp,
            "filledAt": timestamp if event is TradingEvent.ORDER_FILLED else None,
            "cancelledAt": timestamp if event is TradingEvent.ORDER_CANCELLED else None,
        }

    def _trade(
        self, symbol: str, user_id: str, number: int, price: float, quantity: float, timestamp: str
    ) -> dict[str, object]:
        return {
            "id": f"trade-{user_id}-{number}",
            CANARY_FIELDS["trade"]: canary("trade", user_id, number),
            "symbol": symbol,
            "side": self._random.choice(("buy", "sell")),
            "type": "limit",
            "quantity": f"{quantity:.4f}",
            "price": f"{price:.2f}",
            "value": f"{price * quantity:.2f}",
            "fee": f"{price * quantity * 0.001:.4f}",
            "exchangeOrderId": f"x-{number}",
            "executedAt": timestamp,
        }

    def _position(
        self,
        event: TradingEvent,
        symbol: str,
        user_id: str,
        number: int,
        price: float,
        quantity: float,
        timestamp: str,
    ) -> dict[str, object]:
        is_closed = event is TradingEvent.POSITION_CLOSED
        return {
            CANARY_FIELDS["position"]: canary("position", user_id, number),
            "symbol": symbol,
            "side": self._random.choice(("long", "short")),
            "quantity": f"{quantity:.4f}",
            "entryPrice": f"{price:.2f}",
            "currentPrice": f"{price:.2f}",
            "unrealizedPnL": "0.00",
            "unrealizedPnLPercent": "0.00",
            "realizedPnL": "0.00",
            "totalPnL": "0.00",
            "status": "closed" if is_closed else "open",
            "stopLoss": None,
            "takeProfit": None,
            "openedAt": timestamp,
            "closedAt": timestamp if is_closed else None,
            "lastUpdated": timestamp,
        }

    def _balance(self, user_id: str) -> dict[str, object]:
        self._orders[user_id] += 1
        total, reserved = self._random.uniform(100, 10_000), self._random.uniform(0, 100)
        entry = {
            "currency": "USDT",
            "available": f"{total - reserved:.2f}",
            "reserved": f"{reserved:.2f}",
            "total": f"{total:.2f}",
        }
        return {
            CANARY_FIELDS[BALANCE]: canary(BALANCE, user_id, self._orders[user_id]),
            "balance": entry["total"],
            "currency": entry["currency"],
            "balances": [entry],
        }

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


def _padded(data: dict[str, object], least_bytes: int) -> dict[str, object]:
    """Return data that come to so many bytes as JSON; what is longer already stays as it is."""
    short = least_bytes - len(orjson.dumps({**data, "pad": ""}))
    return {**data, "pad": "x" * short} if short >= 0 else data
