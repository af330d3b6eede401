from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.auth import DEVELOPMENT_IDENTITY, Authenticator, authenticate
from gateway.channels import SubscriptionRequest, subscriptions_of
from gateway.contract import CHANNELS, Channel, symbol_room
from gateway.entitlements import NOTHING, parse_entitlements, refused_rooms, require_rooms
from gateway.errors import AuthenticationError, NotAllowed
from gateway.settings import Settings

NOW_S = 1_800_000_000.0
MakeSettings = Callable[..., Settings]
MakeToken = Callable[..., str]
MARKET = Channel.MARKET_DATA.value


def allows(claim: object, room: str) -> bool:
    return refused_rooms(parse_entitlements(claim), (room,)) == ()


@pytest.mark.parametrize(
    ("patterns", "symbol", "is_allowed"),
    [
        (True, "BTC/USD", True),
        (["*"], "BTC/USD", True),
        (["BTC/USD"], "BTC/USD", True),
        (["BTC/USD"], "BTC/USDT", False),
        (["BTC/USD"], "ETH/USD", False),
        (["BTC/USD"], "BTC", False),
        (["BTC/*"], "BTC/USD", True),
        (["BTC/*"], "BTC", False),
        (["BTC/*"], "BTCB/USD", False),
        (["BTC/*"], "BTc/USD", False),
        (["BTC"], "BTC", True),
        (["BTC"], "BTC/USD", False),
        (["ETH/USD", "BTC/*"], "ETH/USD", True),
        (["ETH/USD", "BTC/*"], "ETH/EUR", False),
        ([], "BTC/USD", False),
    ],
)
def test_a_symbol_is_allowed_by_itself_its_first_part_or_all(
    patterns: object, symbol: str, is_allowed: bool
) -> None:
    assert allows({MARKET: patterns}, symbol_room(symbol)) is is_allowed


@pytest.mark.parametrize(
    ("patterns", "is_allowed"), [(True, True), (["*"], True), (["BTC/*", "ETH/USD"], False)]
)
def test_the_whole_of_market_data_needs_all_symbols(patterns: object, is_allowed: bool) -> None:
    assert allows({MARKET: patterns}, MARKET) is is_allowed


@pytest.mark.parametrize("channel", CHANNELS)
def test_each_channel_is_allowed_by_its_own_name_alone(channel: Channel) -> None:
    granted = parse_entitlements({channel.value: True})
    assert refused_rooms(granted, [one.value for one in CHANNELS]) == tuple(
        one.value for one in CHANNELS if one != channel
    )


def test_without_entitlements_every_room_is_allowed() -> None:
    assert refused_rooms(None, ("trading", MARKET, symbol_room("A"))) == ()


def test_a_channel_of_another_gateway_is_ignored() -> None:
    assert parse_entitlements({"news": {"depth": 5}}) == NOTHING


@pytest.mark.parametrize(
    "claim",
    [
        None,
        True,
        [],
        "*",
        ["market-data"],
        {MARKET: False},
        {MARKET: None},
        {MARKET: 1},
        {MARKET: "*"},
        {MARKET: {"*": True}},
        {MARKET: [True]},
        {MARKET: [None]},
        {MARKET: [""]},
        {MARKET: ["btc/usd"]},
        {MARKET: ["BTC*"]},
        {MARKET: ["*/USD"]},
        {MARKET: ["/*"]},
        {MARKET: ["BTC/USD/*"]},
        {MARKET: ["BTC/**"]},
        {MARKET: ["**"]},
        {MARKET: ["BTC/USD", "\ud800"]},
        {MARKET: ["X" * 33]},
        {"trading": ["*"]},
        {"trading": False},
        {"llm": []},
    ],
    ids=repr,
)
def test_a_malformed_claim_refuses_the_token(
    make_settings: MakeSettings, make_token: MakeToken, claim: object
) -> None:
    with pytest.raises(ValueError, match="entitlement"):
        parse_entitlements(claim)
    if claim is not None:  # the maker of tokens leaves it out
        with pytest.raises(AuthenticationError):
            Authenticator(make_settings()).verify(make_token(entitlements=claim), NOW_S)


def test_the_error_names_every_room_that_is_refused() -> None:
    granted = parse_entitlements({MARKET: ["BTC/*"]})
    rooms = [symbol_room(symbol) for symbol in ("BTC/USD", "ETH/USD", "SOL/USD")]
    with pytest.raises(NotAllowed) as caught:
        require_rooms(granted, rooms)
    message = "The token has no entitlement to market-data:ETH/USD, market-data:SOL/USD"
    assert caught.value.message == message


@pytest.mark.parametrize(("setting", "expected"), [("optional", None), ("required", NOTHING)])
def test_the_setting_decides_about_tokens_without_the_claim(
    make_settings: MakeSettings,
    make_token: MakeToken,
    setting: str,
    expected: frozenset[str] | None,
) -> None:
    authenticator = Authenticator(make_settings(GATEWAY_ENTITLEMENTS=setting))
    assert authenticator.verify(make_token(), NOW_S).entitlements == expected
    anonymous = authenticate(authenticator, None, None, NOW_S, development=True)
    assert anonymous.user_id == DEVELOPMENT_IDENTITY.user_id
    assert anonymous.entitlements == expected
    given_ = authenticator.verify(make_token(entitlements={"llm": True}), NOW_S)
    assert given_.entitlements == frozenset({"llm"})


parts = st.from_regex(r"[A-Z0-9]{1,3}", fullmatch=True)
symbols = st.builds("/".join, st.lists(parts, min_size=1, max_size=2))
patterns = st.one_of(st.just("*"), symbols, st.builds("{}/*".format, parts))


@given(granted=st.lists(patterns, max_size=4), symbol=symbols)
def test_matching_agrees_with_a_plain_reading_of_the_patterns(
    granted: list[str], symbol: str
) -> None:
    first, slash, _ = symbol.partition("/")
    expected = any(
        pattern in ("*", symbol) or (slash and pattern == f"{first}/*") for pattern in granted
    )
    assert allows({MARKET: granted}, symbol_room(symbol)) is bool(expected)


def test_rooms_become_the_subscriptions_that_have_them() -> None:
    rooms = ("trading", symbol_room("BTC/USD"), MARKET, symbol_room("A"))
    assert subscriptions_of(rooms) == [
        SubscriptionRequest(Channel.TRADING),
        SubscriptionRequest(Channel.MARKET_DATA),
        SubscriptionRequest(Channel.MARKET_DATA, ("BTC/USD", "A")),
    ]
