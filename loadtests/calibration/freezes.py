"""Trials of freezes: a frozen gateway is slow, a frozen load generator makes times INVALID."""

from __future__ import annotations

import time
from typing import Final

from gateway.contract import PRICE_EVENT
from loadtests.calibration.arithmetic import frozen_quantile_ns
from loadtests.calibration.loads import Load
from loadtests.calibration.pace import Pace
from loadtests.calibration.readings import NS_PER_S, TrialReading
from loadtests.calibration.rig import Rig, RigFailed, freeze, sleep_until
from loadtests.calibration.rows import CalibrationRow, books_row, say_ms, verdict_row
from loadtests.results import ExitCode, Phase, Series, Verdict

_FROZEN_QUANTILES: Final = (0.40, 0.60, 0.75, 0.90, 0.99)
_FREEZE_ERROR: Final = 0.03
_RATE: Final = 20.0
_CATCH_UP_NS: Final = 100_000_000  # for the backlog, which counts in the second of its read
_LOOP_LAG: Final = "generator loop lag p99"  # a check's name in verdict.json


def try_frozen_gateway(rig: Rig, pace: Pace) -> list[CalibrationRow]:
    """Freeze the gateway for half of the steady phase, which gives known quantiles."""
    load = Load(
        steady_s=2 * pace.freeze_s,
        # Few deliveries: the arithmetic leaves out the time to send the backlog.
        rates={PRICE_EVENT: _RATE},
        subscribers=2,
        budgets=("push.p99 <= 50 ms",),
        # The publisher waits for the gateway, which is part of the measured delay. With so few
        # messages, one bad moment of a busy machine decides the generator's own share.
        health=('publisher_delay_p99 = "60 s"', 'generator_share_p99 = "100 ms"'),
    )
    with rig.run("frozen-gateway", load.text()) as run:
        _, steady_ns = run.wait_until_steady()
        sleep_until(steady_ns + round(pace.freeze_s / 2 * NS_PER_S))
        frozen_ns = freeze(rig.gateway.pid, round(pace.freeze_s * NS_PER_S))
        thawed_ns = time.monotonic_ns()
        directory, _ = run.end()
    reading = TrialReading(directory)
    start_ns, end_ns = reading.span_ns(Phase.STEADY)
    require_within_steady(thawed_ns, end_ns)
    found = reading.histogram(Series.PUSH)
    # Half of the messages are unaffected: their median is the base.
    base_ns = float(found.quantile_ns(0.25) or 0)
    rows = []
    for q in _FROZEN_QUANTILES:
        demanded_ns = frozen_quantile_ns(
            q, frozen_ns=frozen_ns, steady_ns=end_ns - start_ns, base_ns=base_ns
        )
        # Messages due at even intervals have quantiles that are exact to one interval.
        allowed_ns = _FREEZE_ERROR * frozen_ns + NS_PER_S / _RATE
        read_ns = float(found.quantile_ns(q) or 0)
        rows.append(
            CalibrationRow(
                trial="gateway frozen",
                what=f"push p{q * 100:g}, {frozen_ns / NS_PER_S:.2f} s frozen "
                f"of {(end_ns - start_ns) / NS_PER_S:.2f} s",
                demanded=f"{say_ms(demanded_ns)} ± {say_ms(allowed_ns)} ms",
                read=f"{say_ms(read_ns)} ms",
                ok=bool(found.total) and abs(read_ns - demanded_ns) <= allowed_ns,
            )
        )
    budget = reading.budget("push")
    blamed = CalibrationRow(
        trial="gateway frozen",
        what="push.p99 <= 50 ms",
        demanded="FAIL, or INCONCLUSIVE as the run is short; not INVALID",
        read=f"{budget['verdict']}: {budget['why']}",
        ok=budget["verdict"] in (Verdict.FAIL, Verdict.INCONCLUSIVE),
    )
    return [*rows, blamed, books_row("gateway frozen", reading, load)]


def require_within_steady(thawed_ns: int, steady_end_ns: int) -> None:
    """Check that the freeze ended well before the steady phase.

    Args:
        thawed_ns: when the freeze ended, monotonic.
        steady_end_ns: when the steady phase ended.

    Raises:
        RigFailed: it did not, so that the phase did not measure all of it.
    """
    spare_ns = steady_end_ns - thawed_ns
    if spare_ns < _CATCH_UP_NS:
        raise RigFailed(
            f"the gateway was frozen until {spare_ns / NS_PER_S:.2f} s before the end of the "
            "steady phase, as this process learned too late that the phase had begun; "
            "try again on a quieter machine"
        )


def try_frozen_worker(rig: Rig, pace: Pace) -> list[CalibrationRow]:
    """Freeze the load generator; the run must blame the generator, not the gateway."""
    load = Load(
        steady_s=4 * pace.worker_freeze_s,
        rates={PRICE_EVENT: 40.0},
        subscribers=10,
        budgets=("push.p99 <= 50 ms",),
    )
    with rig.run("frozen-worker", load.text()) as run:
        _, steady_ns = run.wait_until_steady()
        sleep_until(steady_ns + round(pace.worker_freeze_s / 2 * NS_PER_S))
        freeze(run.load_pid(), round(pace.worker_freeze_s * NS_PER_S))
        directory, code = run.end()
    reading = TrialReading(directory)
    budget = reading.budget("push")
    broken = [check["name"] for check in reading.verdict["validity"] if check["ok"] is False]
    return [
        verdict_row("load generator frozen", reading, code, Verdict.INVALID, ExitCode.INVALID),
        CalibrationRow(
            trial="load generator frozen",
            what="push.p99 <= 50 ms",
            demanded="INVALID for the generator's loop, not FAIL",
            read=f"{budget['verdict']}: broken are {', '.join(broken) or 'none'}",
            ok=budget["verdict"] == Verdict.INVALID and _LOOP_LAG in broken,
        ),
        books_row("load generator frozen", reading, load),
    ]
