"""Garbage collection without long pauses: long-lived objects are not scanned again.

A full collection takes tens of milliseconds with thousands of clients. Young objects are
collected as usual, in short pauses. Survivors are frozen: the collector skips them, and
reference counting still frees them. Only cycles of frozen objects need a full collection,
which is rare and runs while no send is queued.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from typing import Any, Final

from gateway.metrics import GatewayMetrics

_THRESHOLDS: Final = (2_000, 10, 1_000_000)
"""Allocations per young collection, young collections per middle one, and practically no
automatic full collection."""
_LEAST_S: Final = 600.0
_MOST_S: Final = 3_600.0
_NS_PER_S: Final = 1e9


class GarbageCollection:
    """Freezes long-lived objects, runs full collections and measures all pauses.

    Args:
        metrics: counts the pauses.
        is_idle: returns whether no send is queued.
    """

    def __init__(self, metrics: GatewayMetrics, is_idle: Callable[[], bool]) -> None:
        self._metrics = metrics
        self._is_idle = is_idle
        self._began_ns = 0
        self._collected_s = 0.0
        self._thresholds_before: tuple[int, int, int] | None = None

    def start(self) -> None:
        """Freeze the objects made so far, and replace the automatic full collections."""
        gc.collect()
        gc.freeze()
        self._thresholds_before = gc.get_threshold()
        gc.set_threshold(*_THRESHOLDS)
        gc.callbacks.append(self._time)
        self._collected_s = time.monotonic()

    def stop(self) -> None:
        """Restore the collector's settings."""
        if self._thresholds_before is not None:
            gc.callbacks.remove(self._time)
            gc.set_threshold(*self._thresholds_before)
            gc.unfreeze()
            self._thresholds_before = None

    def tick(self) -> None:
        """Freeze survivors, or collect fully if that is due and no send is queued."""
        since_s = time.monotonic() - self._collected_s
        if since_s >= _MOST_S or (since_s >= _LEAST_S and self._is_idle()):
            gc.unfreeze()
            gc.collect()
            gc.freeze()
            self._collected_s = time.monotonic()
        elif gc.get_count()[1] or gc.get_count()[2]:
            gc.collect(1)
            gc.freeze()

    def _time(self, phase: str, info: dict[str, Any]) -> None:
        now_ns = time.monotonic_ns()
        if phase == "start":
            self._began_ns = now_ns
        else:
            self._metrics.collected(info["generation"], (now_ns - self._began_ns) / _NS_PER_S)
