from __future__ import annotations

import re
from collections.abc import Callable
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from drawn_lines import line_named, xs, ys
from matplotlib.colors import to_hex
from synthetic_run import BYTES_PER_CLIENT, SMOKE, Tables, limit_row, span_rows

from loadtests.results import LimitOutcome, Phase, Series
from reports import charts, quantities
from reports.charts.canvas import NARROW, VARIABLES, WIDE, Chart, Size
from reports.charts.figures import MOST_POINTS, quantiles_over_time
from reports.charts.generator import cpu_shares
from reports.charts.limiter import accepted_in_window, event_limit
from reports.intervals import quantile_of
from reports.measures.histograms import histogram_of
from reports.run_frames import RunFrames
from reports.verdict import judge

Make = Callable[..., RunFrames]


def every_chart(run: RunFrames) -> list[Chart]:
    outcome = judge(run)
    return [
        charts.verdict_forest(outcome),
        charts.latency_over_time(run),
        charts.percentile_spectrum(run),
        charts.heartbeat_error(run),
        charts.limiter_decisions(run),
        charts.memory_per_client(run),
        charts.generator_health(run, outcome),
    ]


def test_latency_over_time_plots_each_second_s_quantiles(passing_run: RunFrames) -> None:
    push, ack = charts.latency_over_time(passing_run).figure().axes
    plotted = line_named(push, "p99")
    expected = quantiles_over_time(passing_run, Series.PUSH, (0.99,))
    assert ys(plotted) == expected[0.99].tolist()
    assert xs(plotted) == [s + 0.5 for s in range(5, 38)]
    assert push.get_ylabel() == "push latency"
    assert ack.get_xlabel() == "seconds since the start of the run"


def test_latency_s_title_tells_the_steady_p99_and_the_worst_second(run_with: Make) -> None:
    def change(tables: Tables) -> None:
        tables["hist"] += span_rows(Series.PUSH, 23, [40_000_000] * 150)

    run = run_with(change=change)
    p99 = quantile_of(histogram_of(run, Series.PUSH, (Phase.STEADY,)), 0.99)
    title = charts.latency_over_time(run).title
    assert title.startswith(f"Push p99 was {quantities.span(p99)} in the steady phase")
    assert title.endswith("the worst second was 40.0 ms, 23 s into the run")


def test_the_limit_is_drawn_where_the_scenario_puts_it(passing_run: RunFrames) -> None:
    push = charts.latency_over_time(passing_run).figure().axes[0]
    assert [10_000_000.0, 10_000_000.0] in [ys(line) for line in push.lines]
    assert "limit on p99: 10 ms" in [text.get_text() for text in push.texts]


def test_a_long_run_is_merged_to_a_bounded_number_of_points(run_with: Make) -> None:
    def change(tables: Tables) -> None:
        rows = span_rows(Series.PUSH, 20, [2_000_000] * 5)
        tables["hist"] += [{**row, "t_s": second} for row in rows for second in range(40, 2_500)]

    run = run_with(change=change)
    frame = quantiles_over_time(run, Series.PUSH, (0.5,))
    assert len(frame) <= MOST_POINTS
    assert frame["n"].sum() == histogram_of(run, Series.PUSH, tuple(Phase)).n


def test_the_spectrum_rises_and_ends_where_one_value_is_left(passing_run: RunFrames) -> None:
    (axes,) = charts.percentile_spectrum(passing_run).figure().axes
    curve = line_named(axes, "push")
    values = np.array(ys(curve))
    assert (np.diff(values) >= 0).all()
    histogram = histogram_of(passing_run, Series.PUSH, (Phase.STEADY,))
    assert values[-1] == histogram.tops[-1]
    assert xs(curve)[-1] == pytest.approx(np.log10(histogram.n))
    middle = np.interp(2.0, xs(curve), values)
    assert middle == pytest.approx(quantile_of(histogram, 0.99), rel=0.02)


def test_the_forest_puts_every_budget_at_its_share_of_the_limit(passing_run: RunFrames) -> None:
    outcome = judge(passing_run)
    (axes,) = charts.verdict_forest(outcome).figure().axes
    push = outcome.decisions[0].measurement
    assert push.value is not None
    point = line_named(axes, "push.p99 <= 10 ms")
    assert xs(point) == [push.value / 10_000_000]
    assert len(axes.get_yticklabels()) == 4


def test_the_heartbeat_chart_shows_seven_ticks(passing_run: RunFrames) -> None:
    chart = charts.heartbeat_error(passing_run)
    (axes,) = chart.figure().axes
    assert len(ys(line_named(axes, "worst"))) == 7
    assert chart.title.startswith("All 2,100 heartbeats arrived, 99 % within ")


def test_the_limiter_chart_climbs_to_60_and_marks_every_refusal(passing_run: RunFrames) -> None:
    chart = charts.limiter_decisions(passing_run)
    (axes,) = chart.figure().axes
    assert max(ys(line_named(axes, "accepted"))) == 60
    assert len(xs(line_named(axes, "refused (42)"))) == 42
    assert chart.title == (
        "Every decision was right: 60 events accepted, 42 refused at a limit of 60 in 60 s"
    )


def test_a_wrong_decision_is_marked_and_told(run_with: Make) -> None:
    def change(tables: Tables) -> None:
        tables["events"].append(limit_row(30_000_000_000, LimitOutcome.FALSE_ACCEPT))

    chart = charts.limiter_decisions(run_with(change=change))
    (axes,) = chart.figure().axes
    assert (xs(line_named(axes, "wrongly accepted (1)"))) == [30.0]
    assert max(ys(line_named(axes, "accepted"))) == 61
    assert chart.title.startswith("1 wrong decision: ")


def test_each_connection_of_a_user_has_a_window_of_its_own(run_with: Make) -> None:
    def change(tables: Tables) -> None:
        for row in tables["events"]:
            if row["event"] == "limit":
                row["detail"] = "connection 1"
        other = [dict(row) for row in tables["events"] if row["event"] == "limit"]
        tables["events"] += [{**row, "detail": "connection 2: user"} for row in other[:60]]

    chart = charts.limiter_decisions(run_with(change=change))
    (axes,) = chart.figure().axes
    assert max(ys(line_named(axes, "accepted"))) == 60
    assert chart.note.startswith("User vu-299, connection 1: ")
    assert "1 more connection not drawn" in chart.note


def test_an_accepted_event_leaves_the_window_exactly_when_it_is_over() -> None:
    at = np.array([59.9, 60.0, 60.1])
    assert accepted_in_window(np.array([0.0, 0.05]), at, 60.0).tolist() == [2, 1, 0]


def test_a_gateway_that_announces_no_limit_leaves_it_out(run_with: Make) -> None:
    run = run_with(manifest={"limits": {}})
    assert event_limit(run.manifest) is None
    assert "limit of" not in charts.limiter_decisions(run).title
    charts.limiter_decisions(run).figure()


def test_memory_s_points_and_line_are_those_of_the_ramp(passing_run: RunFrames) -> None:
    course, axes = charts.memory_per_client(passing_run).figure().axes
    assert len(xs(line_named(course, "_memory"))) == 39
    points = line_named(axes, "_points")
    assert xs(points) == [60, 120, 180, 240, 300]
    fit = line_named(axes, "fit")
    (x0, x1), (y0, y1) = xs(fit), ys(fit)
    assert (y1 - y0) / (x1 - x0) * (1 << 20) == pytest.approx(BYTES_PER_CLIENT, rel=0.02)


def test_cpu_is_in_cores(passing_run: RunFrames) -> None:
    shares = cpu_shares(passing_run)
    assert shares["gateway"]["cores"].mean() == pytest.approx(0.18, abs=0.02)
    assert shares["generator local"]["cores"].mean() == pytest.approx(0.31, abs=0.03)


def test_a_saturated_generator_is_said_in_the_title(run_with: Make) -> None:
    def change(tables: Tables) -> None:
        for second in range(8, 38):
            tables["hist"] += span_rows(Series.LOOP_LAG, second, [200_000_000] * 5)

    run = run_with(change=change)
    title = charts.generator_health(run, judge(run)).title
    assert title.startswith("The generator did not keep up, so times are not valid")


def test_every_chart_of_an_empty_run_says_why_and_draws_nothing(run_with: Make) -> None:
    names = ["hist", "timeline", "server", "generator", "ledger", "events", "sample"]
    for chart in every_chart(run_with(without=names)):
        assert chart.draw is None
        assert chart.title
        with pytest.raises(ValueError, match="nothing to draw"):
            chart.figure()


@pytest.fixture(scope="module")
def pictures(passing_run: RunFrames) -> dict[tuple[str, str], str]:
    """Every picture of the passing run, by its chart's key and its size's name."""
    shown = every_chart(passing_run)
    return {(chart.key, size.name): chart.svg(size) for chart in shown for size in (WIDE, NARROW)}


@pytest.mark.parametrize("size", [WIDE, NARROW], ids=lambda size: size.name)
def test_pictures_are_well_formed_repeatable_and_follow_the_page_s_colours(
    passing_run: RunFrames, pictures: dict[tuple[str, str], str], size: Size
) -> None:
    for chart in every_chart(passing_run):
        svg = pictures[chart.key, size.name]
        ET.fromstring(svg)  # noqa: S314 - our own picture
        assert svg == chart.svg(size)
        bare = re.sub(r"var\(--[a-z]+, #[0-9a-f]{6}\)", "", svg)
        assert set(re.findall(r"#[0-9a-f]{6}\b", bare)) == set()
        assert "<text" in svg
        assert "<metadata" not in svg
        assert "<style" not in svg


def test_ids_of_all_pictures_are_unique_and_every_reference_is_met(
    pictures: dict[tuple[str, str], str],
) -> None:
    text = "".join(pictures.values())
    ids = re.findall(r'\bid="([^"]+)"', text)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'(?:href="#|url\(#)([^")]+)', text)) <= set(ids)


def test_no_two_colours_of_the_palette_share_a_variable() -> None:
    assert len(set(VARIABLES.values())) == len(VARIABLES)
    assert all(to_hex(colour) == colour for colour in VARIABLES)


def test_a_notebook_shows_title_and_picture(passing_run: RunFrames) -> None:
    html = charts.memory_per_client(passing_run)._repr_html_()
    assert html.startswith("<p><strong>Each client costs 20.0 KB")
    assert "<svg" in html


def test_a_limit_far_below_everything_is_inside_the_heatmap(run_with: Make) -> None:
    scenario = SMOKE.read_text(encoding="utf-8").replace("push.p99 <= 10 ms", "push.p99 <= 1 us")
    chart = charts.latency_heatmap(run_with(scenario=scenario))
    assert chart.draw is not None
    (axes,) = chart.draw(WIDE).axes
    assert axes.get_ylim()[0] < 1_000 < axes.get_ylim()[1]
