"""The settings of the market source."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from gateway.setting_kinds import Setting, seconds
from gateway.values import decimal, feed_url, flag, market_symbols, one_of, text, whole

UPSTREAMS: Final = ("binance", "kraken")
MARKETS: Final = ("off", "simulated", "replay", *UPSTREAMS)

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
        "comma-separated symbols of the source, or a number of symbols for a simulation to name "
        "SYM000/USDT, SYM001/USDT, …; a replay has those of its file",
        market_symbols,
    ),
    Setting(
        "GATEWAY_MARKET_URL",
        "market_url",
        "",
        "URL",
        "replaces scheme, host and port of the exchange's addresses, for a mirror or a test",
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


def market_problems(values: Mapping[str, Any], given: Mapping[str, str]) -> list[str]:
    """Return what contradicts between the settings of the market source.

    Args:
        values: the values of all settings, by field; ``None`` for an invalid one.
        given: the texts of the variables that are set.
    """
    market, problems = values["market"], []
    if market == "replay" and values["market_file"] is None:
        problems.append(
            "GATEWAY_MARKET_FILE: required with GATEWAY_MARKET=replay; name a recorded session"
        )
    if market == "off" and values["market_record"] is not None:
        problems.append("GATEWAY_MARKET_RECORD: records a market source; set GATEWAY_MARKET")
    if market in UPSTREAMS and given.get("GATEWAY_MARKET_SYMBOLS", "").isdecimal():
        problems.append(
            f"GATEWAY_MARKET_SYMBOLS: must name symbols of {market}; only a simulation invents them"
        )
    return problems
