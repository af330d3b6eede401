"""Contract: HTTP, the routes for health, statistics and metrics."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import closing
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

import pytest
from blackbox.client import RawClient
from blackbox.process import GatewayProcess
from blackbox.target import Target, wait_for
from deadlines import DEADLINE_S

Connect = Callable[..., RawClient]
StartGateway = Callable[..., GatewayProcess]


@pytest.mark.parametrize("prefix", ["", "/api/v1"])
@pytest.mark.parametrize("route", ["live", "ready", "websocket"])
def test_health_answers_without_a_token(gateway: Target, prefix: str, route: str) -> None:
    answer = gateway.get(f"{prefix}/health/{route}")
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("application/json")
    assert isinstance(answer.json, dict)


@pytest.mark.parametrize("prefix", ["", "/api/v1"])
def test_statistics_list_clients_and_their_subscriptions(
    connect: Connect, gateway: Target, prefix: str
) -> None:
    client = connect(token=gateway.token("listed", email="l@example.com"))
    client.call("subscribe", {"channel": "trading"})
    token = gateway.token("operator", scope="other stats")
    answer = gateway.get(f"{prefix}/health/websocket/stats?limit=1000", token=token).json
    assert {"connectedClients", "totalSubscriptions", "clients"} <= answer.keys()
    (mine,) = [one for one in answer["clients"] if one["id"] == client.sid]
    mine.pop("node", None)  # with several nodes
    assert mine == {
        "id": client.sid,
        "userId": "listed",
        "email": "l@example.com",
        "subscriptions": ["trading"],
    }


def test_statistics_are_paged(connect: Connect, start_gateway: StartGateway) -> None:
    gateway = start_gateway()
    sids = {connect(target=gateway).sid for _ in range(5)}
    token = gateway.token("operator", scope="stats")
    seen: list[str] = []
    pages, cursor = 0, ""
    while True:
        page = gateway.get(f"/health/websocket/stats?limit=2{cursor}", token=token).json
        assert page["connectedClients"] == 5
        assert len(page["clients"]) <= 2
        seen += [client["id"] for client in page["clients"]]
        pages += 1
        if not page.get("next"):
            break
        cursor = f"&cursor={page['next']}"
    assert sorted(seen) == sorted(sids)
    assert pages == 3


GUARDED = [
    ("GET", "/health/websocket/stats", "publish"),
    ("GET", "/api/v1/streams", "stats"),
    ("POST", "/api/v1/publish", "stats"),
    ("POST", "/api/v1/disconnect", "publish"),
    ("POST", "/api/v1/revoke", "publish"),
    ("POST", "/api/v1/drain", "stats"),
]


@pytest.mark.parametrize(("method", "path", "wrong_scope"), GUARDED)
def test_a_guarded_route_needs_a_token_with_its_scope(
    gateway: Target, method: str, path: str, wrong_scope: str
) -> None:
    tokens: dict[int, list[str | None]] = {
        401: [None, "nonsense", gateway.token("u", lifetime_s=-60)],
        403: [gateway.token("u"), gateway.token("u", scope=wrong_scope)],
    }
    for status, offered in tokens.items():
        for token in offered:
            assert gateway.request(method, path, token=token, body={}).status == status


def test_a_gateway_without_clients_counts_none(
    connect: Connect, start_gateway: StartGateway
) -> None:
    gateway = start_gateway()
    client = connect(target=gateway)
    client.call("subscribe", {"channel": "trading"})
    client.close()

    def numbers() -> tuple[Any, Any]:
        token = gateway.token("operator", scope="stats")
        stats = gateway.get("/health/websocket/stats", token=token).json
        return stats["connectedClients"], stats["totalSubscriptions"]

    wait_for(lambda: numbers() == (0, 0))


def samples(text: str) -> list[str]:
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def test_metrics_are_in_prometheus_format(connect: Connect, gateway: Target) -> None:
    connect().call("subscribe", {"channel": "trading"})
    answer = gateway.get("/metrics")
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/plain")
    sample = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*(\{[^}]*\})? [-+0-9.eEInfNa]+( \d+)?")
    assert all(sample.fullmatch(line) for line in samples(answer.text))
    assert re.search(r"^process_resident_memory_bytes [1-9]", answer.text, re.MULTILINE)


def test_metrics_contain_no_user_symbol_client_or_address(
    connect: Connect, gateway: Target
) -> None:
    client = connect("secret-agent", headers={"X-Forwarded-For": "198.51.100.77"})
    client.call("subscribe", {"channel": "market-data", "symbols": ["HIDDEN/COIN"]})
    client.call("no-such-event-name")
    gateway.publish(
        {"room": "market-data", "event": "price:update", "data": {"symbol": "HIDDEN/COIN"}}
    )
    text = gateway.get("/metrics").text
    hidden = ("secret-agent", "HIDDEN", client.sid, "127.0.0.1", "198.51.100.77", "no-such-event")
    assert [word for word in hidden if word in text] == []


def test_metrics_count_clients_subscriptions_and_refusals(
    connect: Connect, start_gateway: StartGateway
) -> None:
    gateway = start_gateway(GATEWAY_RATE_LIMIT=2)
    client = connect(target=gateway)
    client.call("subscribe", {"channel": "trading"})
    for _ in range(3):
        client.call("get-subscriptions")
    text = gateway.get("/metrics").text
    by_label = {line.split(" ")[0]: float(line.rsplit(" ", 1)[1]) for line in samples(text)}
    for wanted, expected in (("clients", 1), ('"trading"', 1), ('"connection"', 2)):
        assert any(wanted in name and value == expected for name, value in by_label.items()), wanted


def test_metrics_count_plain_http_connections_apart_from_clients(
    connect: Connect, start_gateway: StartGateway
) -> None:
    gateway = start_gateway()
    connect(target=gateway)
    address = urlsplit(gateway.url).netloc
    with closing(HTTPConnection(address, timeout=DEADLINE_S)) as asking:

        def told() -> int:
            asking.request("GET", "/metrics")
            text = asking.getresponse().read().decode()
            found = re.search(r"^tidegate_http_connections (\d+)", text, re.MULTILINE)
            assert found is not None
            return int(found[1])

        assert told() == 1  # the client's is a WebSocket
        with closing(HTTPConnection(address, timeout=DEADLINE_S)) as kept:
            kept.request("GET", "/health/live")
            assert kept.getresponse().read()
            assert told() == 2
        wait_for(lambda: told() == 1)


def test_metrics_have_one_closed_list_of_names(connect: Connect, gateway: Target) -> None:
    before = {re.split(r"[{ ]", line)[0] for line in samples(gateway.get("/metrics").text)}
    client = connect()
    client.call("anything-new", {"x": 1})
    client.call("subscribe", {"channel": "market-data", "symbols": ["NEWNAME"]})
    after = {re.split(r"[{ ]", line)[0] for line in samples(gateway.get("/metrics").text)}
    assert after == before


def test_a_metrics_token_restricts_the_metrics(start_gateway: StartGateway) -> None:
    gateway = start_gateway(GATEWAY_METRICS_TOKEN="open-sesame-open-sesame")
    assert gateway.get("/metrics").status == 401
    assert gateway.get("/metrics", token="wrong").status == 401
    assert gateway.get("/metrics", token="open-sesame-open-sesame").status == 200


def test_the_streams_route_returns_the_last_number_of_each(
    connect: Connect, gateway: Target
) -> None:
    price = {"event": "price:update", "data": {"symbol": "LISTED", "price": 1}}
    gateway.publish(*[{"room": "market-data:LISTED", **price}] * 3)
    user = connect().welcome["userId"]
    gateway.publish({"userId": user, "event": "note", "data": {}})
    answer = gateway.get("/api/v1/streams", token=gateway.token("u", scope="publish"))
    assert answer.status == 200
    streams = answer.json["streams"]
    assert streams["price:LISTED"] == 3
    assert streams[f"user:{user}"] == 1


def test_the_streams_route_lists_more_streams_than_it_writes_at_once(
    connect: Connect, start_gateway: StartGateway
) -> None:
    gateway = start_gateway()
    token = gateway.token("u", scope="publish")
    assert gateway.get("/api/v1/streams", token=token).json["streams"] == {}
    for first in range(0, 3_000, 1_000):
        items = [
            {"userId": "al", "event": "llm:stream:start", "data": {"sessionId": f"s{number}"}}
            for number in range(first, first + 1_000)
        ]
        gateway.publish(*items)
    client = connect(target=gateway)
    answer = gateway.get("/api/v1/streams", token=token).json
    assert answer["epoch"] == client.welcome["epoch"]
    assert answer["streams"] == {f"llm:s{number}": 1 for number in range(3_000)}
    head = gateway.request("HEAD", "/api/v1/streams", token=token)
    assert (head.status, head.text) == (200, "")


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/metrics"), ("GET", "/api/v1/streams"), ("POST", "/api/v1/publish")],
)
def test_a_bearer_token_beyond_ascii_is_refused(
    start_gateway: StartGateway, method: str, path: str
) -> None:
    gateway = start_gateway(GATEWAY_METRICS_TOKEN="open-sesame-open-sesame")
    for token in ("\xe9\xff", "a\tb", "\xed\xa0\x80"):
        headers = {"Authorization": f"Bearer {token}"}
        assert gateway.request(method, path, headers=headers).status == 401
    assert {one["level"] for one in gateway.log_events()} <= {"info", "warning"}


@pytest.mark.parametrize("limit", ["0", "1001", "-1", "+1", "1_0", "%D9%A3", "9" * 5_000, "", "x"])
def test_a_limit_of_statistics_is_a_plain_number(gateway: Target, limit: str) -> None:
    token = gateway.token("operator", scope="stats")
    assert gateway.get(f"/health/websocket/stats?limit={limit}", token=token).status == 400


def test_an_unknown_path_is_not_found(gateway: Target) -> None:
    assert gateway.get("/api/v1/nothing").status == 404
