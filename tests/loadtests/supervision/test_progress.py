from __future__ import annotations

import io
import re
from typing import Any

import pytest
from rich.console import Console

from loadtests.health.live_table import Part, describe, describe_nodes
from loadtests.supervision.progress import PANEL_COLUMNS, Progress, describe_second, draw_panel

LOAD_S = 38.0
LIVE: dict[str, Any] = {
    "t_s": 12.0,
    "phase": "steady",
    "clients": 300,
    "offered": 16,
    "requests": 15,
    "published": 110,
    "published_per_s": 55.2,
    "received": 2_900,
    "errors": 0,
    "missed": 2,
    "push_p50_ns": 1_500_000,
    "push_p99_ns": 9_000_000,
    "heartbeats_missed": 0,
    "limits_accepted": 60,
    "limits_refused": 38,
    "limits_wrong": 0,
    "limits_undecided": 0,
    "memory_per_client_bytes": 14_540,
    "share_p99_ns": 300_000,
    "cpu_percent": 41.2,
    "run_queue_percent": 1.4,
    "steal_percent": 0.0,
    "gc_pause_max_ns": None,
    "strains": [],
    "strained_s": 0,
}
STRAINED = {**LIVE, "strains": ["cpu"], "strained_s": 3, "cpu_percent": 99.0}


def terminal(width: int, *, no_color: bool = False) -> Console:
    return Console(
        file=io.StringIO(),
        force_terminal=True,
        width=width,
        height=40,
        no_color=no_color,
        color_system="truecolor",
        _environ={},
    )


def said(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def plain(text: str) -> list[str]:
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text).splitlines()


def drawn(live: dict[str, Any], width: int, p99s_ns: tuple[int | None, ...] = ()) -> list[str]:
    console = terminal(width)
    console.print(draw_panel(live, p99s_ns, load_s=LOAD_S, width=width))
    return plain(said(console))


def test_a_second_is_told_in_rates_and_what_is_not_known_is_left_out() -> None:
    line = describe_second(LIVE, LOAD_S)
    assert "71/s offered" in line
    assert "push p50 1.5 p99 9.0 ms" in line
    assert "2 missed" in line
    assert "errors" not in line
    assert line.index("9.0 ms") < 80  # columns of a small terminal
    line = describe_second({**LIVE, "push_p99_ns": None, "offered": None}, LOAD_S)
    assert "push" not in line
    assert "offered" not in line


def test_a_line_names_what_somebody_should_look_at() -> None:
    line = describe_second({**STRAINED, "heartbeats_missed": 4, "limits_wrong": 1}, LOAD_S)
    assert "4 heartbeats missed" in line
    assert "1 limit decisions wrong" in line
    assert "strained: CPU 99 %" in line


def test_without_a_terminal_a_phase_begins_a_line_and_a_second_does_not() -> None:
    console = Console(file=io.StringIO(), force_terminal=False, width=200)
    with Progress(console, LOAD_S) as progress:
        progress.show(None)
        progress.show(LIVE)
        progress.show(LIVE)
        progress.show({**LIVE, "t_s": 13.0})
        progress.show({**LIVE, "t_s": 14.0, "phase": "drain"})
    assert [line.split()[0] for line in said(console).splitlines()] == ["steady", "drain"]


@pytest.mark.parametrize("width", [80, 100, 120])
@pytest.mark.parametrize("live", [LIVE, STRAINED], ids=["well", "strained"])
def test_the_panel_fits_its_terminal_and_cuts_no_figure(width: int, live: dict[str, Any]) -> None:
    big = {**live, "received": 1_234_567, "push_p99_ns": 9_876_543_210, "clients": 100_000}
    lines = drawn(big, width, p99s_ns=(None, *range(1_000_000, 200_000_000, 1_000_000)))
    assert {len(line) for line in lines} == {width}
    text = "\n".join(lines)
    assert "…" not in text
    for reading in describe(big):
        assert reading.name in text
        assert reading.text in text


def test_a_bad_figure_has_a_sign_beside_its_colour() -> None:
    text = "\n".join(drawn(STRAINED, 80))
    assert "! 99 %" in text
    assert "! 3 s" in text
    assert "! the generator is strained: CPU 99 %" in text
    assert "! 2" in text  # missed
    assert text.count("!") == 4


@pytest.mark.parametrize("no_color", [False, True], ids=["colour", "NO_COLOR"])
def test_no_colour_is_used_where_none_is_wanted(no_color: bool) -> None:
    console = terminal(100, no_color=no_color)
    with Progress(console, LOAD_S) as progress:
        progress.show(STRAINED)
    assert ("\x1b[1;31m" in said(console)) is not no_color
    assert any("2,900/s" in line for line in plain(said(console)))


def test_a_narrow_terminal_shows_one_line_that_is_cut_and_not_wrapped() -> None:
    console = terminal(PANEL_COLUMNS - 20)
    with Progress(console, LOAD_S) as progress:
        progress.show(LIVE)
    shown = [line for line in plain(said(console)) if line.strip()]
    assert len(set(shown)) == 1  # drawn once more at the end, over itself
    assert shown[0].startswith("steady   12 s of 38")
    assert len(shown[0]) <= PANEL_COLUMNS - 20


def test_what_was_not_measured_is_a_dash_in_the_panel_and_never_a_zero() -> None:
    absent = dict.fromkeys(LIVE) | {"t_s": 1.0, "phase": "ramp", "strains": []}
    for reading in describe(absent):
        assert reading.text == "–", reading.name
        assert not reading.is_bad


def test_every_part_has_as_many_figures_as_the_others() -> None:
    counts = {part: sum(one.part is part for one in describe(LIVE)) for part in Part}
    assert set(counts.values()) == {6}
    assert all(len(one.name) <= 16 for one in describe(LIVE))


def test_the_curve_is_as_high_as_each_second_and_says_how_high() -> None:
    lines = drawn(LIVE, 80, p99s_ns=(None, 1_000_000, None, 4_000_000, 8_000_000))
    curve = next(line for line in lines if "up to" in line)
    assert " ▂ ▅█  up to 8.0 ms" in curve
    assert not any("up to" in line for line in drawn(LIVE, 80, p99s_ns=(None, None)))


NODES = [
    {
        "name": "node-1",
        "clients": 1_100,
        "cpu_percent": 12.4,
        "memory_bytes": 60 << 20,
        "push_p50_ns": 2_500_000,
    },
    {
        "name": "node-2",
        "clients": 0,
        "cpu_percent": None,
        "memory_bytes": None,
        "push_p50_ns": None,
    },
]
LINES = (
    "node-1  clients 1,100  CPU 12 %  memory 60 MB  push p50 2.5 ms",
    "node-2  clients 0  CPU –  memory –  push p50 –",
)


def test_several_nodes_are_shown_apart_and_a_single_gateway_is_not() -> None:
    assert describe_nodes({**LIVE, "nodes": NODES}) == LINES
    assert describe_nodes(LIVE) == describe_nodes({**LIVE, "nodes": []}) == ()
    panel = "\n".join(drawn({**LIVE, "nodes": NODES}, PANEL_COLUMNS))
    assert all(line in panel for line in LINES)


def test_the_panel_has_room_for_the_first_of_many_nodes() -> None:
    many = [{**NODES[1], "name": f"node-{number}"} for number in range(1, 65)]
    panel = "\n".join(drawn({**LIVE, "nodes": many}, PANEL_COLUMNS))
    assert "node-8 " in panel
    assert "node-9 " not in panel
    assert "and 56 more nodes" in panel
