from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from loadtests.health.live_file import FEWEST_CLIENTS, MEMBERS, RATE_SPAN_S, LiveFile, find_strains
from loadtests.record.histogram import Histogram
from loadtests.record.live_figures import LiveFigures
from loadtests.record.recording import SECOND_NS, PhaseTimes, Recorder
from loadtests.results import Event, LimitOutcome, Phase, Series, Strain
from scenarios.model import Health

MS = 1_000_000
HEALTH = Health(generator_share_p99_ms=10, second_lost_percent=10)
ONE = LiveFigures(
    clients=3,
    offered=5,
    sent=4,
    received=70,
    errors=1,
    missed=2,
    heartbeats_missed=1,
    limits_accepted=60,
    limits_refused=9,
    limits_wrong=1,
    limits_undecided=2,
    push=Histogram.of([MS, 2 * MS]),
    share=Histogram.of([MS]),
    nodes={"node-1": Histogram.of([MS])},
    generator={"cpu_ns": 400 * MS, "steal_ns": 20 * MS},
)
TWO = LiveFigures(
    clients=2,
    received=30,
    push=Histogram.of([9 * MS]),
    nodes={"node-1": Histogram.of([3 * MS]), "node-2": Histogram.of([9 * MS])},
    generator={"cpu_ns": 700 * MS},
)


def test_figures_of_two_processes_add_up_and_the_generator_is_the_busier_one() -> None:
    both = LiveFigures.merged([ONE, TWO])
    assert (both.clients, both.received, both.limits_accepted) == (5, 100, 60)
    assert both.push.total == 3
    assert both.push.quantile_ns(1.0) == pytest.approx(9 * MS, rel=1e-3)
    assert both.generator == {"cpu_ns": 700 * MS, "steal_ns": 20 * MS}
    assert {name: push.total for name, push in both.nodes.items()} == {"node-1": 2, "node-2": 1}


def test_figures_come_back_as_they_were_sent() -> None:
    sent = json.loads(json.dumps(ONE.packed()))
    back = LiveFigures.unpacked(sent)
    assert back.packed() == ONE.packed()
    assert LiveFigures.merged([]).packed() == LiveFigures().packed()


def test_what_a_recorder_was_told_is_in_its_figures(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path, worker="w", t0_ns=0, phases=PhaseTimes(0))
    for outcome in (*LimitOutcome, LimitOutcome.ACCEPTED):
        recorder.event(Event.LIMIT, at_ns=1, outcome=outcome)
    recorder.event(Event.HEARTBEAT_MISSED, at_ns=1)
    recorder.event(Event.CONNECT, at_ns=1, outcome=LimitOutcome.ACCEPTED)
    recorder.count("offered", 3)
    recorder.span(Series.PUSH, 5 * MS, 1)
    seen = recorder.flush(SECOND_NS)
    seen.generator = {"cpu_ns": 7, "steal_ns": None, "loop_lag_max_ns": 8}
    figures = LiveFigures.of(seen, recorder)
    assert (figures.limits_accepted, figures.limits_refused) == (2, 1)
    assert (figures.limits_wrong, figures.limits_undecided) == (3, 1)
    assert figures.heartbeats_missed == 1
    assert figures.offered == 3
    assert figures.push.total == 1
    assert figures.generator == {"cpu_ns": 7}
    later = LiveFigures.of(recorder.flush(2 * SECOND_NS), recorder)
    assert (later.limits_accepted, later.offered, later.push.total) == (2, 0, 0)
    recorder.close(3 * SECOND_NS)


class Watched:
    """A live file that a test writes second by second, and reads as others do."""

    def __init__(self, folder: Path) -> None:
        self.file = LiveFile(folder / "live.json", HEALTH)
        self.second = 0

    def tell(
        self,
        *,
        figures: LiveFigures = ONE,
        phase: Phase = Phase.STEADY,
        server: dict[str, object] | None = None,
        publisher: dict[str, object] | None = None,
        nodes: dict[str, dict[str, object]] | None = None,
    ) -> dict[str, object]:
        self.second += 1
        self.file.write(
            t_s=float(self.second),
            phase=phase,
            phase_from_s=0.0,
            figures=figures,
            server=server or {},
            publisher=publisher,
            nodes=nodes or {},
        )
        found: dict[str, object] = json.loads(self.file.path.read_text())
        assert found == self.file.newest
        return found


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    return Watched(tmp_path)


def test_the_file_has_the_members_that_its_document_names(watched: Watched) -> None:
    assert list(watched.tell()) == list(MEMBERS)


def test_a_rate_of_publications_is_taken_over_several_of_the_publishers_seconds(
    watched: Watched,
) -> None:
    told = [0, 0, 100, 100, 200, 200, 300, 300, 400]  # it writes every other of our seconds
    rates = [watched.tell(publisher={"published": n})["published_per_s"] for n in told]
    assert rates[0] is None
    assert rates[1] == 0
    assert rates[-1] == (400 - 100) / RATE_SPAN_S
    assert watched.tell(publisher=None)["published"] is None


def test_what_the_publisher_never_sent_is_missed_too(watched: Watched) -> None:
    assert watched.tell(publisher={"published": 5, "missed": 3})["missed"] == ONE.missed + 3


def test_memory_for_each_client_counts_from_the_first_reading(watched: Watched) -> None:
    def told(clients: int, memory: int) -> object:
        server: dict[str, object] = {"clients": clients, "pss_anon_bytes": memory}
        return watched.tell(server=server)["memory_per_client_bytes"]

    assert told(1, 50_000_000) is None
    assert told(FEWEST_CLIENTS, 50_100_000) is None  # one less than the fewest came since
    assert told(101, 50_600_000) == 6_000
    assert watched.tell(server={})["memory_per_client_bytes"] is None
    assert watched.tell(server={"clients": 101})["memory_per_client_bytes"] is None


def test_strained_seconds_are_counted_in_the_steady_phase_alone(watched: Watched) -> None:
    busy = LiveFigures(generator={"cpu_ns": 990 * MS})
    assert watched.tell(figures=busy, phase=Phase.RAMP)["strained_s"] == 0
    assert watched.tell(figures=busy)["strains"] == ["cpu"]
    assert watched.tell(figures=LiveFigures())["strained_s"] == 1


@pytest.mark.parametrize(
    ("measured", "strains"),
    [
        ({}, ()),
        ({"share_p99_ns": 10 * MS}, ()),
        ({"share_p99_ns": 10 * MS + 1}, (Strain.SHARE,)),
        ({"steal_ns": 200 * MS}, ()),
        ({"steal_ns": 201 * MS}, (Strain.STEAL,)),
        ({"run_queue_ns": 110 * MS}, ()),
        ({"run_queue_ns": 210 * MS, "gateway_cpu_ns": 110 * MS}, ()),
        ({"run_queue_ns": 211 * MS, "gateway_cpu_ns": 110 * MS}, (Strain.CORE_WAIT,)),
        ({"gc_pause_max_ns": 101 * MS}, (Strain.COLLECTION,)),
    ],
    ids=lambda value: ",".join(value) or "nothing",
)
def test_a_limit_that_is_broken_in_a_second_is_named(
    measured: Counter[str], strains: tuple[Strain, ...]
) -> None:
    assert find_strains(HEALTH, cores=2, **measured) == strains


def test_each_node_is_shown_by_itself_and_one_that_restarts_has_no_cpu_use(
    watched: Watched,
) -> None:
    assert watched.tell()["nodes"] == []
    watched.tell(nodes={"node-1": {"cpu_ns": 0}, "node-2": {"cpu_ns": 900 * MS}})
    told = watched.tell(
        nodes={
            "node-1": {"cpu_ns": 250 * MS, "clients": 7, "rss_bytes": 5},
            "node-2": {"cpu_ns": 3 * MS},
        }
    )
    found = told["nodes"]
    assert isinstance(found, list)
    first, second = found
    assert (first["clients"], first["cpu_percent"], first["memory_bytes"]) == (7, 25.0, 5)
    assert first["push_p50_ns"] == pytest.approx(MS, rel=1e-3)
    assert second == {**dict.fromkeys(second), "name": "node-2"}
