"""The table of measures, and what all of them have in common: no data, no value."""

from __future__ import annotations

import pytest
from synthetic_run import make_run

from loadtests.results import TABLES
from reports.measures.registry import _FAMILIES, QUANTILES, measure
from reports.run_frames import RunFrames, read_run
from scenarios.catalogue import METRICS
from scenarios.producers import NEEDS


def test_every_metric_of_the_catalogue_has_exactly_one_measure() -> None:
    measured = [
        name
        for family in _FAMILIES
        for table in ("MEASURES", "QUANTILES")
        for name in getattr(family, table, ())
    ]
    assert sorted(measured) == sorted(METRICS)


def test_every_metric_names_a_known_producer() -> None:
    assert {metric.producer for metric in METRICS.values()} == NEEDS.keys()


def test_the_metrics_of_many_spans_are_those_that_take_a_statistic() -> None:
    spans = {name for name, metric in METRICS.items() if metric.kind == "quantiles"}
    assert QUANTILES.keys() == spans


def test_an_unknown_metric_is_refused(passing_run: RunFrames) -> None:
    with pytest.raises(KeyError):
        measure(passing_run, "push.latency")


@pytest.fixture(scope="module")
def bare_run(tmp_path_factory: pytest.TempPathFactory) -> RunFrames:
    return read_run(make_run(tmp_path_factory.mktemp("bare") / "run", without=list(TABLES)))


@pytest.mark.parametrize("metric", METRICS)
def test_a_run_without_tables_measures_nothing_and_says_why(
    bare_run: RunFrames, metric: str
) -> None:
    statistic = "p99" if METRICS[metric].kind == "quantiles" else None
    found = measure(bare_run, metric, statistic)
    assert (found.value, found.low, found.high) == (None, None, None)
    assert len(found.why) > 10


@pytest.mark.parametrize("metric", METRICS)
def test_a_value_lies_within_its_interval(passing_run: RunFrames, metric: str) -> None:
    statistic = "p50" if METRICS[metric].kind == "quantiles" else None
    found = measure(passing_run, metric, statistic)
    if found.value is None:
        assert found.why
        return
    assert found.low is not None
    assert found.high is not None
    assert found.low <= found.value <= found.high
