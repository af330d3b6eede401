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
    Comparer,
    Row,
    Share,
    broken_promises,
    document,
    main,
    prove,
    render,
)

BLOCKS = Path(__file__).parents[1] / "reports" / "data" / "aa_blocks.json"
COMPARISONS = 1_000
"""A tenth of what ``make proof`` draws."""


@pytest.fixture(scope="module")
def blocks() -> dict[str, Any]:
    """The recorded blocks: the noisiest figure and the calmest."""
    whole: dict[str, Any] = json.loads(BLOCKS.read_text(encoding="utf-8"))
    figures = {name: whole["figures"][name] for name in ("push.p99", "cost.per_message")}
    return {**whole, "figures": figures}


@pytest.fixture(scope="module")
def rows(blocks: dict[str, Any]) -> list[Row]:
    return prove(blocks, COMPARISONS)


def test_sixty_blocks_at_least_are_recorded_with_how_they_were_made() -> None:
    whole = json.loads(BLOCKS.read_text(encoding="utf-8"))
    assert whole["made"]["blocks"] >= 60
    assert {len(values) for values in whole["figures"].values()} == {whole["made"]["blocks"]}
    assert 'name = "block"' in whole["made"]["scenario"]


def test_false_alarms_stay_under_one_in_twenty(rows: list[Row]) -> None:
    assert max(row.alarms.value for row in rows) <= 0.05


def test_one_and_a_half_times_the_visible_change_is_seen_in_four_of_five(rows: list[Row]) -> None:
    assert min(row.seen.ends[0] for row in rows) >= 0.80


def test_twenty_percent_more_never_pass_a_limit_of_ten(rows: list[Row]) -> None:
    assert [row.waved.hits for row in rows if row.limit > 1] == [0, 0]


def test_a_calm_machine_passes_what_is_unchanged_and_fails_a_fifth_more() -> None:
    logs = np.log(np.random.default_rng(5).normal(1e6, 1e4, 60))
    comparer = Comparer(logs, parse_budget("push.p99 ratio <= 1.10", 1), seed=1)
    same = [comparer.compare().verdict for _ in range(200)]
    more = [comparer.compare(0.2).verdict for _ in range(200)]
    assert same.count(Verdict.PASS) >= 195
    assert more == [Verdict.FAIL] * 200


def test_a_broken_promise_is_told(rows: list[Row]) -> None:
    good = replace(rows[-1], alarms=Share(hits=0, of=1_000), waved=Share(hits=0, of=1_000))
    bad = replace(
        good,
        alarms=Share(hits=80, of=1_000),
        seen=Share(hits=700, of=1_000),
        waved=Share(hits=1, of=1_000),
    )
    assert broken_promises([good]) == []
    assert len(broken_promises([bad])) == 3
    assert "false alarms 8.00 % (6.39 %–9.86 %)" in broken_promises([bad])[0]


def test_the_document_holds_a_row_for_each_figure_and_limit_and_what_was_run_live(
    rows: list[Row], blocks: dict[str, Any]
) -> None:
    names = {"metric": "push", "statistic": "p99", "verdict": "FAIL"}
    budget = {**names, "value": 1.5, "visible": 0.2}
    live = [{"kind": "slower", "verdict": "FAIL", "pairs": 6, "excluded": 0, "budgets": [budget]}]
    text = document(render(rows, blocks), live)
    assert text.count("| `cost.per_message` |") == 2
    assert "| slower | FAIL | 6 | 0 | `push.p99` +50 % FAIL (visible +20 %) |" in text


def test_the_command_writes_the_document(tmp_path: Path, blocks: dict[str, Any]) -> None:
    path, out = tmp_path / "blocks.json", tmp_path / "gate.md"
    path.write_text(
        json.dumps({**blocks, "figures": {"ack.p50": [100.0 + i % 3 for i in range(60)]}})
    )
    main([str(path), "--comparisons", "50", "--markdown", str(out), "--live", str(tmp_path / "no")])
    assert out.read_text().startswith("# How reliable is `tidegate compare`?")
    assert "| `ack.p50` |" in out.read_text()
