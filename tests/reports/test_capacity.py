from __future__ import annotations

import json
from collections.abc import Callable
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from capacity_file import TRIALS, WHY, capacity_content, write_capacity

from loadtests.results import CAPACITY
from reports import charts
from reports.capacity_answer import explain_capacity, read_capacity
from reports.charts.canvas import NARROW, WIDE, Size
from reports.page import render_page
from reports.report_errors import DamagedCapacityError
from reports.run_frames import RunFrames
from reports.summary import render_summary
from reports.verdict import judge

Make = Callable[..., RunFrames]
BULKY = ("hist", "timeline", "server", "generator", "ledger")
ALONE = "No capacity interval: this run is not part of a capacity search"


def texts_of(chart: charts.Chart) -> set[str]:
    elements = ET.fromstring(chart.svg()).iter()  # noqa: S314 - our own picture
    return {"".join(each.itertext()) for each in elements if each.tag.endswith("text")}


def searched(run: RunFrames, **changes: object) -> RunFrames:
    write_capacity(run.directory, capacity_content(**changes))  # type: ignore[arg-type]  # by name
    return run


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, f"Carries 1,240 to 1,430 publications a second; limit: {WHY}"),
        (
            {"is_confirmed": False, "at_least": 1_000.0},
            (
                "Carries 1,240 to 1,430 publications a second, not confirmed by a long trial; "
                f"limit: {WHY}; at least 1,000 required"
            ),
        ),
        (
            {"bound": "generator", "why": "the generator's own share: 9 ms"},
            (
                "Carries at least 1,240 publications a second; limit of the generator: "
                "the generator's own share: 9 ms"
            ),
        ),
        (
            {"bound": "asked", "high": None},
            "Carries at least 1,240 publications a second; no higher load was tried",
        ),
        (
            {
                "low": None,
                "high": 860.0,
                "bound": "generator",
                "why": "push.p99 <= 50 ms: 35 ms · the generator's own share: 16 ms",
            },
            (
                "The generator cannot measure even 860 publications a second: "
                "push.p99 <= 50 ms: 35 ms · the generator's own share: 16 ms"
            ),
        ),
        (
            {"low": None, "high": 3.25, "why": "the gateway died"},
            "Carries less than 3.2 publications a second: the gateway died",
        ),
        (
            {"low": None, "high": None, "bound": "asked", "why": "nothing was tried"},
            "The capacity is unknown: nothing was tried",
        ),
    ],
    ids=[
        "bound",
        "unconfirmed",
        "generator",
        "asked",
        "nothing measured",
        "nothing kept",
        "unknown",
    ],
)
def test_the_answer_is_one_sentence(run_with: Make, changes: dict[str, object], words: str) -> None:
    run = searched(run_with(), **changes)
    answer = read_capacity(run)
    assert answer is not None
    assert explain_capacity(answer) == words
    assert charts.capacity_search(run).title == words


@pytest.mark.parametrize("size", [WIDE, NARROW], ids=lambda size: size.name)
def test_every_trial_has_its_row_by_load_its_shape_and_its_word(run_with: Make, size: Size) -> None:
    chart = charts.capacity_search(searched(run_with(), at_least=1_300.0))
    (axes,) = chart.figure(size).axes
    marked = [line for line in axes.lines if line.get_linestyle() == "None"]
    assert [float(np.asarray(line.get_xdata())[0]) for line in marked] == sorted(
        each[0] for each in TRIALS
    )
    shapes = {(line.get_label(), line.get_marker()) for line in marked}
    assert shapes == {("_kept", "o"), ("_broken", "X"), ("_undecided", "D"), ("_invalid", "s")}
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert names == ["310", "620", "1,240", "1,240, long", "1,430", "1,754", "2,480"]
    words = [text.get_text() for text in axes.texts]
    assert words == ["at least 1,300", *["kept"] * 4, "undecided", "invalid", "broken"]


def test_the_interval_is_shaded_and_an_open_one_to_the_edge(run_with: Make) -> None:
    run = run_with()
    for changes, ends in (
        ({}, (1_240.0, 1_430.0)),
        ({"bound": "asked", "high": None}, (1_240.0, 2_480 * 1.3)),
    ):
        (axes,) = charts.capacity_search(searched(run, **changes)).figure().axes
        (shade,) = [patch for patch in axes.patches if patch.get_label() == "_interval"]
        box = shade.get_path().get_extents(shade.get_patch_transform())
        assert (box.x0, box.x1) == pytest.approx(ends)


def test_the_page_and_the_summary_tell_the_capacity(run_with: Make) -> None:
    run = searched(run_with(without=BULKY))
    outcome = judge(run)
    page, summary = render_page(run, outcome), render_summary(run, outcome)
    assert 'id="capacity"' in page
    assert ALONE not in page
    assert WHY.replace("<", "&lt;") in page
    assert {"1,240, long", "undecided"} <= texts_of(charts.capacity_search(run))
    told = f"Carries 1,240 to 1,430 publications a second; limit: {WHY}; 7 trials."
    assert f"## Capacity\n\n{told}\n" in summary


def test_without_a_search_the_page_says_so_in_a_line(
    passing_run: RunFrames, passing_page: str
) -> None:
    assert ALONE in passing_page[passing_page.index("Charts left out of this report") :]
    assert 'id="capacity"' not in passing_page
    assert "Capacity" not in render_summary(passing_run, judge(passing_run))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "cannot be read"),
        ("[]", "indices"),
        (json.dumps({"format_version": 1}), "is of format version 1"),
        (json.dumps(capacity_content(bound="luck")), "has bound 'luck', not one of gateway"),
        (json.dumps(capacity_content(low=-3)), "has a load of -3"),
        (json.dumps(capacity_content([(1.0, True, "GOOD", "")])), "'GOOD' is not a valid Verdict"),
        (
            json.dumps({k: v for k, v in capacity_content().items() if k != "why"}),
            "lacks 'why'",
        ),
    ],
    ids=["half", "a list", "version", "bound", "load", "verdict", "member"],
)
def test_a_damaged_answer_is_said_and_the_rest_of_the_report_stands(
    run_with: Make, text: str, words: str
) -> None:
    run = run_with()
    (run.directory / CAPACITY).write_text(text, encoding="utf-8")
    with pytest.raises(DamagedCapacityError, match=r"capacity\.json") as caught:
        read_capacity(run)
    assert words in str(caught.value)
    chart = charts.capacity_search(run)
    assert chart.is_absent
    assert words in chart.title
    assert words in render_summary(run, judge(run))
