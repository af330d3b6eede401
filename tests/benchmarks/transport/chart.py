"""The picture for the README: one small panel a row, one bar a peer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import matplotlib as mpl

from tests.benchmarks.transport.peers import Peer
from tests.benchmarks.transport.rows import OURS, Answer

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLUMNS: Final = 3
_OUR_COLOUR: Final = "#0b7285"
_THEIR_COLOUR: Final = "#adb5bd"
_INK: Final = "#343a40"


def draw(answers: Sequence[Answer], peers: Sequence[Peer], words: str, path: Path) -> bool:
    """Draw the rows that are meant for it, as SVG or PNG by the path's suffix.

    Returns:
        Whether there was anything to draw.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    drawn = [answer for answer in answers if answer.row.in_chart and answer.by_peer]
    if not drawn:
        return False
    rows = -(-len(drawn) // _COLUMNS)
    with mpl.rc_context({"svg.hashsalt": "tidegate", "font.size": 8}):
        figure = Figure(figsize=(10.5, 1.9 * rows + 0.7), layout="constrained")
        FigureCanvasAgg(figure)
        panels = figure.subplots(rows, _COLUMNS, squeeze=False).flat
        for panel, answer in zip(panels, drawn, strict=False):
            _draw_row(panel, answer, peers)
        for panel in list(panels)[len(drawn) :]:
            panel.set_axis_off()
        figure.suptitle("Tidegate beside its peers", x=0.01, ha="left", weight="bold", size=11)
        figure.supxlabel(words, x=0.01, ha="left", size=7, color=_INK)
        figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else {}, dpi=150)
    return True


def _draw_row(panel: Axes, answer: Answer, peers: Sequence[Peer]) -> None:
    shown = [peer for peer in peers if peer.key in answer.by_peer][::-1]
    row = answer.row
    for place, peer in enumerate(shown):
        estimate = answer.by_peer[peer.key]
        colour = _OUR_COLOUR if peer.key == OURS else _THEIR_COLOUR
        panel.barh(place, estimate.value, color=colour, height=0.7)
        end = estimate.value
        if estimate.low is not None and estimate.high is not None:
            panel.plot([estimate.low, estimate.high], [place, place], color=_INK, linewidth=1)
            end = max(end, estimate.high)
        panel.annotate(
            f"{estimate.value:,.{row.digits}f}",
            (end, place),
            xytext=(3, 0),
            textcoords="offset points",
            va="center",
            color=_INK,
            weight="bold" if peer.key == OURS else "normal",
        )
    better = "more is better" if row.higher_is_better else "less is better"
    panel.set_title(f"{row.title.strip()}\n{row.unit}, {better}", loc="left", size=8)
    panel.set_yticks(range(len(shown)), [peer.title for peer in shown])
    panel.tick_params(left=False, bottom=False, labelbottom=False)
    panel.spines[:].set_visible(False)
    panel.margins(x=0.2)
