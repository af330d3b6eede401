"""Trials of the ledger: messages removed on the way, and readers that cannot keep up."""

from __future__ import annotations

import time

from gateway.contract import EVENTS, ORDER_BOOK_EVENT
from loadtests.calibration.loads import Load
from loadtests.calibration.pace import SEED, Pace
from loadtests.calibration.readings import TrialReading
from loadtests.calibration.rig import Rig
from loadtests.calibration.rows import CalibrationRow, books_row, verdict_row
from loadtests.faults.toxics import Bandwidth, Drop
from loadtests.results import ExitCode, Verdict


def try_drops(rig: Rig, pace: Pace) -> list[CalibrationRow]:
    """Remove a known number of messages; the run must report the same number lost."""
    load = Load(
        steady_s=pace.drop_s,
        rates={event: 1.25 * of / 20 / pace.drop_s for event, _, of in pace.drops},
        subscribers=20,
        drain=f"{pace.drop_drain_s:g} s",
    )
    drops = {
        event: Drop(events=(str(event),), count=count, of=of, seed=SEED)
        for event, count, of in pace.drops
    }
    with rig.run("drops", load.text()) as run:
        before = rig.control.set(tuple(drops.values()))
        directory, code = run.end()
        after = rig.control.set(())
    reading = TrialReading(directory)
    rows = [_drop_row(reading, event, drop, _counts(after, drop)) for event, drop in drops.items()]
    removed, lost = after["dropped"] - before["dropped"], reading.ledger_sum("lost")
    total = CalibrationRow(
        trial="messages removed",
        what="all streams",
        demanded=f"{removed} lost, as many as the proxy removed",
        read=f"{lost} lost",
        ok=removed == lost == sum(drop.count for drop in drops.values()),
    )
    found = verdict_row("messages removed", reading, code, Verdict.FAIL, ExitCode.BUDGET_BROKEN)
    return [*rows, total, found, books_row("messages removed", reading, load, may_lose=True)]


def _counts(figures: dict[str, object], drop: Drop) -> tuple[int, int]:
    drops = figures["drops"]
    assert isinstance(drops, dict)  # noqa: S101 - FaultProxy.figures says so
    found = drops[drop.name]
    return int(found["seen"]), int(found["dropped"])


def _drop_row(
    reading: TrialReading, event: str, drop: Drop, counts: tuple[int, int]
) -> CalibrationRow:
    seen, dropped = counts
    prefix = f"{EVENTS[event].stream.kind}:"
    lost = reading.ledger_sum("lost", stream=lambda name: name.startswith(prefix))
    return CalibrationRow(
        trial="messages removed",
        what=f"{event}: {drop.count} of {seen:,}",
        demanded=f"exactly {drop.count} lost",
        read=f"{lost} lost, the proxy removed {dropped}",
        ok=lost == dropped == drop.count,
    )


def try_slow_readers(rig: Rig, pace: Pace) -> list[CalibrationRow]:
    """Slow some clients down; the run must report conflated messages and none lost."""
    load = Load(
        steady_s=pace.drop_s,
        rates={ORDER_BOOK_EVENT: 80.0},
        subscribers=20,
        drain="8 s",
        # Slow readers lengthen times; this trial judges counts alone.
        health=('publisher_delay_p99 = "60 s"',),
    )
    with rig.run("slow-readers", load.text()) as run:
        run.wait_until_steady()
        rig.control.set([Bandwidth(rate_kb_s=16, toxicity=0.25)])
        time.sleep(0.7 * pace.drop_s)
        rig.control.set(())
        directory, _ = run.end()
    return [books_row("slow readers", TrialReading(directory), load)]
