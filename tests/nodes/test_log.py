"""Two nodes and a real Redis: one order, one copy, replay, limits, and what happens without it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from blackbox.client import RawClient, Refused
from blackbox.process import GatewayProcess
from blackbox.target import Target, wait_for
from certificates import make_chain
from redis_server import RedisServer

from gateway.contract import PUBLISH_PATH, ErrorCode

pytestmark = pytest.mark.real_part("redis-server")

SECRET = "a secret of all nodes that no test prints 0123456789"
StartNode = Callable[..., GatewayProcess]
StartNodes = Callable[..., list[GatewayProcess]]


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    """A Redis that keeps its data."""
    server = RedisServer(tmp_path, is_kept=True)
    yield server
    server.stop()


@pytest.fixture
def start_node(redis: RedisServer, start_gateway: Callable[..., GatewayProcess]) -> StartNode:
    """Start a node of the log, and wait until it is ready."""

    def start(name: str, **settings: object) -> GatewayProcess:
        own: dict[str, object] = {"REDIS_URL": redis.url, "JWT_SECRET": SECRET}
        node = start_gateway(**(own | settings), GATEWAY_NODE=name)
        wait_for(lambda: is_ready(node))
        return node

    return start


@pytest.fixture
def start_nodes(start_node: StartNode) -> StartNodes:
    """Start two nodes of one log, ``a`` and ``b``, that know each other."""

    def start(**settings: object) -> list[GatewayProcess]:
        nodes = [start_node(name, **settings) for name in "ab"]
        wait_for(lambda: all(metric(node, "tidegate_nodes") == 2 for node in nodes))
        return nodes

    return start


def is_ready(node: Target) -> bool:
    return node.get("/health/ready").status == 200


def metric(node: Target, name: str) -> float:
    for line in node.get("/metrics").text.splitlines():
        if line.split("{")[0].split(" ")[0] == name:
            return float(line.rpartition(" ")[2])
    raise AssertionError(f"no {name}")


def ask(node: Target, path: str, scope: str, body: object = None) -> Any:
    method = "GET" if body is None else "POST"
    return node.request(method, path, token=node.token("operator", scope=scope), body=body)


def test_publications_of_both_nodes_are_one_stream_for_the_clients_of_both(
    start_nodes: StartNodes, connect: Callable[..., RawClient]
) -> None:
    nodes = start_nodes()
    clients = [connect(target=node) for node in nodes]
    for client in clients:
        answer = client.call("subscribe", {"channel": "market-data", "symbols": ["A"]})
        assert answer["at"]["price:A"] == 0
    for number in range(20):
        item = {"room": "market-data", "event": "price:update"}
        nodes[number % 2].publish(item | {"data": {"symbol": "A", "price": number}})
    for client in clients:
        updates = [client.expect("price:update") for _ in range(20)]
        assert [update["price"] for update in updates] == list(range(20))
        assert [update["seq"] for update in updates] == list(range(1, 21))
    late = connect(target=nodes[1])
    late.call("subscribe", {"channel": "market-data", "symbols": ["A"]})
    assert late.expect("price:update")["snapshot"] is True


def test_an_order_is_whole_for_its_owner_and_public_for_others_on_whichever_node(
    start_nodes: StartNodes, connect: Callable[..., RawClient]
) -> None:
    nodes = start_nodes()
    owner, watcher = connect("al", target=nodes[0]), connect("bo", target=nodes[1])
    for client in (owner, watcher):
        client.call("subscribe", {"channel": "trading"})
    order = {"order": {"id": "o1", "clientOrderId": "mine", "symbol": "A"}}
    nodes[1].publish({"room": "trading", "userId": "al", "event": "order:filled", "data": order})
    whole, public = owner.expect("order:filled"), watcher.expect("order:filled")
    assert (whole["seq"], whole["userSeq"], whole["order"]["clientOrderId"]) == (1, 1, "mine")
    assert (public["seq"], "mine" in json.dumps(public)) == (1, False)
    assert owner.received("order:filled") == []


def test_a_client_returns_to_another_node_and_gets_what_it_missed(
    start_nodes: StartNodes,
    connect: Callable[..., RawClient],
    open_socket: Callable[..., RawClient],
) -> None:
    nodes = start_nodes()
    first = connect("al", target=nodes[0])
    nodes[0].publish({"userId": "al", "event": "note", "data": {"n": 0}})
    seen = first.expect("note")
    nodes[0].kill()
    for number in (1, 2, 3):
        nodes[1].publish({"userId": "al", "event": "note", "data": {"n": number}})
    second = open_socket(nodes[1])
    auth = {"token": nodes[1].token("al"), "lastUserSeq": seen["userSeq"]}
    welcome = second.connect(auth | {"epoch": first.welcome["epoch"]})
    assert welcome["userSeq"] == 4
    missed = [second.expect("note") for _ in range(3)]
    assert [(note["n"], note["userSeq"], note["replayed"]) for note in missed] == [
        (number, number + 1, True) for number in (1, 2, 3)
    ]
    assert second.received("note", "resync") == []


def test_the_same_id_through_two_nodes_is_published_once(
    start_nodes: StartNodes, connect: Callable[..., RawClient]
) -> None:
    nodes = start_nodes()
    client = connect("al", target=nodes[0])
    item = {"userId": "al", "event": "note", "data": {}, "id": "once"}
    assert nodes[0].publish(item) == nodes[1].publish(item)
    assert len(client.received("note")) == 1


def test_counts_statistics_kicks_and_revocations_reach_all_nodes(
    start_nodes: StartNodes,
    start_node: StartNode,
    connect: Callable[..., RawClient],
    open_socket: Callable[..., RawClient],
) -> None:
    nodes = start_nodes()
    clients = [connect("al", target=node) for node in nodes for _ in range(2)]
    wait_for(lambda: ask(nodes[0], "/health/websocket", "").json["connectedClients"] == 4)
    listed, cursor = [], ""
    for _ in range(5):
        page = ask(nodes[0], f"/health/websocket/stats?limit=1{cursor}", "stats").json
        assert page["connectedClients"] == 4
        listed += page["clients"]
        if "next" not in page:
            break
        cursor = f"&cursor={page['next']}"
    assert {one["id"] for one in listed} == {client.sid for client in clients}
    assert [one["node"] for one in listed] == ["a", "a", "b", "b"]
    assert clients[0].expect("connection-count")["count"] in range(1, 5)
    kicked = ask(nodes[0], "/api/v1/disconnect", "admin", {"clientId": clients[3].sid})
    assert kicked.json["disconnected"] == 1
    clients[3].wait_until_closed()
    before = nodes[1].token("al", iat=1)
    revoked = ask(nodes[1], "/api/v1/revoke", "admin", {"userId": "al", "issuedBefore": 2})
    assert revoked.status == 200
    late = start_node("c")  # it joins after the revocation
    for node in (*nodes, late):
        client = open_socket(node)
        with pytest.raises(Refused) as refusal:
            client.connect({"token": before})
        assert refusal.value.code == ErrorCode.AUTH_FAILED


def test_the_limits_of_a_user_count_on_all_nodes(
    start_nodes: StartNodes, connect: Callable[..., RawClient]
) -> None:
    nodes = start_nodes(
        GATEWAY_USER_RATE_LIMIT=10,
        GATEWAY_RATE_WINDOW_SECONDS=600,
        GATEWAY_MAX_CONNECTIONS_PER_USER=2,
    )
    first, second = connect("al", target=nodes[0]), connect("al", target=nodes[1])
    for _ in range(2):
        wait_for(lambda: ask(nodes[0], "/health/websocket", "").json["connectedClients"] == 2)
    for _ in range(8):
        first.call("subscribe", {"channel": "trading"})

    def is_refused() -> bool:
        second.emit("subscribe", {"channel": "trading"})
        return any(
            payload["code"] == ErrorCode.RATE_LIMIT_EXCEEDED
            for _, payload in second.received("error")
        )

    wait_for(is_refused)
    third = connect("al", target=nodes[1])
    closed = [client.expect("error")["code"] for client in (second,)]
    assert closed[0] in (ErrorCode.TOO_MANY_CONNECTIONS, ErrorCode.RATE_LIMIT_EXCEEDED)
    assert third.received("error") == []


def test_a_user_that_moves_to_another_node_takes_what_it_sent_along(
    start_nodes: StartNodes, connect: Callable[..., RawClient]
) -> None:
    nodes = start_nodes(GATEWAY_USER_RATE_LIMIT=10, GATEWAY_RATE_WINDOW_SECONDS=600)

    def heard() -> int:
        found: int = ask(nodes[1], "/health/websocket", "").json["connectedClients"]
        return found

    first = connect("al", target=nodes[0])
    for _ in range(10):
        first.call("subscribe", {"channel": "trading"})
    wait_for(lambda: heard() == 1)
    first.close()
    wait_for(lambda: heard() == 0)  # the same message tells what the user had sent
    second = connect("al", target=nodes[1])
    answer = second.call("subscribe", {"channel": "trading"})
    assert answer["error"]["code"] == ErrorCode.RATE_LIMIT_EXCEEDED


def test_without_redis_nodes_are_not_ready_publish_answers_503_and_clients_stay(
    redis: RedisServer, start_nodes: StartNodes, connect: Callable[..., RawClient]
) -> None:
    nodes = start_nodes()
    client = connect("al", target=nodes[0])
    redis.stop()
    wait_for(lambda: not is_ready(nodes[0]))
    item = {"userId": "al", "event": "note", "data": {}}
    token = nodes[0].token("feed", scope="publish")
    answer = nodes[0].request("POST", "/api/v1/publish", token=token, body=item)
    assert (answer.status, answer.json["retryAfter"]) == (503, 1_000)
    assert client.expect("heartbeat")
    assert client.call("ping") is not None
    redis.start()
    wait_for(lambda: is_ready(nodes[0]))
    nodes[0].publish(item)
    assert client.expect("note")["userSeq"] == 1


def test_forgotten_numbers_never_repeat_and_those_of_a_connected_user_go_on(
    redis: RedisServer, start_node: StartNode, connect: Callable[..., RawClient]
) -> None:
    node = start_node("a", GATEWAY_USER_RETENTION_SECONDS=1)
    token = node.token("feed", scope="publish")

    def streams() -> dict[str, int]:
        numbers: dict[str, int] = node.get("/api/v1/streams", token=token).json["streams"]
        return numbers

    held = connect("held", target=node)  # before any number was forgotten
    assert held.welcome["userSeq"] == 0
    for _ in range(5):
        node.publish({"userId": "gone", "event": "note", "data": {}})
    wait_for(lambda: "user:gone" not in streams())
    later = connect("later", target=node)
    assert later.welcome["userSeq"] == 5
    wait_for(lambda: redis.command("HGET", "{tidegate}:young", "user:held") == "0")
    for client, user, number in ((held, "held", 1), (later, "later", 6)):
        node.publish({"userId": user, "event": "note", "data": {}})
        assert client.expect("note")["userSeq"] == number
        assert client.received("resync") == []


def test_a_password_is_needed_and_is_never_printed(
    redis: RedisServer, start_gateway: Callable[..., GatewayProcess]
) -> None:
    redis.command("CONFIG", "SET", "requirepass", "hunter2-of-redis")
    url = redis.url.replace("127.0.0.1", ":hunter2-of-redis@127.0.0.1")
    node = start_gateway(REDIS_URL=url, JWT_SECRET=SECRET)
    wait_for(lambda: is_ready(node))
    wrong = start_gateway(REDIS_URL=url.replace("hunter2", "hunter3"), JWT_SECRET=SECRET)
    assert not is_ready(wrong)
    assert wrong.get("/health/live").status == 200
    for each in (node, wrong):
        assert "hunter" not in each.log.read_text() + each.line


def test_what_another_program_writes_into_the_log_is_skipped_counted_and_told_once(
    redis: RedisServer, start_nodes: StartNodes, connect: Callable[..., RawClient]
) -> None:
    nodes = start_nodes()
    clients = [connect("al", target=node) for node in nodes]
    foreign = [("who", "knows"), ("e", "7"), ("n", "7 0 0 0", "h", "[")]
    for number, fields in enumerate(foreign):
        redis.command("XADD", "{tidegate}:log", "*", *fields)
        nodes[number % 2].publish({"userId": "al", "event": "note", "data": {"n": number}})
    redis.command("CLIENT", "KILL", "TYPE", "normal")
    wait_for(lambda: not is_ready(nodes[0]))
    wait_for(lambda: all(map(is_ready, nodes)))
    nodes[0].publish({"userId": "al", "event": "note", "data": {"n": len(foreign)}})
    for client in clients:
        assert [note["n"] for _, note in client.received("note")] == [0, 1, 2, 3]
        assert client.received("resync") == []
    for node in nodes:
        assert metric(node, "tidegate_log_skipped_total") == len(foreign)
        told = [line for line in node.log_events() if "skipped" in line]
        assert [line["skipped"] for line in told] == [1]


def test_a_gap_in_the_log_is_told_and_the_node_goes_on(
    redis: RedisServer, start_node: StartNode, connect: Callable[..., RawClient]
) -> None:
    node = start_node("a")
    client = connect("al", target=node)
    record = "struct.pack('>BI8I8I8I8I4I4', 1, 1000000, 0, 0, 0, 2, 0) .. '[]{}'"
    script = f"return redis.call('XADD', KEYS[1], '*', 'e', {record})"
    redis.command("EVAL", script, "1", "{tidegate}:log")
    assert client.expect("resync")["reason"] == "not-held"
    wait_for(lambda: is_ready(node))
    node.publish({"userId": "al", "event": "note", "data": {}})
    assert client.expect("note")["userSeq"] == 1


def test_private_events_are_kept_in_a_new_epoch_too(
    redis: RedisServer, start_node: StartNode, connect: Callable[..., RawClient]
) -> None:
    client = connect("al", target=start_node("a"))
    key = "{tidegate}:returns:al"
    wait_for(lambda: redis.command("EXISTS", key) == "1")
    redis.command("FLUSHALL")
    assert client.expect("resync")["reason"] == "epoch"
    wait_for(lambda: redis.command("EXISTS", key) == "1")


def test_a_client_with_a_rate_gets_no_number_of_the_old_epoch_after_a_new_one(
    redis: RedisServer, start_node: StartNode, connect: Callable[..., RawClient]
) -> None:
    node = start_node("a")
    client = connect("al", target=node)
    wanted = {"channel": "market-data", "symbols": ["A"], "maxRate": 1}
    client.call("subscribe", wanted)
    price = {"room": "market-data", "event": "price:update", "data": {"symbol": "A", "price": 1}}
    for _ in range(3):  # after its frame a slot of a second begins
        node.publish(price)
    client.expect("price:update")
    node.publish(price)
    redis.command("FLUSHALL")
    token = node.token("feed", scope="publish")
    wait_for(lambda: node.request("POST", PUBLISH_PATH, token=token, body=price).status == 202)
    assert client.expect("resync")["reason"] == "epoch"
    client.inbox.clear()  # of the old epoch
    update = client.expect("price:update")
    assert (update["prevSeq"], update["seq"]) == (0, 1)


def test_redis_with_tls_and_a_password(
    tmp_path: Path, start_gateway: Callable[..., GatewayProcess]
) -> None:
    chain = make_chain(tmp_path / "authority")
    server = RedisServer(tmp_path, "--requirepass", "hunter2-of-redis", chain=chain)
    url = server.url.replace("//", "//:hunter2-of-redis@")
    own = {"REDIS_URL": url, "JWT_SECRET": SECRET}
    try:
        node = start_gateway(**own, GATEWAY_REDIS_CA=chain.root)
        of_system = start_gateway(**own, SSL_CERT_FILE=chain.root, GATEWAY_NODE="b")
        for each in (node, of_system):
            wait_for(lambda each=each: is_ready(each))  # type: ignore[misc]
            each.publish({"room": "trading", "event": "news", "data": {}})
        stranger = start_gateway(**own)  # the system knows no such authority
        wait_for(lambda: "its certificate is refused" in stranger.log.read_text())
        assert not is_ready(stranger)
        for each in (node, of_system, stranger):
            assert "hunter" not in each.log.read_text() + each.line
            assert each.stop() == 0
    finally:
        server.stop()
