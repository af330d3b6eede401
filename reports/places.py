"""Where the time of a push goes: accept, fan-out, kernel, collections, loop lag, host, reading.

A quantile of ``push`` is divided by what else the run measured:

1. **The middle**, up to the median, happens to every push. It is divided like the medians of its
   stages: accept, gateway to kernel, reading. Of the second, the mean time that the gateway's
   fan-out takes is fan-out, the rest kernel.
2. **The tail**, above the median, comes from pauses first: the longest garbage collection in the
   seconds of the slowest pushes, then the loop lag there beyond that collection and beyond what
   accepting and sending one event takes. The rest is divided like the tails of the stages.
3. **The host**: the share of the gateway's runnable time that it waited for a core in those
   seconds is taken from each part inside the gateway. Compared with a base, runnable time is
   CPU time × stretch, and grew by both. Mean CPU time × growth of the stretch is the host's. Mean
   stretch × growth of CPU time is the gateway's, since more work also waits more.
4. **The profiles** decide between accept, fan-out and loop lag where head and base have one: a
   push waits in the gateway for whatever keeps its loop busy, at whichever stage it stands. The
   time is divided by the samples that each place has in the head beyond the base. A profile shows
   a collection as the work that it interrupts. So collections get the share of loop lag that the
   longest collection has in the growth of the longest loop lag.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from loadtests.results import Series
from reports import intervals
from reports.believability import left_out
from reports.measures.histograms import STEADY, histogram_of
from reports.run_frames import RunFrames
from reports.slow_seconds import (
    LongestPauses,
    RunnableTime,
    longest_pauses,
    runnable_time,
    slow_seconds,
)
from reports.stack_counts import StackCounts

_MEDIAN: Final = 0.5


class TimePlace(StrEnum):
    """A place where the time of a push can go."""

    ACCEPT = "accept"
    FANOUT = "fan-out"
    KERNEL = "kernel"
    COLLECTIONS = "collections"
    LOOP = "loop lag"
    HOST = "host"
    READ = "reading"


MEANINGS: Final[Mapping[TimePlace, str]] = {
    TimePlace.ACCEPT: "from a publication's intended time to its number",
    TimePlace.FANOUT: "encoding, queueing and writing for each client",
    TimePlace.KERNEL: "from the gateway's write to the client's kernel",
    TimePlace.COLLECTIONS: "pauses of the gateway's garbage collector",
    TimePlace.LOOP: "other work that held the gateway's event loop",
    TimePlace.HOST: "the gateway waited for a core",
    TimePlace.READ: "inside the load generator",
}
_INSIDE: Final = (TimePlace.ACCEPT, TimePlace.FANOUT, TimePlace.COLLECTIONS, TimePlace.LOOP)
_BUSY: Final = (TimePlace.ACCEPT, TimePlace.FANOUT, TimePlace.LOOP)
"""The places between which profiles decide."""
_FILES: Final[Mapping[str, TimePlace]] = {
    "gateway/transport/fan_out.py": TimePlace.FANOUT,
    "gateway/transport/outbox.py": TimePlace.FANOUT,
    "gateway/transport/websocket.py": TimePlace.FANOUT,
    "gateway/transport/parcels.py": TimePlace.FANOUT,
    "gateway/transport/frames.py": TimePlace.FANOUT,
    "gateway/server/broadcast.py": TimePlace.ACCEPT,
    "gateway/publication.py": TimePlace.ACCEPT,
    "gateway/server/routes.py": TimePlace.ACCEPT,
    "aiohttp/web_protocol.py": TimePlace.ACCEPT,
}
"""The place of a stack: that of its innermost function in one of these files, else the loop."""
_LEAST_GROWTH: Final = 0.05
"""Fewer samples beyond the base, as a share of the head's, decide nothing."""
_SERIES: Final = {"push": Series.PUSH, "push_service": Series.PUSH_SERVICE}


@dataclass(frozen=True, slots=True)
class PushParts:
    """A quantile of a push, divided among places.

    Attributes:
        spans_ns: time at each place but the host, with the waits for a core that stretched it.
        pauses: the gateway's longest pauses.
        runnable: the gateway's runnable time.
    """

    spans_ns: Mapping[TimePlace, float]
    pauses: LongestPauses
    runnable: RunnableTime

    @property
    def whole_ns(self) -> float:
        """The quantile."""
        return sum(self.spans_ns.values())

    def places(self) -> dict[TimePlace, float]:
        """Return the time at each place, ns, the host's apart; the sum is the quantile."""
        return _with_host(self.spans_ns, self.runnable.waited)

    def beyond(self, base: PushParts) -> dict[TimePlace, float]:
        """Return how much longer than in the base a push was at each place, ns.

        A negative value is a place that got quicker. The sum is the difference of the quantiles.
        """
        longer = {place: span_ns - base.spans_ns[place] for place, span_ns in self.spans_ns.items()}
        return _with_host(longer, self.runnable.share_of_host(base.runnable))


def _with_host(spans_ns: Mapping[TimePlace, float], share: float) -> dict[TimePlace, float]:
    """Return spans whose parts inside the gateway give this share of them to the host."""
    found = {
        place: span_ns * ((1 - share) if place in _INSIDE else 1.0)
        for place, span_ns in spans_ns.items()
    }
    return {**found, TimePlace.HOST: sum(spans_ns.values()) - sum(found.values())}


def is_divisible(metric: str) -> bool:
    """Return whether the times of a metric can be divided among places."""
    return metric in _SERIES


def parts_of(run: RunFrames, metric: str, fraction: float) -> PushParts | None:
    """Return how long a push spent at each place.

    Args:
        run: the run.
        metric: ``push`` or ``push_service``.
        fraction: of the quantile, 0.99 for p99.

    Returns:
        None when the run has no pushes.
    """
    whole_ns = _quantile(run, _SERIES[metric], fraction)
    median_ns = _quantile(run, _SERIES[metric], _MEDIAN)
    if whole_ns is None or median_ns is None:
        return None
    middle_ns = min(median_ns, whole_ns)
    stages = _stages(run, metric, _MEDIAN)
    fanout_ns = _quantile(run, Series.GATEWAY_FANOUT, _MEDIAN)
    parts: dict[TimePlace, float] = {
        place: 0.0 for place in TimePlace if place is not TimePlace.HOST
    }
    for stage, span_ns in _divide(middle_ns, stages).items():
        parts[stage] += span_ns
    if fanout_ns is not None:
        parts[TimePlace.KERNEL] = max(0.0, parts[TimePlace.FANOUT] - fanout_ns)
        parts[TimePlace.FANOUT] -= parts[TimePlace.KERNEL]
    seconds = slow_seconds(run, _SERIES[metric], (middle_ns + whole_ns) / 2)
    own_ns = stages[TimePlace.ACCEPT] + (fanout_ns or stages[TimePlace.FANOUT])
    pauses = longest_pauses(run, seconds)
    rest_ns = _divide_pauses(pauses, parts, whole_ns - middle_ns, own_ns)
    tails = _stages(run, metric, fraction)
    more = {stage: max(0.0, span_ns - stages[stage]) for stage, span_ns in tails.items()}
    for stage, span_ns in _divide(rest_ns, more if sum(more.values()) else stages).items():
        parts[stage] += span_ns
    return PushParts(parts, pauses, runnable_time(run, seconds))


def divide_by_profiles(
    more: Mapping[TimePlace, float], base: StackCounts, head: StackCounts, collections: float
) -> dict[TimePlace, float]:
    """Return an excess whose part inside the gateway is divided by what grew in its profile.

    Args:
        more: the excess by place, ns, none below 0.
        base: the base's profile.
        head: the head's, of the same length.
        collections: their share of what loop lag grew, 0 to 1.
    """
    before, after = _samples(base), _samples(head)
    grew = {place: max(0, after[place] - before[place]) for place in _BUSY}
    total = sum(grew.values())
    if total < _LEAST_GROWTH * head.total:
        return dict(more)
    inside_ns = sum(more[place] for place in _BUSY)
    found = {**more, **{place: inside_ns * count / total for place, count in grew.items()}}
    collected_ns = found[TimePlace.LOOP] * collections
    found[TimePlace.LOOP] -= collected_ns
    found[TimePlace.COLLECTIONS] += collected_ns
    return found


def _samples(profile: StackCounts) -> Counter[TimePlace]:
    """Return the samples of each place."""
    found: Counter[TimePlace] = Counter()
    for stack, count in profile.stacks.items():
        files = (frame.rpartition("(")[2].rstrip(")") for frame in reversed(stack))
        place = next((_FILES[file] for file in files if file in _FILES), TimePlace.LOOP)
        found[place] += count
    return found


def _divide_pauses(
    pauses: LongestPauses, parts: dict[TimePlace, float], tail_ns: float, own_ns: float
) -> float:
    """Add to ``parts`` what pauses explain of a tail; return what they do not explain.

    Args:
        pauses: in the seconds of the slowest pushes.
        parts: time by place, ns.
        tail_ns: the tail.
        own_ns: how long accepting and sending one event holds the loop.
    """
    parts[TimePlace.COLLECTIONS] = min(tail_ns, pauses.collected_ns)
    tail_ns -= parts[TimePlace.COLLECTIONS]
    other_ns = pauses.lag_ns - pauses.collected_ns - own_ns
    parts[TimePlace.LOOP] = min(tail_ns, max(0.0, other_ns))
    return tail_ns - parts[TimePlace.LOOP]


def _stages(run: RunFrames, metric: str, fraction: float) -> dict[TimePlace, float]:
    """Return a quantile of each stage, ns. What goes to the kernel stands as fan-out."""
    accept_ns = _quantile(run, Series.ACCEPT, fraction) if metric == "push" else 0.0
    read_ns = _quantile(run, Series.GENERATOR_SHARE, fraction) or 0.0
    sent_ns = _quantile(run, Series.KERNEL, fraction)
    if sent_ns is None:  # no client's kernel stamped its reads
        service_ns = _quantile(run, Series.PUSH_SERVICE, fraction) or 0.0
        sent_ns = max(0.0, service_ns - read_ns)
    return {TimePlace.ACCEPT: accept_ns or 0.0, TimePlace.FANOUT: sent_ns, TimePlace.READ: read_ns}


def _divide(span_ns: float, sizes: Mapping[TimePlace, float]) -> dict[TimePlace, float]:
    """Return a span divided in proportion to sizes; all to the fan-out when they are 0."""
    total = sum(sizes.values())
    if not total:
        return {TimePlace.FANOUT: span_ns}
    return {place: span_ns * size / total for place, size in sizes.items()}


def _quantile(run: RunFrames, series: Series, fraction: float) -> float | None:
    histogram = histogram_of(run, series, STEADY, without=left_out(run))
    return intervals.quantile_of(histogram, fraction) if histogram.n else None
