"""The trial of known delays: set them in the fault proxy, read them in the run."""

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
"""How long each delay is set: one second to settle, one to measure."""
_READ_AHEAD_NS: Final = 20_000_000


def try_delays(rig: Rig, pace: Pace) -> list[CalibrationRow]:
    """Set known delays in one run and compare the readings.

    The delay changes each ``STEP_S``, in a new random order each round that includes the
    baseline of 0. So a machine that slows down for a while affects all delays alike, unlike one
    run for each delay. The proxy's own lateness is part of the delay and is subtracted.
    """
    levels = (0.0, *pace.delays_ms)
    steps = _shuffled(levels, pace.rounds)
    # Two clients only: time spent on a broadcast's other receivers would add to the delay.
    load = Load(
        steady_s=len(steps) * STEP_S + pace.starting_s,
        rates={PRICE_EVENT: 60.0},
        subscribers=2,
    )
    with rig.run("delays", load.text()) as run:
        rounds = _walk(rig, run, steps, len(levels))
        reading = TrialReading(run.end()[0])
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
    """Set one delay after another.

    Returns:
        For each round, by delay: the second of the run that measures it, and the median
        lateness of the proxy itself (ns).
    """
    t0_ns, _ = run.wait_until_steady()
    first_s = math.ceil((time.monotonic_ns() - t0_ns) / NS_PER_S)
    rounds: list[dict[float, tuple[int, float]]] = [{} for _ in range(len(steps) // round_size)]
    for index, level in enumerate(steps):
        begin_s = first_s + index * STEP_S
        sleep_until(t0_ns + begin_s * NS_PER_S)
        toxics = [Latency(latency_ms=level)] if level else []
        at_ns = rig.control.set(toxics)["at_ns"]
        # Setting the same toxics changes no delay; it restarts the lateness count for this second.
        sleep_until(t0_ns + (begin_s + STEP_S - 1) * NS_PER_S)
        rig.control.set(toxics)
        sleep_until(t0_ns + (begin_s + STEP_S) * NS_PER_S - _READ_AHEAD_NS)
        late_ns = rig.control.read()["late_p50_ns"] or 0.0
        # Half a second lets messages under the previous delay arrive.
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
    """Return a row for each delay: the median difference to the baseline of the same round.

    Each delay of ``push_service`` is judged: it starts where the gateway numbers the message, so
    the proxy is the only delay. ``push`` starts in the publisher, which may wait by itself, so
    only its slope is judged.

    Args:
        name: the series.
        by_round: p50 (ns) by delay (ms), without the proxy's lateness.
        pace: the delays and the number of rounds.
        late_ns: that lateness by delay, to be shown.

    Raises:
        RigFailed: too few rounds have both a delay and its baseline.
    """
    rows, points = [], [(0.0, 0.0)]
    for level in pace.delays_ms:
        more_ns = [found[level] - found[0.0] for found in by_round if {level, 0.0} <= found.keys()]
        if 2 * len(more_ns) <= pace.rounds:
            words = f"only {len(more_ns)} rounds measured {level:g} ms in time"
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
        f"less {say_ms(late_ns)} of the proxy's own lateness)",
        ok=abs(read_ns - demanded_ns) <= allowed_ns,
    )
