"""Tidegate's tab of Locust's page in a real browser, during a run and after its end."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from deadlines import RUN_S
from locust_web import LocustPage
from supervised import ROOT

pytestmark = [pytest.mark.real_part("chromium"), pytest.mark.real_part("node")]

SCRIPT = ROOT / "tests" / "interop" / "locust-page.mjs"
READERS = {(1_400, "light"), (1_400, "dark"), (390, "light"), (390, "dark")}
CHARTS = 5
FEWEST_RULES = 5
"""Of an audit that really looked at the section."""


def look(page: LocustPage, wait: str) -> list[dict[str, Any]]:
    """Return what each reader met, once the tab showed what ``wait`` selects."""
    chromium = shutil.which("chromium")
    assert chromium is not None
    done = subprocess.run(
        ["node", str(SCRIPT), chromium, f"{page.root}/", wait],
        capture_output=True, text=True, timeout=2 * RUN_S, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert {(each["width"], each["colorScheme"]) for each in found} == READERS
    for each in found:
        assert each["complaints"] == []
        assert each["foreign"] == []
        assert each["fixed"] == 0  # nothing lies over the page
        assert each["widest"] <= each["width"]
        assert each["isDark"] == (each["colorScheme"] == "dark")
        assert each["rules"] >= FEWEST_RULES
        assert each["serious"] == []
        assert "not used for the verdict" in each["text"]
    return found


def test_each_reader_sees_charts_and_budgets_and_later_the_verdict_and_its_report(
    open_page: Callable[..., LocustPage], tmp_path: Path
) -> None:
    page = open_page("--autostart", "--run-dir", str(tmp_path / "run"), is_judged=True)
    page.wait_until(lambda: page.live().get("phase") == "steady", "steady phase")
    for each in look(page, ".charts svg path"):
        assert each["charts"] >= CHARTS - 1  # the memory of few clients is not always measured
        assert each["budgets"] == 1
        assert "errors == 0" in each["text"]
        assert "kept so far" in each["text"]
    page.stop()
    page.wait_until(lambda: page.state()["verdict"] is not None, "verdict")
    verdict = page.state()["verdict"]["verdict"]
    for each in look(page, f".verdict.{verdict} a"):
        assert verdict in each["text"]
        address = each["link"].removeprefix(page.root)
        assert page.get(address) == (tmp_path / "run" / "report.html").read_text()
