from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from synthetic_run import SMOKE, make_run

from loadtests.outputs import EXPORTS, OutputRefused, parse_exports
from loadtests.results import ExitCode
from reports.exports import (
    RENDERERS,
    render_bencher,
    render_openmetrics,
    render_smaller_is_better,
)
from reports.measures.registry import measure
from reports.reporting import main
from reports.run_frames import RunFrames
from reports.verdict import judge

Make = Callable[..., RunFrames]


def test_bencher_gets_each_figure_with_both_ends_of_its_interval(passing_run: RunFrames) -> None:
    content = json.loads(render_bencher(passing_run, judge(passing_run)))
    push = measure(passing_run, "push", "p99")
    assert content["smoke/push.p99"] == {
        "latency": {"value": push.value, "lower_value": push.low, "upper_value": push.high}
    }
    assert list(content["smoke/memory.per_client"]) == ["memory"]
    assert list(content["smoke/cost.per_message"]) == ["cpu-time"]
    assert content["smoke/errors"]["count"]["value"] == 0
    for measures in content.values():
        for numbers in measures.values():
            assert set(numbers) <= {"value", "lower_value", "upper_value"}
            assert all(isinstance(number, int | float) for number in numbers.values())


def test_smaller_is_better_leaves_out_a_figure_that_should_be_large(run_with: Make) -> None:
    text = SMOKE.read_text().replace('"ack.p99 <= 50 ms"', '"ack.p99 >= 1 us"')
    run = run_with(scenario=text)
    rows = json.loads(render_smaller_is_better(run, judge(run)))
    named = {row["name"]: row for row in rows}
    assert "smoke/push.p99" in named
    assert "smoke/ack.p99" not in named
    push = measure(run, "push", "p99")
    assert named["smoke/push.p99"]["value"] == push.value
    assert named["smoke/push.p99"]["unit"] == "ns"
    assert named["smoke/push.p99"]["range"] == f"95 %: {push.low:.6g} to {push.high:.6g}"
    for row in rows:
        assert {"name", "unit", "value"} <= set(row) <= {"name", "unit", "value", "range", "extra"}


def test_openmetrics_is_read_back_by_a_parser_in_base_units(passing_run: RunFrames) -> None:
    text = render_openmetrics(passing_run, judge(passing_run))
    read = text_string_to_metric_families(text)  # type: ignore[no-untyped-call]  # it is untyped
    families = {family.name: family for family in read}
    push = families["tidegate_push_seconds"]
    assert (push.type, push.unit) == ("gauge", "seconds")
    found = {sample.labels["statistic"]: sample.value for sample in push.samples}
    assert set(found) == {"p50", "p90", "p99"}
    value = measure(passing_run, "push", "p99").value
    assert value is not None
    assert found["p99"] == pytest.approx(value / 1e9)
    (memory,) = families["tidegate_memory_per_client_bytes"].samples
    assert memory.labels == {"scenario": "smoke"}
    assert families["tidegate_errors"].samples[0].value == 0


def test_what_cannot_be_trusted_is_left_out_of_every_format(run_with: Make) -> None:
    def slow(tables: dict[str, list[dict[str, object]]]) -> None:
        for row in tables["generator"]:
            row["run_queue_ns"] = 900_000_000

    run = run_with(change=slow)
    outcome = judge(run)
    assert any(check.ok is False for check in outcome.checks)
    told = {name: render(run, outcome) for name, render in RENDERERS.items()}
    assert not any("push" in text for text in told.values())
    assert all("delivery" in text for text in told.values())


def test_a_run_of_a_part_of_its_load_exports_no_figure(run_with: Make) -> None:
    run = run_with(manifest={"status": "interrupted"})
    outcome = judge(run)
    assert json.loads(render_bencher(run, outcome)) == {}
    assert json.loads(render_smaller_is_better(run, outcome)) == []
    assert render_openmetrics(run, outcome) == "# EOF\n"


def test_the_report_writes_the_exports_that_are_named(
    passing_directory: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, metrics = tmp_path / "run", tmp_path / "new" / "metrics.txt"
    shutil.copytree(passing_directory, run)
    words = ["--export", f"openmetrics={metrics}", "--export", "bencher=-"]
    assert main([str(run), *words]) == ExitCode.PASS
    out, err = capsys.readouterr()
    assert "smoke/push.p99" in json.loads(out)
    assert "● PASS" in err
    assert metrics.read_text().endswith("# EOF\n")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["csv=a"], "--export csv=a is none of bencher=FILE, "),
        (["bencher"], "--export bencher is none of"),
        (["bencher="], "--export bencher= is none of"),
        (["bencher=a", "bencher=b"], "--export bencher is named twice"),
    ],
)
def test_a_wrong_export_is_refused(words: list[str], told: str) -> None:
    with pytest.raises(OutputRefused, match=told):
        parse_exports(words)
    assert set(RENDERERS) == set(EXPORTS)


def test_an_export_that_cannot_be_written_is_2_before_the_report_changes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = make_run(tmp_path / "run")
    before = sorted(run.iterdir())
    assert main([str(run), "--export", "bencher=/proc/nowhere/x"]) == ExitCode.USAGE
    assert "--export bencher /proc/nowhere" in capsys.readouterr().err
    assert sorted(run.iterdir()) == before
