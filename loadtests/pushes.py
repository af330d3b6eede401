"""Pushes in Locust's own table: rounded, a convenience, never judged.

A push has no request, and there are many, so they are told in bulk once a
second. Locust keeps whole milliseconds; a push is rounded up, because 0 ms
would read as «not measured». What budgets judge is in the run directory.
"""

from __future__ import annotations

import time
from collections import Counter
from typing import Final
from weakref import WeakKeyDictionary

import gevent
from locust.env import Environment
from locust.stats import StatsEntry

PUSH: Final = "PUSH"
_EACH_S: Final = 1.0
_NS_PER_MS: Final = 1_000_000


def whole_ms(latency_ns: int) -> int:
    """Return a latency in ms as Locust's table shows it: rounded up, two digits from 100 on."""
    ms = -(-max(1, latency_ns) // _NS_PER_MS)
    if ms < 100:
        return ms
    step: int = 10 ** (len(str(ms)) - 2)
    return -(-ms // step) * step


class PushTable:
    """Collects the pushes of an environment and tells Locust's statistics once a second."""

    _tables: Final[WeakKeyDictionary[Environment, PushTable]] = WeakKeyDictionary()

    def __init__(self, environment: Environment) -> None:
        self._stats = environment.stats
        self._latencies: dict[str, list[int]] = {}
        self._pump: gevent.Greenlet | None = None
        environment.events.test_stop.add_listener(self._stop)  # type: ignore[no-untyped-call]  # Locust's own gap

    @classmethod
    def of(cls, environment: Environment) -> PushTable:
        """Return the environment's table; it lives as long as the environment does."""
        table = cls._tables.get(environment)
        if table is None:
            table = cls._tables[environment] = cls(environment)
        return table

    def add(self, name: str, latency_ns: int) -> None:
        """Take a push; cheap, does not block."""
        self._latencies.setdefault(name, []).append(latency_ns)
        if self._pump is None:
            self._pump = gevent.spawn(self._tell_each_second)

    def flush(self) -> None:
        """Tell Locust what came since the last time."""
        latencies, self._latencies = self._latencies, {}
        for name, values_ns in latencies.items():
            entry = self._entry(name, values_ns)
            self._stats.get(name, PUSH).extend(entry)
            self._stats.total.extend(entry)

    def _entry(self, name: str, values_ns: list[int]) -> StatsEntry:
        now_s = time.time()
        entry = StatsEntry(self._stats, name, PUSH)
        entry.num_requests = len(values_ns)
        entry.total_response_time = round(sum(values_ns) / _NS_PER_MS)
        entry.min_response_time = whole_ms(min(values_ns))
        entry.max_response_time = whole_ms(max(values_ns))
        entry.response_times = dict(Counter(map(whole_ms, values_ns)))
        entry.num_reqs_per_sec = {int(now_s): len(values_ns)}
        entry.last_request_timestamp = now_s
        return entry

    def _tell_each_second(self) -> None:
        while True:
            gevent.sleep(_EACH_S)
            self.flush()

    def _stop(self, **_facts: object) -> None:
        if self._pump is not None:
            self._pump.kill()
            self._pump = None
        self.flush()
