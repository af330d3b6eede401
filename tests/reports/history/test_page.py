from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from past_runs import GROUP, figure, noisy, past_row, write_past

from reports.charts.canvas import NARROW, WIDE
from reports.charts.trends import title_of, trend_of_figure
from reports.history.keeping import main
from reports.history.store import read_history
from reports.history.trends import Trend, trends_of

STEPPED = noisy([5.0] * 25 + [6.5] * 5)


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask git in a folder that is no repository."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))


def trend_of(values: list[float]) -> Trend:
    rows = [past_row(place, value) for place, value in enumerate(values)]
    (group,) = trends_of(rows)
    return group.trends[0]


@pytest.mark.parametrize(
    ("values", "title"),
    [
        (STEPPED, r"Regression: push\.p99 rose by \d+ %, 5\.\d+ ms to 6\.\d+ ms, on 2026-01-26"),
        (noisy([5.0] * 20 + [4.0] * 9), r"push\.p99 fell by .* and has not changed since"),
        (noisy([5.0] * 20), r"push\.p99 shows no change over 20 runs; newest .* ms"),
        ([5.0], r"push\.p99 is 5 ms \(not searched for changes: 1 of 10 runs\)"),
    ],
    ids=["regression", "better", "even", "one run"],
)
def test_the_title_of_a_trend_is_its_finding(values: list[float], title: str) -> None:
    assert re.fullmatch(title, title_of(trend_of(values)))


@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
@pytest.mark.parametrize("values", [STEPPED, [5.0], [0.01] * 12], ids=["step", "one", "far limit"])
def test_a_trend_is_drawn_with_its_limit_when_that_is_near(
    values: list[float], size: object
) -> None:
    chart = trend_of_figure(trend_of(values), "trend")
    svg = chart.svg(size)  # type: ignore[arg-type]  # a parameter of the test
    ET.fromstring(svg.replace("xlink:", ""))  # noqa: S314 - our own
    is_near = max(values) > 4
    assert ("limit &lt;= 10 ms" in svg) is is_near
    assert ("too far away to draw" in chart.note) is not is_near
    assert "2026-01-01" in svg


def test_a_count_that_changed_is_drawn_and_one_that_did_not_is_only_told(tmp_path: Path) -> None:
    path = write_past(tmp_path / "h.jsonl", [5.0] * 3)
    lost = past_row(3, 5.0)
    figures = {**lost.figures, "delivery.lost": figure(7.0, kind="count")}
    with path.open("a") as file:
        file.write(replace(lost, figures=figures).as_line())
    assert main(["show", "--history", str(path), "--page", str(tmp_path / "page.html")]) == 0
    page = (tmp_path / "page.html").read_text()
    assert "delivery.lost is 7" in page
    assert "Not shown" not in page


def test_the_page_starts_with_the_regression_and_reads_nothing_from_elsewhere(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_past(tmp_path / "h.jsonl", STEPPED)
    with path.open("a") as file:
        file.write(past_row(40, 4.0, group=GROUP._replace(scenario="fairness")).as_line())
    assert main(["show", "--history", str(path), "--page", "-"]) == 0
    page, table = capsys.readouterr()
    assert "smoke, 30 runs" in table
    assert "<h1>1 regression found</h1>" in page
    assert page.index("<h2>smoke on ") < page.index("<h2>fairness on ")
    assert "Suspects: " in page
    assert not re.search(r'(?:src|href)="(?!#)', page)
    assert len(re.findall(r'id="([^"]*)"', page)) == len(set(re.findall(r'id="([^"]*)"', page)))
    assert len(read_history(path)) == 31
