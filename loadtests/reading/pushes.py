"""Pass pushes from the hub to Locust's table and to the recorder.

The hub fills columns, and one greenlet, the pump, empties them ten times a second. So the hub,
where nothing may block, calls neither Locust nor a recorder.

Locust's figures are rounded and not used for the verdict; budgets judge the run directory.
Pushes are many and have no request, so Locust's table gets them in bulk, and listeners of its
``request`` event get samples (``loadtests.reading.request_samples``). Locust keeps whole
milliseconds. A push is rounded up, because 0 ms would read as «not measured».
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
from loadtests.reading.request_samples import PUSH, RequestSamples

PUMP_S: Final = 0.1
"""Time between two runs of the pump, which makes arrays of the pushes since the last one."""
_TURN_S: Final = 1.0
_NS_PER_MS: Final = 1_000_000
_NS_PER_S: Final = 1_000_000_000


def whole_ms(latencies_ns: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return latencies in ms as Locust shows them: rounded up, to two digits from 100 on."""
    ms = -(-np.maximum(1, latencies_ns) // _NS_PER_MS)
    # Longer numbers keep two digits: the step is 10 to the number of digits beyond two.
    step = 10 ** np.maximum(0, np.floor(np.log10(ms)).astype(np.int64) - 1)
    rounded: NDArray[np.int64] = -(-ms // step) * step
    return rounded


class PushTable:
    """Empties an environment's intake into Locust's statistics and the recorder.

    Attributes:
        intake: the intake that the environment's clients fill.
    """

    _tables: Final[WeakKeyDictionary[Environment, PushTable]] = WeakKeyDictionary()

    def __init__(self, environment: Environment) -> None:
        self.intake = Intake()
        self._stats = environment.stats
        self._samples = RequestSamples(environment)
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
        """Return the environment's table, which lives as long as the environment."""
        table = cls._tables.get(environment)
        if table is None:
            table = cls._tables[environment] = cls(environment)
        return table

    def record(self, record: Callable[[Batch], None]) -> None:
        """Also pass each batch from now on to ``record``. Earlier pushes do not go there."""
        if record != self._record:
            self.flush()
            self._record = record

    def start(self) -> None:
        """Start the pump; idempotent. Not called at import, because Locust forks after that."""
        if self._pump is None:
            self._pump = gevent.spawn(self._pump_on)

    def enter(self) -> int:
        """Register a user and return its number, from 0."""
        self._owners += 1
        return self._owners - 1

    def share_limits(self, welcome: dict[str, Any]) -> dict[str, Any]:
        """Return the welcome, with ``limits`` shared with the previous welcome when equal.

        Limits are most of a welcome, and a copy takes 2 KB per user.
        """
        limits = welcome.get("limits")
        if limits is not None and limits == self._limits:
            welcome["limits"] = self._limits
        else:
            self._limits = limits
        return welcome

    def fail(self, kind: str, name: str, error: Exception) -> None:
        """Report a failure noticed in the hub as a line of Locust's table.

        Args:
            kind: Locust's request type.
            name: Locust's request name.
            error: the failure.
        """
        self._failures.append((kind, name, error))
        self.start()

    def flush(self) -> None:
        """Pass on everything since the last flush."""
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
        # A negative duration is not a latency; the recorder counts it as an error.
        is_told = latencies_ns >= 0
        events = batch.kinds // 2
        for index in np.unique(events[is_told]).tolist():
            is_chosen = is_told & (events == index)
            values_ns = latencies_ns[is_chosen]
            name = batch.names[index]
            self._samples.take(name, values_ns, batch.stamps_ns[is_chosen])
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
                self._samples.fire()

    def _stop(self, **_facts: object) -> None:
        if self._pump is not None:
            self._pump.kill()
            self._pump = None
        self.flush()
        self._samples.fire()
        self._owners = 0  # the next test has other users
