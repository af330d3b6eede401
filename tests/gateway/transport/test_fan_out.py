"""The fan-out: lanes, order, slices, one write for what waits together."""

from __future__ import annotations

import asyncio
import time
from typing import Any, cast

from deadlines import DEADLINE_S

from gateway.transport.fan_out import SLICE_NS, FanOut
from gateway.transport.parcels import Lane, Parcel


class Recipient:
    """Takes frames as a session does."""

    def __init__(self, *, is_clear: bool = True, cost_s: float = 0.0) -> None:
        self.is_clear = is_clear
        self.cost_s = cost_s
        self.written: list[bytes] = []
        self.held: list[Parcel] = []

    def write(self, frame: bytes) -> None:
        end = time.monotonic() + self.cost_s
        while time.monotonic() < end:
            pass
        self.written.append(frame)

    def hold(self, parcel: Parcel) -> None:
        self.held.append(parcel)


def submit(
    fanout: FanOut, lane: Lane, parcel: Parcel, recipients: list[Recipient], **options: Any
) -> None:
    fanout.submit(lane, parcel, cast("Any", recipients), **options)


async def finish(fanout: FanOut) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while any(fanout.waiting):  # noqa: ASYNC110 - no event says that all lanes are empty
            await asyncio.sleep(0)


A, B, C = (Parcel(name) for name in "abc")


async def test_what_is_lossless_leaves_before_market_data() -> None:
    fanout, log = FanOut(), Recipient()
    submit(fanout, Lane.MARKET, A, [log])
    submit(fanout, Lane.LOSSLESS, B, [log])
    await finish(fanout)
    assert log.written == [B.frame, A.frame]


async def test_what_waits_in_a_lane_for_a_client_leaves_in_one_write() -> None:
    fanout = FanOut()
    one, two = Recipient(), Recipient()
    submit(fanout, Lane.MARKET, A, [one, two])
    submit(fanout, Lane.MARKET, B, [two])
    submit(fanout, Lane.MARKET, C, [one, two])
    await finish(fanout)
    assert one.written == [A.frame + C.frame]
    assert two.written == [A.frame + B.frame + C.frame]


async def test_who_cannot_be_written_to_is_held_for_in_order() -> None:
    fanout, slow = FanOut(), Recipient(is_clear=False)
    for parcel in (A, B, C):
        submit(fanout, Lane.LOSSLESS, parcel, [slow])
    await finish(fanout)
    assert slow.held == [A, B, C]
    assert slow.written == []


async def test_the_bytes_that_are_written_are_counted_and_those_that_are_held_are_not() -> None:
    fanout = FanOut()
    ready, other, slow = Recipient(), Recipient(), Recipient(is_clear=False)
    submit(fanout, Lane.MARKET, A, [ready, slow])
    await finish(fanout)
    submit(fanout, Lane.MARKET, B, [ready, other, slow])
    submit(fanout, Lane.MARKET, C, [ready, slow])
    await finish(fanout)
    assert fanout.sent_bytes == sum(map(len, ready.written + other.written))


async def test_a_large_broadcast_lets_others_have_their_turn() -> None:
    fanout = FanOut()
    recipients = [Recipient(cost_s=0.0001) for _ in range(600)]
    submit(fanout, Lane.MARKET, A, recipients)
    turns = 0
    while any(fanout.waiting):
        await asyncio.sleep(0)
        turns += 1
    assert turns >= 60_000_000 // SLICE_NS // 2
    assert all(one.written == [A.frame] for one in recipients)


async def test_an_order_is_not_behind_a_market_broadcast_that_has_begun() -> None:
    fanout = FanOut()
    crowd = [Recipient(cost_s=0.0001) for _ in range(600)]
    submit(fanout, Lane.MARKET, A, crowd)
    await asyncio.sleep(0)
    trader = Recipient()
    submit(fanout, Lane.LOSSLESS, B, [trader])
    while not trader.written:  # noqa: ASYNC110 - as above
        await asyncio.sleep(0)
    assert not crowd[-1].written
    await finish(fanout)


async def test_a_lane_is_idle_for_replies_while_only_passable_jobs_wait() -> None:
    fanout, one = FanOut(), Recipient()
    assert fanout.is_idle(Lane.LOSSLESS)
    submit(fanout, Lane.LOSSLESS, A, [one], is_passable=True)
    assert fanout.is_idle(Lane.LOSSLESS)
    submit(fanout, Lane.LOSSLESS, B, [one])
    assert not fanout.is_idle(Lane.LOSSLESS)
    await finish(fanout)
    assert fanout.is_idle(Lane.LOSSLESS)


async def test_the_end_of_a_job_is_told_with_its_time() -> None:
    fanout, told = FanOut(), cast("list[int]", [])
    submit(fanout, Lane.LOSSLESS, A, [Recipient(cost_s=0.002)], on_done=told.append)
    await finish(fanout)
    (elapsed_ns,) = told
    assert elapsed_ns >= 2_000_000


async def test_the_end_of_all_that_is_queued_is_told_once_whatever_the_lanes() -> None:
    fanout, log = FanOut(), Recipient()
    told: list[list[bytes]] = []
    for lane in Lane:
        submit(fanout, lane, A, [log])
    fanout.when_sent(lambda: told.append(list(log.written)))
    assert told == []
    await finish(fanout)
    assert told == [[A.frame] * len(Lane)]
    fanout.when_sent(lambda: told.append([]))
    assert told[1:] == [[]]


async def test_what_the_end_of_a_market_job_submits_is_sent() -> None:
    fanout, log = FanOut(), Recipient()
    submit(
        fanout,
        Lane.MARKET,
        A,
        [log],
        on_done=lambda _: submit(fanout, Lane.LOSSLESS, B, [log]),
    )
    await finish(fanout)
    assert log.written == [A.frame, B.frame]
