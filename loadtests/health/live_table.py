"""What ``logs/live.json`` says, in words: one list for the terminal and for Locust's page. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final

from loadtests.results import Strain

Live = Mapping[str, Any]

ABSENT: Final = "–"
_NS_PER_MS: Final = 1_000_000
_NS_PER_S: Final = 1_000_000_000
_BYTES_PER_KB: Final = 1_024


class Part(StrEnum):
    """Whose figure it is."""

    LOAD = "load"
    GATEWAY = "gateway"
    GENERATOR = "generator"


@dataclass(frozen=True, kw_only=True, slots=True)
class LiveReading:
    """One figure of the newest second; ``is_bad`` where somebody should look.

    Attributes:
        part: whose it is.
        name: what was measured, at most 16 characters.
        text: the figure with its unit, a dash when it is absent.
        meaning: explanation for a first-time reader.
        is_bad: whether somebody should look.
    """

    part: Part
    name: str
    text: str
    meaning: str
    is_bad: bool = False


def describe(live: Live) -> tuple[LiveReading, ...]:
    """Return every figure of a second in the order in which it is shown."""
    broken = live.get("strains") or ()
    readings = [
        LiveReading(
            part=part,
            name=name,
            text=tell(live),
            meaning=meaning,
            is_bad=alarm in broken or bool(live.get(alarm)),
        )
        for part, rows in _ROWS.items()
        for name, tell, meaning, alarm in rows
    ]
    if broken:
        readings[-1] = replace(readings[-1], meaning="; ".join(describe_strains(live)))
    return tuple(readings)


def describe_nodes(live: Live) -> tuple[str, ...]:
    """Return a line for each node: clients, CPU, memory and push p50; none for one gateway."""
    nodes = live.get("nodes") or ()
    width = max((len(node["name"]) for node in nodes), default=0)
    return tuple(
        f"{node['name']:<{width}}  "
        + "  ".join(
            f"{name} {ABSENT if node.get(member) is None else show(node[member])}"
            for name, member, show in _OF_A_NODE
        )
        for node in nodes
    )


def describe_strains(live: Live) -> tuple[str, ...]:
    """Return each limit that the generator broke in a second, with its figure."""
    broken = live.get("strains") or ()
    rows = _ROWS[Part.GENERATOR]
    return tuple(f"{name} {tell(live)}" for name, tell, _, limit in rows if limit in broken)


def offered_per_s(live: Live) -> float | None:
    """Return what the scenario offers a second: publications, requests and sessions."""
    if live.get("offered") is None:
        return None
    return float(live["offered"]) + (live.get("published_per_s") or 0.0)


def span(span_ns: float | None) -> str:
    """Return a span as ``9.0 ms`` or ``1.25 s``, a dash when it is absent."""
    if span_ns is None:
        return ABSENT
    if span_ns < _NS_PER_S:
        return f"{span_ns / _NS_PER_MS:.1f} ms"
    return f"{span_ns / _NS_PER_S:,.2f} s"


_count: Final = "{:,}".format
_rate: Final = "{:,.0f}/s".format
_percent: Final = "{:.0f} %".format


def kilobytes(size_bytes: float) -> str:
    """Return a size as ``5.3 KB``."""
    return f"{size_bytes / _BYTES_PER_KB:,.1f} KB"


def _megabytes(size_bytes: float) -> str:
    return f"{size_bytes / _BYTES_PER_KB / _BYTES_PER_KB:,.0f} MB"


_OF_A_NODE: Final = (
    ("clients", "clients", _count),
    ("CPU", "cpu_percent", _percent),
    ("memory", "memory_bytes", _megabytes),
    ("push p50", "push_p50_ns", span),
)


def _shown(member: str, show: Callable[[Any], str]) -> Callable[[Live], str]:
    """Return a function that shows a member of ``live.json``, a dash when it is absent."""
    return lambda live: ABSENT if live.get(member) is None else show(live[member])


def _offered(live: Live) -> str:
    per_s = offered_per_s(live)
    return ABSENT if per_s is None else _rate(per_s)


def _decisions(live: Live) -> str:
    if live.get("limits_accepted") is None:
        return ABSENT
    return f"{live['limits_accepted']:,} / {live['limits_refused']:,}"


_ROWS: Final[Mapping[Part, tuple[tuple[str, Callable[[Live], str], str, str], ...]]] = {
    Part.LOAD: (
        ("clients", _shown("clients", _count), "virtual users that hold a welcome", ""),
        ("offered", _offered, "publications, requests and sessions whose time came", ""),
        ("asked", _shown("requests", _rate), "requests and sessions that began", ""),
        ("delivered", _shown("received", _rate), "events that virtual users received", ""),
        ("errors", _shown("errors", _count), "failures so far that no scenario asked for",
         "errors"),
        ("missed", _shown("missed", _count), "actions due so far that were never sent", "missed"),
    ),
    Part.GATEWAY: (
        ("push p50", _shown("push_p50_ns", span), "half of the pushes were faster", ""),
        ("push p99", _shown("push_p99_ns", span), "99 of 100 pushes were faster", ""),
        ("beats missed", _shown("heartbeats_missed", _count),
         "heartbeats missed so far", "heartbeats_missed"),
        ("limit in / out", _decisions, "abusers' events accepted and refused so far", ""),
        ("limit wrong", _shown("limits_wrong", _count),
         "decisions so far that the rule forbids", "limits_wrong"),
        ("memory a client", _shown("memory_per_client_bytes", kilobytes),
         "gateway memory over its first reading, for each client", ""),
    ),
    Part.GENERATOR: (
        ("own share p99", _shown("share_p99_ns", span),
         "of a push, between kernel and user", Strain.SHARE),
        ("CPU", _shown("cpu_percent", _percent), "of one core, the busiest process", Strain.CPU),
        ("core wait", _shown("run_queue_percent", _percent),
         "time that it waited for a core", Strain.CORE_WAIT),
        ("stolen", _shown("steal_percent", _percent),
         "of the machine's time, by its host", Strain.STEAL),
        ("longest GC", _shown("gc_pause_max_ns", span),
         "garbage collection of this second", Strain.COLLECTION),
        ("strained", _shown("strained_s", "{:,} s".format),
         "steady seconds so far in which the generator broke its limits", "strains"),
    ),
}  # fmt: skip
"""Name, function that returns the figure, meaning, and alarm: the member that is 0 or empty when
all is well, or the generator's limit. In the order in which they are shown."""
