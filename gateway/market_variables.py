"""The settings of the market source."""

from __future__ import annotations

from typing import Final

from gateway.setting_kinds import Setting, seconds
from gateway.values import decimal, feed_url, flag, market_symbols, one_of, text, whole

UPSTREAMS: Final = ("binance", "kraken")
MARKETS: Final = ("off", "simulated")

MARKET_SETTINGS: Final[tuple[Setting, ...]] = (
    Setting(
        "GATEWAY_MARKET",
        "market",
        "off",
        "name",
        f"the market source: {', '.join(MARKETS)}; an exchange needs the extra feeds",
        one_of(*MARKETS),
    ),
    Setting(
        "GATEWAY_MARKET_SYMBOLS",
        "market_symbols",
        "BTC/USDT,ETH/USDT,SOL/USDT",
        "symbols",
        "comma-separated symbols that the source has, or a number of symbols to invent; a replay "
        "has those of its file among them",
        market_symbols,
    ),
    Setting(
        "GATEWAY_MARKET_URL",
        "market_url",
        "",
        "URL",
        "replaces the address of the exchange's public WebSocket",
        feed_url,
    ),
    Setting(
        "GATEWAY_MARKET_FILE", "market_file", "", "path", "the recorded session to replay", text
    ),
    Setting(
        "GATEWAY_MARKET_SPEED",
        "market_speed",
        "1",
        "times",
        "speed of the replay; 2 is twice as fast as recorded",
        decimal(0.01, 1_000),
    ),
    Setting(
        "GATEWAY_MARKET_LOOP",
        "market_loop",
        "0",
        "0 or 1",
        "1 begins the replay again at its end; 0 marks its symbols stale there",
        flag,
    ),
    Setting(
        "GATEWAY_MARKET_RECORD",
        "market_record",
        "",
        "path",
        "writes what the source delivers to this file, for a replay; an existing file is an error",
        text,
    ),
    Setting(
        "GATEWAY_MARKET_SEED",
        "market_seed",
        "1",
        "number",
        "seed of the simulation; the same seed gives the same ticks",
        whole(0),
    ),
    Setting(
        "GATEWAY_MARKET_RATE",
        "market_rate",
        "4",
        "per second",
        "ticks of each simulated symbol; a tick is a price, a ticker and a book",
        decimal(0.01, 1_000),
    ),
    Setting(
        "GATEWAY_MARKET_MOST_PER_SECOND",
        "market_most_per_second",
        "20",
        "per second",
        "most publications of a symbol and event; the newest is kept, the last always published; "
        "0 turns the limit off",
        decimal(0.01, 1_000, can_be_zero=True),
    ),
    seconds(
        "MARKET_RELEASE_SECONDS",
        10.0,
        "a symbol is released upstream so long after its last subscriber has left",
        least=0,
        most=3_600,
    ),
)
