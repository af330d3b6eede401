"""Whether a run's times can be believed: the generator's health, not the gateway's.

A broken check makes what was timed INVALID. What was counted still counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from loadtests.results import Event, Phase, Series
from reports import intervals, quantities
from reports.frames import RunFrames
from reports.metrics import histogram_of

_MS: Final = 1_000_000
_JUDGED_QUANTILE: Final = 0.99


@dataclass(frozen=True, kw_only=True)
class Check:
    """One condition of validity.

    Attributes:
        name: what is looked at.
        value: what was found, in ns where it is a span; None when there is no number.
        limit: what it must keep, in the same unit.
        ok: whether it held; None when it could not be told.
        why: in words.
    """

    name: str
    value: float | None
    limit: float | None
    ok: bool | None
    why: str


def check_validity(run: RunFrames) -> tuple[Check, ...]:
    """Return every check that applies to this run."""
    health = run.scenario.health
    checks = [
        _check_p99(
            run, Series.LOOP_LAG, "generator loop lag p99", health.generator_loop_lag_p99_ms * _MS
        )
    ]
    if run.scenario.publish:
        limit_ns = health.publisher_delay_p99_ms * _MS
        checks += [
            _check_p99(run, Series.PUBLISH_DELAY, "publisher delay p99", limit_ns),
            _check_publisher(run),
        ]
    return (*checks, _check_processes(run), _check_gateway(run))


def _check_p99(run: RunFrames, series: Series, name: str, limit_ns: float) -> Check:
    histogram = histogram_of(run, series, (Phase.STEADY,))
    if not histogram.n:
        why = run.absences.get("hist") or f"no {series} was measured in the steady phase"
        return Check(name=name, value=None, limit=limit_ns, ok=None, why=why)
    value = intervals.quantile_of(histogram, _JUDGED_QUANTILE)
    kept = value <= limit_ns
    words = f"{quantities.span(value)}, allowed {quantities.span(limit_ns)}"
    return Check(name=name, value=value, limit=limit_ns, ok=kept, why=words)


def _check_publisher(run: RunFrames) -> Check:
    publisher = run.manifest.part("publisher")
    status = publisher.get("status")
    if status == "complete":
        ok, why = True, f"published {quantities.count(publisher.get('published'))}"
    elif status == "lost":
        ok, why = False, "it ended unasked: what it still owed was never published"
    else:
        ok, why = None, f"it never said how it ended (status {status or 'unknown'})"
    return Check(name="publisher", value=None, limit=None, ok=ok, why=why)


def _check_processes(run: RunFrames) -> Check:
    rows = run["events"]
    lost = rows[rows["event"] == str(Event.LOST_PROCESS)]
    if run.absences.get("events"):
        return Check(name="processes", value=None, limit=0, ok=None, why=run.absences["events"])
    words = "; ".join(dict.fromkeys(lost["detail"].replace("", "a process was lost")))
    why = words or "none was lost"
    return Check(name="processes", value=len(lost), limit=0, ok=lost.empty, why=why)


def _check_gateway(run: RunFrames) -> Check:
    gateway = run.manifest.part("gateway")
    if not gateway:
        return Check(name="gateway", value=None, limit=None, ok=True, why="not started by this run")
    died = gateway.get("status") == "died"
    why = f"it died unasked, exit code {gateway.get('exit_code')}" if died else "lived to the end"
    return Check(name="gateway", value=None, limit=None, ok=not died, why=why)


def gateway_died(run: RunFrames) -> bool:
    """Tell whether the embedded gateway died unasked, which has an exit code of its own."""
    return run.manifest.part("gateway").get("status") == "died"
