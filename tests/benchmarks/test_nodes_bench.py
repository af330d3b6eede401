"""The parts of the benchmark of several nodes: its model, its gap check, and a small run."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvloop
from redis import Redis
from redis_server import RedisServer

from tests.benchmarks.nodes import model, simulate, text
from tests.benchmarks.nodes.__main__ import main
from tests.benchmarks.nodes.ground import Ground, Lengths
from tests.benchmarks.nodes.log_rates import Follower
from tests.benchmarks.nodes.model import Costs, Load, Observed
from tests.benchmarks.nodes.rows import MEMORY, ROWS, sized
from tests.benchmarks.transport import table
from tests.benchmarks.transport.crowd import PeerFailed
from tests.benchmarks.transport.rows import OURS, Figures, answer

COSTS = Costs(
    append_call_s=50e-6,
    append_entry_s=10e-6,
    reply_s=8e-6,
    reply_entry_s=2e-6,
    reply_bytes=50.0,
    entry_bytes=500.0,
    reader_s=0.2e-3,
    base_s=1e-3,
)


def observe(load: Load) -> Observed:
    replies = model.replies_per_s(COSTS, load)
    return Observed(load, model.busy_share(COSTS, load), replies, model.bytes_per_s(COSTS, load))


def test_the_model_finds_the_constants_that_made_the_measurements() -> None:
    rates = [(100, 1), (400, 1), (1_000, 10), (8_000, 100)]
    observed = [observe(Load(nodes, *rate)) for nodes in (1, 2, 5) for rate in rates]
    found = model.fit(observed, model.fit_reader(observed))
    assert found == pytest.approx(COSTS._replace(base_s=0.0), rel=1e-3)


def test_a_fit_needs_as_many_loads_as_constants() -> None:
    with pytest.raises(ValueError, match="4 loads are needed"):
        model.fit([observe(Load(1, 100, 1))] * 3, 0.0)


def test_the_most_publications_keep_redis_as_busy_as_allowed() -> None:
    most = model.most_per_s(COSTS, 10, 100)
    assert model.busy_share(COSTS, Load(10, most, 100)) == pytest.approx(model.FULL, abs=1e-3)
    twice = model.grow(COSTS, Load(10, 2 * most, 100))
    assert twice.shards == 2
    assert twice.latency_s is None


def test_more_nodes_than_one_redis_carries_leave_no_room_for_publications() -> None:
    most = model.most_nodes(COSTS)
    assert model.busy_share(COSTS, Load(most, 0, 1)) <= model.FULL
    assert model.busy_share(COSTS, Load(most + 2, 0, 1)) > model.FULL
    grown = model.grow(COSTS, Load(2 * most, 1_000, 10))
    assert (grown.most_per_s, grown.shards) == (0.0, 0)


def test_the_last_node_waits_for_the_replies_to_all_others() -> None:
    one, ten = (model.latency_s(COSTS, Load(nodes, 50, 1)) for nodes in (1, 10))
    assert one is not None
    assert ten is not None
    assert ten - one >= 9 * (COSTS.reply_s + COSTS.reply_entry_s)


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, Follower]]:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    with ours, theirs:
        yield theirs, Follower(ours.fileno(), 0)


def frame(seq: int, previous: int) -> bytes:
    event = json.dumps({"seq": seq, "prevSeq": previous}, separators=(",", ":"))
    payload = f'42["ticker:update",{event}]'.encode()
    return bytes((0x81, len(payload))) + payload


def test_numbers_that_follow_each_other_are_read_to_the_last(
    pair: tuple[socket.socket, Follower],
) -> None:
    theirs, follower = pair
    whole = frame(1, 0) + frame(2, 1) + frame(5, 2)  # 3 and 4 were conflated
    theirs.sendall(whole[:-7])
    follower.read()
    assert follower.last == 2
    theirs.sendall(whole[-7:])
    follower.read()
    assert follower.last == 5


def test_a_gap_is_no_figure(pair: tuple[socket.socket, Follower]) -> None:
    theirs, follower = pair
    theirs.sendall(frame(1, 0) + frame(3, 2))
    with pytest.raises(PeerFailed, match="number 3 says 2 before it, not 1"):
        follower.read()


def test_a_difference_is_shown_and_judged_as_one() -> None:
    row = next(row for row in ROWS if row.key == "p50_1000_ms")
    figures: Figures = {row.key: {OURS: [10.5, 10.7, 10.6], MEMORY: [10.0, 10.1, 10.2]}}
    answers = [answer(sized(row, 1, 0, 0), figures)]
    assert answers[0].judgement == "met"
    line = table.lines_of(answers, text.COLUMNS)[-1]
    assert "+0.50 ms over memory broker" in line
    assert line.startswith("| 1,000 clients × 2/s: p50, ms | 10.60 | 10.10 |")


@pytest.mark.real_part("redis-server")
def test_plain_readers_are_readers_for_redis(tmp_path: Path) -> None:
    server = RedisServer(tmp_path)
    cores = sorted(os.sched_getaffinity(0))
    lengths = Lengths(seconds=0.5)
    try:
        ground = Ground(redis=server, cores=cores, folder=tmp_path, lengths=lengths, report=print)
        with Redis.from_url(server.url) as redis:
            seen = uvloop.run(simulate.plain_readers(ground, redis, 3))
    finally:
        server.stop()
    assert seen.load.nodes == 4
    # Each reads every entry, and an entry of a tick has more than 300 bytes.
    assert seen.bytes_per_s > 4 * 300 * seen.load.per_s
    assert 0 < seen.busy_share < 1
    assert seen.replies_per_s > 0


@pytest.mark.real_part("redis-server")
def test_the_command_measures_prints_and_keeps(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept, written = tmp_path / "nodes.json", tmp_path / "nodes.md"
    rows = [row.key for row in ROWS if not row.cell.startswith(("many", "arrive"))]
    sizes = ["--quick", "--shrink", "250", "--rows", *rows]
    assert main([*sizes, "--json", str(kept), "--markdown", str(written)]) == 0
    assert "4 clients × 2/s: p50" in capsys.readouterr().out
    document = json.loads(kept.read_text())
    assert [note for note in document["notes"] if "failed" in note] == []
    assert document["figures"].keys() == set(rows)
    assert document["figures"]["p50_1000_ms"].keys() == {OURS, MEMORY}
    assert all(note["delivered_share"] == 1 for note in document["notes"])
    assert document["figures"]["log_per_s"][OURS][0] > 0
    assert document["stored"]["events"] * document["stored"]["event_bytes"] > 60_000
    assert "| two nodes on two cores" in written.read_text()


def test_a_machine_without_redis_is_told_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main([]) == 2
    assert "redis-server is not on the PATH" in capsys.readouterr().err
