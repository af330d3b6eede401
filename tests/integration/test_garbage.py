"""The gateway's garbage collection: short pauses, no leaks, settings restored at the end."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest
from prometheus_client.parser import text_string_to_metric_families

from gateway.metrics import GatewayMetrics
from gateway.server.garbage import GarbageCollection


@pytest.fixture
def metrics() -> GatewayMetrics:
    return GatewayMetrics()


@pytest.fixture
def collection(metrics: GatewayMetrics) -> Iterator[GarbageCollection]:
    """Yield garbage collection as a gateway starts it; it is stopped after the test."""
    collection = GarbageCollection(metrics, lambda: True)
    collection.start()
    yield collection
    collection.stop()


def pauses(metrics: GatewayMetrics, generation: int) -> float:
    for family in text_string_to_metric_families(metrics.expose()[0].decode()):
        for sample in family.samples:
            if sample.name == "tidegate_gc_pause_seconds_count" and sample.labels == {
                "generation": str(generation)
            }:
                return sample.value
    raise AssertionError("no such series")


def test_surviving_objects_are_frozen_at_the_next_tick(collection: GarbageCollection) -> None:
    frozen = gc.get_freeze_count()
    survivors = [[n] for n in range(50_000)]
    collection.tick()
    assert gc.get_freeze_count() >= frozen + len(survivors)


def test_every_pause_is_counted_by_its_generation(
    collection: GarbageCollection, metrics: GatewayMetrics
) -> None:
    before = [pauses(metrics, generation) for generation in range(3)]
    gc.collect(0)
    gc.collect(1)
    gc.collect(2)
    after = [pauses(metrics, generation) for generation in range(3)]
    assert [b > a for a, b in zip(before, after, strict=True)] == [True] * 3


def test_a_stop_restores_the_process(metrics: GatewayMetrics) -> None:
    before = (gc.get_threshold(), list(gc.callbacks), gc.get_freeze_count())
    collection = GarbageCollection(metrics, lambda: True)
    collection.start()
    assert gc.get_threshold() != before[0]
    collection.stop()
    assert (gc.get_threshold(), gc.callbacks, gc.get_freeze_count()) == before
