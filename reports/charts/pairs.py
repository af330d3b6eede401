"""Two runs compared: a metric by percentile, and its ratio."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from reports import intervals, quantities
from reports.charts.axes import name_lines, span_axis
from reports.charts.canvas import BLUE, MUTED, ORANGE, Chart, Size, new_figure
from reports.charts.figures import MOST_POINTS, judged, merged, words
from reports.charts.latency import percentile_axis, spectrum_of
from reports.run_frames import RunFrames

_AT: Final = (0.5, 0.75, 0.9, 0.95, 0.99, 0.995, 0.999, 0.9999)
_DRAWS: Final = 400


@dataclass(frozen=True, kw_only=True)
class QuantileRatio:
    """Head over base at one quantile, with a 95 % interval."""

    quantile: float
    base_ns: float
    head_ns: float
    low: float
    high: float

    @property
    def value(self) -> float:
        """Head over base."""
        return self.head_ns / self.base_ns


def quantile_ratios(run_base: RunFrames, run_head: RunFrames, metric: str) -> list[QuantileRatio]:
    """Return head over base at the quantiles that both runs support.

    The interval is a moving-block bootstrap over the seconds of each run. It does not cover
    differences between two starts of the same gateway, so a verdict needs pairs of runs.

    Args:
        run_base: the run to compare with.
        run_head: the run that is compared.
        metric: a name of ``reports.measures.latency.SOURCES``.
    """
    base, head = (judged(run, metric) for run in (run_base, run_head))
    if not base.n or not head.n:
        return []
    carried = [q for q in _AT if min(base.n, head.n) >= intervals.samples_needed(q)]
    drawn = [
        intervals.drawn_quantiles(merged(each, MOST_POINTS), carried, seed=seed, draws=_DRAWS)
        for each, seed in ((base, 1), (head, 2))
    ]
    fewest = min(len(each) for each in drawn)  # draws without a value are dropped
    found = []
    for place, quantile in enumerate(carried):
        before, after = (intervals.quantile_of(each, quantile) for each in (base, head))
        ratios = drawn[1][:fewest, place] / drawn[0][:fewest, place]
        low, high = np.quantile(ratios, [0.025, 0.975])
        found.append(
            QuantileRatio(
                quantile=quantile, base_ns=before, head_ns=after, low=float(low), high=float(high)
            )
        )
    return found


def compare_quantiles(
    base: RunFrames,
    head: RunFrames,
    metric: str = "push",
    names: tuple[str, str] = ("base", "head"),
) -> Chart:
    """Return a metric of two runs by percentile, and head over base.

    Args:
        base: the run to compare with.
        head: the run that is compared.
        metric: a name of ``reports.measures.latency.SOURCES``.
        names: of base and head.
    """
    key = f"pair-{metric.replace('.', '-').replace('_', '-')}"
    ratios = quantile_ratios(base, head, metric)
    if not ratios:
        return Chart(
            key, f"No comparison of {words(metric)}: one of the runs has too few values", ""
        )
    curves = [spectrum_of(judged(run, metric)) for run in (base, head)]

    def draw(size: Size) -> Figure:
        figure, (upper, lower) = new_figure(size, rows=2)
        for curve, name, colour, dash in zip(
            curves, names, (MUTED, BLUE), ("--", "-"), strict=True
        ):
            upper.plot(curve["nines"], curve["value_ns"], color=colour, linestyle=dash, label=name)
        span_axis(upper, words(metric))
        _draw_ratios(lower, ratios, names)
        for axes in (upper, lower):
            percentile_axis(axes, sparse=size.is_narrow)
        upper.set_xlabel("")
        name_lines(upper, at_edge=False)
        return figure

    note = (
        "Above: both runs. Below: their ratio, with a 95 % interval from a bootstrap over each "
        "run's seconds. Differences between two starts of one gateway are not included."
    )
    return Chart(key, _title(metric, ratios, names), note, draw, _table(ratios, names))


def _draw_ratios(axes: Axes, ratios: list[QuantileRatio], names: tuple[str, str]) -> None:
    nines = [-np.log10(1 - ratio.quantile) for ratio in ratios]
    axes.axhline(1.0, color=ORANGE, linewidth=1.1, linestyle=(0, (5, 3)))
    axes.vlines(
        nines, [ratio.low for ratio in ratios], [ratio.high for ratio in ratios], color=BLUE,
        linewidth=2,
    )  # fmt: skip
    axes.plot(
        nines, [ratio.value for ratio in ratios], "o", color=BLUE, markersize=5, label="_ratio"
    )
    axes.set_ylabel(f"{names[1]} ÷ {names[0]}")
    axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.4g} ×"))


def _title(metric: str, ratios: list[QuantileRatio], names: tuple[str, str]) -> str:
    told = min(ratios, key=lambda ratio: abs(ratio.quantile - 0.99))
    name = f"p{told.quantile * 100:g}"
    spans = f"{quantities.span(told.base_ns)} → {quantities.span(told.head_ns)}"
    interval = f"95 %: {told.low:.2f} to {told.high:.2f}; {spans}"
    head = f"{words(metric).capitalize()} {name} of {names[1]} is {told.value:.2f} times {names[0]}"
    if told.low <= 1 <= told.high:
        head = f"No visible difference: {head[0].lower()}{head[1:]}"
    return f"{head} ({interval})"


def _table(ratios: list[QuantileRatio], names: tuple[str, str]) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "quantile": f"p{ratio.quantile * 100:.10g}",
                f"{names[0]}_ns": ratio.base_ns,
                f"{names[1]}_ns": ratio.head_ns,
                "ratio": ratio.value,
                "low": ratio.low,
                "high": ratio.high,
            }
            for ratio in ratios
        ]
    )
