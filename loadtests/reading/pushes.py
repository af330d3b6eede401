"""Pushes on their way out of the hub: to Locust's own table, and to whoever records them.

The hub fills columns; one greenlet, the pump, empties them ten times a second. So neither
Locust nor a recorder is ever called where nothing may block.

Locust's table is rounded, a convenience, never judged. A push has no request, and there
are many, so they are told in bulk. Locust keeps whole milliseconds; a push is rounded up,
because 0 ms would read as «not measured». What budgets judge is in the run directory.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final
from weakref import WeakKeyDictionary

import gevent
import numpy as np
from locust.env import Environment
from locust.stats import StatsEntry
from numpy.typing import NDArray

from loadtests.reading.batches import Batch
from loadtests.reading.intake import Intake

PUSH: Final = "PUSH"
PUMP_S: Final = 0.1
"""So many pushes as come in this time are made into arrays at once."""
_TURN_S: Final = 1.0
_NS_PER_MS: Final = 1_000_000
_NS_PER_S: Final = 1_000_000_000


def whole_ms(latencies_ns: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return latencies in ms as Locust's table shows them: rounded up, two digits from 100 on."""
    ms = -(-np.maximum(1, latencies_ns) // _NS_PER_MS)
    # Two digits stay where a number has more: 10 to the number of those it has too many.
    step = 10 ** np.maximum(0, np.floor(np.log10(ms)).astype(np.int64) - 1)
    rounded: NDArray[np.int64] = -(-ms // step) * step
    return rounded


class PushTable:
    """Empties an environment's intake, and tells Locust's statistics.

    Attributes:
        intake: what the environment's clients fill.
    """

    _tables: Final[WeakKeyDictionary[Environment, PushTable]] = WeakKeyDictionary()

    def __init__(self, environment: Environment) -> None:
        self.intake = Intake()
        self._stats = environment.stats
        self._request = environment.events.request
        self._failures: list[tuple[str, str, Exception]] = []
        self._record: Callable[[Batch], None] | None = None
        self._pump: gevent.Greenlet | None = None
        self._owners = 0
        self._limits: object = None
        self._turned_ns = 0
        environment.events.test_stop.add_listener(self._stop)  # type: ignore[no-untyped-call]  # Locust's own gap

    @classmethod
    def of(cls, environment: Environment) -> PushTable:
        """Return the environment's table; it lives as long as the environment does."""
        table = cls._tables.get(environment)
        if table is None:
            table = cls._tables[environment] = cls(environment)
        return table

    def record(self, record: Callable[[Batch], None]) -> None:
        """Give each batch from now on to ``record`` too; what came before is not its business."""
        if record != self._record:
            self.flush()
            self._record = record

    def start(self) -> None:
        """Let the pump run; idempotent. Not at import: Locust forks after that."""
        if self._pump is None:
            self._pump = gevent.spawn(self._pump_on)

    def enter(self) -> int:
        """Count a user in, and return its number, from 0."""
        self._owners += 1
        return self._owners - 1

    def share_limits(self, welcome: dict[str, Any]) -> dict[str, Any]:
        """Return a welcome whose ``limits`` are the same object as everybody's where equal.

        They are most of a welcome: 2 KB for each user that keeps its own.
        """
        limits = welcome.get("limits")
        if limits is not None and limits == self._limits:
            welcome["limits"] = self._limits
        else:
            self._limits = limits
        return welcome

    def fail(self, kind: str, name: str, error: Exception) -> None:
        """Have a failure that was noticed in the hub told as a line of Locust's table."""
        self._failures.append((kind, name, error))
        self.start()

    def flush(self) -> None:
        """Hand on everything that came since the last time."""
        failures, self._failures = self._failures, []
        for kind, name, error in failures:
            self._request.fire(  # type: ignore[no-untyped-call]  # Locust's own gap
                request_type=kind,
                name=name,
                response_time=None,
                response_length=0,
                exception=error,
                context={},
            )
        batch = self.intake.drain()
        if batch is None:
            return
        if self._record is not None:
            self._record(batch)
        self._tell_locust(batch)

    def _tell_locust(self, batch: Batch) -> None:
        latencies_ns = batch.latencies_ns()
        # A negative span is no latency; whoever records counts it as an error.
        is_told = latencies_ns >= 0
        events = batch.kinds // 2
        for index in np.unique(events[is_told]).tolist():
            values_ns = latencies_ns[is_told & (events == index)]
            name = batch.names[index]
            entry = self._entry(name, values_ns)
            self._stats.get(name, PUSH).extend(entry)
            self._stats.total.extend(entry)

    def _entry(self, name: str, values_ns: NDArray[np.int64]) -> StatsEntry:
        now_s = time.time()
        values_ms, counts = np.unique(whole_ms(values_ns), return_counts=True)
        entry = StatsEntry(self._stats, name, PUSH)
        entry.num_requests = len(values_ns)
        entry.total_response_time = round(int(values_ns.sum()) / _NS_PER_MS)
        entry.min_response_time = int(values_ms[0])
        entry.max_response_time = int(values_ms[-1])
        entry.response_times = dict(zip(values_ms.tolist(), counts.tolist(), strict=True))
        entry.num_reqs_per_sec = {int(now_s): len(values_ns)}
        entry.last_request_timestamp = now_s
        return entry

    def _pump_on(self) -> None:
        while True:
            gevent.sleep(PUMP_S)
            self.flush()
            now_ns = time.monotonic_ns()
            if now_ns - self._turned_ns >= _TURN_S * _NS_PER_S:
                self._turned_ns = now_ns
                self.intake.memo.turn()

    def _stop(self, **_facts: object) -> None:
        if self._pump is not None:
            self._pump.kill()
            self._pump = None
        self.flush()
