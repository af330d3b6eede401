"""Contract: the gateway's process: its standard streams, signals, descriptors and addresses."""

from __future__ import annotations

import contextlib
import os
import resource
import secrets
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from blackbox.client import RawClient, Refused
from blackbox.process import ROOT, GatewayProcess
from blackbox.target import Target
from deadlines import DEADLINE_S, RUN_S, until

Connect = Callable[..., RawClient]
StartGateway = Callable[..., GatewayProcess]

SECRET = "f3a1c07d5be94a6c8d20e7b915c4f6a8"
LIVE = "/health/live"
STREAMS = ("closed", "full", "without a reader", "with a reader that reads nothing")


@contextlib.contextmanager
def stream(kind: str) -> Iterator[int]:
    """Yield a descriptor to write to: a full device, or a full pipe with or without a reader."""
    if kind in ("closed", "full"):
        descriptors = [os.open("/dev/full", os.O_RDWR)]
    else:
        reading, writing = os.pipe()
        os.set_blocking(writing, False)
        with contextlib.suppress(BlockingIOError):
            while True:
                os.write(writing, bytes(4_096))
        os.set_blocking(writing, True)
        descriptors = [writing, reading]
        if kind == "without a reader":
            os.close(descriptors.pop())
    try:
        yield descriptors[0]
    finally:
        for descriptor in descriptors:
            os.close(descriptor)


def close_standard_streams() -> None:
    """Close them in a child, before its program starts."""
    for descriptor in range(3):
        os.close(descriptor)


def is_live(target: Target) -> bool:
    """Return whether a gateway answers; nothing may listen yet."""
    try:
        return target.get(LIVE).status == 200
    except ConnectionRefusedError:
        return False


@pytest.mark.parametrize("kind", STREAMS)
def test_a_gateway_serves_and_stops_whatever_its_standard_streams_are(
    kind: str, open_socket: Connect
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    environ = {
        "PATH": os.environ["PATH"],
        "JWT_SECRET": SECRET,
        "CLIENT_URL": "http://localhost:5173",
        "HOST": "127.0.0.1",
        "PORT": str(port),
    }
    with stream(kind) as descriptor:
        process = subprocess.Popen(
            [sys.executable, "-m", "gateway"],
            cwd=ROOT,
            env=environ,
            stdin=descriptor,
            stdout=descriptor,
            stderr=descriptor,
            preexec_fn=close_standard_streams if kind == "closed" else None,  # noqa: PLW1509 - no threads
        )
        try:
            target = Target(f"http://127.0.0.1:{port}", SECRET)
            serves = partial(is_live, target)
            until(lambda: process.poll() is not None or serves(), "a gateway that serves", RUN_S)
            client = open_socket(target)
            client.connect({"token": target.token()})
            process.terminate()
            client.wait_until_closed()
            assert process.wait(DEADLINE_S) == 0
        finally:
            process.kill()
            process.wait()


def test_the_log_has_the_address_for_those_who_do_not_read_standard_output(
    shared_gateway: StartGateway,
) -> None:
    gateway = shared_gateway()
    until(lambda: "listening" in gateway.log.read_text(), "a line in the log")
    told = [line["url"] for line in gateway.log_events() if line["event"] == "listening"]
    assert told == [gateway.url]


def test_a_hangup_reads_keys_again_and_keeps_clients(
    connect: Connect, start_gateway: StartGateway, tmp_path: Path
) -> None:
    files = {name: tmp_path / name for name in ("JWT_SECRET", "GATEWAY_METRICS_TOKEN")}
    old, new = secrets.token_hex(32), secrets.token_hex(32)
    for file in files.values():
        file.write_text(f"{old}\n")
    named = {f"{name}_FILE": str(file) for name, file in files.items()}
    gateway = start_gateway(JWT_SECRET=None, **named)
    before = gateway.token("alice", key=old)
    client = connect(token=before, target=gateway)
    assert gateway.get("/metrics", token=old).status == 200
    for file in files.values():
        file.write_text(f"{new}\n")
    gateway.process.send_signal(signal.SIGHUP)
    until(lambda: "SIGHUP" in gateway.log.read_text(), "a line about the signal")
    assert gateway.get("/metrics", token=old).status == 401
    assert gateway.get("/metrics", token=new).status == 200
    connect(token=gateway.token("alice", key=new), target=gateway)
    with pytest.raises(Refused):
        connect(token=before, target=gateway)
    assert client.call("get-subscriptions")["count"] == 0


def test_a_hangup_with_a_bad_file_changes_nothing(
    connect: Connect, start_gateway: StartGateway, tmp_path: Path
) -> None:
    file, secret = tmp_path / "secret", secrets.token_hex(32)
    file.write_text(secret)
    gateway = start_gateway(JWT_SECRET=None, JWT_SECRET_FILE=str(file))
    file.write_text("short")
    gateway.process.send_signal(signal.SIGHUP)
    until(lambda: "nothing changed" in gateway.log.read_text(), "a line about the signal")
    connect(token=gateway.token("alice", key=secret), target=gateway)
    assert "JWT_SECRET_FILE: must have at least" in gateway.log.read_text()


def test_a_second_signal_stops_without_waiting_for_the_clients(
    connect: Connect, start_gateway: StartGateway
) -> None:
    gateway = start_gateway(GATEWAY_SHUTDOWN_SECONDS=600)
    for _ in range(50):  # closed one each 100 ms, and none of them answers
        connect(target=gateway)
    gateway.process.terminate()
    until(lambda: "stopping" in gateway.log.read_text(), "the beginning of the stop")

    def has_ended() -> bool:
        gateway.process.terminate()
        return gateway.process.poll() is not None

    until(has_ended, "the end of the process")
    assert gateway.process.returncode == 0
    assert "stopped before all clients were closed" in gateway.log.read_text()


def test_the_same_signal_for_a_process_and_its_group_is_one(
    connect: Connect, start_gateway: StartGateway
) -> None:
    gateway = start_gateway()
    client = connect(target=gateway)
    gateway.process.terminate()
    until(lambda: "stopping" in gateway.log.read_text(), "the beginning of the stop")
    gateway.process.terminate()
    assert client.expect("server:draining")
    client.close()
    assert gateway.process.wait(DEADLINE_S) == 0
    assert "before all clients" not in gateway.log.read_text()


@contextlib.contextmanager
def few_descriptors(log: Path) -> Iterator[GatewayProcess]:
    """Yield a gateway with a soft limit of 64 descriptors and a hard one of 128."""
    limits = 'ulimit -S -n 64; ulimit -H -n 128; exec "$0" -m gateway'
    gateway = GatewayProcess(log, {}, ("sh", "-c", limits, sys.executable))
    try:
        yield gateway
        assert gateway.stop() == 0
    finally:
        gateway.kill()


def test_the_table_of_descriptors_is_large_from_the_start(start_gateway: StartGateway) -> None:
    gateway = start_gateway()
    status = Path(f"/proc/{gateway.process.pid}/status").read_text()
    hard = resource.prlimit(gateway.process.pid, resource.RLIMIT_NOFILE)[1]
    (size,) = (int(line.split()[1]) for line in status.splitlines() if line.startswith("FDSize"))
    assert size >= min(hard, 65_536)


def test_without_descriptors_clients_are_refused_and_health_answers(
    open_socket: Connect, tmp_path: Path
) -> None:
    with few_descriptors(tmp_path / "gateway.log") as gateway:
        limits = Path(f"/proc/{gateway.process.pid}/limits").read_text()
        (soft_and_hard,) = [line.split()[3:5] for line in limits.splitlines() if "files" in line]
        assert soft_and_hard == ["128", "128"], "the soft limit is raised to the hard one"

        clients = [open_socket(gateway)]
        while clients[-1].upgrade.status == 101:
            assert len(clients) < 128
            clients.append(open_socket(gateway))
        assert clients[-1].upgrade.status == 503
        assert "retry-after" in clients[-1].upgrade.headers
        with contextlib.ExitStack() as silent:
            for _ in range(128):
                address = (gateway.host, gateway.port)
                silent.enter_context(socket.create_connection(address, DEADLINE_S))
            for path in (LIVE, "/api/v1/health/live", "/metrics"):
                assert gateway.get(path).status == 200
        until(lambda: "out of file descriptors" in gateway.log.read_text(), "the warning")
        warnings = [e for e in gateway.log_events() if e["event"] == "out of file descriptors"]
        assert [warning["limit"] for warning in warnings] == [128], "once a minute"

        clients[0].close()
        until(lambda: open_socket(gateway).upgrade.status == 101, "a place for another client")


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="this machine has no IPv6")
@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_a_wildcard_of_either_family_listens_on_both(
    host: str, start_gateway: StartGateway
) -> None:
    gateway = start_gateway(HOST=host)
    shown = f"[{host}]" if ":" in host else host
    assert gateway.line == f"listening on http://{shown}:{gateway.port}\n"
    for address in ("127.0.0.1", "[::1]"):
        assert Target(f"http://{address}:{gateway.port}", "").get(LIVE).status == 200


def test_an_ipv4_client_of_a_wildcard_has_its_own_address(
    open_socket: Connect, start_gateway: StartGateway
) -> None:
    gateway = start_gateway(
        HOST="::",
        GATEWAY_ADDRESS_LIMIT_EXEMPT="none",
        GATEWAY_TRUSTED_PROXIES="127.0.0.0/8",
        GATEWAY_MAX_CONNECTIONS_PER_ADDRESS=1,
    )
    target = Target(f"http://127.0.0.1:{gateway.port}", gateway.secret)
    for behind in ("192.0.2.1", "192.0.2.2"):  # believed, because the proxy's address is IPv4
        assert open_socket(target, headers={"X-Forwarded-For": behind}).upgrade.status == 101
