"""The load generator's health: loop lag and CPU."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from loadtests.results import Series
from reports.believability import Check, CheckName
from reports.charts.axes import count_axis, name_lines, span_panel, time_axis
from reports.charts.canvas import BLUE, GREEN, ORANGE, PURPLE, Chart, Size, new_figure
from reports.charts.figures import quantiles_over_time, seconds_table
from reports.run_frames import RunFrames
from reports.verdict import RunVerdict

_NS_PER_S = 1_000_000_000
_DASHES = ("-", "--", ":", "-.")
_SAID = {
    CheckName.SHARE: "own share p99",
    CheckName.LOOP_LAG: "loop lag p99",
    CheckName.CPU: "CPU",
}
"""The checks of the generator, as its chart's title names them."""


def cpu_shares(run: RunFrames) -> dict[str, pd.DataFrame]:
    """Return CPU use by process, in columns ``t_s`` and ``cores``.

    The generator's rows hold the use of each second, the gateway's a running total.
    """
    shares = {}
    for worker, rows in run["generator"].groupby("worker"):
        cores = rows["cpu_ns"].astype(float) / _NS_PER_S
        shares[f"generator {worker}"] = pd.DataFrame({"t_s": rows["t_s"], "cores": cores})
    server = run["server"].dropna(subset=["cpu_ns"]).sort_values("t_s")
    if len(server) > 1:
        spent = server["cpu_ns"].astype(float).diff() / _NS_PER_S / server["t_s"].diff()
        shares["gateway"] = pd.DataFrame({"t_s": server["t_s"], "cores": spent}).dropna()
    return shares


def generator_health(run: RunFrames, outcome: RunVerdict) -> Chart:
    """Return the generator's loop lag with its limit, and the CPU of all processes."""
    lag = quantiles_over_time(run, Series.LOOP_LAG, (0.99, 1.0))
    shares = cpu_shares(run)
    key = "generator"
    if lag.empty and not shares:
        why = run.absences.get("generator") or "nothing was measured"
        return Chart(key, f"The generator's health is unknown: {why}", "")

    def draw(size: Size) -> Figure:
        figure, panels = new_figure(size, rows=2 if len(lag) and shares else 1)
        if len(lag):
            _draw_lag(panels[0], run, lag, _lag_check(outcome).limit)
        if shares:
            _draw_cpu(panels[-1], shares)
            time_axis(panels[-1], run)
        for axes in panels[:-1]:
            axes.set_xlabel("")
        return figure

    note = (
        "Loop lag: the delay of a timer that is due every 10 ms, on a logarithmic scale. CPU: 1 is "
        "one core used for the whole second."
    )
    return Chart(key, _title(outcome), note, draw, _table(run))


def _table(run: RunFrames) -> pd.DataFrame:
    """Return loop lag and the generator's own share of a push."""
    lag = seconds_table(run, Series.LOOP_LAG, (0.5, 0.99, 1.0)).drop(columns="n")
    share = seconds_table(run, Series.GENERATOR_SHARE, (0.99,)).drop(columns="n")
    table = lag.add_prefix("loop lag ").rename(columns={"loop lag t_s": "t_s"})
    shares = share.rename(columns={"p99_ns": "own share p99_ns"})
    return pd.DataFrame(table.merge(shares, on="t_s", how="left"))


def _draw_lag(axes: Axes, run: RunFrames, lag: pd.DataFrame, limit_ns: float | None) -> None:
    middle = lag["t_s"] + 0.5
    axes.plot(middle, lag[0.99], color=BLUE, linewidth=2, label="p99")
    axes.plot(middle, lag[1.0], ".", color=BLUE, markersize=3.5, label="worst")
    high = max(float(lag[1.0].max()), limit_ns or 0)
    span_panel(axes, run, "loop lag", (max(float(lag[0.99].min()) / 2, 1_000), high * 2), limit_ns)


def _draw_cpu(axes: Axes, shares: dict[str, pd.DataFrame]) -> None:
    colours = (GREEN, PURPLE, ORANGE, BLUE)
    for index, (name, frame) in enumerate(sorted(shares.items())):
        axes.plot(
            frame["t_s"] + 0.5, frame["cores"], color=colours[index % 4],
            linestyle=_DASHES[index % 4], linewidth=1.6, label=name,
        )  # fmt: skip
    count_axis(axes, "CPU, cores")
    name_lines(axes)


def _lag_check(outcome: RunVerdict) -> Check:
    return next(check for check in outcome.checks if check.name is CheckName.LOOP_LAG)


def _title(outcome: RunVerdict) -> str:
    """Return the first broken check of the generator, else its loop lag."""
    ours = [check for check in outcome.checks if check.name in _SAID]
    lag = next((check for check in ours if check.ok is False), _lag_check(outcome))
    told = {
        True: "The generator kept up",
        False: "The generator did not keep up, so times are not valid",
        None: "It is unknown whether the generator kept up",
    }[lag.ok]
    return f"{told}: {_SAID[lag.name]} {lag.why}" if lag.value is not None else f"{told}: {lag.why}"
