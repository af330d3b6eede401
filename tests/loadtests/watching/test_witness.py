"""The witness, as a process beside real gateways with and without a fault."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from blackbox.process import GatewayProcess
from deadlines import DEADLINE_S, RUN_S, until

from loadtests.endpoints import parse_metrics, unused_port
from loadtests.processes import bound_to_us, child_environment, own_command
from loadtests.watching import figures
from tests.faults.catalogue import FAULTS
from tests.faults.witnessed import CLEAN, UNWATCHED, WATCHED, watch_fault

Start = Callable[..., GatewayProcess]
SHORT = ("--every", "5s")
BEATS = {"GATEWAY_HEARTBEAT_SECONDS": "2"}


@contextmanager
def watching(url: str, *options: str, **environ: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        own_command("tidegate", "watch", url, "--port", "0", *SHORT, *options),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=child_environment(os.environ) | environ,
        preexec_fn=bound_to_us(),  # noqa: PLW1509 - the test has no other thread
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def get(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=DEADLINE_S) as answer:  # noqa: S310 - loopback
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def next_line(process: subprocess.Popen[str]) -> dict[str, Any]:
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line, process.communicate()[1]
    found: dict[str, Any] = json.loads(line)
    return found


@pytest.mark.parametrize("fault", ["private-field", "room-kept", "window-59"])
def test_a_fault_is_reported(fault: str, tmp_path: Path) -> None:
    seen = watch_fault(fault, tmp_path, RUN_S, SHORT)
    assert seen.finding in WATCHED[fault].findings


@pytest.mark.proof
@pytest.mark.parametrize("fault", WATCHED)
def test_each_fault_that_acts_without_load_is_reported_within_a_minute(
    fault: str, tmp_path: Path
) -> None:
    assert watch_fault(fault, tmp_path).finding is not None


def test_a_sound_gateway_is_watched_without_a_finding(start_gateway: Start) -> None:
    gateway = start_gateway(**BEATS)
    with watching(gateway.url, "--trading", "--limits", JWT_SECRET=gateway.secret) as process:
        begun = next_line(process)
        page, closed = begun["listening"], next_line(process)
        (status, health), (_, metrics) = get(f"{page}/health"), get(f"{page}/metrics")
        assert get(f"{page}/other")[0] == 404
        process.send_signal(signal.SIGTERM)
        assert process.wait(DEADLINE_S) == 0
    assert begun["canaries"] is True
    assert (closed["connected"], closed["findings"], closed["errors"]) == (8, {}, 0)
    assert closed["received"] > 100
    assert closed["push_ms"]["p99"] > closed["push_ms"]["p50"] > 0
    assert closed["heartbeat_gap_ms"]["p50"] > 0
    assert (status, json.loads(health)["status"]) == (200, "ok")
    values = parse_metrics(metrics)
    assert values[figures.CONNECTED] == values[figures.CLIENTS] == 8
    assert values[figures.FINDINGS] == 0
    assert values[f"{figures.PUSH}_count"] > 0


def test_without_a_publisher_it_watches_heartbeats(start_gateway: Start, tmp_path: Path) -> None:
    gateway = start_gateway(**BEATS)
    tokens = tmp_path / "tokens"
    tokens.write_text("\n".join(gateway.token() for _ in range(4)))
    options = ("--clients", "4", "--tokens", str(tokens), "--duration", "1s")
    with watching(gateway.url, *options) as process:
        begun, closed = next_line(process), next_line(process)
        assert process.wait(RUN_S) == 0
    assert (begun["canaries"], closed["received"]) == (False, 0)
    assert closed["heartbeat_gap_ms"]["p50"] > 0


def test_a_gateway_that_is_away_makes_the_witness_blind() -> None:
    url = f"http://127.0.0.1:{unused_port()}"
    options = ("--duration", "1s")
    with watching(url, *options, JWT_SECRET="s" * 40) as process:
        page = next_line(process)["listening"]
        status, health = get(f"{page}/health")
        closed = next_line(process)
        assert process.wait(RUN_S) == 4
    assert (status, json.loads(health)["status"]) == (503, "blind")
    assert closed["connected"] == 0
    assert closed["errors"] > 0


def test_clients_come_back_to_a_gateway_that_was_killed_without_a_finding(
    start_gateway: Start,
) -> None:
    port = str(unused_port())
    first = start_gateway(PORT=port, **BEATS)
    environ = {"JWT_SECRET": first.secret}
    with watching(first.url, **environ) as process:
        next_line(process)
        assert next_line(process)["connected"] == 8
        first.kill()
        start_gateway(PORT=port, JWT_SECRET=first.secret, **BEATS)
        lines = [next_line(process)]
        until(lambda: _comes_back(process, lines), "all clients again", RUN_S)
    assert lines[-1]["findings"] == {}
    assert lines[-1]["reconnects"] > 0


def _comes_back(process: subprocess.Popen[str], lines: list[dict[str, Any]]) -> bool:
    lines.append(next_line(process))
    return bool(lines[-1].get("connected") == 8 and lines[-1]["received"] > 0)


@pytest.mark.parametrize(
    ("url", "options", "environ", "words"),
    [
        ("ftp://x", (), {"JWT_SECRET": "s" * 40}, "not a valid target"),
        ("http://127.0.0.1:1", (), {"JWT_SECRET": ""}, "JWT_SECRET is missing"),
        ("http://127.0.0.1:1", ("--every", "2s"), {"JWT_SECRET": "s" * 40}, "less than 5 s"),
        ("http://127.0.0.1:1", ("--user", "a b"), {"JWT_SECRET": "s" * 40}, "no user id"),
        ("http://127.0.0.1:1", ("--tokens", "/no/file"), {}, "cannot be read"),
        ("http://127.0.0.1:1", ("--limits", "--tokens", "FILE"), {}, "--limits needs a user"),
    ],
    ids=["url", "secret", "round", "user", "tokens", "limits"],
)
def test_a_wrong_call_is_refused(
    url: str, options: tuple[str, ...], environ: Mapping[str, str], words: str, tmp_path: Path
) -> None:
    (tmp_path / "tokens").write_text("\n".join(f"u{number} t" for number in range(8)))
    options = tuple(one.replace("FILE", str(tmp_path / "tokens")) for one in options)
    with watching(url, *options, **environ) as process:
        _, told = process.communicate(timeout=RUN_S)
        assert process.returncode == 2
    assert words in told


def test_every_fault_is_watched_or_has_a_reason() -> None:
    unwatched = [name for names in UNWATCHED.values() for name in names]
    assert sorted([*WATCHED, *unwatched, CLEAN]) == sorted(FAULTS)
