"""``NodeTotals``: the figures of several nodes, as if they were one gateway. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

Figures = Mapping[str, Any]
"""The columns of ``server`` that were measured at one node."""

_GROWING: Final = ("cpu_ns", "instructions", "messages_out")
"""Columns that count from a process's start: they go on over a restart of a node."""
_ADDED: Final = (
    "clients",
    "rss_bytes",
    "pss_anon_bytes",
    "fds",
    "sessions",
    "queue_bytes",
    "tasks",
)
_WAIT: Final = "core_wait_ns"
_CPU: Final = "cpu_ns"


class NodeTotals:
    """Adds the figures of nodes, second by second.

    A column is absent where a node that answers does not tell it. All other columns are those of
    the worst node.

    Args:
        count: how many nodes there are.
    """

    def __init__(self, count: int) -> None:
        self._last: list[dict[str, int]] = [{} for _ in range(count)]
        self._before: list[dict[str, int]] = [{} for _ in range(count)]

    def add(self, nodes: Sequence[Figures]) -> dict[str, object]:
        """Return the columns of ``server`` for a second.

        Args:
            nodes: the figures of each node; empty for one that does not answer.
        """
        told = [figures for figures in nodes if figures]
        if not told:
            return {}
        columns = dict.fromkeys(column for figures in told for column in figures)
        ran_ns = [self._ran_ns(place, figures) for place, figures in enumerate(nodes)]
        found: dict[str, object] = {}
        for column in columns:
            values = [figures[column] for figures in told if figures.get(column) is not None]
            if column in _GROWING:
                grown = [self._grown(place, column, each) for place, each in enumerate(nodes)]
                found[column] = sum(grown)
            elif column == _WAIT:
                found[column] = _wait_for_strangers(nodes, ran_ns)
            elif column not in _ADDED:
                found[column] = max(values, default=None)
            elif len(values) == len(told):
                found[column] = sum(values)
        return found

    def _ran_ns(self, place: int, figures: Figures) -> int:
        """Return how long a node ran since the second before, ns."""
        now_ns, before_ns = figures.get(_CPU), self._last[place].get(_CPU)
        return 0 if now_ns is None or before_ns is None else max(0, now_ns - before_ns)

    def _grown(self, place: int, column: str, figures: Figures) -> int:
        """Return a node's count since the run's start, over the restarts of its process."""
        last, before = self._last[place], self._before[place]
        now = figures.get(column)
        if now is not None:
            if now < last.get(column, 0):
                before[column] = before.get(column, 0) + last[column]
            last[column] = now
        return before.get(column, 0) + last.get(column, 0)


def _wait_for_strangers(nodes: Sequence[Figures], ran_ns: Sequence[int]) -> int | None:
    """Return the longest wait of a node for a core, less the time that the other nodes ran.

    Nodes that share a core wait for each other, which is the gateway's own doing.
    """
    waits = [
        figures[_WAIT] - (sum(ran_ns) - ran_ns[place])
        for place, figures in enumerate(nodes)
        if figures.get(_WAIT) is not None
    ]
    return max(0, *waits) if waits else None
