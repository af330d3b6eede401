from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.conducting.worker_parcels import ParcelError, ParcelReader, ParcelWriter
from loadtests.record.recording import SECOND_NS, PhaseTimes, Recorder
from loadtests.record.segments import read_batches
from loadtests.results import Event, Series

Rows = list[dict[str, object]]


def fill(sink: ParcelWriter, seconds: int) -> Recorder:
    recorder = Recorder(sink, worker="worker-0", t0_ns=0, phases=PhaseTimes(0))
    for second in range(seconds):
        recorder.span(Series.PUSH, 1_000 + second, second * SECOND_NS)
        recorder.event(Event.CONNECT, at_ns=second * SECOND_NS, user=f"é{second}")
        recorder.flush(second * SECOND_NS)
    return recorder


def rows(directory: Path, table: str) -> Rows:
    problems: list[str] = []
    batches = list(read_batches(directory / "segments" / f"{table}.worker-0.arrow", problems))
    assert problems == []
    return [row for batch in batches for row in batch.to_pylist()]


def test_what_a_worker_recorded_arrives_as_if_it_had_written_it_here(tmp_path: Path) -> None:
    sink = ParcelWriter()
    fill(sink, 3)
    reader = ParcelReader(tmp_path, "worker-0")
    assert reader.accept(sink.pending()) == sink.last == 3
    reader.close()
    assert [row["user"] for row in rows(tmp_path, "events")] == ["é0", "é1", "é2"]
    assert [row["t_s"] for row in rows(tmp_path, "hist")] == [0, 1, 2]
    assert {row["series"] for row in rows(tmp_path, "hist")} == {"push"}
    assert len(rows(tmp_path, "timeline")) == 3


# For each second: which of the reports so far arrive, and whether their receipts do.
ROADS = st.lists(
    st.tuples(st.lists(st.integers(0, 7), max_size=3), st.booleans()), min_size=1, max_size=8
)


@given(ROADS)
def test_reports_that_are_lost_repeated_or_out_of_order_lose_and_double_nothing(
    tmp_path_factory: pytest.TempPathFactory, roads: list[tuple[list[int], bool]]
) -> None:
    directory = tmp_path_factory.mktemp("run")
    sink = ParcelWriter()
    recorder = Recorder(sink, worker="worker-0", t0_ns=0, phases=PhaseTimes(0))
    reader = ParcelReader(directory, "worker-0")
    sent: list[list[dict[str, object]]] = []
    for second, (arriving, has_receipt) in enumerate(roads):
        recorder.event(Event.CONNECT, at_ns=second * SECOND_NS, user=str(second))
        recorder.flush(second * SECOND_NS)
        sent.append(sink.pending())
        for index in arriving:
            taken = reader.accept(sent[index % len(sent)])
            if has_receipt:
                sink.forget(taken)
    reader.accept(sink.pending())
    reader.close()
    assert [row["user"] for row in rows(directory, "events")] == [str(s) for s in range(len(roads))]


def test_what_was_taken_is_kept_no_longer() -> None:
    sink = ParcelWriter()
    fill(sink, 3)
    sink.forget(2)
    assert [parcel["number"] for parcel in sink.pending()] == [3]
    sink.forget(3)
    assert sink.pending() == []


def test_a_parcel_that_no_worker_of_ours_sends_is_refused(tmp_path: Path) -> None:
    reader = ParcelReader(tmp_path, "worker-0")
    with pytest.raises(ParcelError, match="unknown table"):
        reader.accept([{"number": 1, "tables": {"nonsense": []}}])
    with pytest.raises(ParcelError, match="no batch of events"):
        reader.accept([{"number": 1, "tables": {"events": [[9, b"nonsense"]]}}])
