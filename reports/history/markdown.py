"""The trend of a run's figures as Markdown, for its summary and a comment."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from reports import quantities
from reports.history.rows import Row, group_of
from reports.history.screen import WIDTH, limit_words, newest_change, sparkline, still_words
from reports.history.trends import GroupTrends, is_still, trends_of
from reports.run_frames import RunFrames


def render_trend(run: RunFrames, rows: Sequence[Row], history: Path) -> list[str]:
    """Return the lines about the trend of a run's figures.

    Args:
        run: the run.
        rows: of the history, oldest first.
        history: the file, for the words.
    """
    group = group_of(run)
    found = next((one for one in trends_of(rows) if one.group == group), None)
    lines = ["", f"## Trend ({history.name})", ""]
    if found is None:
        words = "has no run of this load on this kind of machine; tidegate history add RUN adds one"
        return [*lines, f"{history.name} {words}."]
    return [*lines, *_table(found), *(["", *still_words(found)] if still_words(found) else [])]


def _table(found: GroupTrends) -> list[str]:
    lines = [
        f"| figure | newest | limit | last {WIDTH} runs | newest change |",
        "|---|--:|--:|---|---|",
    ]
    for trend in found.trends:
        if is_still(trend):
            continue
        newest = quantities.quantity(trend.newest.value, trend.newest.kind)
        bars = sparkline([figure.value for figure in trend.figures[-WIDTH:]])
        change = newest_change(trend)
        words = f"**regression**: {change}" if trend.regression else change
        cells = (f"`{trend.name}`", newest, limit_words(trend), f"`{bars}`", words)
        lines.append(f"| {' | '.join(cells)} |")
    return lines
