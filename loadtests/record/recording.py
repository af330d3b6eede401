"""``Recorder``: writes one process's measurements to segments, in steps of one second.

The hot path appends to arrays, which become sparse histograms once a second. The stamp of a
value decides its phase and second, not the time of the flush.
``loadtests.record.finisher`` makes tables of the segments at the end.
"""

from __future__ import annotations

import zlib
from array import array
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import numpy as np

from loadtests.record.phases import SECOND_NS, PhaseTimes
from loadtests.record.second_seen import SecondSeen
from loadtests.record.segments import SegmentWriter, TableSink
from loadtests.record.tally import Integers, Tally, histogram_columns
from loadtests.results import MAX_VALUE_NS, TABLES, Event, Series

__all__ = ["SAMPLE_EVERY", "SECOND_NS", "PhaseTimes", "Recorder"]

SAMPLE_EVERY = 1_000
COUNTED = ("offered", "sent", "received", "bytes_received", "errors", "missed")

_Columns: TypeAlias = "tuple[array[int], array[int]]"


class Recorder:
    """One process's record of a run. It is not thread-safe: one event loop or hub calls it.

    Args:
        sink: a run directory, in which the recorder makes its own segments, or a sink for its
            rows.
        worker: the name of this process, unique in the run.
        t0_ns: the run's start on this process's clock.
        phases: the run's phases on this process's clock.
        from_ns: when this process begins to count, monotonic; None for the run's start.
    """

    def __init__(
        self,
        sink: Path | TableSink,
        *,
        worker: str,
        t0_ns: int,
        phases: PhaseTimes,
        from_ns: int | None = None,
    ) -> None:
        self.worker = worker
        self.t0_ns = t0_ns
        self.phases = phases
        self.writer: TableSink = SegmentWriter(sink, worker) if isinstance(sink, Path) else sink
        self.totals: Counter[str] = Counter()
        self.happened: Counter[tuple[str, str]] = Counter()
        """How many events were recorded so far, by event and outcome."""
        self._spans: defaultdict[tuple[Series, str], _Columns] = defaultdict(_empty_columns)
        self._counts: Counter[str] = Counter()
        self._counted_from_ns = t0_ns if from_ns is None else from_ns
        self._clients = 0
        self._slowest: tuple[int, dict[str, object]] | None = None
        self._sources: list[Callable[[], None]] = []
        self._flushing: Iterator[None] | None = None

    def span(self, series: Series, value_ns: int, at_ns: int) -> None:
        """Record a span. One that is negative or too long for a histogram is an error event.

        Args:
            series: what was measured.
            value_ns: the span; it is never clamped.
            at_ns: when it ended, monotonic.
        """
        if 0 <= value_ns <= MAX_VALUE_NS:
            moments, values = self._spans[series, ""]
            moments.append(at_ns)
            values.append(value_ns)
            return
        self.count("errors")
        words = "negative span" if value_ns < 0 else "span too long"
        self.event(Event.ERROR, at_ns=at_ns, outcome=words, detail=f"{series}: {value_ns} ns")

    def spans(self, series: Series, values_ns: Integers, at_ns: Integers, family: str = "") -> None:
        """Record many spans of a series at once, with the same checks as ``span``.

        Args:
            series: what was measured.
            values_ns: the spans.
            at_ns: when each ended, monotonic.
            family: first part of the id of their stream; empty for all others.
        """
        if not len(values_ns):
            return
        if values_ns.min() < 0 or values_ns.max() > MAX_VALUE_NS:
            good = (values_ns >= 0) & (values_ns <= MAX_VALUE_NS)
            for value_ns, moment_ns in zip(values_ns[~good], at_ns[~good], strict=True):
                self.span(series, int(value_ns), int(moment_ns))
            values_ns, at_ns = values_ns[good], at_ns[good]
        moments, values = self._spans[series, family]
        moments.frombytes(np.ascontiguousarray(at_ns, dtype=np.int64).tobytes())
        values.frombytes(np.ascontiguousarray(values_ns, dtype=np.int64).tobytes())

    def draw_from(self, source: Callable[[], None]) -> None:
        """Call ``source`` before each flush, so that it records what it holds. Idempotent."""
        if source not in self._sources:
            self._sources.append(source)

    def draw(self) -> None:
        """Call every source, so that it records what it holds."""
        for source in self._sources:
            source()

    def count(self, column: str, n: int = 1) -> None:
        """Add to a counter of the current second.

        Raises:
            ValueError: ``column`` is not a counter of the timeline.
        """
        if column not in COUNTED:
            raise ValueError(f"{column} is no counter; use one of {', '.join(COUNTED)}")
        self._counts[column] += n

    def clients(self, n: int) -> None:
        """Set how many virtual users are connected now."""
        self._clients = n

    def event(
        self,
        event: Event,
        *,
        at_ns: int,
        user: str = "",
        group: str = "",
        outcome: str = "",
        sent_ns: int | None = None,
        value_ns: int | None = None,
        detail: str = "",
    ) -> None:
        """Record a rare event as a row of ``events``.

        Args:
            event: what happened.
            at_ns: when, monotonic.
            user: the virtual user, empty when none.
            group: its group.
            outcome: how it ended.
            sent_ns: when it was sent, monotonic; None when it was not.
            value_ns: a span that belongs to it; None when none does.
            detail: a message for people.
        """
        self.happened[str(event), str(outcome)] += 1
        self.writer.row(
            "events",
            {
                "t_ns": at_ns - self.t0_ns,
                "worker": self.worker,
                "event": str(event),
                "user": user,
                "group": group,
                "outcome": outcome,
                "sent_ns": None if sent_ns is None else sent_ns - self.t0_ns,
                "value_ns": value_ns,
                "detail": detail,
            },
        )

    def sample(
        self,
        at_ns: int,
        user: str,
        stream: str,
        number: int,
        push_ns: int | None,
        push_service_ns: int,
    ) -> None:
        """Offer a delivery for the sample: 1 in 1,000 by hash, and the slowest of each second.

        Args:
            at_ns: read stamp, monotonic.
            user: the virtual user.
            stream: stream id.
            number: ``seq`` or ``userSeq``.
            push_ns: read stamp − ``srcTs``; None without ``srcTs``.
            push_service_ns: read stamp − ``ts``.
        """
        row: dict[str, object] = {
            "t_ns": at_ns - self.t0_ns,
            "worker": self.worker,
            "user": user,
            "stream": stream,
            "number": number,
            "push_ns": push_ns,
            "push_service_ns": push_service_ns,
        }
        slowness_ns = push_service_ns if push_ns is None else push_ns
        if self._slowest is None or slowness_ns > self._slowest[0]:
            self._slowest = slowness_ns, row
        if zlib.crc32(f"{stream}:{number}".encode()) % SAMPLE_EVERY == 0:
            self.writer.row("sample", {**row, "why": "hash"})

    def row(self, table: str, at_ns: int, values: dict[str, object]) -> None:
        """Record a row of a one-second table (server, generator).

        Args:
            table: its name.
            at_ns: gives the row's second and phase, monotonic.
            values: the other columns.
        """
        named = {"t_s": self._second(at_ns), "phase": str(self.phases.at(at_ns))}
        if any(column.name == "worker" for column in TABLES[table]):
            named["worker"] = self.worker
        self.writer.row(table, {**named, **values})

    def flush(self, now_ns: int) -> SecondSeen:
        """Write everything recorded since the last flush, and return its figures."""
        seen = self.begin_flush(now_ns)
        while self.flush_step():
            pass
        return seen

    def begin_flush(self, now_ns: int) -> SecondSeen:
        """Take everything recorded since the last flush, to be written in steps.

        An unfinished flush is finished first.

        Returns:
            The second; its figures are complete once ``flush_step`` returns False.
        """
        while self.flush_step():
            pass
        self.draw()
        seen = SecondSeen(now_ns, self._clients, Counter(self._counts))
        spans, self._spans = self._spans, defaultdict(_empty_columns)
        taken = [
            (series, family, _integers(moments), _integers(values))
            for (series, family), (moments, values) in spans.items()
            if moments
        ]
        for series, family, _, values_ns in taken:
            seen.add(series, values_ns, family)
        self._write_counts(now_ns)
        if self._slowest is not None:
            self.writer.row("sample", {**self._slowest[1], "why": "slow"})
            self._slowest = None
        self._flushing = self._write(taken, seen)
        return seen

    def flush_step(self) -> bool:
        """Do a short step of the flush. Returns whether there was one left."""
        if self._flushing is None:
            return False
        if next(self._flushing, self) is self:
            self._flushing = None
            return False
        return True

    def close(self, now_ns: int) -> None:
        """Flush and end the segments."""
        self.flush(now_ns)
        self.writer.close()

    def _second(self, at_ns: int) -> int:
        return (at_ns - self.t0_ns) // SECOND_NS

    def _write(
        self, taken: list[tuple[Series, str, Integers, Integers]], seen: SecondSeen
    ) -> Iterator[None]:
        """Write spans and rows. All histograms of one flush make one batch."""
        starts_ns, names = list(self.phases.starts_ns), [str(name) for name in self.phases.phases]
        tallies: list[tuple[Series, str, Tally]] = []
        for series, family, moments_ns, values_ns in taken:
            tally = Tally(moments_ns, values_ns, self.t0_ns, starts_ns)
            yield from tally.pieces()
            seen.keep(series, tally)
            tallies.append((series, family, tally))
            yield
        if tallies:
            self.writer.columns("hist", histogram_columns(tallies, self.worker, names))
            yield
        yield from self.writer.flush_in_steps()

    def _write_counts(self, now_ns: int) -> None:
        at_ns = self._counted_from_ns
        self._counted_from_ns = now_ns
        self.totals.update(self._counts)
        named: dict[str, object] = {column: self._counts[column] for column in COUNTED}
        self._counts.clear()
        self.row("timeline", at_ns, {"clients": self._clients, **named})


def _empty_columns() -> _Columns:
    return array("q"), array("q")


def _integers(column: array[int]) -> Integers:
    """Return an array's content without a copy; the array must not grow after that."""
    return np.frombuffer(column, dtype=np.int64)
