from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import gevent
import pytest
from deadlines import DEADLINE_S

from loadtests.health.generator_probe import GeneratorProbe
from loadtests.health.pulse import NO_SHARE, Pulse
from loadtests.record.finisher import finish_run
from loadtests.record.manifest import write_json
from loadtests.record.recording import PhaseTimes, Recorder
from loadtests.results import MANIFEST, Series


class Silent:
    """A gateway that says nothing of itself."""

    def read(self) -> tuple[int, dict[str, object]]:
        gevent.sleep(0.05)
        return time.monotonic_ns(), {}


@pytest.fixture
def recorder(tmp_path: Path) -> Recorder:
    t0_ns = time.monotonic_ns()
    return Recorder(tmp_path, worker="w", t0_ns=t0_ns, phases=PhaseTimes(t0_ns))


def run_for_a_second(recorder: Recorder, each: Callable[[], None]) -> GeneratorProbe:
    seconds: list[object] = []
    probe = GeneratorProbe()
    pulse = Pulse(recorder, Silent().read, probe, on_second=seconds.append, on_lost=pytest.fail)
    pulse.start()
    deadline_s = time.monotonic() + DEADLINE_S
    while not seconds:
        assert time.monotonic() < deadline_s
        each()
        gevent.sleep(0.05)
    pulse.stop()
    recorder.close(time.monotonic_ns())
    return probe


def generator_rows(directory: Path) -> list[dict[str, object]]:
    import pyarrow.parquet as pq

    write_json(directory / MANIFEST, {"status": "complete"})
    finish_run(directory)
    rows: list[dict[str, object]] = pq.read_table(directory / "generator.parquet").to_pylist()
    return rows


def test_a_second_of_the_generator_has_every_figure_of_its_health(
    recorder: Recorder, tmp_path: Path
) -> None:
    def serve() -> None:
        recorder.span(Series.GENERATOR_SHARE, 70_000, time.monotonic_ns())

    probe = run_for_a_second(recorder, serve)
    row = generator_rows(tmp_path)[0]
    assert row["share_max_ns"] == 70_000
    assert isinstance(row["gc_pause_ns"], int)
    assert isinstance(row["loop_lag_max_ns"], int)
    assert NO_SHARE not in probe.unmeasured


def test_a_run_without_kernel_stamps_says_so(recorder: Recorder, tmp_path: Path) -> None:
    probe = run_for_a_second(recorder, lambda: None)
    assert generator_rows(tmp_path)[0]["share_max_ns"] is None
    assert NO_SHARE in probe.unmeasured
