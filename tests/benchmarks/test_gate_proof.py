from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from loadtests.results import Verdict
from scenarios.schema import parse_budget
from tests.benchmarks.gate.proof import (
    FEWEST_RECORDED,
    GOALS,
    Comparer,
    Row,
    Share,
    document,
    main,
    missed_goals,
    prove,
    render,
)

PAIRS = Path(__file__).parents[1] / "reports" / "data" / "aa_pairs.json"
COMPARISONS = 500
"""A twentieth of what ``make proof`` draws."""


@pytest.fixture(scope="module")
def pairs() -> dict[str, Any]:
    """The recorded pairs."""
    whole: dict[str, Any] = json.loads(PAIRS.read_text(encoding="utf-8"))
    return whole


@pytest.fixture(scope="module")
def rows(pairs: dict[str, Any]) -> list[Row]:
    return prove(pairs, COMPARISONS)


def drawn(spread: float) -> Comparer:
    """Return a comparer of forty pairs with a known spread."""
    logs = np.random.default_rng(5).normal(scale=spread, size=40)
    return Comparer(logs, parse_budget("push.p99 ratio <= 1.10", 1), seed=1)


def share(percent: int) -> Share:
    return Share(hits=10 * percent, of=1_000)


def test_recorded_pairs_say_how_they_were_made_and_what_was_left_out(
    pairs: dict[str, Any],
) -> None:
    made = pairs["made"]
    assert 'name = "compare"' in made["scenario"]
    assert len(pairs["figures"]["cost.per_message"]["ratios"]) >= FEWEST_RECORDED
    assert all(one["why"] for one in made["left_out"])


def test_cost_is_right_on_a_machine_with_ten_times_as_much_work_as_cores(rows: list[Row]) -> None:
    (row,) = [row for row in rows if row.figure == "cost.per_message" and row.limit > 1]
    assert row.alarms.value <= 0.02
    assert row.caught.value >= 0.95
    assert row.over.value >= 0.90
    assert row.waved.hits == 0


def test_the_printed_change_is_seen_in_about_four_of_five(rows: list[Row]) -> None:
    for row in rows:
        assert 0.7 <= row.seen.value <= 0.9, row


def test_a_figure_with_too_few_pairs_is_not_proved_and_the_document_says_so(
    pairs: dict[str, Any],
) -> None:
    few = {"value": 1e6, "ratios": [1.0] * (FEWEST_RECORDED - 1)}
    assert prove({"figures": {"push.p50": few}}, 10) == []
    words = missed_goals([])
    assert "`push.p50`: fewer than 12 pairs count, so nothing is proved" in words
    assert len(words) == len(GOALS)
    assert "- Missed: `push.p50`: fewer" in render([], pairs)


def test_a_calm_machine_passes_what_is_unchanged_and_fails_a_fifth_more() -> None:
    comparer = drawn(0.02)
    same = [comparer.compare().verdict for _ in range(200)]
    more = [comparer.compare(0.2).verdict for _ in range(200)]
    assert same.count(Verdict.PASS) >= 195
    assert more == [Verdict.FAIL] * 200


def test_a_wild_machine_passes_no_fifth_more() -> None:
    comparer = drawn(0.15)
    assert Verdict.PASS not in [comparer.compare(0.2).verdict for _ in range(500)]


def test_a_missed_goal_is_told() -> None:
    good = Row(
        figure="push.p50", limit=1.10, pairs=40, value=1e6, spread=0.02, visible=0.1,
        passes=share(99), alarms=share(0), seen=share(80), caught=share(99), waved=share(0),
        over=share(95),
    )  # fmt: skip
    others = [replace(good, figure=figure) for figure in GOALS]
    assert missed_goals(others) == []
    bad = replace(
        good, passes=share(90), alarms=share(3), seen=share(60), caught=share(90),
        waved=Share(hits=1, of=1_000), over=share(80),
    )  # fmt: skip
    words = missed_goals([bad, *others[1:]])
    assert len(words) == 6
    usual = replace(good, figure="push.p99", limit=1.25, caught=share(0), waved=share(5))
    assert missed_goals([*others, usual]) == []
    assert len(missed_goals([*others, replace(usual, passes=share(70))])) == 1
    assert "an unchanged head passed in 90.00 % (87.97 %–91.79 %), not 95%" in " ".join(words)


def test_the_document_holds_a_row_for_each_figure_and_limit_and_what_was_run_live(
    rows: list[Row], pairs: dict[str, Any]
) -> None:
    names = {"metric": "push", "statistic": "p99", "verdict": "FAIL"}
    budget = {**names, "value": 1.5, "visible": 0.2}
    live = [
        {"kind": "slower", "verdict": "FAIL", "pairs": 8, "excluded": 0, "seconds": 210,
         "budgets": [budget]},
    ]  # fmt: skip
    text = document(render(rows, pairs), live)
    assert text.count("| `cost.per_message` |") == 2
    assert "| slower | FAIL | 8 | 0 | 210 | `push.p99` +50 % FAIL (visible +20 %) |" in text


def test_the_command_writes_the_document_and_returns_1_for_a_missed_goal(
    tmp_path: Path, pairs: dict[str, Any]
) -> None:
    path, out = tmp_path / "pairs.json", tmp_path / "gate.md"
    figure = {"value": 100, "ratios": [1.0 + i % 3 / 100 for i in range(20)]}
    path.write_text(json.dumps({**pairs, "figures": {"ack.p50": figure}}))
    words = [str(path), "--comparisons", "50", "--markdown", str(out), "--live", str(tmp_path)]
    assert main([*words[:-1], str(tmp_path / "no")]) == 1
    assert out.read_text().startswith("# How reliable is `tidegate compare`?")
    assert "| `ack.p50` |" in out.read_text()
