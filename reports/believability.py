"""Whether the times of a run can be believed.

A second is *dirty* when more than ``second_lost_percent`` of it was lost: to host steal, to waits
of the gateway or the generator for a core that other processes had, or to garbage collection in
the generator. The second after it is dirty too, because it reads delayed data. Times are judged
over the clean seconds. Where more than ``dirty_seconds_percent`` are dirty, no second is left
out, and a time is INVALID unless it keeps its upper limit over all seconds: losses only lengthen
times. A broken upper limit is a FAIL only if the seconds that lost less than the limit break it
as well. A generator or publisher that is late by its own doing (CPU, own share, loop lag,
publisher delay, in clean seconds; in all where none is clean) makes times INVALID. Counts are
never touched.

High latency never makes a second dirty, and neither does anything the gateway causes. The time
that its threads wait for each other is not counted (``server.core_wait_ns``). The generator can
wait for the gateway no longer than the gateway's CPU time; only the excess counts as lost. A
dirty second can hide a slow gateway second only if the two coincide.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import pandas as pd

from loadtests.results import Event, Phase, Series
from reports import intervals, quantities
from reports.measures.histograms import STEADY, histogram_of
from reports.remembering import once_a_run
from reports.run_frames import RunFrames
from scenarios.schema import GENERATOR_CPU_PERCENT

_MS: Final = 1_000_000
_SECOND_NS: Final = 1_000_000_000
LEAST_LOSS_NS: Final = 10 * _MS
"""A loss this short (1 % of a second, one tick of ``/proc/stat``) breaks no p99 by itself."""
_JUDGED_QUANTILE: Final = 0.99
_NAMED: Final = 3  # dirty seconds that a check names; the report shades them all
_LOOP_LAG_MS: Final = 250.0
"""Loop lag p99 that is allowed at least, beside a measured own share.

A burst to many users makes every loop late, so this is wide. It finds a generator that stood
still: one read then takes everything queued, and the kernel stamp is that of the last segment,
so the own share of two lost seconds reads as a few milliseconds.
"""
_LOOP_LAG_ALONE_MS: Final = 50.0
"""The same where no own share was measured."""


class CheckName(StrEnum):
    """What a check looks at, as ``verdict.json`` names it."""

    DIRTY = "dirty seconds"
    SHARE = "generator's own share p99"
    LOOP_LAG = "generator loop lag p99"
    CPU = "generator CPU"
    PUBLISHER_DELAY = "publisher delay p99"
    PUBLISHER = "publisher"
    PROCESSES = "processes"
    GATEWAY = "gateway"


_SERIES: Final = {
    CheckName.SHARE: Series.GENERATOR_SHARE,
    CheckName.LOOP_LAG: Series.LOOP_LAG,
    CheckName.PUBLISHER_DELAY: Series.PUBLISH_DELAY,
}
_ABOUT_THE_RUN: Final = (CheckName.PUBLISHER, CheckName.PROCESSES, CheckName.GATEWAY)
_ESSENTIAL: Final = (CheckName.LOOP_LAG, CheckName.PUBLISHER_DELAY, *_ABOUT_THE_RUN)


@dataclass(frozen=True, slots=True)
class Check:
    """One condition of a believable run.

    Attributes:
        name: what is looked at.
        value: what was found, in ns where it is a span; None when there is no number.
        limit: what it must keep, in the same unit; None when there is no number.
        ok: whether it held; None when that is unknown.
        why: in words.
    """

    name: CheckName
    value: float | None
    limit: float | None
    ok: bool | None
    why: str

    @property
    def is_about_times(self) -> bool:
        """Whether it bears on times alone; the others bear on the whole run."""
        return self.name not in _ABOUT_THE_RUN

    @property
    def is_delay(self) -> bool:
        """Whether the value is a delay (ns) that may be part of every measured time."""
        return self.name in _SERIES

    @property
    def is_essential(self) -> bool:
        """Whether no time passes while it is unknown. Some machines cannot tell the others."""
        return self.name in _ESSENTIAL

    @property
    def words(self) -> str:
        """The check and what it found, in a line."""
        return f"{self.name}: {self.why}"


def dirty_seconds(
    run: RunFrames, phases: tuple[Phase, ...] = STEADY, *, limit_ns: float = math.inf
) -> dict[int, str]:
    """Return the dirty seconds in rising order, each with the reason in words.

    Args:
        run: the run.
        phases: seconds of other phases are not returned.
        limit_ns: seconds that lost more than this (at least 10 ms) are dirty, too.
    """
    allowed, held_ns = run.scenario.health.second_lost_percent, max(limit_ns, LEAST_LOSS_NS)
    causes: dict[int, list[str]] = {}
    for words, cores, spans_ns in _losses(run):
        for second, span_ns in spans_ns.items():
            percent = 100 * span_ns / (_SECOND_NS * cores)
            if percent > allowed or span_ns > held_ns:
                causes.setdefault(second, []).append(words.format(percent))
    found = {second + 1: "the second before it was dirty" for second in causes}
    found |= {second: "; ".join(words) for second, words in causes.items()}
    held = _seconds_of(run, phases)
    return {second: found[second] for second in sorted(found) if second in held}


def dirty_percent(run: RunFrames, dirty: Collection[int]) -> float:
    """Return the share of the steady phase's seconds that are dirty, in percent."""
    held = _seconds_of(run, STEADY)
    return 100 * len(held.intersection(dirty)) / len(held) if held else 0.0


@once_a_run
def left_out(run: RunFrames) -> frozenset[int]:
    """Return the seconds that times leave out: the dirty ones, unless they are too many."""
    dirty = dirty_seconds(run)
    if dirty_percent(run, dirty) > run.scenario.health.dirty_seconds_percent:
        return frozenset()
    return frozenset(dirty)


@once_a_run
def _seconds_of(run: RunFrames, phases: tuple[Phase, ...]) -> frozenset[int]:
    wanted = [str(phase) for phase in phases]
    tables = (run["timeline"], run["generator"])
    return frozenset(
        second for rows in tables for second in rows.loc[rows["phase"].isin(wanted), "t_s"].tolist()
    )


@once_a_run
def _losses(run: RunFrames) -> tuple[tuple[str, int, Mapping[int, float]], ...]:
    """Return each cause of losses: its words, the cores it is summed over, ns by second."""
    cores = int(run.manifest.part("host").get("cores") or 1)
    generator, server = run["generator"], run["server"]
    held = "the gateway spent {:.3g} % of the second waiting for a core"
    waits = "the generator spent {:.3g} % of the second waiting for a core that other processes had"
    collections = "the generator spent {:.3g} % of the second collecting garbage"
    return (
        ("host steal {:.3g} % of the machine", cores, _worst(generator, "steal_ns")),
        (held, 1, _worst(server, "core_wait_ns")),
        (waits, 1, _generator_waits(run)),
        (collections, 1, _worst(generator, "gc_pause_max_ns")),
    )


def _worst(rows: pd.DataFrame, column: str) -> dict[int, float]:
    """Return each second's largest value over the processes that told one."""
    worst = rows.dropna(subset=[column]).groupby("t_s")[column].max()
    return dict(zip(worst.index.tolist(), worst.astype(float).tolist(), strict=True))


def _generator_waits(run: RunFrames) -> dict[int, float]:
    """Return the generator's waits for a core, less the CPU time of the gateway (ns by second).

    A gateway on another machine takes no core here. What an unknown gateway on this one takes
    is unknown, and then no wait counts.
    """
    waits = _worst(run["generator"], "run_queue_ns")
    if run.manifest.part("clock").get("same") is False:
        return waits
    told = run["server"].dropna(subset=["cpu_ns"]).sort_values("t_s")
    ran = (told["cpu_ns"].astype(float).diff() / told["t_s"].diff()).clip(lower=0)
    ran_ns = dict(zip(told["t_s"].tolist(), ran.tolist(), strict=True))
    return {second: max(0.0, wait - ran_ns.get(second, wait)) for second, wait in waits.items()}


def check_run(run: RunFrames) -> tuple[Check, ...]:
    """Return every check that applies to this run."""
    health, dirty = run.scenario.health, dirty_seconds(run)
    without = dirty if _seconds_of(run, STEADY).difference(dirty) else ()
    share = _check_p99(run, CheckName.SHARE, health.generator_share_p99_ms, without)
    least_ms = _LOOP_LAG_ALONE_MS if share.value is None else _LOOP_LAG_MS
    lag_ms = max(least_ms, health.generator_share_p99_ms)
    checks = [_check_dirty(run), share, _check_p99(run, CheckName.LOOP_LAG, lag_ms, without)]
    checks.append(_check_cpu(run, without))
    if run.scenario.publish:
        delay_ms = health.publisher_delay_p99_ms
        checks.append(_check_p99(run, CheckName.PUBLISHER_DELAY, delay_ms, without))
        checks.append(_check_publisher(run))
    return (*checks, _check_processes(run), _check_gateway(run))


def _check_dirty(run: RunFrames) -> Check:
    """Hold the share of dirty seconds against its limit, and name the first few."""
    limit = run.scenario.health.dirty_seconds_percent
    if _steady_rows(run).empty:
        return _unknown(run, CheckName.DIRTY, limit, "generator")
    dirty, steady = dirty_seconds(run), _seconds_of(run, STEADY)
    percent = dirty_percent(run, dirty)
    ok = percent <= limit
    count = quantities.counted(len(steady), "steady second")
    why = f"none of {count}"
    if dirty:
        named = [f"{second} s: {dirty[second]}" for second in list(dirty)[:_NAMED]]
        named += [f"and {len(dirty) - _NAMED} more"] if len(dirty) > _NAMED else []
        fate = "left out" if ok else f"are dirty, more than the allowed {limit:g} %"
        why = f"{len(dirty)} of {count} {fate} ({', '.join(named)})"
    return Check(CheckName.DIRTY, percent, limit, ok, why)


def _check_p99(run: RunFrames, name: CheckName, limit_ms: float, without: Collection[int]) -> Check:
    series = _SERIES[name]
    histogram = histogram_of(run, series, STEADY, without=without)
    if not histogram.n:
        measured_none = f"no {series} was measured in the steady phase"
        return _unknown(run, name, limit_ms * _MS, "hist", measured_none)
    value = intervals.quantile_of(histogram, _JUDGED_QUANTILE)
    return _held(name, value, limit_ms * _MS, quantities.span)


def _check_cpu(run: RunFrames, without: Collection[int]) -> Check:
    """Hold the CPU time of the busiest worker, mean of the clean seconds, against its limit."""
    rows = _steady_rows(run)
    rows = rows[~rows["t_s"].isin(list(without))]
    if rows.empty:
        return _unknown(run, CheckName.CPU, GENERATOR_CPU_PERCENT, "generator")
    percent = 100 * float(rows.groupby("worker")["cpu_ns"].mean().max()) / _SECOND_NS
    return _held(CheckName.CPU, percent, GENERATOR_CPU_PERCENT, "{:.3g} %".format)


def _steady_rows(run: RunFrames) -> pd.DataFrame:
    rows = run["generator"]
    return rows[rows["phase"] == str(Phase.STEADY)]


def _held(name: CheckName, value: float, limit: float, say: Callable[[float], str]) -> Check:
    return Check(name, value, limit, value <= limit, f"{say(value)}, allowed {say(limit)}")


def _unknown(
    run: RunFrames, name: CheckName, limit: float, table: str, why: str = "the machine did not tell"
) -> Check:
    return Check(name, None, limit, None, run.absences.get(table) or why)


def _check_publisher(run: RunFrames) -> Check:
    publisher = run.manifest.part("publisher")
    status = publisher.get("status")
    ok, why = {
        "complete": (True, f"published {quantities.count(publisher.get('published'))}"),
        "lost": (False, "it exited early; remaining publications were never sent"),
    }.get(str(status), (None, f"it did not report how it ended (status {status or 'unknown'})"))
    return Check(CheckName.PUBLISHER, None, None, ok, why)


def _check_processes(run: RunFrames) -> Check:
    if run.absences.get("events"):
        return _unknown(run, CheckName.PROCESSES, 0, "events")
    lost = run["events"][run["events"]["event"] == str(Event.LOST_PROCESS)]
    words = "; ".join(dict.fromkeys(lost["detail"].replace("", "a process was lost")))
    return Check(CheckName.PROCESSES, len(lost), 0, lost.empty, words or "none was lost")


def _check_gateway(run: RunFrames) -> Check:
    gateway, died = run.manifest.part("gateway"), gateway_died(run)
    why = "lived to the end" if gateway else "not started by this run"
    if died:
        why = f"exited unexpectedly, exit code {gateway.get('exit_code')}"
    return Check(CheckName.GATEWAY, None, None, not died, why)


def gateway_died(run: RunFrames) -> bool:
    """Return whether the embedded gateway exited unexpectedly: it has an exit code of its own."""
    return run.manifest.part("gateway").get("status") == "died"
