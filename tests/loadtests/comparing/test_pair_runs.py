from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from io import StringIO
from pathlib import Path

import pytest
from blocks import block_scenario, make_block
from rich.console import Console

from loadtests.comparing.pair_runs import Contest, Outputs, abba, run_contest
from loadtests.results import COMPARISON, ExitCode
from loadtests.supervision.gateway_command import GatewayCommand
from loadtests.supervision.request import RunRefused, RunRequest

GATEWAYS = {"base": GatewayCommand(name="old"), "head": GatewayCommand(name="new")}
Speeds = Callable[[str, int], float]


def test_base_and_head_take_turns_in_being_first() -> None:
    assert list(abba(3)) == [
        (1, "base"), (1, "head"), (2, "head"), (2, "base"), (3, "base"), (3, "head"),
    ]  # fmt: skip


def test_an_extension_goes_on_where_the_first_pairs_ended() -> None:
    assert list(abba(6)) + list(abba(12, done=6)) == list(abba(12))


class Bench:
    """Makes synthetic blocks in place of runs, and remembers who asked."""

    def __init__(self, speeds: Speeds, code: int = 0) -> None:
        self.asked: list[str] = []
        self.console = Console(file=StringIO(), width=100)
        self._speeds = speeds
        self._code = code

    def run(self, request: RunRequest, _environment: Mapping[str, str], _to: Console) -> int:
        assert not request.is_judged
        place = len(self.asked)
        self.asked.append(request.gateway.name)
        if self._code != ExitCode.USAGE:
            speed = self._speeds(request.gateway.name, place)
            make_block(
                request.runs / f"{place:02d}", place, speed, scenario=request.scenario.read_text()
            )
        return self._code

    def compare(self, folder: Path, *budgets: str, **options: object) -> int:
        scenario = folder / "block.toml"
        scenario.write_text(block_scenario(*budgets))
        contest = Contest(
            scenario=scenario, runs=folder / "runs", gateways=GATEWAYS, **options  # type: ignore[arg-type]  # the tests name them
        )  # fmt: skip
        return run_contest(contest, {}, self.console, run=self.run)

    @property
    def said(self) -> str:
        file = self.console.file
        assert isinstance(file, StringIO)
        return file.getvalue()


def test_six_pairs_that_decide_are_enough(tmp_path: Path) -> None:
    bench = Bench(lambda name, place: (1.5 if name == "new" else 1.0) + place / 1_000)
    outputs = Outputs(json=tmp_path / "mine.json", summary=tmp_path / "mine.md")
    code = bench.compare(tmp_path, "push.p99 ratio <= 1.10", outputs=outputs)
    assert code == ExitCode.BUDGET_BROKEN
    assert bench.asked == ["old", "new", "new", "old"] * 3
    (written,) = (tmp_path / "runs").glob(f"*_compare_*/{COMPARISON}")
    assert json.loads(written.read_text())["pairs"] == 6
    assert (tmp_path / "mine.json").read_text() == written.read_text()
    assert "✕ FAIL" in (tmp_path / "mine.md").read_text()


def test_a_result_on_standard_output_has_it_for_itself(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    bench = Bench(lambda name, place: (1.5 if name == "new" else 1.0) + place / 1_000)
    bench.compare(tmp_path, "push.p99 ratio <= 1.10", outputs=Outputs(json=Path("-")))
    said = capfd.readouterr()
    assert json.loads(said.out)["pairs"] == 6
    assert "✕ FAIL" in said.err


def test_what_six_pairs_leave_open_is_extended_once(tmp_path: Path) -> None:
    bench = Bench(lambda name, place: 1.0 + 0.3 * ((place * 7) % 5) / 5)
    code = bench.compare(tmp_path, "push.p99 ratio <= 1.10")
    assert code == ExitCode.INCONCLUSIVE
    assert len(bench.asked) == 24
    assert "undecided after 6 pairs: running 6 more, once" in bench.said
    assert (
        "push.p99 ratio <= 1.10"
        in json.loads(next((tmp_path / "runs").glob(f"*_compare_*/{COMPARISON}")).read_text())[
            "reasons"
        ][0]
    )


def test_an_interrupted_block_ends_the_comparison(tmp_path: Path) -> None:
    bench = Bench(lambda name, place: 1.0, code=int(ExitCode.INTERRUPTED))
    assert bench.compare(tmp_path, "push.p99 ratio <= 1.10") == ExitCode.INTERRUPTED
    assert len(bench.asked) == 1


def test_a_block_that_never_began_ends_the_comparison(tmp_path: Path) -> None:
    bench = Bench(lambda name, place: 1.0, code=int(ExitCode.USAGE))
    assert bench.compare(tmp_path, "push.p99 ratio <= 1.10") == ExitCode.USAGE
    assert "the comparison stopped: a block ended with exit code 2" in bench.said


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
        bench.compare(tmp_path, "push.p99 ratio <= 1.10", pairs=pairs, budgets=file)
    assert bench.asked == []


def test_a_ratio_too_near_to_one_is_warned_of_before_anything_runs(tmp_path: Path) -> None:
    bench = Bench(lambda name, place: 1.0, code=int(ExitCode.INTERRUPTED))
    bench.compare(tmp_path, "push.p99 ratio <= 1.01")
    assert bench.said.startswith("warning: push.p99 ratio <= 1.01: two runs do not resolve")
