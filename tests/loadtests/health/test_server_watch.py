"""The watch on the gateway: its process, and what the run reads of it."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import psutil
import pytest
from deadlines import DEADLINE_S, RUN_S

from loadtests.health.server_watch import ServerWatch
from loadtests.health.server_watch_process import NICENESS, WatchLost

SECOND_NS = 1_000_000_000


class Gateway(BaseHTTPRequestHandler):
    """Tells one metric."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"tidegate_clients 3\n")

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def target() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Gateway) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def the_only_child() -> psutil.Process:
    (child,) = [
        one
        for one in psutil.Process().children()
        if "loadtests.health.server_watch_process" in one.cmdline()
    ]
    return child


def the_pid_of_nobody() -> int:
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        return gone.pid


def read_on(watch: ServerWatch) -> None:
    deadline_s = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline_s:
        watch.read()


def test_the_gateway_is_read_each_second_by_a_process_that_gives_way(
    target: str, tmp_path: Path
) -> None:
    watch = ServerWatch(target, os.getpid(), tmp_path)
    try:
        (first_ns, figures), (second_ns, _) = watch.read(), watch.read()
        child = the_only_child()
        assert child.nice() >= NICENESS
    finally:
        watch.close()
    assert figures["clients"] == 3
    assert "fds" in figures
    assert "server rss_bytes: not in /metrics" in watch.unmeasured
    assert 0.5 * SECOND_NS < second_ns - first_ns < DEADLINE_S * SECOND_NS
    assert abs(time.monotonic_ns() - second_ns) < DEADLINE_S * SECOND_NS
    assert not child.is_running()


def test_a_gateway_that_nobody_answers_for_is_an_error_each_second(tmp_path: Path) -> None:
    watch = ServerWatch("http://127.0.0.1:1", None, tmp_path)
    try:
        for _ in range(2):
            with pytest.raises(OSError, match="refused"):
                watch.read()
    finally:
        watch.close()


def test_a_gap_that_was_ordered_is_no_error_and_ends(tmp_path: Path) -> None:
    watch = ServerWatch("http://127.0.0.1:1", None, tmp_path)
    try:
        watch.expect_gap(time.monotonic_ns() + round(RUN_S * SECOND_NS))
        assert "clients" not in watch.read()[1]
        end_ns = time.monotonic_ns() + SECOND_NS
        watch.expect_gap(end_ns)
        with pytest.raises(OSError, match="refused"):
            read_on(watch)
        assert time.monotonic_ns() >= end_ns
    finally:
        watch.close()


def test_the_watch_follows_a_gateway_that_is_started_anew(target: str, tmp_path: Path) -> None:
    gone = the_pid_of_nobody()
    watch = ServerWatch(target, gone, tmp_path)
    try:
        assert "cpu_ns" not in watch.read()[1]
        watch.follow(os.getpid())
        deadline_s = time.monotonic() + DEADLINE_S
        while "cpu_ns" not in watch.read()[1]:
            assert time.monotonic() < deadline_s
    finally:
        watch.close()
    assert f"server process figures: there is no process {gone}" in watch.unmeasured


def test_a_watch_that_dies_is_lost_and_not_a_silent_gateway(target: str, tmp_path: Path) -> None:
    watch = ServerWatch(target, None, tmp_path)
    try:
        watch.read()
        the_only_child().kill()
        with pytest.raises(WatchLost):
            read_on(watch)
    finally:
        watch.close()
        watch.close()


def test_the_process_ends_with_whoever_started_it(target: str, tmp_path: Path) -> None:
    watch = ServerWatch(target, None, tmp_path)
    child = the_only_child()
    watch._process.stdin.close()
    with suppress(WatchLost):  # its end is read, and nobody else must take its exit code
        read_on(watch)
    watch.close()
    assert not child.is_running()
