"""The rows of the table: what was demanded, and what was read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from loadtests.calibration.loads import Load
from loadtests.calibration.readings import TrialReading
from loadtests.results import ExitCode, Verdict

NS_PER_MS: Final = 1_000_000


@dataclass(frozen=True, kw_only=True)
class CalibrationRow:
    """One thing that a true ruler must read.

    Attributes:
        trial: what was done.
        what: what was read.
        demanded: what it must be, and how far off it may be.
        read: what it was.
        ok: whether that is so.
    """

    trial: str
    what: str
    demanded: str
    read: str
    ok: bool


def books_row(
    trial: str, reading: TrialReading, load: Load, *, may_lose: bool = False
) -> CalibrationRow:
    """Return whether every publication was accounted for at every subscriber, to the last one."""
    owed = reading.published * load.subscribers
    received, conflated, lost = (
        reading.ledger_sum(name, group="subscriber") for name in ("received", "conflated", "lost")
    )
    strays = reading.ledger_sum("duplicate") + reading.ledger_sum("leaked")
    is_balanced = owed == received + conflated + lost and not strays
    return CalibrationRow(
        trial=trial,
        what=f"{reading.published:,} published × {load.subscribers} subscribers",
        demanded=f"= received + conflated{' + lost' if may_lose else ''}: {owed:,}",
        read=f"{received:,} received + {conflated:,} conflated + {lost:,} lost",
        ok=bool(owed) and is_balanced and (may_lose or not lost),
    )


def verdict_row(
    trial: str, reading: TrialReading, code: ExitCode, verdict: Verdict, wanted: ExitCode
) -> CalibrationRow:
    """Return whether a run came to the verdict and the exit code that it must."""
    found, why = reading.verdict["verdict"], reading.verdict["reasons"][0]
    return CalibrationRow(
        trial=trial,
        what="the run's verdict",
        demanded=f"{verdict}, exit code {int(wanted)}",
        read=f"{found}, exit code {int(code)}: {why}",
        ok=found == verdict and code == wanted,
    )


def say_ms(value_ns: float) -> str:
    """Return a span in ms, without the unit, as exact as it is measured."""
    value_ms = value_ns / NS_PER_MS
    return f"{value_ms:.2f}" if abs(value_ms) < 100 else f"{value_ms:.1f}"
