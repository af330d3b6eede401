"""Known delays, read back."""

from __future__ import annotations

import math
import random
import statistics
import time
from collections.abc import Mapping, Sequence
from typing import Final

from gateway.contract import PRICE_EVENT
from loadtests.calibration.arithmetic import SLOPE_ERROR, allowed_error_ns, slope
from loadtests.calibration.loads import Load
from loadtests.calibration.pace import SEED, Pace
from loadtests.calibration.readings import NS_PER_S, TrialReading
from loadtests.calibration.rig import Rig, RigFailed, RigRun, sleep_until
from loadtests.calibration.rows import NS_PER_MS, CalibrationRow, books_row, say_ms
from loadtests.faults.toxics import Latency
from loadtests.results import Series

STEP_S: Final = 2
"""Of each delay: one second to settle, one to measure."""
_READ_AHEAD_NS: Final = 20_000_000


def try_delays(rig: Rig, pace: Pace) -> list[CalibrationRow]:
    """Read known delays back, all in one run.

    The delay changes each ``STEP_S`` in an order that is drawn anew each round, the baseline
    of 0 among them: a machine that slows down for a while slows all of them alike, which it
    would not do to runs one after the other. The proxy says how late it was itself: by so much
    the delay was longer than what was set.
    """
    levels = (0.0, *pace.delays_ms)
    steps = _shuffled(levels, pace.rounds)
    # Two clients: what the gateway and the proxy spend on the others of a broadcast is no delay.
    load = Load(
        steady_s=len(steps) * STEP_S + pace.starting_s,
        rates={PRICE_EVENT: 60.0},
        subscribers=2,
    )
    run = rig.begin_run("delays", load.text())
    try:
        rounds = _walk(rig, run, steps, len(levels))
        reading = TrialReading(run.end()[0])
    finally:
        run.stop()
        rig.control.set(())
    late_ns = {
        level: statistics.median([found[level][1] for found in rounds if level in found] or [0.0])
        for level in levels
    }
    rows = [
        row
        for series in (Series.PUSH_SERVICE, Series.PUSH)
        for row in delay_rows(str(series), _by_round(reading, rounds, series), pace, late_ns)
    ]
    return [*rows, books_row("delays", reading, load)]


def _walk(
    rig: Rig, run: RigRun, steps: Sequence[float], round_size: int
) -> list[dict[float, tuple[int, float]]]:
    """Set one delay after the other.

    Returns:
        For each round, by delay: the second of the run that measures it, and how late the
        proxy itself was in what it held back (ns, p50).
    """
    t0_ns, _ = run.wait_until_steady()
    first_s = math.ceil((time.monotonic_ns() - t0_ns) / NS_PER_S)
    rounds: list[dict[float, tuple[int, float]]] = [{} for _ in range(len(steps) // round_size)]
    for index, level in enumerate(steps):
        begin_s = first_s + index * STEP_S
        sleep_until(t0_ns + begin_s * NS_PER_S)
        toxics = [Latency(latency_ms=level)] if level else []
        at_ns = rig.control.set(toxics)["at_ns"]
        # Said again, it changes nothing, but lateness counts from here: in the second measured.
        sleep_until(t0_ns + (begin_s + STEP_S - 1) * NS_PER_S)
        rig.control.set(toxics)
        sleep_until(t0_ns + (begin_s + STEP_S) * NS_PER_S - _READ_AHEAD_NS)
        late_ns = rig.control.read()["late_p50_ns"] or 0.0
        # Half a second is left for what was on its way under the delay before.
        if at_ns - t0_ns < (begin_s + 0.4) * NS_PER_S:
            rounds[index // round_size][level] = begin_s + STEP_S - 1, late_ns
    return rounds


def _by_round(
    reading: TrialReading, rounds: Sequence[Mapping[float, tuple[int, float]]], series: Series
) -> list[dict[float, float]]:
    """Return the p50 (ns) of each delay's second less the proxy's own lateness, by round."""
    found: list[dict[float, float]] = []
    for steps in rounds:
        found.append({})
        for level, (second, late_ns) in steps.items():
            p50_ns = reading.histogram(series, seconds=frozenset({second})).quantile_ns(0.5)
            if p50_ns is not None:
                found[-1][level] = p50_ns - late_ns
    return found


def _shuffled(levels: Sequence[float], rounds: int) -> list[float]:
    draw = random.Random(SEED)  # noqa: S311 - an order that can be repeated
    return [level for _ in range(rounds) for level in draw.sample(levels, len(levels))]


def delay_rows(
    name: str,
    by_round: Sequence[Mapping[float, float]],
    pace: Pace,
    late_ns: Mapping[float, float],
) -> list[CalibrationRow]:
    """Hold each delay against its round's baseline: the median of those differences is read.

    Of ``push_service`` each delay is judged: its way begins where the gateway gave the number,
    and the proxy is all that is on it. ``push`` begins in the publisher, whose own moments of
    waiting are no delay of the proxy's; of it the slope is judged.

    Args:
        name: of the series.
        by_round: p50 (ns) by delay (ms), the proxy's lateness taken off.
        pace: which delays, and how many rounds there were.
        late_ns: that lateness by delay, to be shown.

    Raises:
        RigFailed: too few rounds have both a delay and their baseline.
    """
    rows, points = [], [(0.0, 0.0)]
    for level in pace.delays_ms:
        more_ns = [found[level] - found[0.0] for found in by_round if {level, 0.0} <= found.keys()]
        if 2 * len(more_ns) <= pace.rounds:
            words = f"{level:g} ms was set in time in {len(more_ns)} rounds only"
            raise RigFailed(f"{words}: this machine is too busy; try again")
        points.append((level * NS_PER_MS, statistics.median(more_ns)))
        if name == Series.PUSH_SERVICE:
            rows.append(_delay_row(name, level, more_ns, late_ns.get(level, 0.0)))
    base_ns = [found[0.0] for found in by_round if 0.0 in found]
    inclination = slope(points)
    rows.append(
        CalibrationRow(
            trial="delays",
            what=f"{name}: slope of read over set",
            demanded=f"1 ± {SLOPE_ERROR:g}",
            read=f"{inclination:.4f} (p50 without delay "
            f"{say_ms(min(base_ns))} to {say_ms(max(base_ns))} ms)",
            ok=abs(inclination - 1) <= SLOPE_ERROR,
        )
    )
    return rows


def _delay_row(name: str, level: float, more_ns: Sequence[float], late_ns: float) -> CalibrationRow:
    demanded_ns, read_ns = level * NS_PER_MS, statistics.median(more_ns)
    allowed_ns = allowed_error_ns(demanded_ns)
    return CalibrationRow(
        trial="delays",
        what=f"{name}: p50 at {level:g} ms more",
        demanded=f"{level:g} ± {say_ms(allowed_ns)} ms",
        read=f"{say_ms(read_ns)} ms (rounds {say_ms(min(more_ns))} to {say_ms(max(more_ns))}; "
        f"the proxy's own lateness of {say_ms(late_ns)} taken off)",
        ok=abs(read_ns - demanded_ns) <= allowed_ns,
    )
