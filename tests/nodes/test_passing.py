"""Processes on one port: each request is answered by the process that has its session."""

from __future__ import annotations

import http.client
import json
import re
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest
from blackbox.node import NodeClient
from blackbox.process import GatewayProcess
from blackbox.target import Target
from deadlines import DEADLINE_S, RUN_S, until

POLLING = "/socket.io/?EIO=4&transport=polling"
CALLS = 40


def open_session(connection: http.client.HTTPConnection) -> str:
    """Open an Engine.IO session on a connection, and return its id."""
    status, body = ask(connection, "GET", POLLING)
    assert status == 200
    sid: str = json.loads(body[1:])["sid"]
    return sid


def ask(
    connection: http.client.HTTPConnection, method: str, path: str, body: bytes | None = None
) -> tuple[int, str]:
    connection.request(method, path, body)
    answer = connection.getresponse()
    return answer.status, answer.read().decode()


def connect_to(target: Target) -> http.client.HTTPConnection:
    return http.client.HTTPConnection(target.host, target.port, timeout=2 * DEADLINE_S)


def connections_by_node(target: Target) -> dict[str, tuple[http.client.HTTPConnection, str]]:
    """Return for each of three nodes a kept connection to it, and a session that it has."""
    found: dict[str, tuple[http.client.HTTPConnection, str]] = {}
    for _ in range(200):
        connection = connect_to(target)
        sid = open_session(connection)
        if found.setdefault(sid.partition(".")[0], (connection, sid))[0] is not connection:
            connection.close()
        if len(found) == 3:
            return dict(sorted(found.items()))
    raise AssertionError(f"only {sorted(found)} in 200 connections")


@pytest.fixture
def by_node(shared: Target) -> Iterator[dict[str, tuple[http.client.HTTPConnection, str]]]:
    found = connections_by_node(shared)
    yield found
    for connection, _ in found.values():
        connection.close()


def passed(target: Target) -> float:
    text = target.get("/metrics").text
    lines = re.findall(r"^tidegate_connections_passed_total\{.*\} (.+)$", text, re.MULTILINE)
    return sum(map(float, lines))


@pytest.mark.real_part("node")
def test_a_stock_client_that_only_polls_loses_nothing(
    shared: Target, start_client: Callable[..., NodeClient]
) -> None:
    before = passed(shared)
    clients = [
        start_client(
            shared.url, auth={"token": shared.token()}, transports=["polling"], upgrade=False
        )
        for _ in range(3)
    ]
    for client in clients:
        client.expect_event("connected")
    for number in range(CALLS):
        for client in clients:
            client.do("call", event="ping", args=[{"n": number}])
    for client in clients:
        answers = [client.expect("acknowledged")["answer"] for _ in range(CALLS)]
        received = [answer["received"] for answer in answers]
        assert received == sorted(received)
        kinds = [line["kind"] for line in client.lines if line["kind"] != "event"]
        assert kinds == ["connect"], "it was connected once, and never disconnected"
    assert passed(shared) > before, "no request reached another process"


@pytest.mark.real_part("node")
def test_a_stock_client_upgrades_through_another_process(
    shared: Target, start_client: Callable[..., NodeClient]
) -> None:
    for _ in range(4):  # of four, two thirds come to another process
        client = start_client(shared.url, auth={"token": shared.token()})
        assert client.expect("upgrade")["transport"] == "websocket"
        client.expect_event("connected")
        assert client.call("ping")["received"]


def test_one_kept_connection_serves_sessions_of_all_processes(
    shared: Target, by_node: dict[str, tuple[http.client.HTTPConnection, str]]
) -> None:
    connection, _ = by_node["n-0"]
    before = passed(shared)
    for _ in range(2):
        for _, sid in by_node.values():
            token = json.dumps({"token": shared.token()})
            answer = ask(connection, "POST", f"{POLLING}&sid={sid}", f"40{token}".encode())
            assert answer == (200, "ok")
            status, body = ask(connection, "GET", f"{POLLING}&sid={sid}")
            assert status == 200, body
    # An earlier test's client may poll a last time meanwhile.
    assert passed(shared) - before >= 5, "from n-0 to n-1, n-2, n-0, n-1, n-2"


def test_pipelined_requests_are_answered_in_order_by_three_processes(
    shared: Target, by_node: dict[str, tuple[http.client.HTTPConnection, str]]
) -> None:
    connection, _ = by_node["n-1"]
    assert connection.sock is not None
    token = json.dumps({"token": shared.token()})
    body = f"40{token}".encode()
    requests = b""
    for _, sid in by_node.values():
        requests += request_of(shared, "POST", f"{POLLING}&sid={sid}", body)
    requests += request_of(shared, "GET", "/health/live", b"", last=True)
    connection.sock.sendall(requests)
    answers = read_to_end(connection.sock)
    assert answers.count(b"HTTP/1.1 200 OK") == 4, answers
    assert answers.rindex(b"\r\n\r\nok") < answers.index(b'"status":"ok"')


def test_a_body_in_parts_reaches_the_process_of_its_session(
    shared: Target, by_node: dict[str, tuple[http.client.HTTPConnection, str]]
) -> None:
    connection, _ = by_node["n-2"]
    _, sid = by_node["n-0"]
    assert connection.sock is not None
    payload = json.dumps({"token": shared.token(), "more": "x" * 50_000})
    request = request_of(shared, "POST", f"{POLLING}&sid={sid}", f"40{payload}".encode(), last=True)
    for begin in range(0, len(request), 7_000):
        connection.sock.sendall(request[begin : begin + 7_000])
    assert b"\r\n\r\nok" in read_to_end(connection.sock)
    with closing(connect_to(shared)) as other:
        assert '40{"sid"' in ask(other, "GET", f"{POLLING}&sid={sid}")[1]


@pytest.mark.parametrize("sid", ["n-9.AAAA", "n-0.AAAA", "AAAA", "x.y"])
def test_a_session_of_no_process_is_unknown(shared: Target, sid: str) -> None:
    for _ in range(6):
        answer = shared.get(f"{POLLING}&sid={sid}")
        assert answer.status == 400
        assert answer.json["code"] == 1


@pytest.mark.real_part("promtool")
def test_metrics_tell_all_nodes_in_both_formats(shared: Target) -> None:
    for accept, end in (("text/plain", "\n"), ("application/openmetrics-text", "# EOF\n")):
        text = shared.get("/metrics", headers={"Accept": accept}).text
        assert text.endswith(end)
        for node in ("n-0", "n-1", "n-2"):
            assert re.search(rf'^tidegate_node_up\{{node="{node}"\}} 1.0$', text, re.MULTILINE)
            assert re.search(rf'^tidegate_clients\{{node="{node}"\}} ', text, re.MULTILINE)
        assert text.count("# TYPE tidegate_clients gauge") == 1
        without = [line for line in text.splitlines() if line[0] != "#" and 'node="' not in line]
        assert without == []
    plain = shared.get("/metrics").text
    checked = subprocess.run(
        ("promtool", "check", "metrics"),
        input=plain,
        capture_output=True,
        text=True,
        timeout=RUN_S,
        check=False,
    )
    assert checked.returncode in (0, 3), checked.stderr  # 3: hints on names
    assert "error" not in checked.stderr.lower()


def test_log_lines_tell_the_node(shared: GatewayProcess) -> None:
    def told() -> set[str]:
        return {line["node"] for line in shared.log_events() if line["event"] == "listening"}

    until(lambda: told() == {"n", "n-0", "n-1", "n-2"}, "a line of each node")


def request_of(target: Target, method: str, path: str, body: bytes, *, last: bool = False) -> bytes:
    end = "Connection: close\r\n" if last else ""
    head = (
        f"{method} {path} HTTP/1.1\r\nHost: {target.host}\r\n{end}"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def read_to_end(connection: socket.socket) -> bytes:
    data = b""
    while chunk := connection.recv(65_536):
        data += chunk
    return data
