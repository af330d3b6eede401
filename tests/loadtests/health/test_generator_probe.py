from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from deadlines import DEADLINE_S
from hypothesis import given
from hypothesis import strategies as st

from loadtests.endpoints import fetch, fetch_streams, parse_metrics
from loadtests.health.generator_probe import TICK_NS, GeneratorProbe, TickClock
from loadtests.health.server_probe import ServerProbe, read_pss_anon, read_tcp_bytes, read_threads

NOW_NS = 5_000_000_000
NOWHERE = Path("/nonexistent")
METRICS = """# HELP tidegate_clients who is here
# TYPE tidegate_clients gauge
tidegate_clients 3.0
tidegate_messages_out_total{kind="market"} 5
tidegate_messages_out_total{kind="a } b"} 7.0 1700000000
process_resident_memory_bytes 1.048576e+06
tidegate_loop_lag_max_seconds 0.002
tidegate_sessions 4
tidegate_queue_bytes 70
tidegate_tasks 9
tidegate_gc_pause_max_seconds 0.031
process_open_fds 900021
tidegate_http_connections 2
"""


class Answers(BaseHTTPRequestHandler):
    """Answers each path from a table of (status, body)."""

    table: dict[str, tuple[int, str | bytes]] = {}  # noqa: RUF012 - one table a test, set by the fixture
    silent: set[str] = set()  # noqa: RUF012 - paths whose connection ends without an answer

    def do_GET(self) -> None:
        if self.path in self.silent:
            return
        status, body = self.table.get(self.path, (404, "{}"))
        self.send_response(status)
        self.end_headers()
        self.wfile.write(body.encode() if isinstance(body, str) else body)

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def target() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_metrics_are_summed_over_labels() -> None:
    assert parse_metrics(METRICS)["tidegate_messages_out_total"] == 12
    assert parse_metrics("x nonsense\ny 1") == {"y": 1}


def page(maximum_s: float, **counts: int) -> str:
    """Return metrics with a maximum, and observations up to 5, 50 ms and above."""
    ends = {"short": "0.005", "long": "0.05", "longer": "+Inf"}
    lines = [f"tidegate_loop_lag_max_seconds {maximum_s}"]
    so_far = 0
    for name, end in ends.items():
        so_far += counts.get(name, 0)
        lines.append(f'tidegate_loop_lag_seconds_bucket{{le="{end}"}} {so_far}.0')
    return "\n".join(lines)


def test_a_maximum_over_many_seconds_tells_the_lag_of_each_second(target: str) -> None:
    probe = ServerProbe(target, None, NOWHERE)
    told = []
    for text in (
        page(0.043, short=10, long=1),  # the first reading: the maximum itself
        page(0.043, short=20, long=1),  # short ones since: the maximum is of an earlier second
        page(0.043, short=20, long=1),  # none since
        page(0.043, short=20, long=2),  # one between 5 and 50 ms: at most the maximum
        page(0.09, short=20, long=2, longer=1),  # a new maximum
        page(0.09, short=25, long=3, longer=1),
        page(0.001, short=3),  # another process: its maximum
    ):
        Answers.table = {"/metrics": (200, text)}
        told.append(probe.read(NOW_NS)["loop_lag_ns"])
    assert told == [ms * 1_000_000 for ms in (43, 5, 0, 43, 90, 50, 1)]


def test_the_gateway_and_its_process_are_read(target: str) -> None:
    Answers.table = {"/metrics": (200, METRICS)}
    probe = ServerProbe(target, os.getpid())
    found = probe.read(NOW_NS)
    assert found["clients"] == 3
    assert found["messages_out"] == 12
    assert found["rss_bytes"] == 1_048_576
    assert found["loop_lag_ns"] == 2_000_000
    assert found["sessions"] == 4
    assert found["queue_bytes"] == 70
    assert found["tasks"] == 9
    assert found["gc_pause_max_ns"] == 31_000_000
    assert isinstance(found["kernel_bytes"], int)
    assert probe.unmeasured == set()
    assert isinstance(found["cpu_ns"], int)
    assert found["cpu_ns"] > 0
    assert found["fds"] == 900_019


def test_descriptors_that_the_target_does_not_tell_come_from_the_kernel(target: str) -> None:
    Answers.table = {"/metrics": (200, METRICS.replace("process_open_fds 900021\n", ""))}
    probe = ServerProbe(target, os.getpid())
    fds = probe.read(NOW_NS)["fds"]
    assert isinstance(fds, int)
    assert 3 < fds < 900_000
    assert probe.unmeasured == set()
    elsewhere = ServerProbe(target, None)
    assert "fds" not in elsewhere.read(NOW_NS)
    assert "server fds: not in /metrics" in elsewhere.unmeasured


def test_what_a_target_does_not_tell_is_absent_and_named(target: str) -> None:
    Answers.table = {"/metrics": (200, "tidegate_clients 3\n")}
    probe = ServerProbe(target, None, NOWHERE)
    assert probe.read(NOW_NS) == {"clients": 3}
    assert "server rss_bytes: not in /metrics" in probe.unmeasured
    assert "kernel memory of the connections: /proc/net/sockstat shows none" in probe.unmeasured
    assert any("not our process" in words for words in probe.unmeasured)


def test_closed_metrics_are_absent_and_named(target: str) -> None:
    Answers.table = {"/metrics": (401, "")}
    probe = ServerProbe(target, None, NOWHERE)
    assert probe.read(NOW_NS) == {}
    told = "gateway metrics: /metrics answers 401; name its token with --metrics-token"
    assert told in probe.unmeasured


@pytest.mark.parametrize(
    "page",
    [b"tidegate_clients NaN\ntidegate_sessions 4\n", b"\xff\xfe\ntidegate_sessions 4\n"],
    ids=["no number", "no text"],
)
def test_of_a_damaged_page_the_good_lines_are_read(target: str, page: bytes) -> None:
    Answers.table = {"/metrics": (200, page)}
    probe = ServerProbe(target, None, NOWHERE)
    assert probe.read(NOW_NS) == {"sessions": 4}
    assert "server clients: not in /metrics" in probe.unmeasured


def test_metrics_that_never_come_cost_their_figures_while_the_target_answers(target: str) -> None:
    Answers.table = {"/metrics": (200, b"")}
    Answers.silent = {"/metrics"}
    try:
        probe = ServerProbe(target, None, NOWHERE)
        assert probe.read(NOW_NS) == {}
    finally:
        Answers.silent = set()
    assert any("/metrics gave no answer" in words for words in probe.unmeasured)


def test_a_silent_target_is_an_error(target: str) -> None:
    with pytest.raises(OSError, match="refused"):
        ServerProbe("http://127.0.0.1:1", None).read(NOW_NS)


def test_streams_are_read_as_numbers_and_nothing_else_is_taken_for_them(target: str) -> None:
    Answers.table = {"/api/v1/streams": (200, '{"epoch": "e", "streams": {"trading": 4}}')}
    assert fetch_streams(target, "t", timeout_s=DEADLINE_S) == {"trading": 4}
    Answers.table = {"/api/v1/streams": (200, '{"other": 1}')}
    with pytest.raises(ValueError, match="no object of streams"):
        fetch_streams(target, "t", timeout_s=DEADLINE_S)


def test_only_http_is_fetched() -> None:
    with pytest.raises(ValueError, match="not an http or https URL"):
        fetch("file:///etc/passwd", timeout_s=DEADLINE_S)


def test_private_memory_comes_from_the_kernels_sum(tmp_path: Path) -> None:
    (tmp_path / "7").mkdir()
    (tmp_path / "7" / "smaps_rollup").write_text("Rss: 9 kB\nPss_Anon:      12 kB\n")
    assert read_pss_anon(7, tmp_path) == 12 * 1_024
    assert read_pss_anon(8, tmp_path) is None


def test_kernel_memory_is_that_of_all_tcp_sockets_in_whole_pages(tmp_path: Path) -> None:
    (tmp_path / "net").mkdir()
    words = "sockets: used 9\nTCP: inuse 3 orphan 0 tw 1 alloc 4 mem 12\nUDP: inuse 2 mem 7\n"
    (tmp_path / "net" / "sockstat").write_text(words)
    assert read_tcp_bytes(tmp_path) == 12 * os.sysconf("SC_PAGE_SIZE")
    assert read_tcp_bytes(tmp_path / "net") is None


def test_kernel_memory_of_a_target_elsewhere_would_be_half_of_it(target: str) -> None:
    probe = ServerProbe("http://0.0.0.0:1", None)
    with pytest.raises(OSError):  # noqa: PT011 - the network's own words
        probe.read(NOW_NS)
    assert "kernel memory of the connections: the target is elsewhere" in probe.unmeasured


def test_the_gateways_wait_for_a_core_is_without_what_its_own_threads_used(tmp_path: Path) -> None:
    def tell(waited_ns: int, used_ns: int) -> None:
        for thread, words in (("7", f"900 {waited_ns} 3"), ("8", f"{used_ns} 40 1")):
            task = tmp_path / "7" / "task" / thread
            task.mkdir(parents=True, exist_ok=True)
            (task / "schedstat").write_text(f"{words}\n")

    tell(2_000, 100)
    assert read_threads(7, tmp_path) == (2_000, 100)
    assert read_threads(8, tmp_path) is None
    probe = ServerProbe("http://127.0.0.1:1", None, tmp_path)
    assert probe.core_wait_ns(7) is None
    tell(2_900, 300)
    assert probe.core_wait_ns(7) == 700
    tell(3_000, 900)
    assert probe.core_wait_ns(7) == 0
    assert probe.unmeasured == {"server CPU and private memory: not our process"}
    assert probe.core_wait_ns(9) is None
    assert "gateway's wait for a core: the kernel shows no schedstat" in probe.unmeasured


def test_another_process_is_read_once_the_gateway_was_started_anew(target: str) -> None:
    Answers.table = {"/metrics": (200, METRICS)}
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        probe = ServerProbe(target, other.pid)
        other.communicate()
    probe.expect_gap(NOW_NS + 1)
    assert "cpu_ns" not in probe.read(NOW_NS)
    assert probe.unmeasured == set()
    probe.follow(os.getpid())
    assert "cpu_ns" in probe.read(NOW_NS + 1)
    assert probe.unmeasured == set()


def test_a_process_that_is_gone_unasked_is_named(target: str) -> None:
    Answers.table = {"/metrics": (200, METRICS)}
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        probe = ServerProbe(target, other.pid)
        other.communicate()
    probe.read(NOW_NS)
    assert "server process figures to the end: NoSuchProcess" in probe.unmeasured
    probe.follow(other.pid)
    assert f"server process figures: there is no process {other.pid}" in probe.unmeasured


def test_a_machine_without_schedstat_and_steal_says_so(tmp_path: Path) -> None:
    probe = GeneratorProbe(tmp_path)
    found = probe.read()
    assert found["run_queue_ns"] is None
    assert found["steal_ns"] is None
    assert len(probe.unmeasured) == 2


def test_wait_and_steal_are_what_was_added_since_the_last_reading(tmp_path: Path) -> None:
    task = tmp_path / "self" / "task" / str(threading.get_native_id())
    task.mkdir(parents=True)
    (task / "schedstat").write_text("100 2000 3\n")
    (tmp_path / "stat").write_text("cpu  1 2 3 4 5 6 7 50 0 0\ncpu0 1\n")
    probe = GeneratorProbe(tmp_path)
    (task / "schedstat").write_text("100 2500 3\n")
    (tmp_path / "stat").write_text("cpu  1 2 3 4 5 6 7 52 0 0\ncpu0 1\n")
    found = probe.read()
    assert found["run_queue_ns"] == 500
    assert found["steal_ns"] == 2 * 1_000_000_000 // os.sysconf("SC_CLK_TCK")
    assert probe.unmeasured == set()


def test_a_loop_held_up_for_35_ms_ran_four_ticks_late() -> None:
    ticks = TickClock(0)
    assert ticks.take_lags(TICK_NS) == [0]
    assert ticks.take_lags(TICK_NS + 35_000_000) == [25_000_000, 15_000_000, 5_000_000]


@given(st.lists(st.integers(1, 10**9), max_size=50))
def test_each_tick_is_told_once_however_the_loop_was_held_up(steps: list[int]) -> None:
    ticks, now_ns, told = TickClock(0), 0, 0
    for step in steps:
        now_ns += step
        lags = ticks.take_lags(now_ns)
        assert all(0 <= lag <= step for lag in lags)
        told += len(lags)
    assert told == now_ns // TICK_NS


def test_a_garbage_collection_is_a_pause_of_its_second_and_of_no_other() -> None:
    probe = GeneratorProbe()
    try:
        gc.collect()
        found = probe.read()
        pause_ns, longest_ns = found["gc_pause_ns"], found["gc_pause_max_ns"]
        assert isinstance(pause_ns, int)
        assert isinstance(longest_ns, int)
        assert 0 < longest_ns <= pause_ns
        gc.disable()
        probe.read()
        quiet = probe.read()
    finally:
        gc.enable()
        probe.close()
    assert (quiet["gc_pause_ns"], quiet["gc_pause_max_ns"]) == (0, None)


def test_a_closed_probe_leaves_no_hook_in_the_interpreter() -> None:
    before = list(gc.callbacks)
    probe = GeneratorProbe()
    probe.close()
    probe.close()
    assert gc.callbacks == before
