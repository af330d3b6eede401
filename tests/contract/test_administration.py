"""Contract: HTTP, the routes of the scope ``admin``: disconnect, revoke, drain."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from blackbox.client import RawClient, Refused
from blackbox.process import GatewayProcess
from blackbox.target import Answer, Target
from deadlines import until

from gateway.contract import DISCONNECT_PATH, DRAIN_PATH, REVOKE_PATH, ErrorCode

Connect = Callable[..., RawClient]
StartGateway = Callable[..., GatewayProcess]


def administer(gateway: Target, path: str, body: object = None) -> Answer:
    token = gateway.token("operator", scope="admin")
    return gateway.request("POST", path, token=token, body=body)


def events_until_closed(client: RawClient) -> list[str]:
    """Return the names of a client's events until it is closed, without the periodic ones."""
    client.wait_until_closed()
    periodic = {"heartbeat", "connection-count"}
    return [name for name, _ in client.inbox if name not in periodic]


def test_all_clients_of_a_user_are_disconnected(connect: Connect, gateway: Target) -> None:
    first, second, other = connect("kicked"), connect("kicked"), connect()
    answer = administer(gateway, DISCONNECT_PATH, {"userId": "kicked"})
    assert answer.status == 200
    assert answer.json["disconnected"] == 2
    for client in (first, second):
        assert events_until_closed(client) == ["disconnect"]
    assert other.call("get-subscriptions")["count"] == 0
    assert connect("kicked").welcome["userId"] == "kicked"


def test_one_client_is_disconnected(connect: Connect, gateway: Target) -> None:
    kicked, staying = connect("half-kicked"), connect("half-kicked")
    answer = administer(gateway, DISCONNECT_PATH, {"clientId": kicked.sid})
    assert (answer.status, answer.json["disconnected"]) == (200, 1)
    assert events_until_closed(kicked) == ["disconnect"]
    assert staying.call("get-subscriptions")["count"] == 0


@pytest.mark.parametrize("target", [{"userId": "nobody-here"}, {"clientId": "no-such-client"}])
def test_nobody_is_disconnected_where_nobody_is(gateway: Target, target: dict[str, str]) -> None:
    answer = administer(gateway, DISCONNECT_PATH, target)
    assert (answer.status, answer.json["disconnected"]) == (200, 0)


def test_revoked_tokens_are_refused_and_their_connections_closed(
    connect: Connect, open_socket: Connect, gateway: Target
) -> None:
    now = int(time.time())
    old, undated, new = (gateway.token("revoked", iat=iat) for iat in (now - 100, None, now - 5))
    clients = [connect(token=token) for token in (old, undated, new)]
    other = connect(token=gateway.token("not-revoked", iat=now - 100))
    answer = administer(gateway, REVOKE_PATH, {"userId": "revoked", "issuedBefore": now - 10})
    assert (answer.status, answer.json["disconnected"]) == (200, 2)
    for client in clients[:2]:
        assert events_until_closed(client) == ["error", "disconnect"]
        client.expect_error(ErrorCode.AUTH_FAILED)
    for token in (old, undated):
        with pytest.raises(Refused) as refused:
            open_socket(gateway).connect({"token": token})
        assert refused.value.code == ErrorCode.AUTH_FAILED
        reply = clients[2].call("token:refresh", {"token": token})
        assert reply["error"]["code"] == ErrorCode.AUTH_FAILED
    assert connect(token=new).call("get-subscriptions")["count"] == 0
    assert other.call("get-subscriptions")["count"] == 0


def test_a_revoked_token_opens_no_route(gateway: Target) -> None:
    token = gateway.token("revoked-feed", scope="publish", iat=int(time.time()) - 100)
    assert gateway.get("/api/v1/streams", token=token).status == 200
    body = {"userId": "revoked-feed", "issuedBefore": time.time()}
    assert administer(gateway, REVOKE_PATH, body).status == 200
    assert gateway.get("/api/v1/streams", token=token).status == 401


def test_an_earlier_revocation_does_not_undo_a_later_one(
    open_socket: Connect, gateway: Target
) -> None:
    now = int(time.time())
    for issued_before in (now - 10, now - 1_000):
        body = {"userId": "twice-revoked", "issuedBefore": issued_before}
        assert administer(gateway, REVOKE_PATH, body).status == 200
    with pytest.raises(Refused):
        open_socket(gateway).connect({"token": gateway.token("twice-revoked", iat=now - 100)})


BAD: dict[str, tuple[str, object]] = {
    "disconnect: no JSON": (DISCONNECT_PATH, b"{"),
    "disconnect: nothing": (DISCONNECT_PATH, b""),
    "disconnect: a list": (DISCONNECT_PATH, [{"userId": "u"}]),
    "disconnect: nobody": (DISCONNECT_PATH, {}),
    "disconnect: both": (DISCONNECT_PATH, {"userId": "u", "clientId": "c"}),
    "disconnect: no user id": (DISCONNECT_PATH, {"userId": "a b"}),
    "disconnect: null": (DISCONNECT_PATH, {"userId": None}),
    "disconnect: a number": (DISCONNECT_PATH, {"clientId": 5}),
    "disconnect: an empty text": (DISCONNECT_PATH, {"clientId": ""}),
    "disconnect: another field": (DISCONNECT_PATH, {"userId": "u", "why": "spam"}),
    "revoke: no user": (REVOKE_PATH, {"issuedBefore": 1}),
    "revoke: no time": (REVOKE_PATH, {"userId": "u"}),
    "revoke: a text": (REVOKE_PATH, {"userId": "u", "issuedBefore": "2026-01-01T00:00:00Z"}),
    "revoke: truth": (REVOKE_PATH, {"userId": "u", "issuedBefore": True}),
    "revoke: before 1970": (REVOKE_PATH, {"userId": "u", "issuedBefore": -1}),
    "revoke: milliseconds": (REVOKE_PATH, {"userId": "u", "issuedBefore": time.time() * 1_000}),
    "revoke: another field": (REVOKE_PATH, {"userId": "u", "issuedBefore": 1, "iat": 1}),
    "drain: a field": (DRAIN_PATH, {"after": 5}),
    "drain: no JSON": (DRAIN_PATH, b"now"),
}


@pytest.mark.parametrize(("path", "body"), list(BAD.values()), ids=list(BAD))
def test_a_bad_body_is_refused_and_changes_nothing(
    gateway: Target, path: str, body: object
) -> None:
    answer = administer(gateway, path, body)
    assert answer.status == 400
    (error,) = answer.json["errors"]
    assert (error["index"], error["code"]) == (None, "INVALID_PAYLOAD")
    assert gateway.get("/health/ready").status == 200


def test_a_large_body_is_refused(gateway: Target) -> None:
    answer = administer(gateway, DISCONNECT_PATH, {"userId": "u" * 5_000})
    assert answer.status == 413


def test_a_drained_gateway_has_no_clients_and_goes_on_without_them(
    connect: Connect, open_socket: Connect, start_gateway: StartGateway
) -> None:
    gateway = start_gateway(GATEWAY_CONNECT_TIMEOUT_SECONDS=1)
    client, late = connect(target=gateway), open_socket(gateway)
    answer = administer(gateway, DRAIN_PATH)
    assert answer.status == 202
    assert answer.json["clients"] == 1
    assert administer(gateway, DRAIN_PATH, {}).status == 202
    assert client.expect("server:draining")["reconnectAfter"] > 0
    # Without a DISCONNECT, and told once: a stock client returns, to another gateway.
    assert events_until_closed(client) == []
    assert gateway.get("/health/ready").status == 503
    assert open_socket(gateway).upgrade.status == 503
    token = gateway.token("feed", scope="publish")
    item = {"room": "trading", "event": "note", "data": {}}
    assert gateway.request("POST", "/api/v1/publish", token=token, body=item).status == 503
    late.wait_until_closed()
    until(lambda: '"drained"' in gateway.log.read_text(), "the end of the drain")
    assert gateway.get("/health/live").status == 200
    assert gateway.process.poll() is None
    assert gateway.stop() == 0


def test_a_session_that_connects_during_a_drain_is_told_and_closed(
    open_socket: Connect, start_gateway: StartGateway
) -> None:
    gateway = start_gateway()
    late = open_socket(gateway)
    administer(gateway, DRAIN_PATH)
    late.connect({"token": gateway.token()})
    assert late.expect("server:draining")
    assert events_until_closed(late) == []


def test_a_gateway_stops_in_the_middle_of_a_drain(
    connect: Connect, start_gateway: StartGateway
) -> None:
    gateway = start_gateway()
    clients = [connect(target=gateway) for _ in range(5)]
    administer(gateway, DRAIN_PATH)
    assert gateway.stop() == 0
    for client in clients:
        assert events_until_closed(client) == ["server:draining"]


def test_closes_by_an_administrator_are_counted(connect: Connect, gateway: Target) -> None:
    def count(reason: str) -> float:
        lines = gateway.get("/metrics").text.splitlines()
        (line,) = [
            one
            for one in lines
            if one.startswith(f'tidegate_connections_closed_total{{reason="{reason}"')
        ]
        return float(line.split()[-1])

    kicked, revoked = count("kicked"), count("token_revoked")
    client = connect("counted")
    administer(gateway, DISCONNECT_PATH, {"clientId": client.sid})
    connect("counted")
    administer(gateway, REVOKE_PATH, {"userId": "counted", "issuedBefore": time.time()})
    until(lambda: count("kicked") > kicked and count("token_revoked") > revoked, "both reasons")
