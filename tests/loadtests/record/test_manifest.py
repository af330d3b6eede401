from __future__ import annotations

import re
from pathlib import Path

import pytest

from loadtests.record.manifest import (
    create_run_directory,
    describe_commit,
    describe_host,
    describe_run,
    describe_versions,
    find_run,
    read_json,
    write_json,
)
from loadtests.results import MANIFEST, SCENARIO
from scenarios.schema import Scenario, read_scenario

SMOKE = Path(__file__).parents[3] / "scenarios" / "smoke.toml"


@pytest.fixture
def smoke() -> Scenario:
    return read_scenario(SMOKE)


def test_a_run_directory_is_named_by_time_scenario_and_a_short_id(
    tmp_path: Path, smoke: Scenario
) -> None:
    made = create_run_directory(tmp_path, smoke, 1_000_000_000.0)
    assert re.fullmatch(r"20010909T014640Z_smoke_[0-9a-f]{6}", made.name)
    assert (made / SCENARIO).read_text() == smoke.source
    assert (made / "logs").is_dir()


def test_latest_is_the_run_made_last(tmp_path: Path, smoke: Scenario) -> None:
    create_run_directory(tmp_path, smoke, 0.0)
    second = create_run_directory(tmp_path, smoke, 0.0)
    write_json(second / MANIFEST, {})
    assert find_run("latest", tmp_path) == second.resolve()
    assert find_run(second.name, tmp_path) == second.resolve()
    assert find_run(str(second), Path("elsewhere")) == second.resolve()


def test_a_directory_that_holds_a_run_is_not_taken_for_another(
    tmp_path: Path, smoke: Scenario
) -> None:
    write_json(tmp_path / MANIFEST, {})
    with pytest.raises(FileExistsError, match="already holds a run"):
        create_run_directory(tmp_path, smoke, 0.0, name=tmp_path)


def test_a_run_that_is_not_there_is_answered_with_what_to_type(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"tidegate run smoke"):
        find_run("latest", tmp_path)


def test_a_json_file_is_replaced_whole_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    assert read_json(path) is None
    write_json(path, {"a": 1})
    write_json(path, {"a": 2})
    assert read_json(path) == {"a": 2}
    assert list(tmp_path.iterdir()) == [path]
    path.write_text("[]")
    with pytest.raises(ValueError, match="no JSON object"):
        read_json(path)


def test_the_facts_name_machine_versions_and_clock(smoke: Scenario, tmp_path: Path) -> None:
    facts = describe_run(
        smoke,
        directory=tmp_path,
        target_url="http://127.0.0.1:1",
        welcome={"clock": "c", "limits": {"rate": 60}, "heartbeatInterval": 5_000},
        users={"trader": 2},
        spawn_rate=1.0,
        load_s=9.0,
        command=["locust"],
        embedded_pid=None,
        clock_id="d",
        unix_s=0.0,
    )
    assert facts["clock"] == {"gateway": "c", "generator": "d", "same": False}
    assert facts["target"] == {"url": "http://127.0.0.1:1", "embedded": False, "pid": None}
    assert facts["created"] == "1970-01-01T00:00:00.000Z"
    assert facts["heartbeat_interval_ms"] == 5_000


def test_the_machine_is_described() -> None:
    host = describe_host()
    assert isinstance(host["cores"], int)
    assert host["cores"] >= 1
    assert describe_versions()["locust"] is not None
    commit, _ = describe_commit()
    assert commit is None or re.fullmatch(r"[0-9a-f]{40}", commit)


def test_a_folder_in_the_place_of_latest_is_a_warning(
    tmp_path: Path, smoke: Scenario, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "latest").mkdir()  # what an archive makes of the link
    made = create_run_directory(tmp_path, smoke, 0.0)
    assert made.is_dir()
    assert (
        f"latest cannot be made a link to the new run: Is a directory; name it by its path, {made}"
        in (caplog.text)
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["latest", made.name])
