"""A batch of pushes: what its columns say, and which spans come of the kernel's stamps."""

from __future__ import annotations

from array import array
from typing import Any

import pytest

from loadtests.reading.batches import UNSHARED, Batch, family_of
from loadtests.reading.fast_path import FastPath
from loadtests.reading.intake import Intake

US = 1_000
NUMBERED_US = 1_000_000


def frame(number: int, symbol: str = "S", name: str = "price:update") -> bytes:
    text = f'42["{name}",{{"symbol":"{symbol}","seq":{number},"ts":{NUMBERED_US}}}]'.encode()
    return bytes([0x81, len(text)]) + text


def fast_paths(count: int, *streams: str) -> list[FastPath]:
    intake = Intake()
    found = [FastPath(intake, owner) for owner in range(count)]
    for fast_path in found:
        fast_path.is_timed = True
        for stream in streams or ("price:S",):
            fast_path.follow(stream, 0)
    return found


def drained(intake: Intake) -> Batch:
    batch = intake.drain()
    assert batch is not None
    return batch


@pytest.mark.parametrize(
    ("name", "stream", "family"),
    [
        ("price:update", "price:BTC/USDT", "price"),
        ("ticker:update", "ticker:A", "ticker"),
        ("orderbook:update", "book:A", "book"),
        ("order:created", "trading", "trading"),
        ("order:created", "user", "user"),
        ("balance:updated", "user", "user"),
        ("llm:stream:token", "", "llm"),
        ("heartbeat", "", ""),
    ],
)
def test_a_push_is_of_the_kind_of_its_stream(name: str, stream: str, family: str) -> None:
    assert family_of(name, stream) == family


def test_one_name_in_two_kinds_of_stream_is_told_apart() -> None:
    intake = Intake()
    order: dict[str, Any] = {"order": {"id": "1"}, "ts": NUMBERED_US}
    intake.take(2 * NUMBERED_US * US, 0, "order:created", order | {"seq": 4})
    intake.take(2 * NUMBERED_US * US, 0, "order:created", order | {"seq": 4, "userSeq": 9})
    batch = drained(intake)
    assert batch.names == ("order:created", "order:created")
    families = [batch.families[index] for index in batch.family_indices().tolist()]
    assert families == ["trading", "user"]


def test_copies_of_a_publication_are_one_key_however_they_came() -> None:
    first, second = fast_paths(2)
    first.take(frame(1), 0, 10)
    second.take(frame(1), 0, 30)
    first.intake.take(40, 1, "price:update", {"symbol": "S", "seq": 1, "ts": NUMBERED_US})
    batch = drained(first.intake)
    keys, first_ns, last_ns, copies = batch.copies()
    assert len(set(keys.tolist())) == 1
    found = zip(first_ns.tolist(), last_ns.tolist(), copies.tolist(), strict=True)
    assert sorted(found) == [(10, 30, 2), (40, 40, 1)]


def test_what_is_one_users_own_has_no_key() -> None:
    intake = Intake()
    intake.take(5, 0, "balance:updated", {"userSeq": 3, "ts": NUMBERED_US})
    assert drained(intake).copies()[0].tolist() == [UNSHARED]


def test_a_number_too_large_for_a_key_is_nobodys() -> None:
    intake = Intake()
    intake.take(5, 0, "price:update", {"symbol": "S", "seq": 2**70, "ts": NUMBERED_US})
    assert drained(intake).copies()[0].tolist() == [UNSHARED]


def test_the_kernels_stamp_is_held_against_the_last_push_of_its_read() -> None:
    (fast_path,) = fast_paths(1, "price:S", "price:T")
    stamp_ns = NUMBERED_US * US + 900_000
    fast_path.intake.take_share(stamp_ns, 200_000, 0)
    fast_path.take(frame(1) + frame(1, "T"), 0, stamp_ns + 5)
    batch = drained(fast_path.intake)
    spans_ns, moments_ns = batch.kernel_spans()
    assert spans_ns.tolist() == [700_000]
    assert moments_ns.tolist() == [stamp_ns + 5]
    assert batch.shares_ns.tolist() == [200_000]


def test_a_read_without_a_push_lends_its_stamp_to_no_other() -> None:
    first, second = fast_paths(2)
    first.intake.take_share(100, 10, 0)  # an answer: nothing that is timed
    second.take(frame(1), 0, 500)
    assert drained(first.intake).kernel_spans()[0].tolist() == []
    first.intake.take_share(600, 10, 0)  # another answer, and then a push
    first.intake.take_share(NUMBERED_US * US, 10, 0)
    first.take(frame(1), 0, NUMBERED_US * US)
    assert drained(first.intake).kernel_spans()[0].tolist() == [-10]


def test_a_read_ends_where_anothers_begins() -> None:
    first, second = fast_paths(2)
    stamp_ns = NUMBERED_US * US + 50
    first.intake.take_share(stamp_ns, 20, 0)
    first.take(frame(1), 0, stamp_ns)
    second.take(frame(1), 0, stamp_ns)
    second.intake.take_share(stamp_ns + 9, 1, 1)
    assert drained(first.intake).kernel_spans()[0].tolist() == [30]


def test_the_offset_of_the_gateways_clock_is_added_to_every_stamp_of_ours() -> None:
    (fast_path,) = fast_paths(1)
    fast_path.intake.offset_ns = NUMBERED_US * US
    fast_path.intake.take_share(300, 100, 0)
    fast_path.take(frame(1), 0, 300)
    batch = drained(fast_path.intake)
    assert batch.service_ns.tolist() == [300]
    assert batch.kernel_spans()[0].tolist() == [200]
    assert batch.stamps_ns.tolist() == [300]


def test_an_empty_batch_has_empty_columns() -> None:
    batch = Batch(array("q"), [], array("I"), (), [])
    assert batch.received == 0
    assert batch.kernel_spans()[0].tolist() == []
    assert [column.tolist() for column in batch.copies()] == [[], [], [], []]
