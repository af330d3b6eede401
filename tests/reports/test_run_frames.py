from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from synthetic_run import make_run

from loadtests.results import FORMAT_VERSION, MANIFEST, SCENARIO, SEGMENTS, TABLES, Phase
from reports.report_errors import DamagedTableError, NotARunError, ReportError, UnknownFormatError
from reports.run_frames import RunFrames, read_run


def test_every_table_has_the_columns_of_the_contract(passing_run: RunFrames) -> None:
    for name, columns in TABLES.items():
        assert list(passing_run[name].columns) == [column.name for column in columns]


def test_what_is_absent_stays_absent_and_never_becomes_zero(passing_run: RunFrames) -> None:
    assert passing_run["generator"]["steal_ns"].isna().all()
    assert str(passing_run["generator"]["steal_ns"].dtype) == "Int64"
    assert str(passing_run["hist"]["count"].dtype) == "int64"


def test_a_missing_table_is_empty_and_says_why(tmp_path: Path) -> None:
    run = read_run(make_run(tmp_path / "run", without=["server"]))
    assert run["server"].empty
    assert list(run["server"].columns) == [column.name for column in TABLES["server"]]
    assert run.absences["server"] == "the run wrote no server.parquet"


def test_an_empty_table_says_why(passing_run: RunFrames) -> None:
    assert passing_run.absences["sample"] == "sample.parquet holds no rows"


def test_a_table_still_in_segments_names_the_command_that_helps(tmp_path: Path) -> None:
    directory = make_run(tmp_path / "run", without=["hist"])
    (directory / SEGMENTS).mkdir()
    (directory / SEGMENTS / "hist.local.arrow").touch()
    assert "tidegate report" in read_run(directory).absences["hist"]


def test_an_unknown_format_version_is_refused_by_name(tmp_path: Path) -> None:
    changed = {"format_version": 7, "versions": {"tidegate": "9.9.0"}}
    directory = make_run(tmp_path / "run", manifest=changed)
    with pytest.raises(
        UnknownFormatError, match=r"version 7, written by tidegate 9\.9\.0"
    ) as error:
        read_run(directory)
    assert f"reads {FORMAT_VERSION}" in str(error.value)


def test_a_path_without_a_run_says_what_a_run_is(tmp_path: Path) -> None:
    with pytest.raises(NotARunError, match=r"no manifest\.json"):
        read_run(tmp_path)
    with pytest.raises(NotARunError, match="no such directory"):
        read_run(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        pytest.param(MANIFEST, "{", "cannot be read", id="half a manifest"),
        pytest.param(MANIFEST, "[]", "not an object", id="a manifest that is a list"),
        pytest.param(SCENARIO, "nmae = 'x'", "not valid", id="a scenario with a misspelt key"),
    ],
)
def test_a_damaged_file_is_named(tmp_path: Path, name: str, text: str, told: str) -> None:
    directory = make_run(tmp_path / "run")
    (directory / name).write_text(text, encoding="utf-8")
    with pytest.raises(NotARunError, match=told):
        read_run(directory)


def test_an_unknown_status_names_the_right_ones(tmp_path: Path) -> None:
    directory = make_run(tmp_path / "run", manifest={"status": "done"})
    with pytest.raises(NotARunError, match="'done', not one of running, complete"):
        read_run(directory)


def test_a_table_that_lacks_a_column_is_refused(tmp_path: Path) -> None:
    directory = make_run(tmp_path / "run")
    source = directory / "timeline.parquet"
    pq.write_table(pq.read_table(source).drop(["errors"]), source)
    with pytest.raises(DamagedTableError, match="lacks the columns errors"):
        read_run(directory)


def test_a_null_where_none_may_be_is_refused(tmp_path: Path) -> None:
    directory = make_run(tmp_path / "run")
    source = directory / "timeline.parquet"
    table = pq.read_table(source)
    nulls = pa.nulls(len(table), pa.int64())
    pq.write_table(table.set_column(table.column_names.index("errors"), "errors", nulls), source)
    with pytest.raises(DamagedTableError, match="errors has an empty value"):
        read_run(directory)


def test_a_cut_off_parquet_file_is_refused_as_a_report_error(tmp_path: Path) -> None:
    directory = make_run(tmp_path / "run")
    source = directory / "ledger.parquet"
    source.write_bytes(source.read_bytes()[:200])
    with pytest.raises(ReportError, match="not a readable Parquet file"):
        read_run(directory)


def test_a_manifest_without_optional_parts_is_read(tmp_path: Path) -> None:
    directory = make_run(tmp_path / "run")
    least = {"format_version": FORMAT_VERSION, "status": "aborted"}
    (directory / MANIFEST).write_text(json.dumps(least), encoding="utf-8")
    run = read_run(directory)
    assert run.manifest.run_id == "run"
    assert run.manifest.part("host") == {}
    assert run.manifest.words("problems") == ()
    assert run.manifest.phases == ()


def test_phases_come_with_their_seconds(passing_run: RunFrames) -> None:
    assert passing_run.manifest.phases[2] == (Phase.STEADY, 8.0, 38.0)
