"""The parts of the hostile benchmark that compute, and one short run of it."""

from __future__ import annotations

import asyncio
import itertools
import json
from pathlib import Path
from typing import Any

import pytest
from deadlines import DEADLINE_S
from hypothesis import given
from hypothesis import strategies as st
from peers import RawPeer, mask_frame
from serving import DOOR, Address, echo_namespaces, serve

from tests.benchmarks.hostile import table
from tests.benchmarks.hostile.__main__ import KEYS, doubts, main
from tests.benchmarks.hostile.attacks import ATTACKS
from tests.benchmarks.hostile.lines import Target, open_polling, read_to_end, upgrade_of
from tests.benchmarks.hostile.mass_drop import judge_drop
from tests.benchmarks.hostile.siege import Siege
from tests.benchmarks.hostile.stopped_reader import take_stock
from tests.benchmarks.hostile.verdicts import Finding, Verdict, compare, judge
from tests.benchmarks.transport.intervals import estimate_difference

times_ms = st.floats(0.1, 1e3)


# Verdicts


def test_a_difference_lies_in_its_interval() -> None:
    estimate = estimate_difference([5.0, 6.0, 7.0, 8.0, 9.0, 10.0], [4.0] * 6, 0.95)
    assert estimate.value == 3.5
    assert (estimate.low, estimate.high) == (1.0, 6.0)
    assert estimate.coverage == pytest.approx(1 - 2 / 64)


@given(st.lists(st.tuples(times_ms, times_ms), min_size=1, max_size=8))
def test_a_difference_turns_over_with_its_sides(pairs: list[tuple[float, float]]) -> None:
    ours, theirs = [a for a, _ in pairs], [b for _, b in pairs]
    there, back = estimate_difference(ours, theirs), estimate_difference(theirs, ours)
    assert there.value == pytest.approx(-back.value)
    if there.low is not None and back.high is not None:
        assert there.low == pytest.approx(-back.high)
        assert there.low <= there.value + 1e-9


def test_a_difference_needs_pairs() -> None:
    with pytest.raises(ValueError, match="1 and 2 values"):
        estimate_difference([1.0], [1.0, 2.0])


@pytest.mark.parametrize(
    ("with_ms", "without_ms", "verdict"),
    [
        ([10.0] * 6, [10.0] * 6, Verdict.KEPT),
        ([2.5] * 6, [1.0] * 6, Verdict.KEPT),
        ([120.0] * 6, [100.0] * 6, Verdict.KEPT),
        ([20.0] * 6, [10.0] * 6, Verdict.BROKEN),
        ([10.0, 30.0] * 3, [10.0] * 6, Verdict.UNDECIDED),
        ([10.0] * 5, [10.0] * 5, Verdict.UNDECIDED),
    ],
    ids=[
        "nothing noticed",
        "a large ratio of little",
        "a small share of much",
        "both bounds passed",
        "an interval across both bounds",
        "too few pairs",
    ],
)
def test_a_comparison_is_judged_by_the_ends_of_its_intervals(
    with_ms: list[float], without_ms: list[float], verdict: Verdict
) -> None:
    assert compare(with_ms, without_ms).verdict is verdict


# The reader that stops


def tick(symbol: str, seq: int, previous: int) -> bytes:
    payload = {"symbol": symbol, "seq": seq, "prevSeq": previous}
    return b'42["ticker:update",' + json.dumps(payload, separators=(",", ":")).encode() + b"]"


def test_a_reader_that_was_given_the_newest_of_each_symbol_is_content() -> None:
    packets = [tick("A", 1, 0), tick("B", 4, 3), b"2", tick("A", 9, 1)]
    stock = take_stock(packets, {"A": 9, "B": 4}, old_bytes=500)
    assert (stock.ticks, stock.is_newest, stock.is_honest) == (3, True, True)
    assert stock.old_bytes == 500


def test_a_symbol_that_ends_before_its_newest_is_seen() -> None:
    assert not take_stock([tick("A", 8, 7)], {"A": 9}, 100).is_newest
    assert not take_stock([tick("A", 9, 8)], {"A": 9, "B": 1}, 100).is_newest


def test_a_gap_that_no_prev_seq_tells_is_seen() -> None:
    assert not take_stock([tick("A", 1, 0), tick("A", 9, 8)], {"A": 9}, 100).is_honest


# The mass drop


@pytest.mark.parametrize(
    ("ratios", "empty_s", "verdict"),
    [
        ([1.2, 1.9, 2.0], 1.0, Verdict.KEPT),
        ([1.2, 2.4, 1.9], 1.0, Verdict.UNDECIDED),
        ([2.1, 2.4, 3.0], 1.0, Verdict.BROKEN),
        ([1.2, 1.3, 1.1], 2.1, Verdict.BROKEN),
    ],
    ids=["all below", "pairs disagree", "all above", "tables too slow"],
)
def test_a_mass_drop_is_judged_by_all_its_pairs(
    ratios: list[float], empty_s: float, verdict: Verdict
) -> None:
    assert judge_drop(ratios, empty_s) is verdict


# Attacks


@pytest.mark.parametrize("key", ATTACKS)
async def test_an_attack_goes_on_until_it_is_cancelled(key: str) -> None:
    async with serving_subscriptions() as address:
        siege = Siege(target(address))
        attacking = asyncio.ensure_future(ATTACKS[key][1](siege))
        async with asyncio.timeout(DEADLINE_S):
            await siege.is_under_way.wait()
            await asyncio.sleep(0.15)  # long enough for what ends at once to end
        assert not attacking.done(), attacking.exception()
        attacking.cancel()
        await asyncio.wait({attacking})
        assert attacking.cancelled()
        assert siege.counts["connections"] > 0


def serving_subscriptions() -> Any:
    server = echo_namespaces(DOOR, cors_allowed_origins="*")

    async def subscribe(sid: str, _wanted: object) -> None:
        await server.emit("subscribed", {}, to=sid)

    server.on("subscribe", subscribe)
    return serve(server, has_door=True)


def target(address: Address) -> Target:
    return Target(port=address.port, tokens=itertools.cycle(["none"]), symbols=["BTC/USDT"])


async def test_a_close_frame_is_an_end() -> None:
    async with serving_subscriptions() as address, RawPeer.websocket(address) as peer:
        await peer.connect()
        line = await Siege(target(address)).join()
        try:
            line.send(mask_frame(b"7 is no packet"))
            assert await read_to_end(line)
        finally:
            line.close()


async def test_silence_is_no_end() -> None:
    async with serving_subscriptions() as address:
        line = await Siege(target(address)).dial()
        try:
            assert not await read_to_end(line, 0.05)
        finally:
            line.close()


async def test_an_upgrade_names_the_session_that_polling_opened() -> None:
    async with serving_subscriptions() as address:
        line = await Siege(target(address)).dial()
        try:
            sid = await open_polling(line, address.port)
        finally:
            line.close()
    assert f"sid={sid}".encode() in upgrade_of(address.port, sid)


# The table


def test_the_table_says_what_is_broken() -> None:
    findings = [
        Finding(key="a", title="an attack", measured="5", promise="≤ 4", verdict=judge(False)),
        Finding(key="b", title="another", measured="3", promise="≤ 4", verdict=judge(True)),
    ]
    text = table.for_documents(findings, "Somewhere.", ["noisy"])
    assert "| an attack | 5 | ≤ 4 | broken |" in text
    assert "| another | 3 | ≤ 4 | kept |" in text
    assert "- noisy" in text
    assert table.for_terminal(findings).row_count == 2


def test_a_busy_machine_is_a_doubt() -> None:
    quiet, busy = (
        Finding(
            key="x",
            title="",
            measured="",
            promise="",
            verdict=Verdict.KEPT,
            figures={"others_share": share, "disturbed_cells": cells},
        )
        for share, cells in ((0.02, 0), (0.4, 3))
    )
    assert doubts([quiet]) == []
    of_others, of_the_host = doubts([busy])
    assert "40%" in of_others
    assert "3 cells" in of_the_host


def test_a_short_run_prints_every_row_that_was_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept, words = tmp_path / "hostile.json", tmp_path / "hostile.md"
    arguments = [
        "--pairs",
        "1",
        "--seconds",
        "0.3",
        "--patience",
        "1",
        "--only",
        "pongs",
        "malformed",
        "kick",
    ]
    assert main([*arguments, "--json", str(kept), "--markdown", str(words)]) == 0
    findings = {one["key"]: one for one in json.loads(kept.read_text())["findings"]}
    assert set(findings) == {"pongs", "malformed", "aftermath", "kick"}, findings
    assert findings["pongs"]["verdict"] == Verdict.UNDECIDED, "one pair decides nothing"
    assert findings["malformed"]["figures"]["attack"]["closed"] > 0
    assert findings["aftermath"]["verdict"] == Verdict.KEPT, findings["aftermath"]
    assert findings["kick"]["verdict"] == Verdict.KEPT, findings["kick"]
    assert "10,000 pongs/s" in words.read_text()
    assert "10,000 pongs/s" in capsys.readouterr().out


def test_an_unknown_row_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--only", "everything"])
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert all(key in said for key in KEYS)
