from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from blocks import COMPARE, block_scenario, make_block
from rich.console import Console

from loadtests.comparing.contest import Contest, Contestant, Outputs, Side
from loadtests.comparing.pair_runs import PLAN, run_contest
from loadtests.results import COMPARISON, ExitCode
from loadtests.supervision.gateway_command import GatewayCommand
from loadtests.supervision.request import RunRefused, RunRequest

SIDES: dict[Side, Contestant] = {
    "base": Contestant(gateway=GatewayCommand(name="old")),
    "head": Contestant(gateway=GatewayCommand(name="new", settings={"GATEWAY_X": "1"})),
}
Speeds = Callable[[str, int], float]
SLICED = "push.p99 ratio <= 1.10"
BLOCKED = "connect.p50 ratio <= 1.10"


class Bench:
    """Makes synthetic blocks in place of runs, and remembers who asked."""

    def __init__(self, speeds: Speeds, code: int = 0) -> None:
        self.asked: list[str] = []
        self.pairs: list[list[str]] = []
        self.console = Console(file=StringIO(), width=100)
        self._speeds = speeds
        self._code = code

    def run(self, request: RunRequest, _environment: Mapping[str, str], _to: Console) -> int:
        assert not request.is_judged
        place = len(self.asked)
        self.asked.append(request.gateway.name)
        if self._code != ExitCode.USAGE:
            speed = self._speeds(request.gateway.name, place)
            turn = request.turn
            turns = turn and {"place": turn.name, "meeting": turn.parent.name}
            make_block(
                request.runs / f"{place:02d}", place, speed,
                scenario=request.scenario.read_text(), turns=turns, t0_monotonic_ns=0,
            )  # fmt: skip
        return self._code

    def run_pair(
        self, requests: Sequence[RunRequest], environment: Mapping[str, str], to: Console
    ) -> int:
        self.pairs.append([str(request.turn and request.turn.name) for request in requests])
        return max(self.run(request, environment, to) for request in requests)

    def compare(self, folder: Path, *budgets: str, **options: object) -> int:
        scenario = folder / "block.toml"
        scenario.write_text(block_scenario(*budgets, file=COMPARE))
        contest = Contest(
            scenario=scenario, runs=folder / "runs", sides=SIDES, **options  # type: ignore[arg-type]  # the tests name them
        )  # fmt: skip
        return run_contest(contest, {}, self.console, run=self.run, run_pair=self.run_pair)

    @property
    def said(self) -> str:
        file = self.console.file
        assert isinstance(file, StringIO)
        return file.getvalue()


def read_result(folder: Path) -> dict[str, Any]:
    (written,) = (folder / "runs").glob(f"*_compare_*/{COMPARISON}")
    found: dict[str, Any] = json.loads(written.read_text())
    return found


def test_pairs_that_decide_end_the_comparison_at_the_first_look(tmp_path: Path) -> None:
    bench = Bench(lambda name, place: (1.5 if name == "new" else 1.0) + place / 1_000)
    outputs = Outputs(json=tmp_path / "mine.json", summary=tmp_path / "mine.md")
    code = bench.compare(tmp_path, SLICED, outputs=outputs)
    assert code == ExitCode.BUDGET_BROKEN
    assert bench.asked == ["old", "new", "new", "old"] * 4
    assert bench.pairs == [["first", "second"]] * 8
    found = read_result(tmp_path)
    assert (found["pairs"], found["method"], found["undecided"]) == (8, "slices", False)
    assert json.loads((tmp_path / "mine.json").read_text()) == found
    assert "✕ FAIL" in (tmp_path / "mine.md").read_text()


def test_the_plan_names_both_sides_with_their_settings(tmp_path: Path) -> None:
    bench = Bench(lambda name, place: 1.0, code=int(ExitCode.INTERRUPTED))
    bench.compare(tmp_path, SLICED)
    (plan,) = (tmp_path / "runs").glob(f"*/{PLAN}")
    told = json.loads(plan.read_text())
    assert told["head"] == {"name": "new", "settings": {"GATEWAY_X": "1"}}
    assert (told["pairs"], told["looks"]) == (10, [8, 10])


def test_what_slices_cannot_measure_runs_in_blocks(tmp_path: Path) -> None:
    bench = Bench(lambda name, place: 1.0 + place / 1_000)
    bench.compare(tmp_path, BLOCKED, pairs=6)
    assert bench.pairs == []
    assert bench.asked == ["old", "new", "new", "old"] * 3
    assert read_result(tmp_path)["method"] == "pairs"


def test_a_comparison_of_both_kinds_runs_both(tmp_path: Path) -> None:
    bench = Bench(lambda name, place: 1.0 + place / 1_000)
    bench.compare(tmp_path, SLICED, BLOCKED, pairs=6)
    assert len(bench.pairs) == 6
    assert bench.asked == [*["old", "new"] * 2, *["new", "old"] * 2] * 3
    found = read_result(tmp_path)
    assert [budget["n"] for budget in found["budgets"] if budget["relative"]] == [6, 6]


def test_a_result_on_standard_output_has_it_for_itself(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    bench = Bench(lambda name, place: (1.5 if name == "new" else 1.0) + place / 1_000)
    bench.compare(tmp_path, SLICED, outputs=Outputs(json=Path("-")))
    said = capfd.readouterr()
    assert json.loads(said.out)["pairs"] == 8
    assert "✕ FAIL" in said.err


def test_undecided_pairs_go_on_to_the_stated_bound(tmp_path: Path) -> None:
    bench = Bench(lambda name, place: 1.0 + 0.3 * ((place * 7) % 5) / 5)
    code = bench.compare(tmp_path, SLICED)
    assert code == ExitCode.INCONCLUSIVE
    assert len(bench.pairs) == 10
    assert "undecided after 8 pairs" in bench.said
    assert SLICED in read_result(tmp_path)["reasons"][0]


def test_an_interrupted_block_ends_the_comparison(tmp_path: Path) -> None:
    bench = Bench(lambda name, place: 1.0, code=int(ExitCode.INTERRUPTED))
    assert bench.compare(tmp_path, SLICED) == ExitCode.INTERRUPTED
    assert len(bench.pairs) == 1


def test_a_block_that_never_began_ends_the_comparison(tmp_path: Path) -> None:
    bench = Bench(lambda name, place: 1.0, code=int(ExitCode.USAGE))
    assert bench.compare(tmp_path, SLICED) == ExitCode.USAGE
    assert "the comparison stopped: a run ended with exit code 2" in bench.said


@pytest.mark.parametrize(
    ("pairs", "budgets", "words"),
    [
        (5, "", "5 pairs give no 95 % interval; use at least 6"),
        (6, "none.toml", "cannot be read"),
    ],
)
def test_what_cannot_be_compared_is_refused_before_anything_runs(
    tmp_path: Path, pairs: int, budgets: str, words: str
) -> None:
    bench = Bench(lambda name, place: 1.0)
    file = Path(budgets) if budgets else None
    with pytest.raises(RunRefused, match=words):
        bench.compare(tmp_path, SLICED, pairs=pairs, budgets=file)
    assert bench.asked == []


def test_a_ratio_too_near_to_one_is_warned_of_before_anything_runs(tmp_path: Path) -> None:
    bench = Bench(lambda name, place: 1.0, code=int(ExitCode.INTERRUPTED))
    bench.compare(tmp_path, "push.p99 ratio <= 1.01")
    assert bench.said.startswith("warning: push.p99 ratio <= 1.01: two runs do not resolve")
