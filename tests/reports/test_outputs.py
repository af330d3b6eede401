from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree as ET

import pandas as pd
import pytest
from deadlines import RUN_S
from rich.console import Console
from synthetic_run import ROOT, SMOKE, Tables, ledger_row, make_run

from loadtests.results import JUNIT, REPORT, SUMMARY, VERDICT, ExitCode
from reports.cells import cells_of
from reports.console import print_verdict, reasons_of
from reports.junit import render_junit
from reports.measures.registry import measure
from reports.page import render_page
from reports.quantities import span
from reports.reporting import main
from reports.run_frames import RunFrames, read_run
from reports.summary import render_summary
from reports.verdict import judge

Make = Callable[..., RunFrames]
TIMED = ("hist", "timeline", "server", "generator")
"""Tables whose charts take long to draw and say nothing about what a test asks."""
VOID = {"meta", "link", "br", "hr", "img", "input", "wbr"}


class Outline(HTMLParser):
    """Collects ids, addresses and text of a page, and sees to it that tags close in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.ids: list[str] = []
        self.addresses: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag not in VOID:
            self.open.append(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            if name in ("href", "src", "xlink:href", "action"):
                self.addresses.append(value or "")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def read_page(html: str) -> Outline:
    page = Outline()
    page.feed(html)
    assert page.open == []
    return page


def outline(run: RunFrames) -> Outline:
    return read_page(render_page(run, judge(run)))


def losing(tables: Tables) -> None:
    tables["ledger"].append(ledger_row("price:SYM007/USDT", "subscriber", 10, lost=3))


def test_the_page_needs_no_network_and_no_script(passing_page: str) -> None:
    page = read_page(passing_page)
    assert page.addresses
    assert all(address.startswith("#") for address in page.addresses)
    assert not page.tags & {"script", "link", "img", "iframe", "object"}
    assert "@import" not in passing_page


def test_every_id_of_the_page_is_unique_and_every_link_meets_one(passing_page: str) -> None:
    page = read_page(passing_page)
    assert len(page.ids) == len(set(page.ids))
    assert {address[1:] for address in page.addresses} <= set(page.ids)


def test_the_page_is_one_small_file(passing_page: str) -> None:
    assert len(passing_page.encode()) < 3_000_000


def test_the_page_tells_verdict_first_and_holds_every_section(passing_page: str) -> None:
    text = read_page(passing_page).text
    order = ["PASS", "Budgets", "The run", "Latency", "Heartbeat", "Rate limit", "Memory"]
    order += ["Delivery", "Can the times be believed?", "Run and environment"]
    order += ["Charts left out of this report"]
    body = text[text.index("Tidegate load report") :]
    places = [body.index(word) for word in order]
    assert places == sorted(places)
    assert "Synthetic CPU" in body
    assert "time stolen by the host" in body


def test_a_run_without_tables_still_has_a_page_that_says_why(run_with: Make) -> None:
    names = ["hist", "timeline", "server", "generator", "ledger", "events", "sample"]
    text = outline(run_with(without=names)).text
    assert "No deliveries: the run wrote no ledger.parquet" in text
    assert "No latency: the run wrote no hist.parquet" in text


def test_a_section_with_nothing_to_show_is_one_line(passing_page: str) -> None:
    page = read_page(passing_page)
    lines = page.text[page.text.index("Charts left out of this report") :]
    assert "No reconnect storm: no group dropped and returned" in lines
    assert "No dead peers: no dead peer was recorded" in lines
    assert "returning" not in page.ids
    assert "authentication" not in page.ids


def test_generator_health_stands_in_every_report(run_with: Make) -> None:
    page = outline(run_with(without=TIMED))
    assert "health" in page.ids
    assert "The generator's health is unknown" in page.text


def test_each_chart_has_its_figures_behind_it(passing_page: str) -> None:
    charts_shown = passing_page.count('<div class="chart"')
    assert passing_page.count("Numbers behind this chart") == charts_shown - 1  # the budgets' table


def test_a_broken_check_is_one_reason_that_names_what_it_spoils(run_with: Make) -> None:
    run = run_with(manifest={"publisher": {"status": "lost"}})
    reasons = reasons_of(judge(run))
    cause = "publisher: it exited early; remaining publications were never sent"
    spoilt = (
        "push.p99 <= 10 ms, ack.p99 <= 50 ms, connect.p99 <= 1 s, heartbeat.error.p99 <= 100 ms"
    )
    assert reasons == (f"{cause}; makes invalid: {spoilt}",)


def test_a_table_is_shown_in_the_units_of_its_columns() -> None:
    table = pd.DataFrame(
        {
            "case": ["a", "b"],
            "t_s": [1.0, 2.5],
            "p99_ns": [9_310_000.0, float("nan")],
            "memory_bytes": [2_048, 4_096],
            "n": pd.array([1_000, None], dtype="Int64"),
        }
    )
    cells = cells_of(table)
    assert cells.heads == ("case", "t, s", "p99", "memory", "n")
    assert cells.is_number == (False, True, True, True, True)
    assert cells.rows == (("a", "1", "9.31 ms", "2 KB", "1,000"), ("b", "2.5", "–", "4 KB", "–"))


def test_an_empty_manifest_reads_unknown_and_not_none(run_with: Make) -> None:
    nothing = dict.fromkeys(("host", "target", "clock", "versions", "command", "users", "phases"))
    facts = {**nothing, "git_commit": None, "created": None}
    text = outline(run_with(manifest=facts, without=TIMED)).text
    assert "None" not in text
    assert text.count("unknown") >= 7


def test_streams_that_lost_are_named(run_with: Make) -> None:
    text = outline(run_with(change=losing, without=TIMED)).text
    assert "Streams with the most wrong deliveries" in text
    assert "price:SYM007/USDT" in text


def test_what_a_run_says_is_escaped(run_with: Make) -> None:
    problems = ["<script>alert(1)</script> & more"]
    run = run_with(manifest={"problems": problems}, without=TIMED)
    page = outline(run)
    assert "script" not in page.tags
    assert problems[0] in page.text


@pytest.mark.parametrize("width", [80, 200])
def test_the_table_is_readable_without_a_terminal(passing_run: RunFrames, width: int) -> None:
    out = io.StringIO()
    print_verdict(judge(passing_run), Console(file=out, width=width))
    lines = out.getvalue().splitlines()
    assert "\x1b" not in out.getvalue()
    assert all(len(line) <= width for line in lines)
    assert sum(line.startswith("● PASS") for line in lines) == 18
    assert any(re.search(r"delivery\.leaked == 0 +0 +exact", line) for line in lines)


def test_a_failure_is_a_word_and_a_shape(run_with: Make) -> None:
    out = io.StringIO()
    print_verdict(judge(run_with(change=losing)), Console(file=out, width=80))
    assert "✕ FAIL" in out.getvalue()
    assert "delivery.lost == 0: 3" in out.getvalue()


def test_the_longest_budget_and_verdict_stand_in_one_line_of_80_columns(run_with: Make) -> None:
    names = ["hist", "ledger", "events", "timeline"]
    out = io.StringIO()
    print_verdict(judge(run_with(without=names)), Console(file=out, width=80))
    assert "◆ INCONCLUSIVE  rate_limit.neighbours_refused == 0 " in out.getvalue()


@pytest.mark.parametrize(
    ("value_ns", "text"),
    [
        (999, "999 ns"),
        (9_310_000, "9.31 ms"),
        (30_000_000, "30 ms"),
        (30_010_000, "30.0 ms"),
        (1_500_000_000, "1.50 s"),
        (0, "0 ns"),
        (None, "–"),
    ],
)
def test_a_span_reads_with_a_unit_that_fits(value_ns: float | None, text: str) -> None:
    assert span(value_ns) == text


def test_junit_has_a_case_for_every_budget(run_with: Make) -> None:
    scenario = SMOKE.read_text().replace("push.p99 <= 10 ms", "push.p99 <= 1 us")
    run = run_with(scenario=scenario, without=["ledger"], manifest={"status": "interrupted"})
    suite = ET.fromstring(render_junit((run, judge(run))))[0]  # noqa: S314 - our own
    assert suite.attrib["name"] == "tidegate.smoke"
    assert [suite.attrib[name] for name in ("tests", "failures", "errors")] == ["18", "1", "0"]
    skipped = suite.find("testcase[@name='delivery.lost == 0']/skipped")
    assert skipped is not None
    assert "no data: the run wrote no ledger.parquet" in skipped.attrib["message"]
    ending = suite.find("testcase[@name='run']/skipped")
    assert ending is not None
    assert ending.attrib["message"].startswith("the run was interrupted before its end; ")
    assert "the run has no table ledger" in ending.attrib["message"]
    assert suite.attrib["skipped"] == "7"


def test_the_cases_of_two_runs_have_names_of_their_own_and_times(
    run_with: Make, tmp_path: Path
) -> None:
    one = run_with(manifest={"run_id": "one"})
    other = read_run(make_run(tmp_path / "second", manifest={"run_id": "other"}))
    pairs = [(run, judge(run)) for run in (one, other)]
    root = ET.fromstring(render_junit(*pairs))  # noqa: S314 - our own
    cases = list(root.iter("testcase"))
    names = {(case.attrib["classname"], case.attrib["name"]) for case in cases}
    assert len(names) == len(cases) == 2 * 18
    assert ("tidegate.smoke.other", "errors == 0") in names
    assert sum(float(case.attrib["time"]) for case in cases) == pytest.approx(2 * 39)
    assert float(root.attrib["time"]) == pytest.approx(2 * 39)
    assert (root.attrib["tests"], root.attrib["failures"]) == ("36", "0")


def properties_of(element: ET.Element) -> dict[str, str]:
    """Return the properties of a suite or a case, which stand before everything else in it."""
    assert element[0].tag == "properties"
    return {each.attrib["name"]: each.attrib["value"] for each in element[0]}


def test_junit_has_the_figures_and_what_repeats_the_run(run_with: Make) -> None:
    created = "2026-11-23T10:00:00.250Z"
    run = run_with(manifest={"created": created, "git_commit": "abc123"})
    suite = ET.fromstring(render_junit((run, judge(run))))[0]  # noqa: S314 - our own
    assert suite.attrib["timestamp"] == "2026-11-23T10:00:00"
    facts = properties_of(suite)
    assert (facts["scenario"], facts["seed"], facts["commit"]) == ("smoke", "20", "abc123")
    assert facts["verdict"] == "PASS"
    assert "Synthetic CPU" in facts["machine"]
    case = suite.find("testcase[@name='push.p99 <= 10 ms']")
    assert case is not None
    figures = properties_of(case)
    push = measure(run, "push", "p99")
    assert float(figures["value"]) == pytest.approx(push.value)
    assert float(figures["low"]) < float(figures["value"]) < float(figures["high"])
    assert (float(figures["limit"]), figures["unit"], figures["line"]) == (10e6, "ns", "9")


def test_junit_shows_an_invalid_run_as_error(run_with: Make) -> None:
    run = run_with(manifest={"publisher": {"status": "lost"}})
    suite = ET.fromstring(render_junit((run, judge(run))))[0]  # noqa: S314 - our own
    assert suite.find("testcase[@name='push.p99 <= 10 ms']/error") is not None
    assert suite.find("testcase[@name='run']/error") is not None


def test_the_summary_begins_with_the_verdict_and_keeps_its_table_whole(run_with: Make) -> None:
    run = run_with(change=losing)
    text = render_summary(run, judge(run))
    assert text.startswith("# ✕ FAIL: smoke\n")
    assert "- delivery.lost == 0: 3\n" in text
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len(rows) == 2 + 17
    assert {row.replace(r"\|", "").count("|") for row in rows} == {7}


def test_the_command_writes_four_files_and_ends_with_the_verdict_s_code(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    directory = make_run(tmp_path / "run", change=losing, without=TIMED)
    assert main([str(directory)]) == ExitCode.BUDGET_BROKEN
    verdict = json.loads((directory / VERDICT).read_text())
    assert (verdict["verdict"], verdict["exit_code"]) == ("FAIL", 1)
    lost = next(row for row in verdict["budgets"] if row["metric"] == "delivery.lost")
    assert (lost["value"], lost["low"], lost["high"], lost["verdict"]) == (3, 3, 3, "FAIL")
    assert all((directory / name).stat().st_size for name in (JUNIT, SUMMARY, REPORT))
    assert "✕ FAIL" in capsys.readouterr().out
    assert not list(directory.glob(".*.part"))


def test_reporting_again_changes_nothing(tmp_path: Path) -> None:
    directory = make_run(tmp_path / "run", without=["hist", "timeline"])
    names = (VERDICT, JUNIT, SUMMARY, REPORT)
    main([str(directory)])
    first = [(directory / name).read_bytes() for name in names]
    main([str(directory)])
    assert [(directory / name).read_bytes() for name in names] == first


def test_a_failure_leaves_the_old_verdict_and_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = make_run(tmp_path / "run", without=["hist", "timeline"])
    names = (VERDICT, JUNIT, SUMMARY, REPORT)
    main([str(directory)])
    before = [(directory / name).read_bytes() for name in names]

    def fail(*_arguments: object) -> str:
        raise RuntimeError("a chart")

    monkeypatch.setattr("reports.reporting.render_page", fail)
    make_run(directory, change=losing, without=TIMED)
    assert main([str(directory)]) == ExitCode.INVALID
    assert [(directory / name).read_bytes() for name in names] == before


def test_a_step_summary_that_cannot_be_written_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    directory = make_run(tmp_path / "run", change=losing, without=TIMED)
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "nowhere" / "s.md"))
    assert main([str(directory)]) == ExitCode.BUDGET_BROKEN
    assert "the step summary was not written: " in capsys.readouterr().err


def test_a_bad_path_ends_with_2_and_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(tmp_path / "nowhere")]) == ExitCode.USAGE
    told = capsys.readouterr().err
    assert told.startswith("tidegate report: ")
    assert told.count("\n") == 1


def test_importing_the_package_loads_nothing_heavy() -> None:
    code = (
        "import sys, reports, reports.charts; "
        "print(sorted({'pandas', 'matplotlib', 'scipy', 'pyarrow', 'locust', 'gevent', 'gateway'}"
        " & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=RUN_S,
        env={"PATH": os.environ["PATH"]}, check=True,
    )  # fmt: skip
    assert done.stdout.strip() == "[]"


def test_the_faces_of_the_packages_resolve() -> None:
    import reports
    from reports import charts

    for module in (reports, charts):
        assert len(dir(module)) > 5
        for name in dir(module):
            assert getattr(module, name) is not None
        with pytest.raises(AttributeError, match="no attribute 'nothing'"):
            _ = module.nothing


def test_a_run_read_by_path_text_is_the_same(passing_directory: Path) -> None:
    assert read_run(str(passing_directory)).manifest.run_id == passing_directory.name


def test_a_run_beside_a_baseline_shows_both_and_their_ratios(
    passing_run: RunFrames, passing_page: str, run_with: Make
) -> None:
    run = run_with(seed=8, without=["timeline", "server", "generator"])
    page = read_page(render_page(run, judge(run), passing_run))
    assert {"beside", "pair-push", "pair-ack"} <= set(page.ids)
    assert "Comparison with the baseline" in page.text
    alone = read_page(passing_page)
    assert not {"beside", "pair-push"} & set(alone.ids)
    assert "No baseline; name one with --baseline RUN" in alone.text
