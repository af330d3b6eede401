"""Show a run's progress: a live panel on a terminal, plain lines elsewhere.

The figures come from ``logs/live.json``, their names from ``health.live_table``.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, Final, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from loadtests.health.live_table import (
    LiveReading,
    Part,
    describe,
    describe_nodes,
    describe_strains,
    offered_per_s,
    span,
)

PLAIN_EVERY_S: Final = 5.0
PANEL_COLUMNS: Final = 80
"""A narrower terminal shows a single line."""
WIDEST_PANEL: Final = 100
"""A wider panel would move figures too far from their names."""
_LEVELS: Final = "▁▂▃▄▅▆▇█"
_FRAME: Final = 4  # of a panel: two borders, two spaces
_MOST_NODES: Final = 8  # lines of the panel
_BAD: Final = "bold red"
_CURVE: Final = "cyan"


class Progress:
    """Shows the seconds of ``logs/live.json``. Use it as a context manager."""

    def __init__(self, console: Console, load_s: float) -> None:
        self.console = console
        self.load_s = load_s
        self._live = Live(console=console, auto_refresh=False, transient=True)
        self._last: Mapping[str, Any] = {}
        self._p99s_ns: deque[float | None] = deque(maxlen=WIDEST_PANEL)
        self._said_s = 0.0
        self._said_phase: object = None

    def __enter__(self) -> Self:
        """Start the live panel on a terminal."""
        if self.console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Remove the live panel."""
        self.end()

    def end(self) -> None:
        """Remove the live panel, so that another process can write to the terminal."""
        self._live.stop()

    def say(self, words: str) -> None:
        """Print a permanent line."""
        self.console.print(words, markup=False, highlight=False, soft_wrap=True)

    def show(self, live: Mapping[str, Any] | None) -> None:
        """Show the newest second, unless it was shown before."""
        if not live or live.get("t_s") == self._last.get("t_s"):
            return
        self._last = live
        self._p99s_ns.append(live.get("push_p99_ns"))
        if self.console.is_terminal:
            self._live.update(self._picture(live), refresh=True)
            return
        now_s = time.monotonic()
        if live.get("phase") != self._said_phase or now_s - self._said_s >= PLAIN_EVERY_S:
            self._said_s, self._said_phase = now_s, live.get("phase")
            self.say(describe_second(live, self.load_s))
            for line in describe_nodes(live):
                self.say(f"        {line}")

    def _picture(self, live: Mapping[str, Any]) -> RenderableType:
        if self.console.width < PANEL_COLUMNS:
            line = describe_second(live, self.load_s)
            return Text(line, overflow="ellipsis", no_wrap=True)
        width = min(self.console.width, WIDEST_PANEL)
        return draw_panel(live, tuple(self._p99s_ns), load_s=self.load_s, width=width)


def describe_second(live: Mapping[str, Any], load_s: float) -> str:
    """Return one second of a run as a line, without figures that were not measured.

    The most important figures come first, as 80 columns do not hold all.
    """
    parts = [f"{live['phase']:<7} {live['t_s']:3.0f} s of {load_s:.0f}"]
    if live.get("clients") is not None:
        parts.append(f"{live['clients']} clients")
    parts += [f"{live[name]} {name}" for name in ("errors", "missed") if live.get(name)]
    if live.get("push_p99_ns") is not None:
        p50_ms, p99_ms = live["push_p50_ns"] / 1e6, live["push_p99_ns"] / 1e6
        parts.append(f"push p50 {p50_ms:.1f} p99 {p99_ms:.1f} ms")
    for name, words in (
        ("heartbeats_missed", "heartbeats missed"),
        ("limits_wrong", "limit decisions wrong"),
    ):
        if live.get(name):
            parts.append(f"{live[name]} {words}")
    if live.get("strains"):
        parts.append(f"strained: {describe_strains(live)[0]}")
    offered = offered_per_s(live)
    if offered is not None:
        parts.append(f"{offered:,.0f}/s offered")
    parts.append(f"{live['received']:,}/s delivered")
    return "  ".join(parts)


def draw_panel(
    live: Mapping[str, Any], p99s_ns: Sequence[float | None], *, load_s: float, width: int
) -> Panel:
    """Return a second as a panel: progress, three columns of figures and the p99 curve.

    Args:
        live: the content of ``logs/live.json``.
        p99s_ns: push p99 of each second so far; None for a second without pushes.
        load_s: length of the run, seconds.
        width: in columns.
    """
    inside = width - _FRAME
    readings = describe(live)
    columns = Table.grid(expand=True, padding=(0, 0))
    cells: list[RenderableType] = []
    for part in Part:
        if cells:
            columns.add_column(width=2)
            cells.append("")
        columns.add_column(ratio=1)
        cells.append(_draw_part(part, [one for one in readings if one.part is part]))
    columns.add_row(*cells)
    rows: list[RenderableType] = [_draw_way(live, load_s), "", columns]
    nodes = describe_nodes(live)
    if nodes:
        rows += ["", *(Text(line, no_wrap=True) for line in nodes[:_MOST_NODES])]
    if nodes[_MOST_NODES:]:
        rows += [Text(f"and {len(nodes) - _MOST_NODES} more nodes", style="dim")]
    if any(p99s_ns):
        rows += ["", _draw_curve(p99s_ns, inside)]
    if live.get("strains"):
        words = "; ".join(describe_strains(live))
        rows += [Text(f"! the generator is strained: {words}", style=_BAD, no_wrap=True)]
    return Panel(Group(*rows), width=width, border_style="dim")


def _draw_way(live: Mapping[str, Any], load_s: float) -> Table:
    """Return the row of phase, bar and seconds."""
    row = Table.grid(expand=True, padding=(0, 1))
    row.add_column(width=7)
    row.add_column(ratio=1)
    row.add_column(no_wrap=True, justify="right")
    row.add_row(
        Text(str(live["phase"]), style="bold"),
        ProgressBar(
            total=load_s,
            completed=min(live["t_s"], load_s),
            complete_style=_CURVE,
            finished_style=_CURVE,
        ),
        f"{live['t_s']:.0f} of {load_s:.0f} s",
    )
    return row


def _draw_part(part: Part, readings: Sequence[LiveReading]) -> Table:
    table = Table.grid(expand=True)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True, justify="right")
    table.add_row(Text(str(part), style="bold"), "")
    for one in readings:
        # A bad figure has a sign too, for terminals without colour.
        text = Text(f"! {one.text}", style=_BAD) if one.is_bad else Text(one.text)
        table.add_row(Text(one.name, style="dim"), text)
    return table


def _draw_curve(p99s_ns: Sequence[float | None], width: int) -> Text:
    """Return the push p99 of the last seconds as bars, scaled to the highest."""
    room = width - len("push p99    up to 9,999.99 s")
    begun = next(index for index, value in enumerate(p99s_ns) if value)
    shown = list(p99s_ns)[begun:][-room:]
    top = max(value for value in [*shown, 1] if value)
    bars = "".join(
        " " if value is None else _LEVELS[min(int(value / top * len(_LEVELS)), len(_LEVELS) - 1)]
        for value in shown
    )
    words = Text("push p99  ", style="dim", no_wrap=True)
    return words.append(bars, style=_CURVE).append(f"  up to {span(top)}", style="dim")
