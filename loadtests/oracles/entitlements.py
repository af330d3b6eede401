"""The oracle of entitlements: no symbol is delivered after the gateway knew that it must not. Pure.

It does not read what the gateway says about subscriptions. It knows what the laboratory signed
into each token, and when the gateway had applied it: an answer to a ping that was sent after the
answer to the refresh names a moment of the gateway's own clock. Each market event names its symbol
and, in ``ts``, the moment of its publication by the same clock.
"""

from __future__ import annotations

from collections.abc import Iterable


class EntitlementOracle:
    """What one user may be sent.

    Args:
        symbols: those of the token that the user connects with.
    """

    def __init__(self, symbols: Iterable[str]) -> None:
        self._allowed = frozenset(symbols)
        self._ended_us: dict[str, int | None] = {}

    def replace(self, symbols: Iterable[str]) -> None:
        """Take the symbols of a token that is being sent. Until ``apply``, the former may come."""
        former, self._allowed = self._allowed, frozenset(symbols)
        for symbol in former - self._allowed:
            self._ended_us[symbol] = None
        for symbol in self._allowed:
            self._ended_us.pop(symbol, None)

    def apply(self, at_us: int) -> None:
        """Take a moment, µs of the gateway's clock, by which it had applied the last token."""
        for symbol, ended_us in self._ended_us.items():
            if ended_us is None:
                self._ended_us[symbol] = at_us

    def judge(self, symbol: str, ts_us: int) -> str | None:
        """Return why an event must not have come; ``None`` if it may.

        Args:
            symbol: of the event.
            ts_us: when it was published, µs of the gateway's clock.
        """
        if symbol in self._allowed:
            return None
        if symbol not in self._ended_us:
            return f"{symbol}: no token of the connection allowed it"
        ended_us = self._ended_us[symbol]
        if ended_us is None or ts_us <= ended_us:
            return None
        late_ms = (ts_us - ended_us) / 1_000
        return f"{symbol}: published {late_ms:.1f} ms after its token was replaced"
