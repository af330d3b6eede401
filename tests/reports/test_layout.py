from __future__ import annotations

import io
from itertools import pairwise

import pytest
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from reports import charts
from reports.charts.canvas import NARROW, WIDE, Size, new_figure, new_pair
from reports.run_frames import RunFrames

SHARED = (
    charts.run_timeline,
    charts.latency_heatmap,
    charts.latency_by_stage,
    charts.memory_per_client,
    charts.fairness_by_arrival,
    charts.delivery_ledger,
    charts.auth_cases,
)
SLACK_PX = 0.6
SIZES = pytest.mark.parametrize("size", [WIDE, NARROW], ids=lambda size: size.name)


def drawn(figure: Figure) -> Figure:
    FigureCanvasSVG(figure).print_svg(io.StringIO())  # type: ignore[no-untyped-call]  # it is untyped
    return figure


@SIZES
@pytest.mark.parametrize("draw", SHARED, ids=lambda draw: draw.__name__)
def test_nothing_that_is_written_is_cut_by_the_edge(
    full_run: RunFrames, draw: object, size: Size
) -> None:
    chart = draw(full_run) if callable(draw) else None
    assert chart is not None
    figure = drawn(chart.figure(size))
    renderer = figure._get_renderer()  # type: ignore[attr-defined]  # as the layout itself does
    for axes in figure.axes:
        axes.set_in_layout(True)
        box = axes.get_tightbbox(renderer)  # Matplotlib's own account of all that is drawn
        assert box is not None
        assert box.x0 >= -SLACK_PX
        assert box.y0 >= -SLACK_PX
        assert box.x1 <= figure.bbox.x1 + SLACK_PX
        assert box.y1 <= figure.bbox.y1 + SLACK_PX


@SIZES
def test_panels_are_equally_large_and_stand_in_line_whatever_their_labels(size: Size) -> None:
    figure, panels = new_figure(size, rows=3)
    for axes, reach in zip(panels, (1, 1_000, 1_000_000), strict=True):
        axes.plot([0, reach], [0, reach])
        axes.set_ylabel("two\nlines" if reach == 1 else "one")
    boxes = [axes.bbox for axes in drawn(figure).axes]
    assert (
        len({(round(box.x0, 6), round(box.width, 6), round(box.height, 6)) for box in boxes}) == 1
    )
    for above, below in pairwise(boxes):
        assert above.y0 > below.y1


@SIZES
def test_a_pair_stands_side_by_side_where_it_is_wide(size: Size) -> None:
    first, second = (axes.bbox for axes in drawn(new_pair(size)[0]).axes)
    assert (first.width, first.height) == pytest.approx((second.width, second.height))
    assert bool(first.x1 < second.x0) is (size is WIDE)
    assert bool(first.y0 > second.y1) is (size is NARROW)


def test_panels_keep_a_fifth_of_a_figure_that_has_no_room_for_what_stands_around_them() -> None:
    figure, (axes,) = new_figure(Size("tiny", 1.0, 0.2, 12.0))
    axes.set_xlabel("taller than all")
    drawn(figure)
    assert axes.get_position().height == pytest.approx(0.2)
