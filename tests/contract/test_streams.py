"""Contract: Streams and their numbers."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from blackbox.client import RawClient
from blackbox.target import Target
from deadlines import DEADLINE_S

Connect = Callable[..., RawClient]


def price(symbol: str, **extra: object) -> dict[str, Any]:
    return {"event": "price:update", "data": {"symbol": symbol, "price": 1.5, **extra}}


def payloads(client: RawClient, *names: str) -> list[dict[str, Any]]:
    """Return what was delivered. Snapshots are no deliveries."""
    return [payload for _, payload in client.received(*names) if "snapshot" not in payload]


MARKET: dict[str, tuple[str, dict[str, Any]]] = {
    "price:update": ("price", {"price": 43_000.5}),
    "ticker:update": ("ticker", {"ticker": {"symbol": "MKT", "price": 1, "bid": 0.9, "ask": 1.1}}),
    "orderbook:update": ("book", {"orderBook": {"symbol": "MKT", "bids": [], "asks": []}}),
}


@pytest.mark.parametrize("event", MARKET)
@pytest.mark.parametrize(
    "named",
    [["market-data"], ["market-data:MKT"], ["market-data", "market-data:MKT"]],
    ids=["channel", "symbol", "both"],
)
def test_market_data_reach_both_rooms_as_one_copy_under_one_number(
    connect: Connect, gateway: Target, event: str, named: list[str]
) -> None:
    prefix, data = MARKET[event]
    channel, symbol, both = connect(), connect(), connect()
    for client in (channel, both):
        client.call("subscribe", {"channel": "market-data"})
    for client in (symbol, both):
        client.call("subscribe", {"channel": "market-data", "symbols": ["MKT"]})
    (given,) = gateway.publish({"rooms": named, "event": event, "data": {"symbol": "MKT", **data}})
    assert given["stream"] == f"{prefix}:MKT"
    for client in (channel, symbol, both):
        (update,) = payloads(client, event)
        assert {name: update[name] for name in data} == data
        assert (update["symbol"], update["seq"]) == ("MKT", given["seq"])
        assert update["prevSeq"] == update["seq"] - 1
        assert update["ts"] == given["ts"]
        assert update["timestamp"].endswith("Z")


def test_another_symbol_s_subscriber_gets_nothing(connect: Connect, gateway: Target) -> None:
    client = connect()
    client.call("subscribe", {"channel": "market-data", "symbols": ["ONE"]})
    gateway.publish({"room": "market-data:TWO", **price("TWO")})
    assert payloads(client, "price:update") == []


def test_numbers_of_a_stream_have_no_gap(connect: Connect, gateway: Target) -> None:
    client = connect()
    client.call("subscribe", {"channel": "market-data", "symbols": ["GAPLESS"]})
    given = gateway.publish(*[{"room": "market-data:GAPLESS", **price("GAPLESS")}] * 20)
    updates = payloads(client, "price:update")
    first = given[0]["seq"]
    assert [u["seq"] for u in updates] == list(range(first, first + 20))
    stamps = [u["ts"] for u in updates]
    assert stamps == sorted(stamps)


def test_each_market_event_of_a_symbol_is_a_stream_of_its_own(gateway: Target) -> None:
    ticker = {"event": "ticker:update", "data": {"symbol": "OWN", "ticker": {}}}
    room = {"room": "market-data:OWN"}
    published = gateway.publish(
        {**room, **price("OWN")}, {**room, **price("OWN")}, {**room, **ticker}
    )
    assert [(p["stream"], p["seq"]) for p in published] == [
        ("price:OWN", 1),
        ("price:OWN", 2),
        ("ticker:OWN", 1),
    ]


def test_a_user_s_numbers_run_over_all_events(connect: Connect, gateway: Target) -> None:
    client = connect()
    user = client.welcome["userId"]
    for event in ("order:filled", "balance:updated", "note"):
        data = {"order": {"id": "o"}} if event.startswith("order") else {"balance": "1"}
        gateway.publish({"userId": user, "event": event, "data": data})
    assert [
        p["userSeq"] for n, p in client.received() if isinstance(p, dict) and "userSeq" in p
    ] == [
        1,
        2,
        3,
    ]
    assert connect(user).welcome["userSeq"] == 3


def test_a_user_s_counter_is_kept_while_nobody_is_connected(
    connect: Connect, gateway: Target
) -> None:
    first = connect()
    user = first.welcome["userId"]
    gateway.publish({"userId": user, "event": "note", "data": {}})
    first.expect("note")
    first.close()
    gateway.publish({"userId": user, "event": "note", "data": {}})
    assert connect(user).welcome["userSeq"] == 2


def test_any_other_event_is_numbered_by_its_room(connect: Connect, gateway: Target) -> None:
    client = connect()
    client.call("subscribe", {"channel": "llm"})
    given = gateway.publish(*[{"room": "llm", "event": "weather", "data": {"sky": "blue"}}] * 2)
    assert {p["stream"] for p in given} == {"room:llm"}
    one, two = payloads(client, "weather")
    assert one["sky"] == "blue"
    assert [one["seq"], two["seq"]] == [given[0]["seq"], given[0]["seq"] + 1]


def test_a_message_to_one_client_is_unnumbered(connect: Connect, gateway: Target) -> None:
    client = connect()
    (given,) = gateway.publish({"clientId": client.sid, "event": "note", "data": {"n": 1}})
    note = client.expect("note")
    assert note["n"] == 1
    assert not {"seq", "userSeq", "prevSeq"} & (note.keys() | given.keys())


def test_ts_is_the_moment_of_publication_on_the_named_clock(
    connect: Connect, gateway: Target
) -> None:
    client = connect()
    before = client.call("ping")["sent"]
    (given,) = gateway.publish({"room": "market-data:TS", **price("TS")})
    after = client.call("ping")["received"]
    assert isinstance(given["ts"], int)
    assert before <= given["ts"] <= after


def test_the_publisher_s_own_stamp_passes_through(connect: Connect, gateway: Target) -> None:
    client = connect()
    client.call("subscribe", {"channel": "market-data", "symbols": ["SRC"]})
    gateway.publish({"room": "market-data:SRC", "srcTs": 123_456, **price("SRC")})
    assert client.expect("price:update")["srcTs"] == 123_456


def test_data_pass_through_except_for_the_gateway_s_own_keys(
    connect: Connect, gateway: Target
) -> None:
    client = connect()
    client.call("subscribe", {"channel": "market-data", "symbols": ["KEYS"]})
    forged = {
        "seq": 99,
        "prevSeq": 3,
        "userSeq": 7,
        "ts": 1,
        "timestamp": "then",
        "depth": {"a": 1},
    }
    gateway.publish({"room": "market-data:KEYS", **price("KEYS", **forged)})
    update = client.expect("price:update")
    assert (update["seq"], update["prevSeq"], update["depth"]) == (1, 0, {"a": 1})
    assert "userSeq" not in update
    assert update["ts"] > 1
    assert update["timestamp"] != "then"


def test_an_event_of_the_welcome_s_epoch_does_not_repeat_it(
    connect: Connect, gateway: Target
) -> None:
    client = connect()
    client.call("subscribe", {"channel": "market-data", "symbols": ["EPOCH"]})
    gateway.publish({"room": "market-data:EPOCH", **price("EPOCH")})
    assert "epoch" not in client.expect("price:update")


def test_all_subscribers_get_the_same_bytes(connect: Connect, gateway: Target) -> None:
    clients = [connect(), connect()]
    for client in clients:
        client.call("subscribe", {"channel": "market-data", "symbols": ["SAME"]})
    gateway.publish({"room": "market-data:SAME", **price("SAME")})
    for client in clients:
        client.expect("price:update")
    one, other = (
        [p for p in client.packets if p.startswith('42["price:update"')] for client in clients
    )
    assert one == other


def test_the_stream_continues_right_after_the_number_in_the_answer(
    connect: Connect, gateway: Target
) -> None:
    client = connect()
    room = {"room": "market-data:RACE"}
    for _ in range(5):
        gateway.publish({**room, **price("RACE")})
        client.emit("subscribe", {"channel": "market-data", "symbols": ["RACE"]})
        gateway.publish({**room, **price("RACE")}, {**room, **price("RACE")})
        at = client.expect("subscribed")["at"]["price:RACE"]
        left = client.call("unsubscribe", {"channel": "market-data", "symbols": ["RACE"]})
        seqs = [p["seq"] for p in payloads(client, "price:update")]
        client.inbox.clear()
        assert seqs == list(range(at + 1, left["at"]["price:RACE"] + 1))


def test_a_new_symbol_subscription_is_followed_by_its_snapshot(
    connect: Connect, gateway: Target
) -> None:
    gateway.publish({"room": "market-data:SNAP", **price("SNAP")})
    client = connect()
    client.call("subscribe", {"channel": "market-data", "symbols": ["SNAP"]})
    snapshot = client.expect("price:update")
    assert (snapshot["snapshot"], snapshot["seq"]) == (True, 1)
    assert "prevSeq" not in snapshot


def test_a_slow_reader_gets_the_newest_event_and_a_smaller_prev_seq(
    connect: Connect, gateway: Target
) -> None:
    client = connect(receive_buffer=4_096)
    client.call("subscribe", {"channel": "market-data", "symbols": ["SLOW"]})
    padding = "x" * 8_000
    for _ in range(8):
        gateway.publish(*[{"room": "market-data:SLOW", **price("SLOW", padding=padding)}] * 60)
    last = gateway.publish({"room": "market-data:SLOW", **price("SLOW")})[0]["seq"]
    updates = [client.expect("price:update")]
    deadline = time.monotonic() + DEADLINE_S
    while updates[-1]["seq"] < last and time.monotonic() < deadline:
        updates.append(client.expect("price:update"))
    assert updates[-1]["seq"] == last
    assert any(update["prevSeq"] < update["seq"] - 1 for update in updates)
