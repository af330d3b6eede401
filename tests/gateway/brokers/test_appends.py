"""``Appends``: which publications a call has, and what its publishers are told."""

from __future__ import annotations

import asyncio

import pytest

from gateway.brokers.redis.appends import Appends
from gateway.brokers.redis.log_state import LogAway
from gateway.nodes.entries import Draft


class Hand:
    """A clock that a test turns."""

    def __init__(self) -> None:
        self.s = 100.0

    def now_s(self) -> float:
        return self.s


def drafts(*names: str) -> list[Draft]:
    return [Draft("", "al", name, False, 0, b"{}", b"}", (b"{",)) for name in names]


def ids(call: list[Draft]) -> list[str]:
    return [draft.id for draft in call]


async def test_a_call_without_an_answer_is_made_again_under_its_number() -> None:
    appends = Appends(Hand().now_s)
    appends.add(drafts("a", "b"))
    assert (ids(await appends.next_call()), appends.number) == (["a", "b"], 1)
    appends.add(drafts("c"))
    assert (ids(await appends.next_call()), appends.number) == (["a", "b"], 1)
    appends.appended(2, [b"1", b"2"])
    assert (ids(await appends.next_call()), appends.number) == (["c"], 2)


async def test_publishers_are_answered_when_the_node_has_applied_theirs() -> None:
    appends = Appends(Hand().now_s)
    first, second = appends.add(drafts("a", "b")), appends.add(drafts("c"))
    await appends.next_call()
    appends.appended(7, [b"1", b"2", b"3"])
    appends.applied(6)
    assert (appends.is_empty, first.done()) == (True, False)
    appends.applied(7)
    assert (await first, await second) == ([b"1", b"2"], [b"3"])


async def test_a_call_has_500_publications_or_one_larger_request() -> None:
    appends = Appends(Hand().now_s)
    for size in (499, 1, 700, 1):
        appends.add(drafts(*map(str, range(size))))
    sizes = []
    for _ in range(3):
        sizes.append(len(await appends.next_call()))
        appends.appended(0, [])
    assert sizes == [500, 700, 1]


async def test_a_next_call_waits_for_a_publication() -> None:
    appends = Appends(Hand().now_s)
    call = asyncio.create_task(appends.next_call())
    await asyncio.sleep(0)
    assert not call.done()
    appends.add(drafts("a"))
    assert ids(await call) == ["a"]


async def test_a_refused_call_was_not_appended_and_the_next_one_has_another_number() -> None:
    appends = Appends(Hand().now_s)
    refused = appends.add(drafts("a"))
    await appends.next_call()
    appends.refused("OutOfMemoryError")
    with pytest.raises(LogAway, match="OutOfMemoryError") as told:
        await refused
    assert not told.value.is_unsure
    appends.add(drafts("b"))
    assert (ids(await appends.next_call()), appends.number) == (["b"], 2)


async def test_after_6_s_a_publisher_is_told_whether_its_publication_may_be_in_the_log() -> None:
    hand = Hand()
    appends = Appends(hand.now_s)
    appended = appends.add(drafts("a"))
    await appends.next_call()
    appends.appended(1, [b"1"])
    under_way = appends.add(drafts("b"))
    assert ids(await appends.next_call()) == ["b"]
    waiting = appends.add(drafts("c"))
    hand.s += 5.9
    late = appends.add(drafts("d"))
    appends.expire("away")
    assert not any(each.done() for each in (appended, under_way, waiting, late))
    hand.s += 0.2
    appends.expire("away")
    assert await appended == [b"1"]
    for answer, is_unsure in ((under_way, True), (waiting, False)):
        with pytest.raises(LogAway, match="away") as told:
            await answer
        assert told.value.is_unsure is is_unsure
    assert not late.done()
    assert ids(await appends.next_call()) == ["d"], "nobody waits for the call that failed"


async def test_64_mib_wait_at_most_and_the_end_answers_all() -> None:
    appends = Appends(Hand().now_s)
    large = [drafts("a")[0]._replace(tail=bytes(33_554_432))]
    under_way = appends.add(large)
    await appends.next_call()
    waiting = appends.add(large)
    with pytest.raises(LogAway, match="too much waits"):
        appends.add(large)
    appends.end("the gateway stops")
    for answer, is_unsure in ((under_way, True), (waiting, False)):
        with pytest.raises(LogAway, match="the gateway stops") as told:
            await answer
        assert told.value.is_unsure is is_unsure
    assert appends.is_empty
    appends.add(large)
