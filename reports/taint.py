"""Which seconds of the steady phase the measuring machine spoilt: *tainted* seconds.

A host that takes the machine away for 300 ms, a collection in the generator: such a thing
hits single seconds, and what was timed in them says nothing about the gateway. Times are
judged over the other seconds as long as the tainted ones are few; they are counted, printed
and shaded. When they are many, nothing is left out and the run is INVALID.

Leaving seconds out must never hide slowness of the gateway's own, so no latency taints a
second; only evidence about generator and host does, and that in two classes:

- **What a gateway cannot cause**: time stolen by the host, the gateway's own wait for a core
  that strangers had, the generator's own garbage collections. These taint by themselves. What
  the host held up in a second is read at the start of the next, so stolen time taints that one
  too.
- **What a gateway can cause**: a late loop, a large own share, a long wait for a core. A
  gateway that stands still and then sends everything at once makes a generator late that was
  fine before, and one that burns every core makes it wait. So these taint a second only when
  the gateway is shown to have been in time in it: the worst of ``accept`` (numbered −
  intended) and the worst of ``kernel`` (client's kernel − numbered) both within 10 ms, though
  the generator was in trouble. Where either was not measured in that second, or was longer,
  the second stays in, and the checks of the whole phase judge the generator as they always
  do. No scenario can widen the 10 ms: they are the most slowness that could be hidden so, as
  far as the sample of users shows that ``kernel`` is taken on.

What a scenario allows the whole phase it allows each second: the limit of a second is never
below that of the phase.

A latency can therefore keep a second in, and never put one out. What remains possible is a
gateway that is slow by chance just when the host steals; at most ``tainted_percent`` of the
phase can vanish so.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import numpy as np
import pandas as pd

from loadtests.results import Phase, Series, bucket_range
from reports import quantities
from reports.remembering import once_a_run
from reports.run_frames import RunFrames

_MS: Final = 1_000_000
IN_TIME_NS: Final = 10 * _MS
"""The most that ``accept`` and ``kernel`` may be in a second in which the gateway was in time."""
_SECOND_NS: Final = 1_000_000_000

Reasons = dict[int, list[str]]


@once_a_run
def tainted_seconds(run: RunFrames) -> pd.DataFrame:
    """Return the tainted seconds of the steady phase: ``t_s``, rising, and ``why`` in words."""
    rows = run["generator"]
    rows = rows[rows["phase"] == str(Phase.STEADY)]
    reasons: Reasons = {}
    _note_collections(run, rows, reasons)
    _note_stolen(run, rows, reasons)
    _note_waits(run, reasons)
    _note_lateness(run, rows, reasons)
    ordered = sorted(reasons)
    return pd.DataFrame(
        {
            "t_s": pd.Series(ordered, dtype="int64"),
            "why": pd.Series(["; ".join(reasons[second]) for second in ordered], dtype="str"),
        }
    )


@once_a_run
def steady_seconds(run: RunFrames) -> int:
    """Return how many seconds of the steady phase the run's tables know."""
    seconds: set[int] = set()
    for table in ("timeline", "generator"):
        rows = run[table]
        seconds |= set(rows.loc[rows["phase"] == str(Phase.STEADY), "t_s"].tolist())
    return len(seconds)


def tainted_percent(run: RunFrames, tainted: pd.DataFrame) -> float:
    """Return the share of the steady phase that is tainted, in percent."""
    held = steady_seconds(run)
    return 100 * len(tainted) / held if held else 0.0


@once_a_run
def left_out(run: RunFrames) -> frozenset[int]:
    """Return the seconds that times do not look at: the tainted ones, unless they are too many."""
    tainted = tainted_seconds(run)
    if tainted_percent(run, tainted) > run.scenario.health.tainted_percent:
        return frozenset()
    return frozenset(tainted["t_s"].tolist())


@once_a_run
def stolen_seconds(
    run: RunFrames, phases: tuple[Phase, ...], more_than_ns: float
) -> frozenset[int]:
    """Return the seconds in which the host took more than so much of the machine, and each next.

    What was held up in a second is read at the start of the next.
    """
    rows = run["generator"]
    taken = {second for second, steal_ns in _worst(rows, "steal_ns") if steal_ns > more_than_ns}
    held = rows.loc[rows["phase"].isin([str(phase) for phase in phases]), "t_s"]
    return frozenset((taken | {second + 1 for second in taken}) & set(held.tolist()))


def _worst(rows: pd.DataFrame, column: str) -> Iterable[tuple[int, float]]:
    """Yield each second and its worst worker's value, where anybody told one."""
    told = rows.dropna(subset=[column])
    worst = told.groupby("t_s")[column].max()
    return zip(worst.index.tolist(), worst.astype(float).tolist(), strict=True)


def _note_collections(run: RunFrames, rows: pd.DataFrame, reasons: Reasons) -> None:
    limit_ns = run.scenario.health.generator_gc_pause_ms * _MS
    for second, pause_ns in _worst(rows, "gc_pause_max_ns"):
        if pause_ns > limit_ns:
            words = f"a garbage collection of {quantities.span(pause_ns)} in the generator"
            reasons.setdefault(second, []).append(words)


def _note_stolen(run: RunFrames, rows: pd.DataFrame, reasons: Reasons) -> None:
    cores = int(run.manifest.part("host").get("cores") or 1)
    health = run.scenario.health
    limit = max(health.second_steal_percent, health.generator_steal_percent)
    steady = set(rows["t_s"].tolist())
    for second, steal_ns in _worst(rows, "steal_ns"):
        percent = 100 * steal_ns / (_SECOND_NS * cores)
        if percent <= limit:
            continue
        reasons.setdefault(second, []).append(f"the host took {percent:.3g} % of the machine")
        if second + 1 in steady:
            words = "what the host held up in the second before is read in this one"
            reasons.setdefault(second + 1, []).append(words)


def _note_waits(run: RunFrames, reasons: Reasons) -> None:
    health = run.scenario.health
    limit_ns = max(health.second_core_wait_ms, health.gateway_core_wait_ms) * _MS
    rows = run["server"]
    told = rows[rows["phase"] == str(Phase.STEADY)].dropna(subset=["core_wait_ns"])
    for second, wait_ns in zip(told["t_s"].tolist(), told["core_wait_ns"].tolist(), strict=True):
        if wait_ns > limit_ns:
            words = (
                f"the gateway waited {quantities.span(wait_ns)} of it for a core that others had"
            )
            reasons.setdefault(second, []).append(words)


def _note_lateness(run: RunFrames, rows: pd.DataFrame, reasons: Reasons) -> None:
    health = run.scenario.health
    found: Reasons = {}
    for second, lag_ns in _worst(rows, "loop_lag_max_ns"):
        if lag_ns > max(health.second_loop_lag_ms, health.generator_loop_lag_p99_ms or 0) * _MS:
            words = f"the generator's loop was {quantities.span(lag_ns)} late"
            found.setdefault(second, []).append(words)
    for second, share_ns in _worst(rows, "share_max_ns"):
        if share_ns > max(health.second_share_ms, health.generator_share_p99_ms) * _MS:
            words = f"the generator's own share was {quantities.span(share_ns)}"
            found.setdefault(second, []).append(words)
    for second, wait_ns in _worst(rows, "run_queue_ns"):
        percent = 100 * wait_ns / _SECOND_NS
        if percent > max(health.second_run_queue_percent, health.generator_run_queue_percent):
            words = f"the generator waited {percent:.3g} % of it for a core"
            found.setdefault(second, []).append(words)
    if not found:
        return
    in_time = _seconds_in_time(run)
    for second, words_of in found.items():
        if second in in_time:
            reasons.setdefault(second, []).extend(words_of)


def _seconds_in_time(run: RunFrames) -> set[int]:
    """Return the steady seconds in which the gateway is shown to have been in time."""
    accept, kernel = (_worst_spans(run, series) for series in (Series.ACCEPT, Series.KERNEL))
    both = set(accept) & set(kernel)
    return {second for second in both if max(accept[second], kernel[second]) <= IN_TIME_NS}


def _worst_spans(run: RunFrames, series: Series) -> dict[int, int]:
    rows = run["hist"]
    wanted = (rows["series"] == str(series)).to_numpy()
    wanted = wanted & (rows["phase"] == str(Phase.STEADY)).to_numpy()
    wanted = wanted & (rows["count"].to_numpy() > 0)
    if not np.any(wanted):
        return {}
    worst = rows.loc[wanted].groupby("t_s")["bucket"].max()
    pairs = zip(worst.index.tolist(), worst.tolist(), strict=True)
    return {second: bucket_range(bucket)[1] for second, bucket in pairs}
