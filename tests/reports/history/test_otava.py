from __future__ import annotations

import csv
import json
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
from past_runs import GROUP, figure, noisy, past_row, write_past

from loadtests.results import ExitCode
from reports.history.keeping import main
from reports.history.store import add_row

VALUES = noisy([5.0] * 25 + [6.5] * 5)


def export(history: Path, folder: Path) -> dict[str, dict[str, object]]:
    assert main(["show", "--history", str(history), "--otava", str(folder)]) == ExitCode.PASS
    tests: dict[str, dict[str, object]] = json.loads((folder / "otava.yaml").read_text())["tests"]
    return tests


def test_each_figure_is_a_test_with_a_table_of_its_runs(tmp_path: Path) -> None:
    folder = tmp_path / "otava"
    tests = export(write_past(tmp_path / "h.jsonl", VALUES), folder)
    assert set(tests) == {"smoke.push.p99", "smoke.delivery.lost"}
    push = tests["smoke.push.p99"]
    assert push["metrics"] == {"push.p99": {"direction": -1}}
    with (folder / str(push["file"])).open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["push.p99"]) for row in rows] == [value * 1e6 for value in VALUES]
    assert rows[3]["commit"] == f"{4:040x}"
    assert rows[3]["run"].endswith("_0003")
    times = [datetime.fromisoformat(row[str(push["time_column"])]) for row in rows]
    assert times == sorted(times)
    assert set(rows[0]) == {"time", "push.p99", *push["attributes"]}  # type: ignore[misc]  # JSON


def test_a_run_is_left_out_of_the_figure_that_it_spoils_alone(tmp_path: Path) -> None:
    history = write_past(tmp_path / "h.jsonl", [5.0, 5.1])
    add_row(history, past_row(2, 50.0, invalid="dirty seconds"))
    export(history, tmp_path)
    assert len((tmp_path / "smoke.push.p99.csv").read_text().splitlines()) == 1 + 2
    assert len((tmp_path / "smoke.delivery.lost.csv").read_text().splitlines()) == 1 + 3


def test_more_of_a_figure_that_is_limited_from_below_is_better(tmp_path: Path) -> None:
    row = past_row(0, 5.0)
    limited = replace(figure(0.9), operator=">=", kind="ratio")
    add_row(tmp_path / "h.jsonl", replace(row, figures={"memory.returned": limited}))
    (test,) = export(tmp_path / "h.jsonl", tmp_path).values()
    assert test["metrics"] == {"memory.returned": {"direction": 1}}


def test_a_scenario_of_any_name_stays_in_the_folder(tmp_path: Path) -> None:
    group = GROUP._replace(scenario="../../away")
    folder = tmp_path / "deep" / "otava"
    export(write_past(tmp_path / "h.jsonl", [5.0], group=group), folder)
    assert {path.parent for path in tmp_path.rglob("*.csv")} == {folder}


def test_a_folder_that_cannot_be_made_is_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    history = write_past(tmp_path / "h.jsonl", [5.0])
    (tmp_path / "file").write_text("")
    words = ["show", "--history", str(history), "--otava", str(tmp_path / "file")]
    assert main(words) == ExitCode.USAGE
    assert "--otava" in capsys.readouterr().err
