"""Finishing a run never makes it worse."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from loadtests.record.finisher import finish_run, is_finished, main
from loadtests.record.manifest import create_run_directory, read_json, write_json
from loadtests.record.recording import SECOND_NS, PhaseTimes, Recorder
from loadtests.results import FORMAT_VERSION, MANIFEST, SCENARIO, SEGMENTS, ExitCode, Series
from scenarios.schema import read_scenario

SMOKE = Path(__file__).parents[3] / "scenarios" / "smoke.toml"
MANIFEST_MEMBERS = {"format_version": FORMAT_VERSION, "status": "complete", "problems": []}


def record(run: Path, worker: str, values: int) -> Recorder:
    """Record some values as one process; the caller closes the recorder."""
    recorder = Recorder(run, worker=worker, t0_ns=0, phases=PhaseTimes(0))
    for value in range(values):
        recorder.span(Series.PUSH, 1_000 * (value + 1), SECOND_NS)
    return recorder


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run of two processes that was finished."""
    run = create_run_directory(tmp_path, read_scenario(SMOKE), 0.0)
    write_json(run / MANIFEST, MANIFEST_MEMBERS)
    for worker in ("one", "two"):
        record(run, worker, 20).close(3 * SECOND_NS)
    assert main([str(run)]) == ExitCode.PASS
    return run


def content(run: Path) -> dict[str, bytes]:
    files = [path for path in run.rglob("*") if path.is_file()]
    return {str(path.relative_to(run)): path.read_bytes() for path in files}


def rows(run: Path) -> int:
    return int(pq.read_metadata(run / "hist.parquet").num_rows)


def test_tables_without_segments_are_left_alone(run: Path) -> None:
    shutil.rmtree(run / SEGMENTS)
    before = content(run)
    assert main([str(run)]) == ExitCode.PASS
    assert content(run) == before


def test_a_table_with_more_rows_than_its_segments_is_kept_and_told(run: Path) -> None:
    before = rows(run)
    (run / SEGMENTS / "hist.two.arrow").unlink()
    (told,) = finish_run(run)
    assert told == f"hist.parquet: kept, because its segments hold 20 of {before} rows"
    assert rows(run) == before == 40
    assert (read_json(run / MANIFEST) or {})["problems"] == [told]


def test_finishing_again_changes_nothing(run: Path) -> None:
    before = content(run)
    assert is_finished(run)
    assert main([str(run)]) == ExitCode.PASS
    assert content(run) == before


@pytest.mark.parametrize(
    ("file", "text", "words"),
    [
        (MANIFEST, '{"format_version": 1, "status": "complete"}', "run format version 1"),
        (MANIFEST, '{"format_version": ', "holds no JSON"),
        (MANIFEST, "[" * 100_000, "holds no JSON"),
        (MANIFEST, f'{{"format_version": {FORMAT_VERSION}, "status": "x"}}', "has status 'x'"),
        (SCENARIO, "name = ", "is not valid TOML"),
        ("logs/supervisor.json", "[]", "holds no JSON object"),
    ],
    ids=["format", "cut", "nested", "status", "scenario", "supervisor"],
)
def test_what_cannot_be_read_is_refused_before_anything_is_touched(
    run: Path, file: str, text: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (run / file).write_text(text)
    before = content(run)
    assert main([str(run)]) == ExitCode.USAGE
    told = capsys.readouterr().err
    assert words in told
    assert told.count("\n") == 1
    assert content(run) == before


def test_a_run_that_goes_on_is_refused_and_one_that_crashed_is_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = create_run_directory(tmp_path, read_scenario(SMOKE), 0.0)
    members: dict[str, Any] = {**MANIFEST_MEMBERS, "status": "running"}
    write_json(run / MANIFEST, members)
    recorder = record(run, "one", 20)
    before = content(run)
    assert main([str(run)]) == ExitCode.USAGE
    assert "still written to" in capsys.readouterr().err
    assert content(run) == before
    recorder.close(3 * SECOND_NS)  # as the kernel does for a writer that died
    assert main([str(run)]) == ExitCode.PASS
    assert (read_json(run / MANIFEST) or {})["status"] == "aborted"


def test_a_full_disk_replaces_no_table(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_arguments: object, **_options: object) -> None:
        raise OSError(28, "No space left on device")

    before = content(run)
    monkeypatch.setattr(pq, "write_table", fail)
    assert main([str(run)]) == ExitCode.INVALID
    assert content(run) == before
