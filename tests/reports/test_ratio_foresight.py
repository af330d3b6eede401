"""What ratios to a baseline can decide, told before the run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from synthetic_run import Tables, span_rows

from loadtests.results import ExitCode, Series
from reports.ratio_foresight import foresee_ratios, main
from reports.run_frames import RunFrames
from scenarios.schema import parse_budget

Make = Callable[..., RunFrames]
_MS = 1_000_000


def told(baseline: RunFrames, *texts: str) -> list[str]:
    return foresee_ratios(baseline, [parse_budget(text, 1) for text in texts])


def now_and_then_slow(tables: Tables) -> None:
    for second in range(8, 38, 7):
        tables["hist"] += span_rows(Series.PUSH, second, [40 * _MS] * 40)


def test_a_steady_baseline_leaves_nothing_to_warn_of(passing_run: RunFrames) -> None:
    assert told(passing_run, "push.p50 ratio <= 1.50", "push.p99 ratio >= 0.50") == []


def test_what_is_not_relative_is_passed_over(passing_run: RunFrames) -> None:
    assert told(passing_run, "push.p99 <= 1 ns", "auth.expiry.p95 <= 1 s") == []


def test_a_baseline_that_scatters_tells_the_smallest_change_that_it_can_show(
    run_with: Make,
) -> None:
    (words,) = told(run_with(change=now_and_then_slow), "push.p99 ratio <= 1.10")
    assert words.startswith("push.p99 ratio <= 1.10: two runs like the baseline show no change")
    assert words.endswith("the limit is +10 %; run longer, or use tidegate compare")


def test_a_figure_that_the_baseline_does_not_have_is_named(passing_run: RunFrames) -> None:
    (words,) = told(passing_run, "auth.expiry.p95 ratio <= 1.10")
    assert "the baseline: " in words
    assert words.endswith("this budget cannot be decided")


def test_the_command_prints_a_line_for_each(
    passing_directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    budgets = ["auth.expiry.p95 ratio <= 1.10", "push.p50 ratio <= 1.50"]
    assert main([str(passing_directory), *budgets]) == ExitCode.PASS
    assert len(capsys.readouterr().out.splitlines()) == 1


@pytest.mark.parametrize("budget", ["push.p99 ratio <= 1.10", "posh.p99 ratio <= 1.10"])
def test_what_cannot_be_read_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], budget: str
) -> None:
    assert main([str(tmp_path), budget]) == ExitCode.USAGE
    assert ("posh" if "posh" in budget else str(tmp_path)) in capsys.readouterr().err
