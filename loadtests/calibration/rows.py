"""The rows of the calibration table: the demanded value and the reading."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from loadtests.calibration.loads import Load
from loadtests.calibration.readings import TrialReading
from loadtests.results import ExitCode, Verdict

NS_PER_MS: Final = 1_000_000


@dataclass(frozen=True, kw_only=True)
class CalibrationRow:
    """One reading of a calibration.

    Attributes:
        trial: the trial's title.
        what: the quantity.
        demanded: its known value and the allowed error.
        read: the reading.
        ok: whether the reading is within the allowed error.
    """

    trial: str
    what: str
    demanded: str
    read: str
    ok: bool


def books_row(
    trial: str, reading: TrialReading, load: Load, *, may_lose: bool = False
) -> CalibrationRow:
    """Return the row on the ledger: each publication is accounted for at each subscriber.

    Args:
        trial: the trial's title.
        reading: the finished run.
        load: the run's load.
        may_lose: whether messages were removed on purpose.
    """
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
    """Return the row on a run's verdict and exit code.

    Args:
        trial: the trial's title.
        reading: the finished run.
        code: the run's exit code.
        verdict: the verdict it must have.
        wanted: the exit code it must have.
    """
    found, why = reading.verdict["verdict"], reading.verdict["reasons"][0]
    return CalibrationRow(
        trial=trial,
        what="the run's verdict",
        demanded=f"{verdict}, exit code {int(wanted)}",
        read=f"{found}, exit code {int(code)}: {why}",
        ok=found == verdict and code == wanted,
    )


def say_ms(value_ns: float) -> str:
    """Return a span in ms as text without its unit, two digits after the point below 100 ms."""
    value_ms = value_ns / NS_PER_MS
    return f"{value_ms:.2f}" if abs(value_ms) < 100 else f"{value_ms:.1f}"
