"""Reconnect storm: when the dropped clients were back, and when their prices were fresh."""

from __future__ import annotations

from matplotlib.figure import Figure

from loadtests.results import Event, Series
from reports import quantities
from reports.charts.canvas import BLUE, GREEN, Chart, Size
from reports.charts.curves import ArrivalCurve, curves_of, curves_table, draw_curves, told
from reports.measures.histograms import EVERY_PHASE, histogram_of
from reports.measures.registry import measure
from reports.run_frames import RunFrames


def storm_recovery(run: RunFrames) -> Chart:
    """Return the share of dropped clients that were back and fresh, over time since the drop."""
    came = histogram_of(run, Series.STORM_BACK, EVERY_PHASE).n
    missing = int(measure(run, "storm.not_back").value or 0)
    states = {"back": Series.STORM_BACK, "fresh": Series.STORM_FRESH}
    curves = curves_of(run, states, came + missing)
    key = "storm"
    if "back" not in curves:
        return Chart(key, f"No reconnect storm: {measure(run, 'storm.back', 'p99').why}", "")

    def draw(size: Size) -> Figure:
        colours = (BLUE, GREEN)
        return draw_curves(size, curves, colours, since="the drop", of="dropped clients")[0]

    note = (
        "Back: the next welcome. Fresh: the first market event after it. Dots: 50, 95, 99 and "
        "100 % of the dropped clients. All storms of the run are combined."
    )
    return Chart(key, _title(run, curves), note, draw, curves_table(curves))


def _title(run: RunFrames, curves: dict[str, ArrivalCurve]) -> str:
    back = curves["back"]
    words = f"{quantities.counted(back.whole, 'dropped client')} back: {told(back)}"
    if "fresh" in curves:
        words += f"; fresh: {told(curves['fresh'])}"
    rows = run["events"]
    tried = rows[rows["event"] == str(Event.ATTEMPT)]
    if len(tried):
        words += f"; {quantities.counted(len(tried), 'attempt')}"
    return words
