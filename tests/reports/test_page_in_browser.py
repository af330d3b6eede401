"""The report in a real browser, from the disk, without a network: as readers will open it."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from deadlines import RUN_S
from synthetic_run import ROOT

from reports.page import render_page
from reports.run_frames import RunFrames
from reports.verdict import judge

pytestmark = [
    pytest.mark.real_part("chromium"),
    pytest.mark.real_part("node"),
]

SCRIPT = ROOT / "tests" / "interop" / "report-page.mjs"
READERS = {(360, "light"), (360, "dark"), (1_400, "light"), (1_400, "dark")}
FEWEST_RULES = 20
"""Of an audit that really looked at the page."""
LEAST_TEXT_PX = 9.0

Reader = dict[str, Any]


@pytest.fixture(scope="module")
def report(full_run: RunFrames, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(render_page(full_run, judge(full_run)), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def readers(report: Path) -> list[Reader]:
    """What each reader met: two widths, light and dark."""
    chromium = shutil.which("chromium")
    assert chromium is not None
    done = subprocess.run(
        ["node", str(SCRIPT), chromium, str(report)],
        capture_output=True, text=True, timeout=2 * RUN_S, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_each_reader_opens_the_page_and_nothing_else(readers: list[Reader], report: Path) -> None:
    assert {(each["width"], each["colorScheme"]) for each in readers} == READERS
    for each in readers:
        assert each["requests"] == [report.as_uri()]
        assert each["complaints"] == []


def test_nobody_scrolls_sideways_not_even_with_every_table_open(readers: list[Reader]) -> None:
    for each in readers:
        assert each["scrollWidth"] <= each["width"]
        assert each["openWidth"] <= each["width"]


def test_each_chart_is_shown_once_in_the_size_that_fits(readers: list[Reader]) -> None:
    for each in readers:
        assert each["shown"] == each["charts"] >= 15


def test_text_in_charts_is_legible_on_a_phone_too(readers: list[Reader]) -> None:
    for each in readers:
        assert each["smallest"] >= LEAST_TEXT_PX


def test_the_verdict_and_its_forest_stand_on_the_first_screen_of_a_desk(
    readers: list[Reader],
) -> None:
    for each in readers:
        assert each["verdictBottom"] < 200
        assert each["width"] < 1_400 or each["forestTop"] < 600


def test_dark_is_dark(readers: list[Reader]) -> None:
    grounds = {each["colorScheme"]: each["ground"] for each in readers}
    assert len(set(grounds.values())) == 2


def test_an_audit_finds_nothing_serious(readers: list[Reader]) -> None:
    audited = [each for each in readers if "serious" in each]
    assert {each["width"] for each in audited} == {360, 1_400}
    assert {each["colorScheme"] for each in audited} == {"light", "dark"}
    for each in audited:
        assert each["rules"] >= FEWEST_RULES
        assert each["serious"] == []
