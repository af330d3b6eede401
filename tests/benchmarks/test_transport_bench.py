"""The benchmark's own parts: what it computes is right, and its peers do what it says."""

from __future__ import annotations

import itertools
import json
import math
import os
from pathlib import Path

import numpy as np
import pytest
from deadlines import DEADLINE_S
from hypothesis import given
from hypothesis import strategies as st

from tests.benchmarks.transport import cells, chart, document, own_metrics, table, wire
from tests.benchmarks.transport.__main__ import main
from tests.benchmarks.transport.crowd import Crowd, PeerFailed
from tests.benchmarks.transport.intervals import estimate_median, estimate_ratio
from tests.benchmarks.transport.peers import ROOT, Peer, Running, find_peers, start
from tests.benchmarks.transport.reading import Reading, is_calm, quantile_ms
from tests.benchmarks.transport.rows import (
    ROWS,
    Figures,
    Row,
    add_growth,
    against_base,
    answer,
    sized,
)

positive = st.floats(0.01, 1e6)
CLIENTS = 20
CORE = min(os.sched_getaffinity(0))


# Intervals


def test_five_values_give_their_extremes_at_93_75_percent() -> None:
    estimate = estimate_median([5.0, 1.0, 4.0, 2.0, 3.0])
    assert (estimate.value, estimate.low, estimate.high) == (3.0, 1.0, 5.0)
    assert estimate.coverage == 0.9375


def test_twelve_values_give_a_narrower_interval_than_their_extremes() -> None:
    estimate = estimate_median([float(i) for i in range(1, 13)])
    assert (estimate.low, estimate.high) == (3.0, 10.0)  # P(Bin(12, ½) < 3) = 79/4096
    assert estimate.coverage == pytest.approx(1 - 2 * 79 / 4_096)


def test_a_single_value_has_no_interval() -> None:
    assert estimate_median([7.0]).low is None
    assert estimate_ratio([8.0], [2.0]).value == pytest.approx(4.0)
    assert estimate_ratio([8.0], [2.0]).high is None


@given(st.lists(st.tuples(positive, positive), min_size=2, max_size=9))
def test_a_ratio_lies_in_its_interval_and_turns_over_with_its_sides(
    pairs: list[tuple[float, float]],
) -> None:
    ours, theirs = [a for a, _ in pairs], [b for _, b in pairs]
    ratio, inverse = estimate_ratio(ours, theirs), estimate_ratio(theirs, ours)
    assert ratio.low is not None
    assert ratio.high is not None
    assert inverse.high is not None
    assert ratio.low <= ratio.value * (1 + 1e-9)
    assert ratio.value <= ratio.high * (1 + 1e-9)
    assert ratio.value * inverse.value == pytest.approx(1)
    assert ratio.low * inverse.high == pytest.approx(1)


@given(st.integers(2, 10))
def test_coverage_is_what_counting_all_signs_gives(n: int) -> None:
    """The ends are the k-th Walsh averages; under no difference each sign is equally likely."""
    logs = [2**rank / 100 for rank in range(n)]  # no two averages of these are equal
    walsh = sorted((x + y) / 2 for i, x in enumerate(logs) for y in logs[i:])
    estimate = estimate_ratio([math.exp(log) for log in logs], [1.0] * n)
    assert estimate.low is not None
    low = math.log(estimate.low)
    k = next(i for i, average in enumerate(walsh, start=1) if math.isclose(average, low))
    sums = [
        sum(itertools.compress(range(1, n + 1), signs))
        for signs in itertools.product((0, 1), repeat=n)
    ]
    inside = sum(k <= total <= len(walsh) - k for total in sums)
    assert estimate.coverage == pytest.approx(inside / 2**n)


@pytest.mark.parametrize(
    ("ours", "theirs", "said"),
    [
        pytest.param([], [], "pairs are needed", id="none"),
        pytest.param([1.0], [1.0, 2.0], "pairs are needed", id="unequal"),
        pytest.param([1.0], [0.0], "positive", id="zero"),
    ],
)
def test_what_is_no_pair_is_refused(ours: list[float], theirs: list[float], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        estimate_ratio(ours, theirs)


# Rows


def figures(key: str, **by_peer: list[float | None]) -> Figures:
    return {key: by_peer}


def row(key: str) -> Row:
    return next(row for row in ROWS if row.key == key)


@pytest.mark.parametrize(
    ("ours", "judgement"),
    [
        pytest.param([170.0, 180.0, 175.0, 172.0, 161.0], "met", id="the whole interval above"),
        pytest.param([170.0, 180.0, 175.0, 172.0, 150.0], "undecided", id="one end below"),
        pytest.param([110.0, 120.0, 130.0, 125.0, 119.0], "missed", id="the whole interval below"),
        pytest.param([500.0], "undecided", id="one pair decides nothing"),
        pytest.param([None, None], "", id="nothing measured"),
    ],
)
def test_a_goal_is_judged_by_the_whole_interval(ours: list[float | None], judgement: str) -> None:
    given_figures = figures("delivered_per_s", tidegate=ours, node=[100.0] * len(ours))
    assert answer(row("delivered_per_s"), given_figures).judgement == judgement


@pytest.mark.parametrize(
    ("readings_ms", "calm"),
    [
        ([(0, 50), (100, 50)], "1111111111"),
        # 20 ms, told between 50 and 60: from 30 on at the earliest, and 9 on either side
        ([(0, 50), (50, 50), (60, 70), (100, 70)], "1110000111"),
        ([(0, 50), (90, 60)], "0000000000"),
    ],
    ids=["nothing", "a while", "any time"],
)
def test_a_tick_is_calm_when_the_host_took_nothing_about_it(
    readings_ms: list[tuple[int, int]], calm: str
) -> None:
    dues_ns = np.arange(10) * 10_000_000
    readings = [(at_ms * 1_000_000, had_ms * 1_000_000) for at_ms, had_ms in readings_ms]
    found = is_calm(dues_ns, readings, 9_000_000)
    assert "".join(str(int(each)) for each in found) == calm


def test_a_pair_without_one_of_its_sides_is_left_out_of_the_ratio() -> None:
    given_figures = figures("connects_per_s", tidegate=[300.0, 1.0], node=[100.0, None])
    compared = answer(row("connects_per_s"), given_figures).compared
    assert compared is not None
    assert compared.value == pytest.approx(3.0)


def test_growth_is_the_cost_at_the_largest_over_that_at_the_smallest() -> None:
    given_figures: Figures = {
        "cpu_1000_us": {"tidegate": [8.0, 10.0]},
        "cpu_10000_us": {"tidegate": [10.0, None]},
    }
    add_growth(given_figures)
    assert given_figures["growth"] == {"tidegate": [1.25, None]}


def test_a_shrunk_run_names_the_clients_that_it_had() -> None:
    assert sized(row("p99_5000_ms"), 10).title == "500 × 4/s: p99"
    assert sized(row("p99_5000_ms"), 1).title == "5,000 × 4/s: p99"


# Bytes


@given(
    st.lists(st.binary(max_size=300), max_size=8),
    st.lists(st.integers(0, 2_000), max_size=10),
)
def test_frames_are_the_same_however_their_bytes_are_cut(
    payloads: list[bytes], cuts: list[int]
) -> None:
    stream = b"".join(server_frame(payload) for payload in payloads)
    places = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    read, rest = [], b""
    for begin, end in itertools.pairwise(places):
        found, rest = wire.walk(rest + stream[begin:end])
        read += found
    assert read == payloads
    assert rest == b""


def server_frame(payload: bytes) -> bytes:
    if len(payload) < 126:
        return bytes((0x81, len(payload))) + payload
    return b"\x81\x7e" + len(payload).to_bytes(2, "big") + payload


def test_a_close_frame_is_not_taken_for_silence() -> None:
    with pytest.raises(ValueError, match="0x88"):
        wire.walk(server_frame(b"x") + b"\x88\x02\x03\xe8")


def test_a_tick_has_331_bytes_and_tells_when_it_was_due() -> None:
    packet = wire.ready_packet(12_345_678_901)
    assert len(packet) == 331
    assert wire.source_time_us(packet) == 12_345_678_901
    assert packet.startswith(wire.TICK)


def test_a_reading_gives_each_message_its_stamp_and_its_due_time() -> None:
    reading = Reading()
    heartbeat, one, two = reading.describe([]), reading.describe([7]), reading.describe([8, 9])
    for stamp, chunk in ((10_000, one), (20_000, two), (30_000, heartbeat), (40_000, one)):
        reading.stamps_ns.append(stamp)
        reading.chunks.append(chunk)
    stamps, dues = reading.messages()
    assert stamps.tolist() == [10_000, 20_000, 20_000, 40_000]
    assert dues.tolist() == [7_000, 8_000, 9_000, 7_000]


def test_a_quantile_of_nothing_is_absent() -> None:
    assert quantile_ms(Reading().messages()[0], 0.99) is None


def test_the_longest_pause_is_the_highest_bucket_that_grew_meanwhile() -> None:
    def buckets(generation: int, *counts: float) -> dict[str, float]:
        name = 'tidegate_gc_pause_seconds_bucket{generation="%d",le="%s"}'
        uppers = ("0.005", "0.05", "+Inf")
        return {name % (generation, le): n for le, n in zip(uppers, counts, strict=True)}

    before = buckets(0, 5, 5, 5) | buckets(2, 0, 0, 1)
    after = buckets(0, 9, 9, 9) | buckets(2, 0, 2, 3) | {"tidegate_loop_lag_max_seconds": 0.004}
    rows = own_metrics.explain(before, after)
    assert rows == {"loop_lag_ms": 4.0, "fanout_hold_ms": None, "gc_pause_ms": 50.0}
    assert own_metrics.explain(after, after)["gc_pause_ms"] is None


# Peers


@pytest.fixture(scope="session")
def peers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Peer]:
    built = tmp_path_factory.mktemp("built")
    return {peer.key: peer for peer in find_peers(ROOT, built)}


@pytest.mark.real_part("cc")
def test_the_floor_delivers_every_tick_to_every_client(
    peers: dict[str, Peer], tmp_path: Path
) -> None:
    with start(peers["floor"], CORE, 2 * DEADLINE_S, tmp_path / "log") as running:
        crowd = Crowd(running.port, running.tokens(CLIENTS))
        try:
            cells.populate(crowd, running, CLIENTS)
            got = cells.stream(
                crowd, running, ticks_per_s=50, seconds=0.4, warm_s=0.1, drain_s=DEADLINE_S
            )
            pong_ms = cells.ping_p99_ms(crowd, 0.1)
        finally:
            crowd.close()
    assert got.delivered_share == 1
    assert got.is_drained
    assert got.p50_ms is not None
    assert got.p99_ms is not None
    assert 0 < got.p50_ms <= got.p99_ms
    assert pong_ms is not None
    assert pong_ms > 0


@pytest.mark.parametrize(
    "key", ["stock", pytest.param("node", marks=pytest.mark.real_part("node peer"))]
)
def test_a_peer_checks_tokens_and_delivers(
    key: str, peers: dict[str, Peer], tmp_path: Path
) -> None:
    assert not peers[key].missing
    with start(peers[key], CORE, 2 * DEADLINE_S, tmp_path / "log") as running:
        stranger = Crowd(running.port, ["e30.e30.e30"])
        with pytest.raises(PeerFailed, match="44"):
            stranger.connect(1, timeout_s=DEADLINE_S)
        stranger.close()
        assert_delivers(running)


def assert_delivers(running: Running) -> None:
    crowd = Crowd(running.port, running.tokens(CLIENTS))
    try:
        grown = cells.populate(crowd, running, CLIENTS)
        got = cells.stream(
            crowd, running, ticks_per_s=20, seconds=0.4, warm_s=0.1, drain_s=DEADLINE_S
        )
    finally:
        crowd.close()
    assert grown.connects_per_s > 0
    assert (got.delivered_share, got.refused) == (1, 0)


def test_a_peer_that_does_not_start_says_what_it_said(tmp_path: Path) -> None:
    peer = Peer(key="x", title="Broken", command=("sh", "-c", "echo no such part >&2"))
    with (
        pytest.raises(PeerFailed, match="no such part"),
        start(peer, CORE, 2 * DEADLINE_S, tmp_path / "log"),
    ):
        pass


# What is shown


def test_the_gateway_of_another_checkout_is_a_peer_that_ours_is_divided_by(
    peers: dict[str, Peer],
) -> None:
    assert peers["base"].folder == ROOT
    given = figures("kb_a_client", tidegate=[5.1, 5.1], base=[5.0, 5.0])
    compared = answer(against_base(row("kb_a_client")), given)
    assert compared.compared is not None
    assert compared.compared.value == pytest.approx(1.02)
    assert compared.judgement == ""


def test_the_table_and_the_picture_show_every_peer_that_was_measured(
    peers: dict[str, Peer], tmp_path: Path
) -> None:
    given_figures = figures("cpu_us", tidegate=[9.0, 10.0], floor=[8.0, 8.0])
    answers = [answer(sized(row("cpu_us"), 1), given_figures)]
    shown = [peers["tidegate"], peers["floor"]]
    text = table.for_documents(answers, shown, "Measured here.", ["a doubt"])
    assert "| 5,000 × 10/s: server CPU a message, µs | 9.50 | 8.00 | 1.19 × C, one send" in text
    assert "- a doubt" in text
    assert chart.draw(answers, shown, "Measured here.", tmp_path / "chart.svg")
    assert "<svg" in (tmp_path / "chart.svg").read_text()


@pytest.mark.real_part("cc")
def test_the_command_measures_prints_and_keeps(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = tmp_path / "bench.json"
    chosen = [
        "--peers",
        "floor",
        "--rows",
        "p99_5000_ms",
        "--pairs",
        "1",
        "--quick",
        "--shrink",
        "250",
    ]
    cores = os.sched_getaffinity(0)
    assert main([*chosen, "--json", str(kept)]) == 0
    assert "20 × 4/s: p99" in capsys.readouterr().out
    document_kept = json.loads(kept.read_text())
    assert document_kept["figures"]["p99_5000_ms"]["floor"][0] > 0
    assert document_kept["notes"][0]["delivered_share"] == 1
    assert os.sched_getaffinity(0) == cores


def test_a_command_without_any_peer_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--peers", "nobody"]) == 2
    assert "no peer can be measured here" in capsys.readouterr().err


def test_a_cell_that_the_client_limited_is_named() -> None:
    note = {
        "pair": 1,
        "peer": "floor",
        "cell": "many_x20",
        "client_share": 0.97,
        "client_us": 10.0,
        "others_share": 0.0,
        "missed": 3,
        "is_drained": True,
        "delivered_per_s": 97_000.0,
    }
    assert document.limits_reached([note]) == [
        "client-limited, over 85 % of its core: floor many_x20"
    ]
    assert document.client_ceiling([note]) == pytest.approx(100_000)
