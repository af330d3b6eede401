"""Two real runs at the same time: their load keeps to the turns."""

from __future__ import annotations

import os
from io import StringIO
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console
from supervised import ANY_HEALTH

from loadtests.comparing.contest import Contest, Contestant, Methods
from loadtests.comparing.pair_runs import finish_runs, requests_of
from loadtests.comparing.side_by_side import run_side_by_side
from loadtests.plan.schedule import SECOND_NS
from loadtests.plan.turns import PLACES, SLICE_NS, Turns
from loadtests.record.manifest import read_json
from loadtests.results import MANIFEST, ExitCode, RunStatus
from loadtests.supervision.gateway_command import GatewayCommand

SCENARIO = f"""
name = "turns"
seed = 20
budgets = ["delivery.lost == 0"]

[phases]
spawn_rate = 50.0
warm_up = "1 s"
steady = "3 s"
drain = "5 s"

[gateway]
GATEWAY_RATE_LIMIT = 10000
GATEWAY_USER_RATE_LIMIT = 10000
GATEWAY_HEARTBEAT_SECONDS = 9

[market]
symbols = 4
zipf = 0.3

[users.subscriber]
count = 8
symbols = 2

[users.trader]
count = 2
symbols = 1
request_every = "0.2 s"

[[publish]]
event = "price:update"
rate = 40.0

{ANY_HEALTH}"""


def contest(folder: Path, head: Contestant) -> Contest:
    scenario = folder / "turns.toml"
    scenario.write_text(SCENARIO)
    return Contest(
        scenario=scenario, runs=folder / "runs", sides={"base": Contestant(), "head": head}
    )


def run_pair(folder: Path, head: Contestant) -> tuple[int, str]:
    """Run one pair in ``folder`` and return its exit code and what was printed."""
    said = StringIO()
    console = Console(file=said, width=100)
    methods = Methods(in_slices=True, in_blocks=False)
    (requests,) = requests_of(contest(folder, head), methods, folder, 1)
    return run_side_by_side(requests, os.environ, console), said.getvalue()


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The run directories of a pair whose head has a setting of its own."""
    folder = tmp_path_factory.mktemp("pair")
    head = Contestant(gateway=GatewayCommand(settings={"GATEWAY_HEARTBEAT_SECONDS": "7"}))
    code, said = run_pair(folder, head)
    assert code == ExitCode.PASS, said
    assert finish_runs(folder, os.environ) == ExitCode.PASS
    return {side: (folder / side / "latest").resolve() for side in ("base", "head")}


def test_both_runs_are_whole_and_have_the_same_seconds(pair: dict[str, Path]) -> None:
    told = [read_json(run / MANIFEST) for run in pair.values()]
    assert [one and one["status"] for one in told] == [RunStatus.COMPLETE] * 2
    assert [one and one["turns"]["place"] for one in told] == list(PLACES)
    steady = {
        one["t0_monotonic_ns"] + round(phase["start_s"] * 1e9)
        for one in told
        if one is not None
        for phase in one["phases"]
        if phase["phase"] == "steady"
    }
    assert len(steady) == 1
    assert steady.pop() % 10**9 == 0


@pytest.mark.parametrize(("side", "place"), [("base", 0), ("head", 1)])
def test_every_publication_was_intended_in_a_slice_of_its_side(
    pair: dict[str, Path], side: str, place: int
) -> None:
    manifest = read_json(pair[side] / MANIFEST)
    assert manifest is not None
    rows = pd.read_parquet(pair[side] / "sample.parquet").dropna(subset=["push_ns"])
    assert len(rows) >= 3
    for read_ns, push_ns in zip(rows["t_ns"], rows["push_ns"], strict=True):
        # ``srcTs`` has whole microseconds, so the intended time is known to one.
        intended_ns = manifest["t0_monotonic_ns"] + int(read_ns) - int(push_ns) + 1_000
        turns = Turns(place)
        assert turns.at_ns(turns.load_ns(intended_ns)) == intended_ns


@pytest.mark.parametrize("side", ["base", "head"])
def test_each_side_delivers_all_that_it_owes_at_its_share_of_the_rate(
    pair: dict[str, Path], side: str
) -> None:
    rows = pd.read_parquet(pair[side] / "ledger.parquet")
    assert rows["lost"].sum() == 0
    manifest = read_json(pair[side] / MANIFEST)
    assert manifest is not None
    due = 4 * 40 * 2 * SLICE_NS / SECOND_NS
    assert manifest["publisher"]["published"] == pytest.approx(due, abs=2)


def test_a_setting_of_the_head_replaces_the_scenario_s_there_alone(pair: dict[str, Path]) -> None:
    told = {side: (read_json(run / MANIFEST) or {}) for side, run in pair.items()}
    intervals = {side: one["heartbeat_interval_ms"] for side, one in told.items()}
    assert intervals == {"base": 9_000, "head": 7_000}


def test_a_side_that_does_not_start_stops_the_other(tmp_path: Path) -> None:
    broken = Contestant(gateway=GatewayCommand(words=("false",), path=None, name="false"))
    code, said = run_pair(tmp_path, broken)
    assert code == ExitCode.GATEWAY_FAILED
    assert "the run of the head ended with exit code 5" in said
