"""Whether a run's times can be believed: the generator's health, not the gateway's.

A broken check makes what was timed INVALID. What was counted still counts, and so does a time
that kept its limit with all in it that the host held up (``reports.decisions``).

Single seconds that the measuring machine spoilt (``reports.taint``) are left out of what is
timed, and of what is looked at here, as long as they are few; with many, nothing is left out
and that is a broken check itself.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import Final

import pandas as pd

from loadtests.results import Event, Phase, Series
from reports import intervals, quantities
from reports.measures.histograms import histogram_of
from reports.run_frames import RunFrames
from reports.taint import left_out, steady_seconds, tainted_percent, tainted_seconds
from scenarios.schema import LOOP_LAG_BESIDE_SHARE_MS, LOOP_LAG_STANDS_IN_MS

__all__ = ["Check", "check_validity", "gateway_died", "tainted_seconds"]

_MS: Final = 1_000_000
_SECOND_NS: Final = 1_000_000_000
_JUDGED_QUANTILE: Final = 0.99
_TOLD: Final = 3  # tainted seconds that are named; the report shades them all


@dataclass(frozen=True, kw_only=True)
class Check:
    """One condition of validity.

    Attributes:
        name: what is looked at.
        value: what was found, in ns where it is a span; None when there is no number.
        limit: what it must keep, in the same unit; None when it is shown and does not judge.
        ok: whether it held; None when it could not be told.
        why: in words.
        is_essential: whether times may not pass while it is unknown. What a machine cannot
            give at all is no reason to doubt what it gives.
        is_delay: whether the value is a delay (ns) that may have entered what was timed: it
            matters to a budget only where it is no trifle beside the budget's limit.
        is_about_times: whether it bears on times alone; the others bear on the whole run.
        only_lengthens: whether what it finds makes times longer and never shorter, and says
            nothing against the generator itself.
        lies_in_seconds: whether what it finds is over in the seconds that are left without the
            disturbed ones (``reports.standing``).
    """

    name: str
    value: float | None
    limit: float | None
    ok: bool | None
    why: str
    is_essential: bool = True
    is_delay: bool = False
    is_about_times: bool = True
    only_lengthens: bool = False
    lies_in_seconds: bool = False

    @property
    def words(self) -> str:
        """The check and what it found, in a line."""
        return f"{self.name}: {self.why}"


def check_validity(run: RunFrames) -> tuple[Check, ...]:
    """Return every check that applies to this run."""
    health, without = run.scenario.health, left_out(run)
    checks = [
        _check_tainted(run),
        *_check_generator(run, without),
        *_check_machine(run, without),
    ]
    if run.scenario.publish:
        limit_ms = health.publisher_delay_p99_ms
        checks += [
            _check_p99(run, Series.PUBLISH_DELAY, "publisher delay p99", limit_ms, without),
            _check_publisher(run),
        ]
    return (*checks, _check_processes(run), _check_gateway(run))


def _check_tainted(run: RunFrames) -> Check:
    """Hold the share of tainted seconds against its limit, and name the first few."""
    name, limit = "tainted seconds", run.scenario.health.tainted_percent
    if _steady_generator(run).empty:
        return _unknown(run, name, limit)
    tainted, held = tainted_seconds(run), steady_seconds(run)
    percent = tainted_percent(run, tainted)
    if tainted.empty:
        why = f"none of {quantities.counted(held, 'steady second')}"
        return Check(name=name, value=0, limit=limit, ok=True, why=why)
    told = [f"{row.t_s} s: {row.why}" for row in tainted.head(_TOLD).itertuples()]
    more = len(tainted) - len(told)
    told += [f"and {more} more"] if more else []
    ok = percent <= limit
    fate = "left out" if ok else f"more than the {limit:g} % that may be left out"
    words = f"{len(tainted)} of {quantities.counted(held, 'steady second')} {fate}"
    why = f"{words} ({', '.join(told)})"
    return Check(
        name=name,
        value=percent,
        limit=limit,
        ok=ok,
        why=why,
        only_lengthens=True,
        lies_in_seconds=True,
    )


def _check_generator(run: RunFrames, without: Collection[int]) -> list[Check]:
    """Its own share and the lag of its loop: neither sees what the other does."""
    health = run.scenario.health
    limit_ms = health.generator_share_p99_ms
    share = _check_p99(run, Series.GENERATOR_SHARE, "generator's own share p99", limit_ms, without)
    lag_ms = health.generator_loop_lag_p99_ms
    if lag_ms is None:
        is_measured = share.value is not None
        lag_ms = LOOP_LAG_BESIDE_SHARE_MS if is_measured else LOOP_LAG_STANDS_IN_MS
    lag = _check_p99(run, Series.LOOP_LAG, "generator loop lag p99", lag_ms, without)
    delay_limit_ms = health.schedule_delay_p99_ms
    delay = _check_p99(run, Series.SCHEDULE_DELAY, "schedule delay p99", delay_limit_ms, without)
    return [
        replace(share, is_essential=False),  # unknown: the loop lag judges, and is essential
        lag,
        replace(delay, is_essential=health.schedule_delay_p99_ms is not None),
    ]


def _check_p99(
    run: RunFrames, series: Series, name: str, limit_ms: float | None, without: Collection[int]
) -> Check:
    limit_ns = None if limit_ms is None else limit_ms * _MS
    histogram = histogram_of(run, series, (Phase.STEADY,), without=without)
    if not histogram.n:
        why = run.absences.get("hist") or f"no {series} was measured in the steady phase"
        return Check(name=name, value=None, limit=limit_ns, ok=None, why=why)
    value = intervals.quantile_of(histogram, _JUDGED_QUANTILE)
    return replace(_held(name, value, limit_ns, quantities.span), is_delay=True)


def _held(
    name: str, value: float, limit: float | None, say: Callable[[float | None], str]
) -> Check:
    """Hold a value against its limit; without one it is shown."""
    if limit is None:
        words = f"{say(value)}, shown and not judged"
        return Check(name=name, value=value, limit=None, ok=True, why=words)
    words = f"{say(value)}, allowed {say(limit)}"
    return Check(name=name, value=value, limit=limit, ok=value <= limit, why=words)


def _check_machine(run: RunFrames, without: Collection[int]) -> list[Check]:
    """CPU, wait for a core, the host's share and collections: the worst worker's."""
    health = run.scenario.health
    cores = int(run.manifest.part("host").get("cores") or 1)
    rows = _steady_generator(run)
    rows = rows[~rows["t_s"].isin(list(without))]
    wait, steal = health.generator_run_queue_percent, health.generator_steal_percent
    stolen = _check_share(run, rows, "steal_ns", "time the host took", steal, cores=cores)
    return [
        _check_share(run, rows, "cpu_ns", "generator CPU", health.generator_cpu_percent),
        _check_share(run, rows, "run_queue_ns", "generator's wait for a core", wait),
        replace(stolen, only_lengthens=True, lies_in_seconds=True),
        _check_core_wait(run, without),
        _check_pause(run, rows, health.generator_gc_pause_ms * _MS),
    ]


def _check_share(
    run: RunFrames,
    rows: pd.DataFrame,
    column: str,
    name: str,
    limit_percent: float,
    *,
    cores: int = 1,
) -> Check:
    """Hold a worker's mean over these seconds, in percent of that time, against a limit."""
    told = rows.dropna(subset=[column])
    if told.empty:
        return _unknown(run, name, limit_percent)
    means_ns = told.groupby("worker")[column].mean()
    percent = float(means_ns.max()) / (_SECOND_NS * cores) * 100
    return _held(name, percent, limit_percent, _percent)


def _check_core_wait(run: RunFrames, without: Collection[int]) -> Check:
    """Hold the gateway's mean wait for a core, of a second, against its limit."""
    name, limit = "gateway's wait for a core", run.scenario.health.gateway_core_wait_ms * _MS
    rows = run["server"]
    rows = rows[(rows["phase"] == str(Phase.STEADY)) & ~rows["t_s"].isin(list(without))]
    told = rows["core_wait_ns"].dropna()
    if told.empty:
        why = run.absences.get("server") or "it is not ours, or the kernel did not tell it"
        return Check(name=name, value=None, limit=limit, ok=None, why=why, is_essential=False)
    held = _held(name, float(told.mean()), limit, lambda wait: f"{quantities.span(wait)} a second")
    return replace(held, is_delay=True, only_lengthens=True)


def _check_pause(run: RunFrames, rows: pd.DataFrame, limit_ns: float) -> Check:
    name = "generator's longest garbage collection"
    if rows.empty:
        return _unknown(run, name, limit_ns)
    pauses = rows["gc_pause_max_ns"].dropna()
    if pauses.empty:
        return Check(name=name, value=0, limit=limit_ns, ok=True, why="there was none")
    return replace(_held(name, float(pauses.max()), limit_ns, quantities.span), is_delay=True)


def _steady_generator(run: RunFrames) -> pd.DataFrame:
    rows = run["generator"]
    return rows[rows["phase"] == str(Phase.STEADY)]


def _unknown(run: RunFrames, name: str, limit: float) -> Check:
    absent = run.absences.get("generator") or "this machine did not tell it"
    return Check(name=name, value=None, limit=limit, ok=None, why=absent, is_essential=False)


def _percent(value: float | None) -> str:
    return quantities.ABSENT if value is None else f"{value:.3g} %"


def _check_publisher(run: RunFrames) -> Check:
    publisher = run.manifest.part("publisher")
    status = publisher.get("status")
    if status == "complete":
        ok, why = True, f"published {quantities.count(publisher.get('published'))}"
    elif status == "lost":
        ok, why = False, "it ended unasked: what it still owed was never published"
    else:
        ok, why = None, f"it never said how it ended (status {status or 'unknown'})"
    return Check(name="publisher", value=None, limit=None, ok=ok, why=why, is_about_times=False)


def _check_processes(run: RunFrames) -> Check:
    rows = run["events"]
    lost = rows[rows["event"] == str(Event.LOST_PROCESS)]
    if run.absences.get("events"):
        why = run.absences["events"]
        return Check(name="processes", value=None, limit=0, ok=None, why=why, is_about_times=False)
    words = "; ".join(dict.fromkeys(lost["detail"].replace("", "a process was lost")))
    why = words or "none was lost"
    return Check(
        name="processes", value=len(lost), limit=0, ok=lost.empty, why=why, is_about_times=False
    )


def _check_gateway(run: RunFrames) -> Check:
    gateway = run.manifest.part("gateway")
    if not gateway:
        why = "not started by this run"
        return Check(name="gateway", value=None, limit=None, ok=True, why=why, is_about_times=False)
    died = gateway.get("status") == "died"
    why = f"it died unasked, exit code {gateway.get('exit_code')}" if died else "lived to the end"
    return Check(name="gateway", value=None, limit=None, ok=not died, why=why, is_about_times=False)


def gateway_died(run: RunFrames) -> bool:
    """Tell whether the embedded gateway died unasked, which has an exit code of its own."""
    return run.manifest.part("gateway").get("status") == "died"
