from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import pytest
from deadlines import RUN_S
from rich.console import Console

from loadtests.calibration import calibrate as program
from loadtests.calibration.calibrate import TRIALS, calibrate
from loadtests.calibration.pace import FULL, QUICK, Pace
from loadtests.calibration.rig import Rig, RigFailed
from loadtests.calibration.rows import CalibrationRow
from loadtests.results import ExitCode

ROOT = Path(__file__).resolve().parents[3]


class NoRig:
    """A rig that starts nothing."""

    def __init__(self, *_: object) -> None:
        pass

    def __enter__(self) -> NoRig:
        return self

    def __exit__(self, *_: object) -> None:
        pass


@pytest.fixture(autouse=True)
def without_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program, "open_rig", NoRig)


def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *oks: bool, quick: bool = False) -> int:
    def try_it(_rig: Rig, pace: Pace) -> list[CalibrationRow]:
        assert pace is (QUICK if quick else FULL)
        return [CalibrationRow(trial="t", what="w", demanded="1", read="1", ok=ok) for ok in oks]

    monkeypatch.setattr(program, "TRIALS", {"t": try_it})
    return calibrate(tmp_path, {}, Console(file=io.StringIO()), quick=quick)


@pytest.mark.parametrize(
    ("oks", "code"),
    [((True, True), ExitCode.PASS), ((True, False), ExitCode.BUDGET_BROKEN), ((), 1)],
    ids=["all true", "one false", "nothing read"],
)
def test_only_a_table_of_truths_is_0(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, oks: tuple[bool, ...], code: int
) -> None:
    assert run(monkeypatch, tmp_path, *oks) == code


def test_the_short_subset_is_tried_at_its_pace(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert run(monkeypatch, tmp_path, True, quick=True) == ExitCode.PASS


@pytest.mark.parametrize("error", [RigFailed("no gateway"), OSError("no socket")], ids=repr)
def test_a_rig_that_fails_is_a_row_and_the_next_trial_goes_on(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    error: Exception,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(_rig: Rig, _pace: Pace) -> list[CalibrationRow]:
        raise error

    def go_on(_rig: Rig, _pace: Pace) -> list[CalibrationRow]:
        return [CalibrationRow(trial="t", what="w", demanded="1", read="1", ok=True)]

    monkeypatch.setattr(program, "TRIALS", {"broken": fail, "good": go_on})
    document = tmp_path / "c.md"
    code = calibrate(tmp_path, {}, Console(file=io.StringIO()), document=document)
    assert code == ExitCode.INVALID
    assert str(error) in document.read_text()
    assert "1 of 2 rows true." in document.read_text()


def test_a_trial_that_does_not_exist_is_refused_with_those_that_do() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "loadtests", "calibrate", "--only", "luck"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=RUN_S,
        check=False,
    )
    assert done.returncode == ExitCode.USAGE
    assert f"unknown trial luck; choose from {', '.join(TRIALS)}" in done.stderr
