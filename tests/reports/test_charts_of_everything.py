from __future__ import annotations

import re
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from drawn_lines import line_named, xs, ys
from full_run import (
    BYTES_PER_CLIENT,
    BYTES_PER_CYCLE,
    CYCLES,
    MEMBERS,
    STOLEN_S,
    clients_at,
    make_cycles_run,
    make_full_run,
)
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.axes import Axes
from matplotlib.patches import PathPatch
from synthetic_run import Tables, event_row, ledger_row

from loadtests.results import Event, LeakOutcome, Series
from reports import charts, quantities
from reports.charts.axes import spread
from reports.charts.canvas import NARROW, WIDE, Chart, Size
from reports.charts.freshness import binned
from reports.charts.heatmap import STEPS, grid_of
from reports.charts.pairs import quantile_ratios
from reports.charts.timeline import flows
from reports.measures.fairness import client_means
from reports.measures.histograms import EVERY_PHASE, histogram_of
from reports.measures.registry import measure
from reports.run_frames import RunFrames, read_run

Make = Callable[..., RunFrames]
OF_A_RUN = (
    charts.run_timeline,
    charts.latency_heatmap,
    charts.percentile_spectrum,
    charts.latency_by_stage,
    charts.latency_by_family,
    charts.fanout_skew,
    charts.staleness_over_time,
    charts.fairness_by_arrival,
    charts.dead_peer_times,
    charts.auth_cases,
    charts.memory_per_client,
    charts.delivery_ledger,
    charts.storm_recovery,
    charts.drain_course,
)


def texts(axes: Axes) -> list[str]:
    return [text.get_text() for text in axes.texts]


@pytest.fixture(scope="module")
def drawn(full_run: RunFrames) -> dict[str, Chart]:
    return {chart.key: chart for chart in (draw(full_run) for draw in OF_A_RUN)}


def test_the_timeline_counts_every_process_together(
    full_run: RunFrames, drawn: dict[str, Chart]
) -> None:
    panels = {axes.get_title(loc="left"): axes for axes in drawn["timeline"].figure().axes}
    clients = line_named(panels["clients"], "_clients")
    assert ys(clients) == [clients_at(second) for second in range(112)]
    assert ys(line_named(panels["offered and sent per second"], "offered"))[50] == 16 + 41
    missed = line_named(panels["errors and missed per second"], "missed")
    assert [second for second, count in enumerate(ys(missed)) if count] == list(STOLEN_S)
    assert "Up to 1,500 clients" in drawn["timeline"].title
    assert "0 errors, 6 missed" in drawn["timeline"].title


def test_dirty_seconds_are_striped_in_every_panel(drawn: dict[str, Chart]) -> None:
    for axes in drawn["timeline"].figure().axes:
        striped = [
            axes.transData.inverted().transform_bbox(patch.get_extents())
            for patch in axes.patches
            if patch.get_hatch()
        ]
        for second in STOLEN_S:
            assert any(area.x0 <= second + 0.01 and area.x1 >= second + 0.99 for area in striped), (
                second
            )


def test_commands_are_named_on_the_timeline(drawn: dict[str, Chart]) -> None:
    first = drawn["timeline"].figure().axes[0]
    assert {"drop", "terminate"} <= set(texts(first))


def test_a_long_run_s_timeline_keeps_its_errors(full_run: RunFrames) -> None:
    few = flows(full_run, most=10)
    assert len(few) <= 10
    assert few["missed"].sum() == full_run["timeline"]["missed"].sum()


def test_the_heatmap_s_columns_hold_all_of_their_second(full_run: RunFrames) -> None:
    histogram = histogram_of(full_run, Series.PUSH, EVERY_PHASE)
    cells = grid_of(histogram, columns=112, bands_a_decade=16)
    filled = histogram.counts.sum(axis=1) > 0
    assert cells.shares.sum(axis=1)[filled] == pytest.approx(1.0)
    assert cells.shares[~filled].sum() == 0
    assert cells.edges_ns[0] <= histogram.floors[0]
    assert cells.edges_ns[-1] >= histogram.tops[-1]
    assert (np.diff(cells.starts_s) == 1).all()


def test_the_heatmap_is_at_most_one_path_a_shade(drawn: dict[str, Chart]) -> None:
    (axes,) = drawn["latency-heatmap"].figure().axes
    paths = [patch for patch in axes.patches if isinstance(patch, PathPatch)]
    assert 1 < len(paths) <= len(STEPS)
    assert "limit on p99: 25 ms" in texts(axes)


def test_the_heatmap_s_title_is_the_budget_s_own_figure(
    full_run: RunFrames, drawn: dict[str, Chart]
) -> None:
    found = measure(full_run, "push", "p99")
    title = drawn["latency-heatmap"].title
    assert title.startswith(f"Push p99 was {quantities.span(found.value)} in the steady phase")
    assert f"95 %: {quantities.span(found.low)} to {quantities.span(found.high)}" in title
    assert f"n = {found.n:,}" in title


def test_the_spectrum_s_band_holds_the_curve(drawn: dict[str, Chart]) -> None:
    (axes,) = drawn["latency-by-percentile"].figure().axes
    curve = line_named(axes, "push")
    band = next(each for each in axes.collections if each.get_label() == "_push band")
    (path,) = band.get_paths()
    points = np.asarray(path.vertices)
    middle = np.interp(2.0, xs(curve), ys(curve))
    at_p99 = points[np.isclose(points[:, 0], 2.0)][:, 1]
    assert at_p99.min() <= middle <= at_p99.max()
    assert axes.get_xlim()[1] >= 4.0


def test_stages_are_told_in_their_order_on_one_scale(drawn: dict[str, Chart]) -> None:
    chart = drawn["latency-by-stage"]
    assert chart.table is not None
    assert list(chart.table["stage"]) == [
        "whole push", "accept", "gateway and kernel", "read",
    ]  # fmt: skip
    (axes,) = chart.figure().axes
    dot = line_named(axes, "_accept p50")
    assert xs(dot) == [chart.table["p50_ns"][1]]
    assert "The slowest stage at p99 is gateway and kernel" in chart.title


def test_each_kind_of_stream_has_its_row(drawn: dict[str, Chart]) -> None:
    chart = drawn["latency-by-stream"]
    assert chart.table is not None
    assert list(chart.table["stream"]) == ["price", "ticker", "trading", "user"]
    assert chart.title.startswith("The slowest streams at p99 are trading")


def test_skew_and_staleness_print_n_and_interval(
    full_run: RunFrames, drawn: dict[str, Chart]
) -> None:
    for key, metric in (("fan-out-skew", "fanout.skew"), ("staleness", "staleness")):
        found = measure(full_run, metric, "p99")
        assert f"n = {found.n:,}" in drawn[key].title
        assert quantities.span(found.value) in drawn[key].title


def test_fairness_bins_hold_every_client_once(full_run: RunFrames, drawn: dict[str, Chart]) -> None:
    bins = binned(client_means(full_run))
    assert bins["clients"].sum() == 1_400
    assert (bins["first place"].to_numpy()[1:] > bins["last place"].to_numpy()[:-1]).all()
    assert drawn["fairness"].title.startswith(
        "Late joiners are served later than early ones (rank correlation +0"
    )


def test_dead_peers_stand_beside_their_band(drawn: dict[str, Chart]) -> None:
    chart = drawn["dead-peers"]
    (axes,) = chart.figure().axes
    bands = {bar.get_x(): bar.get_x() + bar.get_width() for bar in axes.patches}  # type: ignore[attr-defined]  # bars are rectangles
    assert bands == {25.0: 45.0, 20.0: 45.0, 5.0: 12.0}
    assert xs(line_named(axes, "_late 2")) == [18.0]
    assert len(xs(line_named(axes, "_in its band 0"))) == 10
    assert chart.title.startswith("29 of 30 dead peers detected in time")
    assert chart.title.endswith("; 1 late")


def test_a_wrong_answer_to_a_token_is_told_and_marked(drawn: dict[str, Chart]) -> None:
    chart = drawn["auth"]
    assert chart.title == "1 wrong code in 181 attempts (9 cases)"
    (axes,) = chart.figure().axes
    hatched = [bar for bar in axes.patches if bar.get_hatch() and bar.get_width() > 0]  # type: ignore[attr-defined]  # bars are rectangles
    assert len(hatched) == 1


def test_the_staircase_has_five_levels_beside_their_line(drawn: dict[str, Chart]) -> None:
    course, fit = drawn["memory"].figure().axes
    assert sum(line.get_label() == "_level" for line in course.lines) == 5
    assert xs(line_named(fit, "_points")) == [300, 600, 900, 1_200, 1_500]
    (x0, x1), (y0, y1) = xs(line_named(fit, "fit")), ys(line_named(fit, "fit"))
    assert (y1 - y0) / (x1 - x0) * (1 << 20) == pytest.approx(BYTES_PER_CLIENT, rel=0.01)


def test_cycles_show_what_stays(cycles_run: RunFrames) -> None:
    chart = charts.leak_cycles(cycles_run)
    (axes,) = chart.figure().axes
    assert xs(line_named(axes, "_levels")) == list(range(1, CYCLES + 1))
    slope = np.diff(ys(line_named(axes, "fit")))[0] / (CYCLES - 1) * (1 << 20) / 200
    assert slope == pytest.approx(BYTES_PER_CYCLE, rel=0.1)
    assert chart.title.startswith("Each client leaves ")


def test_few_cycles_are_drawn_without_a_line(tmp_path: Path) -> None:
    run = read_run(make_cycles_run(tmp_path / "few", cycles=3))
    chart = charts.leak_cycles(run)
    (axes,) = chart.figure().axes
    assert "fit" not in [line.get_label() for line in axes.lines]
    assert chart.title == "Too few cycles for a leak rate: 3 cycles, and a slope needs 10"


def test_the_ledger_s_bars_are_shares_of_what_was_owed(drawn: dict[str, Chart]) -> None:
    chart = drawn["ledger"]
    (axes,) = chart.figure().axes
    assert chart.table is not None
    widths = [bar.get_width() for bar in axes.patches]  # type: ignore[attr-defined]  # bars are rectangles
    assert sum(widths) == pytest.approx(len(chart.table) - 1)
    assert chart.table.iloc[-1]["owed"] == chart.table.iloc[:-1]["owed"].sum()
    assert chart.title.startswith("No delivery was lost or wrong; ")


def test_what_went_wrong_is_in_the_ledger_s_title(run_with: Make) -> None:
    def change(tables: Tables) -> None:
        tables["ledger"].append(ledger_row("price:SYM007/USDT", "subscriber", 10, lost=3))

    chart = charts.delivery_ledger(run_with(change=change))
    assert chart.title.startswith("Wrong deliveries: 3 lost; ")
    assert any("3 wrong" in words for words in texts(chart.figure().axes[0]))


def test_isolation_is_an_answer_without_a_picture(full_run: RunFrames) -> None:
    chart = charts.isolation(full_run)
    assert chart.draw is None
    assert not chart.is_absent
    assert chart.table is not None
    assert list(chart.table["events"]) == [0, 0, 0]
    assert chart.title.startswith("No event reached the wrong user")


def test_a_leak_is_told_with_who_received_it(run_with: Make) -> None:
    def change(tables: Tables) -> None:
        tables["events"].append(
            event_row(9_000_000_000, Event.LEAK, str(LeakOutcome.FOREIGN), group="trader")
        )

    chart = charts.isolation(run_with(change=change))
    assert chart.title == "1 event reached the wrong user: 1 private to another user"
    assert chart.table is not None
    assert "… received by trader" in list(chart.table.iloc[:, 0])


def test_a_storm_is_marked_where_the_measures_say(
    full_run: RunFrames, drawn: dict[str, Chart]
) -> None:
    (axes,) = drawn["storm"].figure().axes
    marks = line_named(axes, "_back marks")
    back_ns = [
        measure(full_run, "storm.back", share).value for share in ("p50", "p95", "p99", "max")
    ]
    assert xs(marks) == pytest.approx([(each or 0) / 1e9 for each in back_ns])
    assert ys(marks) == [0.5, 0.95, 0.99, 1.0]
    assert f"{MEMBERS} dropped clients back" in drawn["storm"].title
    assert drawn["storm"].title.endswith("250 attempts")


def test_a_drain_ends_with_the_gateway_s_exit(drawn: dict[str, Chart]) -> None:
    (axes,) = drawn["drain"].figure().axes
    assert xs(line_named(axes, "_gateway's exit"))[0] == pytest.approx(1.9)
    assert "1,400 clients notified" in drawn["drain"].title
    assert "gateway exit after 1.90 s" in drawn["drain"].title


@pytest.mark.parametrize("slower", [1.0, 1.5])
def test_a_pair_of_runs_shows_how_much_slower_the_head_is(
    full_run: RunFrames, tmp_path: Path, slower: float
) -> None:
    head = read_run(make_full_run(tmp_path / "head", seed=8, slower=slower))
    ratios = quantile_ratios(full_run, head, "push")
    assert [ratio.quantile for ratio in ratios][-1] == 0.9999
    for ratio in ratios[:5]:
        assert ratio.value == pytest.approx(slower, rel=0.1)
        assert ratio.low <= ratio.value <= ratio.high
    chart = charts.compare_quantiles(full_run, head)
    assert ("No visible difference" in chart.title) == (slower == 1.0)
    _, lower = chart.figure().axes
    assert ys(line_named(lower, "_ratio")) == [ratio.value for ratio in ratios]


@pytest.mark.parametrize("size", [WIDE, NARROW], ids=lambda size: size.name)
def test_every_picture_is_well_formed_and_has_its_table(
    drawn: dict[str, Chart], size: Size
) -> None:
    for chart in drawn.values():
        svg = chart.svg(size)
        ET.fromstring(svg)  # noqa: S314 - our own picture
        assert len(svg) < 150_000, chart.key
        assert chart.table is not None, chart.key
        assert 0 < len(chart.table) <= 60, chart.key
        bare = re.sub(r"var\(--[a-z]+, #[0-9a-f]{6}\)", "", svg)
        assert set(re.findall(r"#[0-9a-f]{6}\b", bare)) == set(), chart.key


def test_a_run_without_tables_says_why_in_one_line_each(run_with: Make) -> None:
    run = run_with(without=["hist", "timeline", "server", "generator", "ledger", "events",
                            "clients", "sample"])  # fmt: skip
    for draw in (*OF_A_RUN, charts.leak_cycles, charts.isolation):
        chart = draw(run)
        assert chart.is_absent, chart.key
        assert "\n" not in chart.title
        assert chart.title


@given(st.lists(st.floats(0, 1), max_size=12), st.floats(0.01, 0.2))
def test_labels_are_moved_apart_and_keep_their_order(places: list[float], gap: float) -> None:
    moved = spread(places, gap)
    assert len(moved) == len(places)
    ordered = [moved[index] for index in np.argsort(places, kind="stable")]
    assert all(b - a >= gap * 0.999 for a, b in pairwise(ordered))
    if places:
        assert np.mean(moved) == pytest.approx(np.mean(places), abs=1e-9)
