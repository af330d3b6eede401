"""The parts of the hostile benchmark that compute, and one short run of it."""

from __future__ import annotations

import contextlib
import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gevent
import pytest
from deadlines import DEADLINE_S, QUIET_S
from hypothesis import given
from hypothesis import strategies as st
from peers import mask_frame

from tests.benchmarks.hostile import findings
from tests.benchmarks.hostile.__main__ import KEYS, doubts, main
from tests.benchmarks.hostile.attacks import ATTACKS, Siege, open_polling, read_to_end, upgrade_of
from tests.benchmarks.hostile.bystanders import attacking
from tests.benchmarks.hostile.findings import Finding, Verdict, compare, judge
from tests.benchmarks.hostile.market import Bench, Market
from tests.benchmarks.hostile.mass_drop import judge_drop
from tests.benchmarks.hostile.stopped_reader import take_stock
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


def tick(symbol: str, seq: int, previous: int) -> dict[str, Any]:
    return {"symbol": symbol, "seq": seq, "prevSeq": previous}


def test_a_reader_that_was_given_the_newest_of_each_symbol_is_content() -> None:
    ticks = [tick("A", 1, 0), tick("B", 4, 3), tick("A", 9, 1)]
    stock = take_stock(ticks, {"A": 9, "B": 4}, old_bytes=500)
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


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Market]:
    bench = Bench(core=min(os.sched_getaffinity(0)), folder=tmp_path_factory.mktemp("gateway"))
    with bench.serve("gateway") as running:
        yield running


@pytest.mark.parametrize("key", ATTACKS)
def test_an_attack_goes_on_until_it_is_told_to_end(key: str, market: Market) -> None:
    with attacking(key, market.port, market.secret) as counts:
        gevent.sleep(QUIET_S)  # long enough for what ends at once to end
    assert counts["connections"] > 0


@contextlib.contextmanager
def a_line(market: Market, data: bytes = b"") -> Iterator[socket.socket]:
    with Siege(market.port, market.secret).dial() as line:
        line.sendall(data)
        yield line


def test_a_close_frame_is_an_end(market: Market) -> None:
    greeting = Siege(market.port, market.secret).greeting()
    with a_line(market, greeting + mask_frame(b"7 is no packet")) as line:
        assert read_to_end(line, DEADLINE_S)


def test_silence_is_no_end(market: Market) -> None:
    with a_line(market) as line:
        assert not read_to_end(line, 0.05)


def test_an_upgrade_names_the_session_that_polling_opened(market: Market) -> None:
    with contextlib.closing(Siege(market.port, market.secret).ask()) as connection:
        sid = open_polling(connection)
    assert f"sid={sid}".encode() in upgrade_of(market.port, sid)


# The table


def test_the_table_says_what_is_broken() -> None:
    found = [
        Finding(key="a", title="an attack", measured="5", promise="≤ 4", verdict=judge(False)),
        Finding(key="b", title="another", measured="3", promise="≤ 4", verdict=judge(True)),
    ]
    text = findings.for_documents(found, "Somewhere.", ["noisy"])
    assert "| an attack | 5 | ≤ 4 | broken |" in text
    assert "| another | 3 | ≤ 4 | kept |" in text
    assert "- noisy" in text
    assert findings.for_terminal(found).row_count == 2


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
    found = {one["key"]: one for one in json.loads(kept.read_text())["findings"]}
    assert set(found) == {"pongs", "malformed", "aftermath", "kick"}, found
    assert found["pongs"]["verdict"] == Verdict.UNDECIDED, "one pair decides nothing"
    assert found["malformed"]["figures"]["attack"]["closed"] > 0
    assert found["aftermath"]["verdict"] == Verdict.KEPT, found["aftermath"]
    assert found["kick"]["verdict"] == Verdict.KEPT, found["kick"]
    assert "10,000 pongs/s" in words.read_text()
    assert "10,000 pongs/s" in capsys.readouterr().out


def test_an_unknown_row_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--only", "everything"])
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert all(key in said for key in KEYS)
