"""Pass pushes to the listeners of Locust's ``request`` event, in bulk once a second.

``--otel`` and CSV loggers listen to that event, which stands for one request. A call for each
push would cost more than reading it. So each second the pushes of an event are sorted and divided
into at most ``MOST_SAMPLES`` equal shares, and the middle push of each share is passed on. Its
``context["pushes"]`` says how many pushes it stands for; the sum of these is the number of pushes.

The samples of a second have its quantiles. Their number is not the number of pushes. OpenTelemetry
therefore also gets a counter, ``tidegate.pushes``, which takes whole seconds.

Locust's own table takes every push in bulk (``loadtests.reading.pushes``) and no sample.
"""

from __future__ import annotations

import time
from collections import defaultdict
from typing import Any, Final

import numpy as np
from locust.env import Environment
from locust.stats import RequestStats
from numpy.typing import NDArray

PUSH: Final = "PUSH"
MOST_SAMPLES: Final = 100
"""Samples of one event in one second: as many as show its p99."""
COUNTER: Final = "tidegate.pushes"
_NS_PER_MS: Final = 1_000_000
_NS_PER_S: Final = 1_000_000_000

Integers = NDArray[np.int64]


def divide(count: int) -> tuple[Integers, Integers]:
    """Return the ranks of the samples among ``count`` sorted values, and the size of each share."""
    ends = np.linspace(0, count, min(count, MOST_SAMPLES) + 1).round().astype(np.int64)
    sizes = np.diff(ends)
    return ends[:-1] + sizes // 2, sizes


class RequestSamples:
    """Collects the pushes of one second, by event.

    Args:
        environment: Locust's; its statistics ignore samples from now on.
    """

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._held: defaultdict[str, list[tuple[Integers, Integers]]] = defaultdict(list)
        self._counter: Any = None
        _keep_samples_out(environment.stats)

    def take(self, name: str, latencies_ns: Integers, stamps_ns: Integers) -> None:
        """Add pushes of one event.

        Args:
            name: of the event.
            latencies_ns: of each push.
            stamps_ns: when each was read, monotonic.
        """
        self._held[name].append((latencies_ns, stamps_ns))

    def fire(self) -> None:
        """Pass on what was collected since the last call."""
        held, self._held = self._held, defaultdict(list)
        wall_ns = time.time_ns() - time.monotonic_ns()
        for name, parts in held.items():
            latencies_ns = np.concatenate([part for part, _ in parts])
            stamps_ns = np.concatenate([part for _, part in parts])
            order = np.argsort(latencies_ns, kind="stable")
            ranks, sizes = divide(len(order))
            for index, size in zip(order[ranks].tolist(), sizes.tolist(), strict=True):
                latency_ns = int(latencies_ns[index])
                self._environment.events.request.fire(  # type: ignore[no-untyped-call]  # Locust's own gap
                    request_type=PUSH,
                    name=name,
                    response_time=latency_ns / _NS_PER_MS,
                    response_length=0,
                    exception=None,
                    context={"pushes": size},
                    start_time=(int(stamps_ns[index]) - latency_ns + wall_ns) / _NS_PER_S,
                )
            self._count(name, len(order))

    def _count(self, name: str, pushes: int) -> None:
        """Add to OpenTelemetry's counter, when Locust was started with ``--otel``."""
        if not getattr(self._environment.parsed_options, "otel", False):
            return
        if self._counter is None:
            from opentelemetry import metrics

            meter = metrics.get_meter("tidegate")
            self._counter = meter.create_counter(COUNTER, "{push}", "Pushes received, by event")
        self._counter.add(pushes, {"name": name})


def _keep_samples_out(stats: RequestStats) -> None:
    """Have Locust's statistics ignore samples: they have taken every push already."""
    log_request = stats.log_request

    def log_others(method: str, name: str, response_time: int, content_length: int) -> None:
        if method != PUSH:
            log_request(method, name, response_time, content_length)

    # An attribute of the object, since the listener that calls it is Locust's and has no name.
    setattr(stats, "log_request", log_others)  # noqa: B010 - mypy refuses the assignment
