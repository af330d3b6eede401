from __future__ import annotations

from collections import ChainMap
from typing import Any

from gateway.publication import parse_publication
from gateway.routing import Delivery, Numbers, Outline, plan
from gateway.streams import Streams

KEY = b"k" * 16
ORDER = {"order": {"id": "o1", "clientOrderId": "mine", "symbol": "A"}, "reason": "why"}
STAMPS = {"ts": 7, "timestamp": "T"}


def numbers(streams: Streams) -> dict[str, int]:
    return dict(ChainMap(*streams.pages(100)))


def planned(streams: Streams, **item: Any) -> tuple[Outline, Numbers]:
    publication = parse_publication(item)
    return plan(publication, streams, now_ns=7_000, timestamp="T", key=KEY)


def publish(streams: Streams, **item: Any) -> tuple[Delivery, ...]:
    return planned(streams, **item)[0].deliveries


def test_a_market_event_has_one_number_and_goes_to_both_rooms_whichever_was_named() -> None:
    streams = Streams("e")
    targets: list[dict[str, Any]] = [
        {"room": "market-data"},
        {"room": "market-data:A"},
        {"rooms": ["market-data:A", "market-data"]},
    ]
    for number, target in enumerate(targets, start=1):
        outline, given = planned(streams, event="price:update", data={"symbol": "A"}, **target)
        (delivery,) = outline.deliveries
        assert delivery.rooms == ("market-data", "market-data:A")
        assert (outline.first_stream, given.seq) == ("price:A", number)
        expected = {"symbol": "A", "seq": number, "prevSeq": number - 1, **STAMPS}
        assert delivery.payload == expected


def test_each_symbol_and_market_event_is_a_stream_of_its_own() -> None:
    streams = Streams("e")
    for event in ("price:update", "ticker:update", "orderbook:update"):
        for symbol in ("A", "B"):
            publish(streams, event=event, data={"symbol": symbol}, room="market-data")
    assert numbers(streams) == dict.fromkeys(
        ("price:A", "price:B", "ticker:A", "ticker:B", "book:A", "book:B"), 1
    )


def test_an_order_for_its_owner_alone_carries_user_seq_only() -> None:
    streams = Streams("e")
    outline, given = planned(streams, event="order:filled", data=ORDER, userId="al")
    (delivery,) = outline.deliveries
    assert (delivery.user_id, delivery.rooms) == ("al", ())
    assert delivery.payload == {**ORDER, "userSeq": 1, **STAMPS}
    assert (outline.first_stream, given) == ("user:al", (None, 1))
    assert streams.last("trading") == 0


def test_an_order_for_the_room_alone_is_the_public_form_with_seq_only() -> None:
    (delivery,) = publish(Streams("e"), event="order:filled", data=ORDER, room="trading")
    assert delivery.rooms == ("trading",)
    assert delivery.except_user is None
    assert delivery.payload.keys() == {"order", "seq", *STAMPS}
    assert delivery.payload["order"].keys() == {"id", "symbol"}


def test_an_order_for_both_gives_the_owner_both_numbers_and_nobody_two_copies() -> None:
    streams = Streams("e")
    owner, public = publish(streams, event="order:filled", data=ORDER, room="trading", userId="al")
    assert owner.payload == {**ORDER, "seq": 1, "userSeq": 1, **STAMPS}
    assert (owner.user_id, owner.rooms) == ("al", ())
    assert (public.rooms, public.user_id, public.except_user) == (("trading",), None, "al")
    assert public.payload["seq"] == 1
    assert "userSeq" not in public.payload
    assert "mine" not in repr(public.payload)
    assert numbers(streams) == {"trading": 1, "user:al": 1}


def test_a_balance_goes_to_its_owner() -> None:
    (delivery,) = publish(Streams("e"), event="balance:updated", data={"balance": "1"}, userId="al")
    assert (delivery.user_id, delivery.rooms, delivery.payload["userSeq"]) == ("al", (), 1)


def test_another_event_is_numbered_in_its_room() -> None:
    streams = Streams("e")
    outline, given = planned(streams, event="headline", room="news", data={})
    (delivery,) = outline.deliveries
    assert (outline.stream, given.seq, delivery.rooms) == ("room:news", 1, ("news",))
    assert "prevSeq" not in delivery.payload


def test_a_message_to_one_client_is_unnumbered() -> None:
    streams = Streams("e")
    outline, given = planned(streams, event="hello", clientId="x", data={"seq": 3, "a": 1})
    (delivery,) = outline.deliveries
    assert delivery.client_id == "x"
    assert delivery.payload == {"a": 1, **STAMPS}
    assert (outline.first_stream, given, numbers(streams)) == (None, (None, None), {})


def test_model_events_are_numbered_by_session_and_family() -> None:
    streams = Streams("e")
    for event in ("llm:stream:start", "llm:stream:token", "llm:stream"):
        publish(streams, event=event, room="llm", data={"sessionId": "s"})
    item: dict[str, Any] = {"event": "llm:stream:done", "userId": "al", "data": {"sessionId": "s"}}
    outline, given = planned(streams, **item)
    assert (outline.stream, given.seq) == ("llm:s", 3)
    assert streams.last("llm-chunk:s") == 1


def test_fields_of_the_gateway_are_overwritten_and_src_ts_passes_through() -> None:
    mine = dict.fromkeys(("seq", "prevSeq", "userSeq", "ts", "timestamp"), "forged")
    (delivery,) = publish(Streams("e"), event="x", room="news", data=mine | {"a": 1}, srcTs=5)
    assert delivery.payload == {"a": 1, "seq": 1, "srcTs": 5, **STAMPS}
