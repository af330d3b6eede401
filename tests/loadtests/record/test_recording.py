from __future__ import annotations

import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.record.finisher import finish_run, main
from loadtests.record.manifest import read_json, write_json
from loadtests.record.recording import SECOND_NS, PhaseTimes, Recorder
from loadtests.record.segments import SegmentWriter, TableError
from loadtests.results import MANIFEST, TABLES, Event, Phase, Series, bucket_of

ROOT = Path(__file__).parents[3]
T0 = 5_000 * SECOND_NS


@pytest.fixture
def phases() -> PhaseTimes:
    times = PhaseTimes(T0)
    times.begin(Phase.WARM_UP, T0 + 2 * SECOND_NS)
    times.begin(Phase.STEADY, T0 + 4 * SECOND_NS)
    return times


@pytest.fixture
def recorder(tmp_path: Path, phases: PhaseTimes) -> Iterator[Recorder]:
    manifest = {"status": "running", "problems": [], "gateway": {"status": "ok", "exit_code": None}}
    write_json(tmp_path / MANIFEST, manifest)
    (tmp_path / "logs").mkdir()
    recorder = Recorder(tmp_path, worker="w", t0_ns=T0, phases=phases)
    yield recorder
    assert isinstance(recorder.writer, SegmentWriter)
    for file, _ in recorder.writer._open.values():  # what a crash leaves open
        file.close()


def table(directory: Path, name: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pq.read_table(directory / f"{name}.parquet").to_pylist()
    return rows


def test_a_span_belongs_to_the_second_and_phase_of_its_stamp(
    tmp_path: Path, recorder: Recorder
) -> None:
    for at_s, value in ((1.5, 100), (1.9, 100), (2.0, 5_000_000), (9.0, 7)):
        recorder.span(Series.PUSH, value, T0 + int(at_s * SECOND_NS))
    recorder.close(T0 + 10 * SECOND_NS)
    finish_run(tmp_path)
    found = {(r["t_s"], r["phase"], r["bucket"]): r["count"] for r in table(tmp_path, "hist")}
    assert found == {
        (1, "ramp", 100): 2,
        (2, "warm-up", bucket_of(5_000_000)): 1,
        (9, "steady", 7): 1,
    }


def test_a_second_flushed_in_two_parts_is_one_in_the_end(
    tmp_path: Path, recorder: Recorder
) -> None:
    for _ in range(2):
        recorder.span(Series.ACK, 50, T0 + 1)
        recorder.flush(T0 + SECOND_NS)
    recorder.close(T0 + SECOND_NS)
    finish_run(tmp_path)
    assert [row["count"] for row in table(tmp_path, "hist")] == [2]


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 2**41)), max_size=60))
def test_whatever_is_recorded_is_found_again(
    tmp_path_factory: pytest.TempPathFactory, spans: list[tuple[int, int]]
) -> None:
    directory = tmp_path_factory.mktemp("run")
    write_json(directory / MANIFEST, {"status": "running"})
    recorder = Recorder(directory, worker="w", t0_ns=T0, phases=PhaseTimes(T0))
    for second, value in spans:
        recorder.span(Series.PUSH, value, T0 + second * SECOND_NS)
        if value % 3 == 0:
            recorder.flush(T0 + second * SECOND_NS)
    recorder.close(T0 + 30 * SECOND_NS)
    finish_run(directory)
    found = {(row["t_s"], row["bucket"]): row["count"] for row in table(directory, "hist")}
    assert found == Counter((second, bucket_of(value)) for second, value in spans)


@pytest.mark.parametrize(
    ("value", "words"), [(-1, "negative span"), (2**42, "span too long")], ids=["negative", "long"]
)
def test_an_impossible_span_is_an_error_and_never_clamped(
    tmp_path: Path, recorder: Recorder, value: int, words: str
) -> None:
    recorder.span(Series.PUSH, value, T0 + 1)
    recorder.close(T0 + SECOND_NS)
    finish_run(tmp_path)
    assert table(tmp_path, "hist") == []
    assert [row["outcome"] for row in table(tmp_path, "events")] == [words]
    assert [row["errors"] for row in table(tmp_path, "timeline")] == [1]


def test_counts_belong_to_the_second_in_which_they_were_made(
    tmp_path: Path, recorder: Recorder
) -> None:
    recorder.clients(3)
    recorder.count("received", 10)
    recorder.flush(T0 + SECOND_NS)
    recorder.count("received")
    recorder.close(T0 + 2 * SECOND_NS)
    finish_run(tmp_path)
    rows = table(tmp_path, "timeline")
    assert [(row["t_s"], row["clients"], row["received"]) for row in rows] == [
        (0, 3, 10),
        (1, 3, 1),
    ]


def test_what_is_not_known_is_null_and_not_zero(tmp_path: Path, recorder: Recorder) -> None:
    recorder.row("server", T0 + 1, {"rss_bytes": 5})
    recorder.event(Event.CONNECT, at_ns=T0 + 7)
    recorder.close(T0 + SECOND_NS)
    finish_run(tmp_path)
    server = table(tmp_path, "server")[0]
    assert (server["rss_bytes"], server["cpu_ns"], server["fds"]) == (5, None, None)
    event = table(tmp_path, "events")[0]
    assert (event["t_ns"], event["sent_ns"], event["value_ns"]) == (7, None, None)


def test_a_counter_or_column_that_does_not_exist_is_refused(recorder: Recorder) -> None:
    with pytest.raises(ValueError, match="recieved is no counter; use one of"):
        recorder.count("recieved")
    with pytest.raises(TableError, match="has no column cpu"):
        recorder.row("server", T0, {"cpu": 1})
    with pytest.raises(TableError, match="a row of generator lacks cpu_ns"):
        recorder.row("generator", T0, {})


def test_one_message_in_a_thousand_is_sampled_and_the_slowest_of_each_second(
    tmp_path: Path, recorder: Recorder
) -> None:
    for number in range(20_000):
        recorder.sample(T0 + number, "vu-1", "price:A", number, None, 1_000 + number % 7)
    recorder.sample(T0 + 20_000, "vu-2", "price:B", 1, 9_999, 10)
    recorder.close(T0 + SECOND_NS)
    finish_run(tmp_path)
    rows = table(tmp_path, "sample")
    assert [row["user"] for row in rows if row["why"] == "slow"] == ["vu-2"]
    assert 5 <= sum(row["why"] == "hash" for row in rows) <= 50


def test_every_table_is_written_even_when_it_stayed_empty(
    tmp_path: Path, recorder: Recorder
) -> None:
    recorder.close(T0)
    finish_run(tmp_path)
    for name, columns in TABLES.items():
        schema = pq.read_schema(tmp_path / f"{name}.parquet")
        assert schema.names == [column.name for column in columns]
        assert [str(field.type) for field in schema] == [column.kind for column in columns]


def test_a_crashed_run_gives_what_was_flushed_and_says_what_is_cut(
    tmp_path: Path, recorder: Recorder
) -> None:
    for second in range(3):
        recorder.count("received", second + 1)
        recorder.flush(T0 + (second + 1) * SECOND_NS)
    segment = tmp_path / "segments" / "timeline.w.arrow"
    segment.write_bytes(segment.read_bytes()[:-20])
    problems = finish_run(tmp_path)
    assert [row["received"] for row in table(tmp_path, "timeline")] == [1, 2]
    assert any("timeline.w.arrow: cut off after 2 batches" in words for words in problems)
    manifest = read_json(tmp_path / MANIFEST)
    assert manifest is not None
    assert manifest["status"] == "aborted"
    assert set(problems) <= set(manifest["problems"])


def test_a_segment_without_an_end_mark_is_read_whole_and_named(
    tmp_path: Path, recorder: Recorder
) -> None:
    recorder.count("received", 4)
    recorder.flush(T0 + SECOND_NS)
    problems = finish_run(tmp_path)
    assert [row["received"] for row in table(tmp_path, "timeline")] == [4]
    assert problems == ["timeline.w.arrow: its writer never ended it"]


def test_an_empty_segment_is_named_and_no_error(tmp_path: Path, recorder: Recorder) -> None:
    recorder.close(T0)
    (tmp_path / "segments" / "hist.x.arrow").write_bytes(b"")
    assert ["hist.x.arrow" in words for words in finish_run(tmp_path)] == [True]


def test_ending_a_run_twice_changes_nothing(tmp_path: Path, recorder: Recorder) -> None:
    recorder.span(Series.PUSH, 5, T0)
    recorder.flush(T0 + SECOND_NS)
    finish_run(tmp_path)
    first = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    finish_run(tmp_path)
    assert first == {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}


def test_what_the_supervisor_saw_is_merged_into_the_manifest(
    tmp_path: Path, recorder: Recorder
) -> None:
    recorder.close(T0)
    told = {"gateway_died": True, "gateway_exit_code": -9, "interrupted": True, "problems": ["x"]}
    write_json(tmp_path / "logs" / "supervisor.json", told)
    finish_run(tmp_path)
    manifest = read_json(tmp_path / MANIFEST)
    assert manifest is not None
    assert manifest["status"] == "interrupted"
    assert manifest["gateway"] == {"status": "died", "exit_code": -9}
    assert manifest["problems"] == ["x"]


SECONDS = st.integers(0, 8)
SPANS = st.lists(st.tuples(SECONDS, st.integers(0, 10**10)), max_size=80)


@given(SPANS, st.integers(1, 4))
def test_spans_in_bulk_are_recorded_as_one_by_one_and_to_the_second(
    spans: list[tuple[int, int]], parts: int
) -> None:
    """Against an exact count of what each second held, through as many flushes as there are."""
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder)
        write_json(directory / MANIFEST, {"status": "running", "gateway": None})
        (directory / "logs").mkdir()
        times = PhaseTimes(T0)
        recorder = Recorder(directory, worker="w", t0_ns=T0, phases=times)
        for part in range(parts):
            chosen = np.array(spans[part::parts], dtype=np.int64).reshape(-1, 2)
            recorder.spans(Series.PUSH, chosen[:, 1], T0 + chosen[:, 0] * SECOND_NS + 17)
            for second, value_ns in spans[part::parts]:
                recorder.span(Series.ACK, value_ns, T0 + second * SECOND_NS + 17)
            recorder.flush(T0)
        recorder.close(T0)
        assert finish_run(directory) == []
        rows = table(directory, "hist")
    expected = Counter((second, bucket_of(value)) for second, value in spans)
    for series in ("push", "ack"):
        found = {(r["t_s"], r["bucket"]): r["count"] for r in rows if r["series"] == series}
        assert found == expected


def test_a_span_that_no_histogram_holds_is_an_error_in_bulk_too(
    tmp_path: Path, recorder: Recorder
) -> None:
    values = np.array([5, -1, 7, 2**60], dtype=np.int64)
    recorder.spans(Series.PUSH, values, np.full(4, T0, dtype=np.int64))
    recorder.close(T0)
    finish_run(tmp_path)
    assert sum(row["count"] for row in table(tmp_path, "hist")) == 2
    assert [row["outcome"] for row in table(tmp_path, "events")] == [
        "negative span",
        "span too long",
    ]


def test_a_directory_that_is_no_run_is_a_usage_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(tmp_path)]) == 2
    assert "it is no run" in capsys.readouterr().err
    assert main([]) == 2


def test_recording_never_loads_pandas(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from loadtests.record.recording import *;"
        "from loadtests.results import Event, Series;"
        f"r = Recorder(Path({str(tmp_path)!r}), worker='w', t0_ns=0, phases=PhaseTimes(0));"
        "r.span(Series.PUSH, 5, 7); r.event(Event.CONNECT, at_ns=1, user='é'); r.close(9);"
        "sys.exit('pandas' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=False)
    assert done.returncode == 0


def test_texts_and_nulls_come_back_as_they_were(tmp_path: Path, recorder: Recorder) -> None:
    words = ["", "é ∞", "x" * 1_000, "last"]
    for number, text in enumerate(words):
        sent_ns = T0 + number if number % 2 else None
        recorder.event(Event.ERROR, at_ns=T0 + number, detail=text, sent_ns=sent_ns)
    recorder.close(T0)
    finish_run(tmp_path)
    rows = table(tmp_path, "events")
    assert [row["detail"] for row in rows] == words
    assert [row["sent_ns"] for row in rows] == [None, 1, None, 3]


def test_a_phase_that_was_planned_is_dropped_by_an_earlier_one(phases: PhaseTimes) -> None:
    phases.begin(Phase.DRAIN, T0 + 3 * SECOND_NS)
    assert phases.at(T0 + 5 * SECOND_NS) is Phase.DRAIN
    assert phases.at(T0 + int(2.5 * SECOND_NS)) is Phase.WARM_UP
    assert phases.began_ns(T0 + int(2.5 * SECOND_NS)) == T0 + 2 * SECOND_NS
    assert phases.began_ns(T0 - 1) == T0
    assert phases.at(T0 - 1) is Phase.RAMP
    described = phases.describe(T0, T0 + 6 * SECOND_NS)
    assert [(p["phase"], p["start_s"], p["end_s"]) for p in described] == [
        ("ramp", 0, 2),
        ("warm-up", 2, 3),
        ("drain", 3, 6),
    ]


def test_a_flush_in_steps_writes_what_one_at_once_does(tmp_path: Path, recorder: Recorder) -> None:
    for value in (100, 200, 200):
        recorder.span(Series.PUSH, value, T0 + 1)
        recorder.span(Series.ACK, value, T0 + 1)
    seen = recorder.begin_flush(T0 + SECOND_NS)
    steps = 0
    while recorder.flush_step():
        recorder.span(Series.PUSH, 300, T0 + SECOND_NS + 1)  # belongs to the next flush
        steps += 1
    assert steps > 3
    assert seen.histogram(Series.PUSH).total == 3
    assert seen.worst_ns(Series.PUSH) == 200
    recorder.close(T0 + 2 * SECOND_NS)
    finish_run(tmp_path)
    counts = Counter[tuple[str, int]]()
    for row in table(tmp_path, "hist"):
        counts[row["series"], row["bucket"]] += row["count"]
    assert counts == {
        ("push", 100): 1,
        ("push", 200): 2,
        ("push", 300): steps,
        ("ack", 100): 1,
        ("ack", 200): 2,
    }


@pytest.mark.parametrize("done", range(6))
def test_a_flush_that_was_left_half_done_loses_nothing(
    tmp_path: Path, recorder: Recorder, done: int
) -> None:
    recorder.span(Series.PUSH, 100, T0 + 1)
    recorder.span(Series.ACK, 100, T0 + 1)
    recorder.begin_flush(T0 + SECOND_NS)
    for _ in range(done):
        recorder.flush_step()
    recorder.close(T0 + SECOND_NS)
    finish_run(tmp_path)
    assert [row["count"] for row in table(tmp_path, "hist")] == [1, 1]


def test_a_gateway_that_tells_nothing_for_a_second_has_a_row_all_the_same() -> None:
    assert [c.name for c in TABLES["server"] if not c.may_be_absent] == ["t_s", "phase"]
