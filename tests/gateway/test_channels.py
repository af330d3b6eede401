from __future__ import annotations

import pytest

from gateway.channels import (
    channel_of_room,
    is_symbol,
    parse_subscription,
    rooms_of,
    streams_of_room,
)
from gateway.contract import Channel, ErrorCode, Text
from gateway.errors import WireError


@pytest.mark.parametrize(
    ("payload", "rooms"),
    [
        pytest.param({"channel": "trading"}, ("trading",), id="trading"),
        pytest.param({"channel": "llm", "symbols": []}, ("llm",), id="empty symbols"),
        pytest.param({"channel": "market-data", "symbols": None}, ("market-data",), id="null"),
        pytest.param({"channel": "market-data", "extra": 1}, ("market-data",), id="unknown field"),
        pytest.param(
            {"channel": "market-data", "symbols": ["BTC/USDT", "AAPL", "BTC/USDT"]},
            ("market-data:BTC/USDT", "market-data:AAPL"),
            id="symbols, each once, in order",
        ),
        pytest.param(
            {"channel": "market-data", "symbols": ["A"] * 65}, ("market-data:A",), id="65 times one"
        ),
    ],
)
def test_a_subscription_names_its_rooms(payload: object, rooms: tuple[str, ...]) -> None:
    assert parse_subscription(payload).rooms == rooms


@pytest.mark.parametrize(
    ("payload", "code", "text"),
    [
        pytest.param(None, "INVALID_PAYLOAD", Text.CHANNEL_REQUIRED, id="nothing"),
        pytest.param("trading", "INVALID_PAYLOAD", Text.CHANNEL_REQUIRED, id="text"),
        pytest.param({}, "INVALID_PAYLOAD", Text.CHANNEL_REQUIRED, id="no channel"),
        pytest.param({"channel": ""}, "INVALID_PAYLOAD", Text.CHANNEL_REQUIRED, id="empty"),
        pytest.param({"channel": "news"}, "INVALID_CHANNEL", Text.INVALID_CHANNEL, id="unknown"),
        pytest.param({"channel": "Trading"}, "INVALID_CHANNEL", Text.INVALID_CHANNEL, id="case"),
        pytest.param({"channel": ["llm"]}, "INVALID_CHANNEL", Text.INVALID_CHANNEL, id="list"),
        pytest.param(
            {"channel": "user:alice"}, "INVALID_CHANNEL", Text.INVALID_CHANNEL, id="user room"
        ),
        pytest.param(
            {"channel": "trading", "symbols": ["A"]}, "INVALID_PAYLOAD", None, id="no market"
        ),
        pytest.param(
            {"channel": "market-data", "symbols": "A"}, "INVALID_PAYLOAD", None, id="text symbols"
        ),
        pytest.param(
            {"channel": "market-data", "symbols": ["A", 1]}, "INVALID_SYMBOL", None, id="number"
        ),
        pytest.param(
            {"channel": "market-data", "symbols": ["A", "a"]}, "INVALID_SYMBOL", None, id="lower"
        ),
        pytest.param(
            {"channel": "market-data", "symbols": [f"S{i}" for i in range(65)]},
            "INVALID_PAYLOAD",
            None,
            id="65 symbols",
        ),
    ],
)
def test_a_bad_subscription_is_refused(payload: object, code: str, text: str | None) -> None:
    with pytest.raises(WireError) as caught:
        parse_subscription(payload)
    assert caught.value.code == ErrorCode(code)
    assert text is None or caught.value.message == text


@pytest.mark.parametrize(
    ("symbol", "right"),
    [
        ("BTC/USDT", True),
        ("BTC-USD", True),
        ("BRK.B", True),
        ("1INCH/USDT", True),
        ("A" * 32, True),
        ("A" * 33, False),
        ("", False),
        ("btc", False),
        ("BTC/", False),
        ("BTC//USDT", False),
        ("A/B/C", False),
        ("BTC\n", False),
        ("BTC:USD", False),
        ("ÄBC", False),
        (None, False),
    ],
)
def test_symbols(symbol: object, right: bool) -> None:
    assert is_symbol(symbol) is right


def test_the_streams_of_each_room() -> None:
    assert streams_of_room("trading") == ("trading", "room:trading")
    assert streams_of_room("llm") == ("room:llm",)
    assert streams_of_room("market-data") == ("room:market-data",)
    assert streams_of_room("market-data:A") == (
        "price:A",
        "ticker:A",
        "book:A",
        "room:market-data:A",
    )
    assert streams_of_room("user:al") == ("user:al",)


@pytest.mark.parametrize(
    ("stream", "rooms"),
    [
        ("price:A/B", ("market-data", "market-data:A/B")),
        ("trading", ("trading",)),
        ("user:al", ("user:al",)),
        ("room:market-data:A", ("market-data:A",)),
        ("room:x", ("x",)),
        ("llm:market-data", ()),
        ("llm-chunk:s", ()),
    ],
)
def test_the_rooms_of_each_stream(stream: str, rooms: tuple[str, ...]) -> None:
    assert rooms_of(stream) == rooms


def test_a_room_belongs_to_its_channel() -> None:
    assert channel_of_room("market-data:A") is Channel.MARKET_DATA
    assert channel_of_room("llm") is Channel.LLM
    with pytest.raises(ValueError, match="user:alice"):
        channel_of_room("user:alice")
