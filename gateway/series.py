"""Kinds of series that the Prometheus client does not have."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Metric
from prometheus_client.registry import Collector

_CREATED: Final = "_created"


class Maximum:
    """The largest value of the last full window and of the current one.

    Args:
        gauge: shows it.
    """

    def __init__(self, gauge: Gauge) -> None:
        self._before = 0.0
        self._current = 0.0
        gauge.set_function(lambda: max(self._before, self._current))

    def note(self, value: float) -> None:
        """Note a value."""
        if value > self._current:
            self._current = value

    def turn(self) -> None:
        """Begin a new window."""
        self._before, self._current = self._current, 0.0


class Followed:
    """A number that is counted elsewhere.

    Args:
        counter: shows it.
        read: returns the number so far.
    """

    def __init__(self, counter: Counter, read: Callable[[], float]) -> None:
        self._counter = counter
        self._read = read
        self._told = 0.0

    def catch_up(self) -> None:
        """Add the difference to the last count to the counter."""
        told = self._read()
        self._counter.inc(told - self._told)
        self._told = told


class WithNode(Collector):
    """The metrics of a collector, each series with the label ``node``.

    Args:
        collector: the collector.
        node: the name of the node.
    """

    def __init__(self, collector: Collector, node: str) -> None:
        self._collector = collector
        self._label = {"node": node}

    def collect(self) -> Iterator[Metric]:
        """Yield the families."""
        for family in self._collector.collect():
            family.samples = [s._replace(labels=self._label | s.labels) for s in family.samples]
            yield family


class WithoutCreated(Collector):
    """The metrics of a registry without the ``_created`` series that the client adds.

    Args:
        registry: the registry.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry

    def collect(self) -> Iterator[Metric]:
        """Yield the families."""
        for family in self._registry.collect():
            family.samples = [s for s in family.samples if not s.name.endswith(_CREATED)]
            yield family
