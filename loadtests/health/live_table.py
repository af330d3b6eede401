"""What ``logs/live.json`` says, in words: one list for the terminal and for Locust's page. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from loadtests.results import Strain

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


def describe(live: Mapping[str, Any]) -> tuple[LiveReading, ...]:
    """Return every figure of a second in the order in which it is shown."""
    return (*_describe_load(live), *_describe_gateway(live), *_describe_generator(live))


def offered_per_s(live: Mapping[str, Any]) -> float | None:
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


def _describe_load(live: Mapping[str, Any]) -> tuple[LiveReading, ...]:
    rows = (
        ("clients", _count(live, "clients"), "virtual users that hold a welcome", False),
        (
            "offered",
            _rate(offered_per_s(live)),
            "publications, requests and sessions whose time came",
            False,
        ),
        ("asked", _rate(live.get("requests")), "requests and sessions that began", False),
        ("delivered", _rate(live.get("received")), "events that virtual users received", False),
        (
            "errors",
            _count(live, "errors"),
            "failures so far that no scenario asked for",
            bool(live.get("errors")),
        ),
        (
            "missed",
            _count(live, "missed"),
            "actions due so far that were never sent",
            bool(live.get("missed")),
        ),
    )
    return _readings(Part.LOAD, rows)


def _describe_gateway(live: Mapping[str, Any]) -> tuple[LiveReading, ...]:
    silent, wrong = live.get("heartbeats_missed"), live.get("limits_wrong")
    decisions = ABSENT
    if live.get("limits_accepted") is not None:
        decisions = f"{live['limits_accepted']:,} / {live['limits_refused']:,}"
    rows = (
        ("push p50", span(live.get("push_p50_ns")), "half of the pushes were faster", False),
        ("push p99", span(live.get("push_p99_ns")), "99 of 100 pushes were faster", False),
        (
            "beats missed",
            _count(live, "heartbeats_missed"),
            "heartbeats missed so far",
            bool(silent),
        ),
        ("limit in / out", decisions, "abusers' events accepted and refused so far", False),
        (
            "limit wrong",
            _count(live, "limits_wrong"),
            "decisions so far that the rule forbids",
            bool(wrong),
        ),
        (
            "memory a client",
            _kilobytes(live.get("memory_per_client_bytes")),
            "gateway memory over its first reading, for each client",
            False,
        ),
    )
    return _readings(Part.GATEWAY, rows)


def describe_strains(live: Mapping[str, Any]) -> tuple[str, ...]:
    """Return each limit that the generator broke in a second, with its figure."""
    broken = live.get("strains") or ()
    return tuple(
        f"{name} {text}" for strain, name, text, _ in _generator_rows(live) if strain in broken
    )


def _generator_rows(live: Mapping[str, Any]) -> tuple[tuple[Strain, str, str, str], ...]:
    """Return each figure of the generator: the limit that it may break, name, text, meaning."""
    return (
        (
            Strain.SHARE,
            "own share p99",
            span(live.get("share_p99_ns")),
            "of a push, between kernel and user",
        ),
        (
            Strain.CPU,
            "CPU",
            _percent(live.get("cpu_percent")),
            "of one core, the busiest process",
        ),
        (
            Strain.CORE_WAIT,
            "core wait",
            _percent(live.get("run_queue_percent")),
            "time that it waited for a core",
        ),
        (
            Strain.STEAL,
            "stolen",
            _percent(live.get("steal_percent")),
            "of the machine's time, by its host",
        ),
        (
            Strain.COLLECTION,
            "longest GC",
            span(live.get("gc_pause_max_ns")),
            "garbage collection of this second",
        ),
    )


def _describe_generator(live: Mapping[str, Any]) -> tuple[LiveReading, ...]:
    broken = live.get("strains") or ()
    strained = f"{live['strained_s']:,} s" if live.get("strained_s") is not None else ABSENT
    words = "; ".join(describe_strains(live))
    rows = (
        *(
            (name, text, meaning, strain in broken)
            for strain, name, text, meaning in _generator_rows(live)
        ),
        (
            "strained",
            strained,
            words or "steady seconds so far in which the generator broke its limits",
            bool(broken),
        ),
    )
    return _readings(Part.GENERATOR, rows)


def _readings(part: Part, rows: tuple[tuple[str, str, str, bool], ...]) -> tuple[LiveReading, ...]:
    return tuple(
        LiveReading(part=part, name=name, text=text, meaning=meaning, is_bad=is_bad)
        for name, text, meaning, is_bad in rows
    )


def _count(live: Mapping[str, Any], name: str) -> str:
    return ABSENT if live.get(name) is None else f"{live[name]:,}"


def _rate(per_s: float | None) -> str:
    return ABSENT if per_s is None else f"{per_s:,.0f}/s"


def _percent(value: float | None) -> str:
    return ABSENT if value is None else f"{value:.0f} %"


def _kilobytes(value: float | None) -> str:
    return ABSENT if value is None else f"{value / _BYTES_PER_KB:,.1f} KB"
