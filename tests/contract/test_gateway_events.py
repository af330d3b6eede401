"""Contract: Gateway → client, the gateway's own events."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from datetime import datetime

from blackbox.client import RawClient
from blackbox.heartbeats import regular_heartbeats
from blackbox.process import GatewayProcess
from blackbox.target import Target
from deadlines import PROMPT_S

from gateway import contract
from gateway.contract import ErrorCode

Connect = Callable[..., RawClient]
StartGateway = Callable[..., GatewayProcess]

BRIEF_S = PROMPT_S + 1  # of a token, which expires with a whole second: time enough to connect
TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def test_the_welcome_has_the_client_the_user_and_the_time(connect: Connect) -> None:
    client = connect("welcomed")
    welcome = dict(client.welcome)
    assert TIMESTAMP.fullmatch(welcome.pop("timestamp"))
    assert isinstance(welcome.pop("limits"), dict)
    assert welcome.pop("heartbeatInterval") > 0
    for name in ("clock", "epoch"):
        value = welcome.pop(name)
        assert isinstance(value, str)
        assert value
    assert welcome == {
        "message": "Connected to Tidegate",
        "clientId": client.sid,
        "userId": "welcomed",
        "userSeq": 0,
    }


def test_the_welcome_announces_the_configured_heartbeat(
    connect: Connect, start_gateway: StartGateway
) -> None:
    gateway = start_gateway(GATEWAY_HEARTBEAT_SECONDS="0.3")
    assert connect(target=gateway).welcome["heartbeatInterval"] == 300


def test_the_welcome_lists_the_limits_that_are_enforced(
    connect: Connect, start_gateway: StartGateway
) -> None:
    gateway = start_gateway(GATEWAY_RATE_LIMIT=7, GATEWAY_PING_LIMIT=3)
    limits = connect(target=gateway).welcome["limits"]
    assert limits["events"]["connection"]["limit"] == 7
    assert limits["events"]["ping"]["limit"] == 3
    assert limits["events"]["user"]["limit"] == contract.USER_RATE_LIMIT
    assert limits["connectionsPerUser"] == contract.MAX_CONNECTIONS_PER_USER


def test_clock_and_epoch_are_the_same_for_every_client(connect: Connect) -> None:
    one, other = connect().welcome, connect().welcome
    assert (one["clock"], one["epoch"]) == (other["clock"], other["epoch"])


def test_the_epoch_is_new_for_each_process(connect: Connect, start_gateway: StartGateway) -> None:
    assert connect(target=start_gateway()).welcome["epoch"] != connect().welcome["epoch"]


def test_heartbeats_are_one_global_tick_and_one_encoding(connect: Connect) -> None:
    one, other = connect(), connect()
    last = [other.expect("heartbeat") for _ in range(4)][-1]
    while one.expect("heartbeat")["seq"] < last["seq"]:
        pass
    of_one, of_other = (
        {p for p in client.packets if p.startswith('42["heartbeat"')} for client in (one, other)
    )
    assert of_other <= of_one


def test_heartbeats_are_numbered_without_a_gap_and_come_at_the_interval(connect: Connect) -> None:
    client = connect()
    beats = regular_heartbeats(client, least=10)
    assert all(beat.keys() == {"timestamp", "ts", "seq"} for beat in beats)
    assert [b["seq"] - beats[0]["seq"] for b in beats] == list(range(len(beats)))


def test_a_client_stays_connected_over_many_heartbeats(connect: Connect) -> None:
    client = connect()
    for _ in range(10):
        client.expect("heartbeat")
    assert client.call("get-subscriptions")["count"] == 0


def test_the_connection_count_follows_connects_and_disconnects(
    connect: Connect, start_gateway: StartGateway
) -> None:
    gateway = start_gateway(GATEWAY_CONNECTION_COUNT_SECONDS="0.1")
    client = connect(target=gateway)
    others = [connect(target=gateway) for _ in range(2)]
    while (count := client.expect("connection-count"))["count"] != 3:
        pass
    assert count.keys() == {"count", "timestamp"}
    for other in others:
        other.close()
    while client.expect("connection-count")["count"] != 1:
        pass


def test_an_unchanged_connection_count_is_not_repeated(
    connect: Connect, start_gateway: StartGateway
) -> None:
    gateway = start_gateway(GATEWAY_CONNECTION_COUNT_SECONDS="0.05")
    client = connect(target=gateway)
    for _ in range(5):  # five heartbeats are twenty chances to repeat it
        client.expect("heartbeat")
    assert [p["count"] for n, p in client.inbox if n == "connection-count"] in ([], [1])


def test_zero_seconds_turn_the_connection_count_off(
    connect: Connect, start_gateway: StartGateway
) -> None:
    gateway = start_gateway(GATEWAY_CONNECTION_COUNT_SECONDS="0")
    client = connect(target=gateway)
    connect(target=gateway)
    for _ in range(3):
        client.expect("heartbeat")
    assert not [n for n, _ in client.inbox if n == "connection-count"]


def test_a_token_about_to_expire_is_announced_at_once(connect: Connect, gateway: Target) -> None:
    client = connect(token=gateway.token(lifetime_s=50))
    told = client.expect("token:expiring")
    assert told.keys() == {"expiresAt", "timestamp"}
    assert TIMESTAMP.fullmatch(told["expiresAt"])


def test_a_token_is_announced_before_it_expires_and_not_earlier(
    connect: Connect, start_gateway: StartGateway
) -> None:
    gateway = start_gateway(GATEWAY_TOKEN_EXPIRING_SECONDS=1)
    client = connect(target=gateway, token=gateway.token(lifetime_s=BRIEF_S))
    told = client.expect("token:expiring")
    expires_s = datetime.fromisoformat(told["expiresAt"]).timestamp()
    assert time.time() >= expires_s - 1


def test_an_expired_token_ends_the_connection_with_its_code(
    connect: Connect, shared_gateway: StartGateway
) -> None:
    gateway = shared_gateway(GATEWAY_TOKEN_LEEWAY_SECONDS=0)
    client = connect(target=gateway, token=gateway.token(lifetime_s=BRIEF_S))
    client.expect_error(ErrorCode.TOKEN_EXPIRED)
    client.expect("disconnect")


def test_an_expired_token_closes_the_transport(
    connect: Connect, shared_gateway: StartGateway
) -> None:
    gateway = shared_gateway(GATEWAY_TOKEN_LEEWAY_SECONDS=0)
    client = connect(target=gateway, token=gateway.token(lifetime_s=BRIEF_S))
    client.expect_error(ErrorCode.TOKEN_EXPIRED)
    client.wait_until_closed()


def test_a_refreshed_token_keeps_the_connection(
    connect: Connect, shared_gateway: StartGateway
) -> None:
    gateway = shared_gateway(GATEWAY_TOKEN_LEEWAY_SECONDS=0)
    client = connect(target=gateway, token=gateway.token("kept", lifetime_s=BRIEF_S))
    client.call("token:refresh", {"token": gateway.token("kept", lifetime_s=600)})
    deadline = time.monotonic() + BRIEF_S + 0.5
    while time.monotonic() < deadline:
        client.expect("heartbeat")
    assert client.call("get-subscriptions")["count"] == 0


def test_a_stopping_gateway_tells_each_client_when_to_return(
    connect: Connect, start_gateway: StartGateway
) -> None:
    gateway = start_gateway()
    clients = [connect(target=gateway) for _ in range(5)]
    gateway.process.terminate()
    told = [client.expect("server:draining") for client in clients]
    assert all(one.keys() == {"reconnectAfter", "timestamp"} for one in told)
    assert len({one["reconnectAfter"] for one in told}) > 1, "jittered for each client"
    for client in clients:
        client.wait_until_closed()
        assert not [n for n, _ in client.inbox if n == "disconnect"], "a 41 keeps clients away"


def test_a_client_that_connects_during_a_drain_is_told_and_publishers_are_refused(
    connect: Connect, open_socket: Connect, start_gateway: StartGateway
) -> None:
    gateway = start_gateway(GATEWAY_SHUTDOWN_SECONDS=30)
    clients = [
        connect(target=gateway) for _ in range(30)
    ]  # closed in turn, a tenth of a second each
    late = open_socket(gateway)
    gateway.process.terminate()
    clients[0].expect("server:draining")
    late.connect({"token": gateway.token("late")})
    assert late.expect("server:draining").keys() == {"reconnectAfter", "timestamp"}
    refused = gateway.request(
        "POST",
        "/api/v1/publish",
        body=b'{"userId":"late","event":"note","data":{}}',
        token=gateway.token("publisher", scope="publish"),
    )
    assert refused.status == 503
    assert refused.json["errors"][0]["code"] == "SERVER_DRAINING"
    assert refused.json["retryAfter"] == 1_000 * int(refused.headers["retry-after"])
    late.wait_until_closed()
    assert "41" not in late.packets


def test_a_drain_closes_clients_one_after_the_other(
    connect: Connect, start_gateway: StartGateway
) -> None:
    gateway = start_gateway(GATEWAY_SHUTDOWN_SECONDS=30)
    clients = [connect(target=gateway) for _ in range(30)]  # a tenth of a second each
    gateway.process.terminate()
    clients[0].wait_until_closed()
    assert clients[-1].call("ping"), "the last is served while the first is gone"
    clients[-1].wait_until_closed()


def test_events_missed_by_a_returning_client_follow_the_welcome(
    connect: Connect, open_socket: Connect, gateway: Target
) -> None:
    first = connect("returning")
    first.close()
    gateway.publish({"userId": "returning", "event": "note", "data": {}})
    auth = {
        "token": gateway.token("returning"),
        "lastUserSeq": first.welcome["userSeq"],
        "epoch": first.welcome["epoch"],
    }
    second = open_socket(gateway)
    second.connect(auth)
    assert second.expect("note")["replayed"] is True


def test_a_client_of_another_epoch_is_told_to_resync(open_socket: Connect, gateway: Target) -> None:
    client = open_socket(gateway)
    client.connect({"token": gateway.token(), "lastUserSeq": 5, "epoch": "another"})
    told = client.expect("resync")
    assert told.keys() == {"reason", "userSeq", "epoch", "timestamp"}


def test_a_user_s_counter_is_kept_while_nobody_is_connected(
    connect: Connect, gateway: Target
) -> None:
    first = connect("absent")
    gateway.publish({"userId": "absent", "event": "note", "data": {}})
    first.expect("note")
    first.close()
    gateway.publish({"userId": "absent", "event": "note", "data": {}})
    assert connect("absent").welcome["userSeq"] == 2
