"""The rows of the table: what each says, whom it is compared with, what it should be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from tests.benchmarks.transport.intervals import (
    Estimate,
    estimate_difference,
    estimate_median,
    estimate_ratio,
)

OURS: Final = "tidegate"
BASE: Final = "base"
"""The gateway of another checkout, which ours is divided by in every row."""
POPULATIONS: Final = {"few": 1_000, "many": 5_000, "most": 10_000}
Figures = dict[str, dict[str, list[float | None]]]
"""row key → peer key → one value a pair, None where there is none."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One question.

    Attributes:
        key: its name in JSON and on the command line.
        title: its words in the table; a population's name stands for its size.
        unit: behind the figures.
        cell: which cell answers it.
        digits: behind the point.
        against: the peer that ours is divided by; empty for a figure that stands by itself.
        is_difference: whether the other peer's figure is subtracted instead.
        goal: what the ratio, the difference or the figure should be; None for a row without goal.
        higher_is_better: which side of the goal is good.
        in_chart: whether it is drawn.
    """

    key: str
    title: str
    unit: str
    cell: str
    digits: int = 1
    against: str = ""
    is_difference: bool = False
    goal: float | None = None
    higher_is_better: bool = False
    in_chart: bool = False


ROWS: Final = (
    Row(
        key="delivered_per_s",
        title="{many} clients × 20/s offered: delivered",
        unit="/s",
        cell="many_x20",
        digits=0,
        against="node",
        goal=1.6,
        higher_is_better=True,
        in_chart=True,
    ),
    Row(
        key="cpu_us",
        title="{many} × 10/s: server CPU a message",
        unit="µs",
        cell="many_x10",
        digits=2,
        against="floor",
        goal=1.4,
        in_chart=True,
    ),
    Row(key="p50_1000_ms", title="{few} × 2/s: p50", unit="ms", cell="few_x2", against="node"),
    Row(
        key="p99_1000_ms",
        title="{few} × 2/s: p99",
        unit="ms",
        cell="few_x2",
        against="node",
        goal=0.3,
        in_chart=True,
    ),
    Row(key="p50_5000_ms", title="{many} × 4/s: p50", unit="ms", cell="many_x4", against="node"),
    Row(
        key="p99_5000_ms",
        title="{many} × 4/s: p99",
        unit="ms",
        cell="many_x4",
        against="node",
        goal=0.5,
        in_chart=True,
    ),
    Row(
        key="kb_a_client",
        title="{many} clients, 2 rooms, 3 messages sent: RSS a client",
        unit="KB",
        cell="arrive",
        goal=6.0,
        in_chart=True,
    ),
    Row(key="kb_connected", title="  of it: connected", unit="KB", cell="arrive", digits=2),
    Row(key="kb_rooms", title="  of it: two rooms", unit="KB", cell="arrive", digits=2),
    Row(key="kb_settled", title="  of it: ping, 1 s", unit="KB", cell="arrive", digits=2),
    Row(
        key="connects_per_s",
        title="connects with JWT",
        unit="/s",
        cell="arrive",
        digits=0,
        against="node",
        goal=2.0,
        higher_is_better=True,
        in_chart=True,
    ),
    Row(
        key="ping_p99_ms",
        title="ping → pong p99, {many} idle",
        unit="ms",
        cell="ping",
        digits=2,
        against="node",
        goal=1.0,
    ),
    Row(
        key="idle_percent",
        title="{most} idle: CPU of a core",
        unit="%",
        cell="idle",
        digits=2,
        goal=2.0,
    ),
    Row(key="cpu_1000_us", title="{few} × 20/s: CPU a message", unit="µs", cell="few_x20"),
    Row(key="cpu_10000_us", title="{most} × 2/s: CPU a message", unit="µs", cell="most_x2"),
    Row(
        key="growth",
        title="  {most} : {few} clients (linear: 1)",
        unit="×",
        cell="",
        digits=2,
    ),
    Row(
        key="loop_lag_ms",
        title="longest hold of the loop, {most} clients: largest lag",
        unit="ms",
        cell="own_metrics",
        goal=10.0,
    ),
    Row(
        key="fanout_hold_ms",
        title="  of it: longest slice of fan-out",
        unit="ms",
        cell="own_metrics",
    ),
    Row(
        key="gc_pause_ms",
        title="  of it: longest garbage collection, its bucket's upper end",
        unit="ms",
        cell="own_metrics",
    ),
)


def sized(row: Row, shrink: int) -> Row:
    """Return a row that names the numbers of clients, each divided by ``shrink``."""
    sizes = {name: f"{count // shrink:,}" for name, count in POPULATIONS.items()}
    return replace(row, title=row.title.format(**sizes))


def against_base(row: Row) -> Row:
    """Return a row that divides ours by that of the other checkout, without a goal."""
    return replace(row, against=BASE, goal=None)


GROWTH: Final = ("growth", "cpu_10000_us", "cpu_1000_us")


@dataclass(frozen=True, slots=True)
class Answer:
    """A row answered.

    Attributes:
        row: the question.
        by_peer: an estimate for each peer that has values.
        compared: ours against the row's peer, or our own figure; None without values.
        judgement: ``met``, ``missed``, ``undecided``, or empty where there is no goal.
    """

    row: Row
    by_peer: dict[str, Estimate]
    compared: Estimate | None
    judgement: str


def add_growth(figures: Figures) -> None:
    """Add the row that is made of two others: cost a message at 10,000 over that at 1,000."""
    growth, large, small = (figures.setdefault(key, {}) for key in GROWTH)
    for peer, values in large.items():
        pairs = zip(values, small.get(peer, []), strict=False)
        growth[peer] = [a / b if a and b else None for a, b in pairs]


def answer(row: Row, figures: Figures) -> Answer:
    """Bring a row's figures together."""
    values = figures.get(row.key, {})
    by_peer = {
        peer: estimate_median(present)
        for peer, given in values.items()
        if (present := [value for value in given if value is not None])
    }
    compared = _compare(row, values) if row.against else by_peer.get(OURS)
    return Answer(row, by_peer, compared, _judge(row, compared))


def _compare(row: Row, values: dict[str, list[float | None]]) -> Estimate | None:
    both = [
        (ours, theirs)
        for ours, theirs in zip(values.get(OURS, ()), values.get(row.against, ()), strict=False)
        if ours and theirs
    ]
    if not both:
        return None
    compare = estimate_difference if row.is_difference else estimate_ratio
    return compare([ours for ours, _ in both], [theirs for _, theirs in both])


def _judge(row: Row, compared: Estimate | None) -> str:
    """Say on which side of the goal the whole interval lies; a single value decides nothing."""
    if row.goal is None or compared is None:
        return ""
    if compared.low is None or compared.high is None:
        return "undecided"
    ends: Sequence[float] = (compared.low, compared.high)
    good = [end >= row.goal if row.higher_is_better else end <= row.goal for end in ends]
    return "met" if all(good) else "undecided" if any(good) else "missed"
