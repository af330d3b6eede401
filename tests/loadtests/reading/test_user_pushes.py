"""What each user was pushed, against the sum of what came."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import pyarrow.parquet as pq
from hypothesis import given
from hypothesis import strategies as st

from loadtests.reading.batches import Batch
from loadtests.reading.intake import Intake
from loadtests.reading.user_pushes import PushSum, UserPushes, record_clients
from loadtests.record.finisher import finish_run
from loadtests.record.manifest import write_json
from loadtests.record.recording import SECOND_NS, PhaseTimes, Recorder
from loadtests.results import MANIFEST, Phase

US = 1_000
T0 = 10 * SECOND_NS
STEADY = T0 + 2 * SECOND_NS
DRAIN = T0 + 4 * SECOND_NS


def phases() -> PhaseTimes:
    times = PhaseTimes(T0)
    times.begin(Phase.STEADY, STEADY)
    times.begin(Phase.DRAIN, DRAIN)
    return times


def batch_of(reads: list[tuple[int, int, int]]) -> Batch:
    """Return a batch of reads (stamp, owner, latency in µs), which must ascend."""
    intake = Intake()
    for number, (stamp_ns, owner, latency_us) in enumerate(reads, 1):
        payload = {"symbol": "S", "seq": number, "ts": stamp_ns // US - latency_us}
        intake.take(stamp_ns, owner, "price:update", payload)
    batch = intake.drain()
    assert batch is not None
    return batch


def add(pushes: UserPushes, reads: list[tuple[int, int, int]]) -> None:
    if reads:
        batch = batch_of(reads)
        pushes.take(batch, batch.latencies_ns())


@given(
    st.lists(
        st.lists(
            st.tuples(
                st.integers(0, 5 * 10**6).map(lambda us: T0 + us * US),
                st.integers(0, 2_000),
                st.integers(-5, 10**6),
            ),
            max_size=20,
        ),
        max_size=5,
    )
)
def test_what_comes_in_the_steady_phase_is_added_up_by_user(
    parts: list[list[tuple[int, int, int]]],
) -> None:
    pushes = UserPushes(phases())
    expected: dict[int, list[int]] = defaultdict(list)
    for part in parts:
        add(pushes, sorted(part))
        for stamp_ns, owner, latency_us in part:
            if STEADY <= stamp_ns < DRAIN and latency_us >= 0:
                expected[owner].append(latency_us * US)
    for owner in {owner for part in parts for _, owner, _ in part}:
        latencies = expected[owner]
        assert pushes.of(owner) == PushSum(
            len(latencies), sum(latencies), max(latencies, default=None)
        )


def test_a_user_that_was_pushed_nothing_has_no_largest() -> None:
    assert UserPushes(phases()).of(9_999) == PushSum(0, 0, None)


class Somebody:
    """A user as its row tells of it."""

    group = "subscriber"

    def __init__(self, index: int, first_welcome_ns: int | None) -> None:
        self.user_id = f"vu-{index}"
        self.index = index
        self.first_welcome_ns = first_welcome_ns
        self.connects = 0 if first_welcome_ns is None else 2


def test_each_user_has_a_row_and_what_never_was_is_absent(tmp_path: Path) -> None:
    write_json(tmp_path / MANIFEST, {"status": "running"})
    recorder = Recorder(tmp_path, worker="w", t0_ns=T0, phases=phases())
    pushes = UserPushes(recorder.phases)
    add(pushes, [(STEADY, 1, 30), (STEADY + US, 1, 10)])
    people = [Somebody(7, None), Somebody(3, T0 + 5)]
    record_clients(recorder, people, pushes)
    recorder.close(T0 + SECOND_NS)
    finish_run(tmp_path)
    never, came = pq.read_table(tmp_path / "clients.parquet").to_pylist()
    assert never == {
        "worker": "w",
        "user": "vu-7",
        "group": "subscriber",
        "place": 7,
        "welcome_ns": None,
        "connects": 0,
        "pushes": 0,
        "push_sum_ns": 0,
        "push_max_ns": None,
    }
    assert (came["place"], came["welcome_ns"], came["connects"]) == (3, 5, 2)
    assert (came["pushes"], came["push_sum_ns"], came["push_max_ns"]) == (2, 40_000, 30_000)
