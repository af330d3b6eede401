from __future__ import annotations

import re
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.connection.protocol.handshake import accept_value
from loadtests.connection.protocol.session import (
    Acknowledged,
    Connected,
    Connection,
    Ended,
    Event,
    Opened,
    Parted,
    Received,
)
from loadtests.connection.protocol.websocket_frames import Opcode
from loadtests.errors import (
    ConnectionClosed,
    ConnectRefused,
    Disconnected,
    NotConnected,
    ProtocolViolation,
    Refused,
)

OPEN = '0{"sid":"e","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":262144}'
CONNECT = '40{"sid":"s"}'


def frame(payload: bytes, opcode: int = Opcode.TEXT) -> bytes:
    if len(payload) < 126:
        return bytes([0x80 | opcode, len(payload)]) + payload
    return bytes([0x80 | opcode, 126]) + len(payload).to_bytes(2, "big") + payload


def new_connection(auth: object = None) -> Connection:
    # Masks of zero: what is sent can be read in the clear.
    return Connection("http://127.0.0.1:3000", auth=auth, random_bytes=bytes)


def answer(connection: Connection) -> bytes:
    key = re.search(rb"Sec-WebSocket-Key: (\S+)", connection.bytes_to_send())
    assert key is not None
    accept = accept_value(key[1].decode())
    return (
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Accept: {accept}\r\n\r\n"
    ).encode()


def connected(auth: object = None) -> Connection:
    connection = new_connection(auth)
    connection.receive(answer(connection) + frame(OPEN.encode()) + frame(CONNECT.encode()))
    connection.bytes_to_send()
    return connection


def sent_texts(data: bytes) -> list[str]:
    """Return the payloads of short frames whose mask is zero."""
    texts = []
    while data:
        length = data[1] & 0x7F
        texts.append(data[6 : 6 + length].decode())
        data = data[6 + length :]
    return texts


def receive_texts(connection: Connection, texts: Iterable[str]) -> list[Event]:
    return connection.receive(b"".join(frame(text.encode()) for text in texts))


def the_end(events: list[Event]) -> Exception:
    assert isinstance(events[-1], Ended)
    return events[-1].error


def test_a_connection_opens_then_connects_with_its_auth() -> None:
    connection = new_connection({"token": "t"})
    events = connection.receive(answer(connection) + frame(OPEN.encode()))
    assert events == [Opened("e", 25_000, 20_000)]
    assert sent_texts(connection.bytes_to_send()) == ['40{"token":"t"}']
    assert not connection.is_connected
    assert receive_texts(connection, [CONNECT]) == [Connected("s")]
    assert connection.is_connected


def test_an_event_is_received_with_its_arguments() -> None:
    events = receive_texts(connected(), ['42["price:update",{"seq":1}]', '427["ask",1,2]'])
    assert events == [Received("price:update", ({"seq": 1},), None), Received("ask", (1, 2), 7)]


def test_each_call_has_an_id_of_its_own_that_its_answer_carries() -> None:
    connection = connected()
    assert [connection.call("ping"), connection.call("subscribe", {"a": 1})] == [1, 2]
    assert sent_texts(connection.bytes_to_send()) == ['421["ping"]', '422["subscribe",{"a":1}]']
    assert receive_texts(connection, ["432[{}]"]) == [Acknowledged(2, ({},))]


def test_an_emit_asks_for_no_answer_and_an_acknowledgement_gives_one() -> None:
    connection = connected()
    connection.emit("hello", "world")
    connection.acknowledge(5, "yes")
    assert sent_texts(connection.bytes_to_send()) == ['42["hello","world"]', '435["yes"]']


@pytest.mark.parametrize("probe", ["", "probe"], ids=["plain", "with a payload"])
def test_an_engineio_ping_is_answered_in_kind(probe: str) -> None:
    connection = connected()
    assert receive_texts(connection, ["2" + probe]) == []
    assert sent_texts(connection.bytes_to_send()) == ["3" + probe]


def test_a_websocket_ping_is_answered_with_its_payload() -> None:
    connection = connected()
    assert connection.receive(frame(b"abc", Opcode.PING)) == []
    assert connection.bytes_to_send() == b"\x8a\x83\0\0\0\0abc"


def test_noop_and_an_unasked_pong_mean_nothing() -> None:
    connection = connected()
    assert receive_texts(connection, ["6"]) == []
    assert connection.receive(frame(b"", Opcode.PONG)) == []
    assert connection.is_connected


def test_a_refused_connect_tells_message_and_code() -> None:
    connection = new_connection()
    connection.receive(answer(connection) + frame(OPEN.encode()))
    text = '44{"message":"Authentication failed","data":{"code":"AUTH_FAILED"}}'
    error = the_end(receive_texts(connection, [text]))
    assert isinstance(error, ConnectRefused)
    assert (error.message, error.code) == ("Authentication failed", "AUTH_FAILED")


def test_a_refused_upgrade_tells_status_and_wait() -> None:
    connection = new_connection()
    events = connection.receive(b"HTTP/1.1 429 Too Many\r\nRetry-After: 3\r\n\r\nlater")
    error = the_end(events)
    assert isinstance(error, Refused)
    assert (error.status, error.retry_after_s, error.body) == (429, 3.0, "later")


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(frame(b"1"), id="engine.io close"),
        pytest.param(frame(b"\x03\xe9", Opcode.CLOSE), id="websocket close"),
        pytest.param(frame(b"", Opcode.CLOSE), id="websocket close without status"),
    ],
)
def test_each_way_to_be_closed_is_an_end(data: bytes) -> None:
    connection = connected()
    assert isinstance(the_end(connection.receive(data)), ConnectionClosed)
    assert connection.has_ended
    assert connection.receive(frame(b'42["late"]')) == []


@pytest.mark.parametrize(
    "end",
    [frame(b"1"), frame(b"\x03\xe8", Opcode.CLOSE), frame(b"0"), b""],
    ids=["engine.io close", "websocket close", "violation", "tcp end"],
)
def test_a_disconnect_lasts_until_the_server_closes_the_transport(end: bytes) -> None:
    connection = connected()
    assert connection.receive(frame(b"41")) == [Parted()]
    assert connection.is_parted
    assert not connection.is_connected
    assert receive_texts(connection, ['42["late"]', "2", "41"]) == []
    assert sent_texts(connection.bytes_to_send()) == ["3"]
    events = connection.receive(end) if end else connection.receive_eof()
    assert isinstance(the_end(events), Disconnected)
    assert connection.has_ended


def test_a_close_frame_is_echoed_with_its_status() -> None:
    connection = connected()
    connection.receive(frame(b"\x03\xe9bye", Opcode.CLOSE))
    assert connection.bytes_to_send() == b"\x88\x82\0\0\0\0\x03\xe9"


def test_the_end_of_the_tcp_stream_is_an_end() -> None:
    connection = connected()
    assert isinstance(the_end(connection.receive_eof()), ConnectionClosed)
    assert connection.receive_eof() == []


@pytest.mark.parametrize(
    "text",
    [
        CONNECT,
        '44{"message":"x"}',
        "9",
        "",
        "0{}",
        "42",
        "42[1]",
        '451-["a",{"_placeholder":true,"num":0}]',
    ],
)
def test_what_the_protocols_forbid_is_answered_with_1002(text: str) -> None:
    connection = connected()
    assert isinstance(the_end(receive_texts(connection, [text])), ProtocolViolation)
    assert connection.bytes_to_send()[6:8] == (1002).to_bytes(2, "big")


def test_a_binary_message_is_answered_with_1003() -> None:
    connection = connected()
    assert isinstance(the_end(connection.receive(frame(b"x", Opcode.BINARY))), ProtocolViolation)
    assert connection.bytes_to_send()[6:8] == (1003).to_bytes(2, "big")


@pytest.mark.parametrize("text", ['42["a"]', "430[]", "41"], ids=["event", "ack", "disconnect"])
def test_nothing_may_come_before_connect(text: str) -> None:
    connection = new_connection()
    connection.receive(answer(connection) + frame(OPEN.encode()))
    assert isinstance(the_end(receive_texts(connection, [text])), ProtocolViolation)


@pytest.mark.parametrize(
    "text", ["2", '0{"sid":"e"}', "0[]", "0"], ids=["ping", "bare", "list", "none"]
)
def test_the_first_packet_must_be_a_whole_open(text: str) -> None:
    connection = new_connection()
    error = the_end(connection.receive(answer(connection) + frame(text.encode())))
    assert isinstance(error, ProtocolViolation)


def test_what_came_before_a_violation_is_still_told() -> None:
    events = connected().receive(frame(b'42["a"]') + b"\xc1\x00")
    assert events[0] == Received("a", (), None)
    assert isinstance(the_end(events), ProtocolViolation)


def test_verbs_need_a_connection() -> None:
    connection = new_connection()
    with pytest.raises(NotConnected, match="upgrading"):
        connection.emit("a")
    connection = connected()
    connection.close()
    with pytest.raises(NotConnected, match="ended"):
        connection.call("a")


def test_closing_says_goodbye_once() -> None:
    connection = connected()
    connection.close()
    connection.close()
    assert connection.bytes_to_send() == b"\x81\x82\0\0\0\x0041" + b"\x88\x82\0\0\0\0\x03\xe8"


@given(st.data())
def test_any_cuts_of_the_bytes_give_the_same_events(data: st.DataObject) -> None:
    texts = data.draw(
        st.lists(
            st.sampled_from(['42["a",1]', "2", "6", '427["b","é"]', "433[{}]", "41", "zz", "42["]),
            max_size=6,
        )
    )
    whole, cut_up = new_connection(), new_connection()
    stream = answer(whole) + b"".join(frame(t.encode()) for t in (OPEN, CONNECT, *texts))
    cut_up.bytes_to_send()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=10)))
    events: list[Event] = []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        events += cut_up.receive(stream[start:end])
    assert repr(events) == repr(whole.receive(stream))
    assert cut_up.bytes_to_send() == whole.bytes_to_send()
