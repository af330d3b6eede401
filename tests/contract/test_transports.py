"""Contract: Engine.IO 4 and Socket.IO 5, also with misbehaving clients."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from typing import Any

import pytest
from blackbox.client import Ended, RawClient
from blackbox.process import GatewayProcess
from blackbox.target import Target, wait_for
from deadlines import PROMPT_S, QUIET_S

Connect = Callable[..., RawClient]
StartGateway = Callable[..., GatewayProcess]
Stats = Callable[[Target], list[dict[str, Any]]]

POLLING = "/socket.io/?EIO=4&transport=polling"


def open_polling(gateway: Target) -> str:
    """Open a session over polling, connect it, and return its path."""
    opened = gateway.get(POLLING)
    assert opened.status == 200
    path = f"{POLLING}&sid={json.loads(opened.text[1:])['sid']}"
    packet = "40" + json.dumps({"token": gateway.token()})
    assert gateway.request("POST", path, body=packet.encode()).status == 200
    assert '42["connected"' in gateway.get(path).text
    return path


def open_packet(gateway: Target, transport: str, open_socket: Connect) -> dict[str, Any]:
    if transport == "websocket":
        return open_socket(gateway).handshake
    opened: dict[str, Any] = json.loads(gateway.get(POLLING).text[1:])
    return opened


@pytest.mark.parametrize("transport", ["websocket", "polling"])
def test_the_open_packet_announces_the_contract_s_times_and_sizes(
    gateway: Target, open_socket: Connect, transport: str
) -> None:
    opened = open_packet(gateway, transport, open_socket)
    assert opened.pop("sid")
    assert opened == {
        "upgrades": ["websocket"] if transport == "polling" else [],
        "pingInterval": 25_000,
        "pingTimeout": 20_000,
        "maxPayload": 262_144,
    }


def test_the_announced_ping_interval_is_the_configured_one(
    open_socket: Connect, start_gateway: StartGateway
) -> None:
    gateway = start_gateway(GATEWAY_PING_INTERVAL_MS=1_500)
    assert open_socket(gateway).handshake["pingInterval"] == 1_500


def test_a_client_over_polling_is_served_like_any_other(gateway: Target) -> None:
    path = open_polling(gateway)
    gateway.request("POST", path, body=b'42["subscribe",{"channel":"trading"}]')
    assert '42["subscribed",' in gateway.get(path).text


def test_a_polling_client_upgrades(gateway: Target, open_socket: Connect) -> None:
    opened = json.loads(gateway.get(POLLING).text[1:])
    client = open_socket(gateway, query=f"&sid={opened['sid']}")
    client.send_packet("2probe")
    assert client.read_packet() == "3probe"
    client.send_packet("5")
    assert client.connect({"token": gateway.token("upgraded")})["userId"] == "upgraded"


@pytest.mark.parametrize("query", ["EIO=3&transport=polling", "EIO=4&transport=carrier-pigeon"])
def test_another_version_or_transport_is_refused(gateway: Target, query: str) -> None:
    assert gateway.get(f"/socket.io/?{query}").status == 400


def test_a_request_that_names_no_transport_is_refused(gateway: Target) -> None:
    assert gateway.get("/socket.io/?EIO=4").status == 400


def test_an_unknown_session_is_refused(gateway: Target) -> None:
    assert gateway.get(f"{POLLING}&sid=unknown").status == 400


@pytest.mark.parametrize(
    ("origin", "accepted"),
    [
        ("http://localhost:5173", True),
        (None, True),
        ("http://localhost:5174", False),
        ("https://localhost:5173", False),
        ("http://localhost:5173.evil.example", False),
        ("null", False),
    ],
)
def test_only_the_configured_origins_are_accepted(
    gateway: Target, open_socket: Connect, origin: str | None, accepted: bool
) -> None:
    headers = {} if origin is None else {"Origin": origin}
    polled = gateway.get(POLLING, headers=headers)
    assert (polled.status == 200) == accepted
    assert (open_socket(gateway, headers=headers).upgrade.status == 101) == accepted
    if origin and accepted:
        assert polled.headers["access-control-allow-origin"] == origin
        assert polled.headers["access-control-allow-credentials"] == "true"


def test_several_origins_may_be_configured(start_gateway: StartGateway) -> None:
    gateway = start_gateway(CLIENT_URL="https://a.example, https://b.example")
    statuses = [
        gateway.get(POLLING, headers={"Origin": f"https://{name}.example"}).status
        for name in ("a", "b", "c")
    ]
    assert statuses == [200, 200, 400]


@pytest.mark.parametrize("literal", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_numbers_that_javascript_cannot_read_are_never_sent_back(
    connect: Connect, literal: str
) -> None:
    client = connect()
    with contextlib.suppress(Ended, OSError, TimeoutError):
        client.send_packet(f'421["dance",{literal}]')
        client.send_packet(f"422[{literal},{{}}]")
        client.send_packet(f'423["subscribe",{{"channel":{literal}}}]')
        client.expect("never", QUIET_S)
    assert not [packet for packet in client.packets if literal.strip("-") in packet]


def test_packets_after_an_engine_close_are_ignored(
    connect: Connect, gateway: Target, stats: Stats
) -> None:
    client = connect()
    client.send_packet("1")
    for packet in ("40" + json.dumps({"token": gateway.token("ghost")}), '42["ping"]'):
        try:
            client.send_packet(packet)
        except OSError:  # the gateway closed quickly, which is also right
            break
    client.close()
    wait_for(
        lambda: not {"ghost", client.welcome["userId"]} & {c["userId"] for c in stats(gateway)}
    )


def test_a_socketio_disconnect_ends_the_session(
    connect: Connect, gateway: Target, stats: Stats
) -> None:
    client = connect()
    client.send_packet("41")
    wait_for(lambda: client.sid not in {one["id"] for one in stats(gateway)})


NAMES_THAT_ARE_NO_TEXT = ["42[null]", "42[true]", "42[{}]", "42[[]]"]
IDS_THAT_ARE_NO_ASCII_DIGITS = ['42٣["ping"]', '42²["ping"]', '42-1["ping"]', '42+1["ping"]']
MALFORMED = [
    *["4", "49", "42", "42{}", "42[]", "4nonsense", "9", "x", '42["ping"', "40[]", "40null", "48"],
    *NAMES_THAT_ARE_NO_TEXT,
    *IDS_THAT_ARE_NO_ASCII_DIGITS,
]


@pytest.mark.parametrize("packet", MALFORMED)
def test_a_malformed_packet_ends_at_most_its_own_session(
    connect: Connect, gateway: Target, packet: str
) -> None:
    neighbour, client = connect(), connect()
    client.send_packet(packet)
    assert "error" not in neighbour.call("get-subscriptions")
    assert gateway.get("/health/live").status == 200


def test_a_packet_that_engine_io_cannot_read_closes_the_connection(connect: Connect) -> None:
    client = connect()
    client.send_packet("x")
    client.wait_until_closed()


@pytest.mark.parametrize("packet", [packet for packet in MALFORMED if packet != "x"])
def test_a_malformed_packet_closes_the_connection_without_a_disconnect(
    connect: Connect, packet: str
) -> None:
    client = connect()
    client.send_packet(packet)
    client.wait_until_closed()
    assert "41" not in client.packets  # after it, a stock client would stay away


def test_a_connect_sent_again_is_ignored(connect: Connect, gateway: Target) -> None:
    client = connect()
    client.send_packet("40" + json.dumps({"token": gateway.token()}))
    assert client.call("get-subscriptions")["count"] == 0
    assert sum(packet.startswith("4") and packet[1] in "04" for packet in client.packets) == 1


def test_a_fourth_connect_closes_the_connection(connect: Connect, gateway: Target) -> None:
    client = connect()
    for _ in range(3):
        client.send_packet("40" + json.dumps({"token": gateway.token()}))
    client.wait_until_closed()
    assert "41" not in client.packets


def test_an_event_before_connect_closes_the_connection(
    open_socket: Connect, gateway: Target
) -> None:
    client = open_socket(gateway)
    client.send_packet('42["ping"]')
    client.wait_until_closed(0.5)


def test_a_quoted_packet_is_not_an_event(connect: Connect) -> None:
    client = connect()
    client.send_packet('4"2[\\"subscribe\\",{\\"channel\\":\\"trading\\"}]"')
    try:
        assert client.call("get-subscriptions")["count"] == 0
    except Ended:
        return
    pytest.fail("the malformed packet did not close the connection")


def test_a_binary_event_closes_the_connection(connect: Connect) -> None:
    client = connect()
    client.send_packet('451-["subscribe",{"channel":{"_placeholder":true,"num":0}}]')
    client.wait_until_closed(0.5)


def test_a_ten_digit_count_of_attachments_closes_the_connection(connect: Connect) -> None:
    client = connect()
    client.send_packet('459999999999-["subscribe",{"_placeholder":true,"num":0}]')
    client.wait_until_closed(0.5)


@pytest.mark.parametrize("body", [b"x", b"", b"4nonsense"])
def test_a_bad_polling_body_is_answered_with_400(gateway: Target, body: bytes) -> None:
    assert gateway.request("POST", open_polling(gateway), body=body).status == 400


def test_a_polling_body_is_answered_with_ok(gateway: Target) -> None:
    answer = gateway.request("POST", open_polling(gateway), body=b'42["get-subscriptions"]')
    assert answer.text == "ok"


def test_every_packet_of_a_polling_body_is_handled_or_the_body_is_refused(gateway: Target) -> None:
    path = open_polling(gateway)
    body = "\x1e".join(['42["get-subscriptions"]'] * 20)
    if gateway.request("POST", path, body=body.encode()).status == 200:
        assert gateway.get(path).text.count('42["subscriptions"') == 20


def test_jsonp_is_refused(gateway: Target) -> None:
    assert gateway.get(f"{POLLING}&j=0").status == 400


def test_a_client_that_does_not_read_is_closed(
    connect: Connect, gateway: Target, stats: Stats
) -> None:
    client = connect(receive_buffer=4_096)
    note = {"clientId": client.sid, "event": "note", "data": {"x": "y" * 60_000}}
    for _ in range(8):
        gateway.publish(*[note] * 15)
    assert client.sid not in {one["id"] for one in stats(gateway)}


def test_no_connect_within_ten_seconds_closes_the_transport(
    silent_client_lived_s: Callable[[float], float | None],
) -> None:
    assert silent_client_lived_s(10 + PROMPT_S) is not None
