from __future__ import annotations

import csv
import json
import re
import urllib.error
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from locust_web import LocustPage

from loadtests.health.live_file import MEMBERS
from loadtests.record.finisher import is_finished
from loadtests.results import REPORT, VERDICT

OpenPage = Callable[..., LocustPage]


def template_of(page: str) -> dict[str, Any]:
    """Return what Locust hands to its page's script."""
    begin = page.index("window.templateArgs = ") + len("window.templateArgs = ")
    found: dict[str, Any] = json.JSONDecoder().raw_decode(page[begin:])[0]
    return found


def test_locusts_page_has_a_tab_with_the_newest_second_of_the_run(
    open_page: OpenPage, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    page = open_page("--autostart", "--csv", "table", "--run-dir", str(run), is_judged=True)
    page.wait_until(lambda: page.live().get("phase") == "steady", "steady phase")

    template = template_of(page.get("/"))
    assert [tab["title"] for tab in template["extended_tabs"]] == ["Tidegate"]
    (structure,) = template["extended_tables"]
    assert [column["key"] for column in structure["structure"]] == list(
        csv.DictReader(page.get("/tidegate/live.csv").splitlines()).fieldnames or ()
    )
    assert page.where("/tidegate").endswith("/?tab=tidegate")

    page.wait_until(
        lambda: re.fullmatch(r"[\d.]+ m?s", page.table()["push p99"]) is not None, "push"
    )
    page.wait_until(lambda: page.table()["clients"] == "14", "clients")
    live = page.live()
    assert set(live) == set(MEMBERS)
    assert live["phase"] in ("steady", "drain")
    assert json.loads((run / "logs" / "live.json").read_text()).keys() == live.keys()

    state = page.state()
    assert state["run"] == "run"
    assert [chart["title"] for chart in state["charts"]][:2] == ["Push latency", "Events delivered"]
    assert {len(point) for point in state["points"]} == {
        1 + sum(len(c["lines"]) for c in state["charts"])
    }
    seconds = [point[0] for point in state["points"]]
    assert seconds == sorted(seconds)
    later = json.loads(page.get(f"/tidegate/state.json?run=run&after={seconds[-1]}"))
    assert all(point[0] > seconds[-1] for point in later["points"])
    (budget,) = state["budgets"]
    assert budget == {"text": "errors == 0", "state": "kept so far", "now": "0"}
    assert state["verdict"] is None

    page.stop()  # a run that its page stops is finished and judged like any other
    page.wait_until(lambda: page.state()["verdict"] is not None, "verdict")
    assert is_finished(run)
    told = page.state()["verdict"]
    assert told["verdict"] == json.loads((run / VERDICT).read_text())["verdict"]
    assert page.get(told["report"].removeprefix(".")) == (run / REPORT).read_text()


def test_a_second_run_of_one_process_has_a_directory_and_a_verdict_of_its_own(
    open_page: OpenPage, tmp_path: Path
) -> None:
    page = open_page("--autostart", "--run-dir", str(tmp_path / "run"), is_judged=True)
    names: list[str] = []
    for _ in range(2):
        page.wait_until(lambda: page.state()["phase"] == "steady", "steady phase")
        page.wait_until(lambda: page.live()["received"] > 0, "delivery")
        page.stop()
        page.wait_until(lambda: page.state()["verdict"] is not None, "verdict")
        names.append(page.state()["run"])
        if len(names) == 1:
            page.ask(14)
            page.wait_until(lambda: page.state()["run"] != names[0], "second run")
    assert names[0] == "run"
    for folder in (tmp_path / "run", tmp_path / "runs" / names[1]):
        facts = json.loads((folder / "manifest.json").read_text())
        assert sum(facts["users"].values()) == 14
        assert facts["problems"] == []
        verdict = json.loads((folder / VERDICT).read_text())
        assert [one["verdict"] for one in verdict["budgets"]] == ["PASS"]
        report = page.get(f"/tidegate/runs/{folder.name}/report.html")
        assert report == (folder / REPORT).read_text()
    assert "Traceback" not in page.log.read_text()


def test_a_report_of_no_run_of_this_process_is_not_found(open_page: OpenPage) -> None:
    page = open_page()
    page.wait_until(lambda: page.live() == {}, "page")
    assert page.state()["run"] == ""
    with pytest.raises(urllib.error.HTTPError, match="404"):
        page.get("/tidegate/runs/other/report.html")


def test_the_manifest_has_the_users_that_the_page_asked_for_and_notes_its_edits(
    open_page: OpenPage, tmp_path: Path
) -> None:
    page = open_page("--run-dir", str(tmp_path / "run"))
    page.wait_until(lambda: page.live() == {}, "page")
    page.ask(4)
    page.wait_until(lambda: page.live().get("phase") == "steady", "steady phase")
    assert manifest(tmp_path)["users"] == {"abuser": 1, "subscriber": 2, "trader": 1}
    page.ask(6)
    page.wait_until(lambda: page.live().get("clients") == 6, "two more users")
    assert sum(manifest(tmp_path)["users"].values()) == 6
    (words,) = manifest(tmp_path)["problems"]
    assert re.fullmatch(r"after \d+ s Locust's page asked for 6 users, 50 a second", words)


def manifest(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "run" / "manifest.json").read_text())
    return found


def test_locusts_own_charts_csv_and_label_stay_beside_the_tab(open_page: OpenPage) -> None:
    page = open_page("--autostart")
    page.wait_until(lambda: page.live().get("phase") == "steady", "steady phase")
    page.wait_until(lambda: bool(template_of(page.get("/"))["history"]), "chart")
    assert "not used for the verdict" in page.state()["notice"]
    assert page.get("/").count("tidegate/tab.js") == 1
    assert "tidegate" not in page.get("/stats/report")
    assert "CONNECT,connect" in page.get("/stats/requests/csv")
    stats = json.loads(page.get("/stats/requests"))
    assert stats["user_count"] == 14
    assert {"stats", "errors", "current_response_time_percentiles"} <= set(stats)


def test_before_a_run_the_tab_is_empty_and_under_a_base_path_it_is_found(
    open_page: OpenPage,
) -> None:
    page = open_page("--web-base-path", "/locust", base="/locust")
    page.wait_until(lambda: page.live() == {}, "page")
    assert page.table() == {}
    assert page.where("/tidegate").endswith("/locust/?tab=tidegate")
