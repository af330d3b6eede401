"""``Heartbeats``: the heartbeats of one client of the witness, judged as they come."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from loadtests.oracles.heartbeats import HeartbeatOracle
from loadtests.watching import figures
from loadtests.watching.figures import Finding
from loadtests.watching.witness_metrics import WitnessMetrics

_NS_PER_US: Final = 1_000
_LATE_SHARE: Final = 0.1
_LATE_NS: Final = 250_000_000
"""A gap may differ from the interval by the larger of this share and this time."""
_SILENT: Final = 1.5
"""Intervals without a heartbeat after which one is missed."""

Found = Callable[[Finding, str, int], None]


class Heartbeats:
    """Judges the heartbeats of each connection.

    Args:
        metrics: takes the gaps.
        found: takes findings with words and their number.
    """

    def __init__(self, metrics: WitnessMetrics, found: Found) -> None:
        self._metrics = metrics
        self._found = found
        self._oracle: HeartbeatOracle | None = None
        self._heard_ns = 0

    def begin(self, interval_ns: int, welcome_ns: int) -> None:
        """Begin a connection; an interval of 0 means that no heartbeats come."""
        self._oracle = HeartbeatOracle(interval_ns, welcome_ns) if interval_ns else None
        self._heard_ns = welcome_ns

    def stop(self) -> None:
        """End a connection: no more heartbeats are owed."""
        self._oracle = None

    def beat(self, stamp_ns: int, payload: dict[str, Any]) -> None:
        """Take a heartbeat."""
        oracle = self._oracle
        if oracle is None:
            return
        self._heard_ns = stamp_ns
        missed, extra, ts_us = oracle.missed, oracle.extra, payload.get("ts")
        sent_ns = ts_us * _NS_PER_US if isinstance(ts_us, int) else None
        gap_ns = oracle.beat(stamp_ns, payload.get("seq"), sent_ns)
        if gap_ns is not None:
            error_ns = abs(gap_ns - oracle.interval_ns)
            self._metrics.time(figures.HEARTBEAT_GAP, gap_ns)
            self._metrics.time(figures.HEARTBEAT_ERROR, error_ns)
            if (
                error_ns > max(_LATE_SHARE * oracle.interval_ns, _LATE_NS)
                and oracle.missed == missed
            ):
                words = f"a gap of {gap_ns / 1e9:.3f} s, not {oracle.interval_ns / 1e9:g} s"
                self._found(Finding.HEARTBEAT_LATE, words, 1)
        self._note(oracle.missed - missed, oracle.extra - extra)

    def judge_silence(self, now_ns: int) -> None:
        """Count the heartbeats that a silence has missed until now."""
        oracle = self._oracle
        if oracle is not None and now_ns - self._heard_ns > _SILENT * oracle.interval_ns:
            missed = oracle.missed
            self._heard_ns = now_ns
            self._note(oracle.close(now_ns) - missed, 0)

    def _note(self, missed: int, extra: int) -> None:
        if missed:
            self._found(Finding.HEARTBEAT_MISSED, f"{missed} heartbeats", missed)
        if extra:
            self._found(Finding.HEARTBEAT_EXTRA, f"{extra} heartbeats", extra)
