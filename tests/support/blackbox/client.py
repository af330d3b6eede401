"""A Socket.IO client on a plain socket, which sends exactly the bytes of the test."""

from __future__ import annotations

import base64
import contextlib
import itertools
import json
import secrets
import socket
import struct
import time
from collections.abc import Mapping
from typing import Any

from deadlines import DEADLINE_S

from blackbox.target import Answer, Target
from gateway.contract import SOCKETIO_PATH, ErrorCode


class Ended(Exception):  # noqa: N818 - what happened, not what went wrong
    """The gateway closed the connection; ``code`` is its WebSocket close code, if it gave one."""

    def __init__(self, code: int | None) -> None:
        super().__init__(f"closed by the gateway with {code}")
        self.code = code


class Refused(Exception):  # noqa: N818 - an answer that tests ask for
    """The gateway answered the CONNECT packet with CONNECT_ERROR."""

    def __init__(self, answer: dict[str, Any]) -> None:
        super().__init__(answer)
        self.message: str = answer["message"]
        self.code: str = answer.get("data", {}).get("code", "")


class RawClient:
    """A WebSocket to ``/socket.io/`` on a plain socket, which sends exactly the test's bytes."""

    def __init__(
        self,
        target: Target,
        *,
        query: str = "",
        headers: Mapping[str, str] | None = None,
        source: str = "",
        receive_buffer: int | None = None,
    ) -> None:
        self.target = target
        self.sid = ""
        self.welcome: dict[str, Any] = {}
        self.inbox: list[tuple[str, Any]] = []
        self.packets: list[str] = []
        self.answers_pings = True
        self._acks: dict[int, Any] = {}
        self._ids = itertools.count(1)
        self._buffer = b""
        self.socket = socket.socket()
        if receive_buffer is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(DEADLINE_S)
        if source:
            self.socket.bind((source, 0))
        self.socket.connect((target.host, target.port))
        self.upgrade = self._upgrade(query, headers or {})
        self.handshake: dict[str, Any] = {}
        if self.upgrade.status == 101 and "sid=" not in query:
            opened = self.read_packet()
            assert opened.startswith("0{"), opened
            self.handshake = json.loads(opened[1:])

    def _upgrade(self, query: str, headers: Mapping[str, str]) -> Answer:
        lines = [
            f"GET {SOCKETIO_PATH}?EIO=4&transport=websocket{query} HTTP/1.1",
            f"Host: {self.target.host}:{self.target.port}",
            "Connection: Upgrade",
            "Upgrade: websocket",
            "Sec-WebSocket-Version: 13",
            f"Sec-WebSocket-Key: {base64.b64encode(secrets.token_bytes(16)).decode()}",
            *(f"{name}: {value}" for name, value in headers.items()),
        ]
        self.socket.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        while b"\r\n\r\n" not in self._buffer:
            self._fill(time.monotonic() + DEADLINE_S)
        head, self._buffer = self._buffer.split(b"\r\n\r\n", 1)
        status, *rest = head.decode().split("\r\n")
        found = dict(line.split(": ", 1) for line in rest)
        return Answer(int(status.split()[1]), found, b"")

    def _fill(self, deadline: float) -> None:
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("nothing more came from the gateway")
        self.socket.settimeout(left)
        try:
            chunk = self.socket.recv(65_536)
        except ConnectionError:
            raise Ended(None) from None
        if not chunk:
            raise Ended(None)
        self._buffer += chunk

    def _take(self, size: int, deadline: float, kept: int = 0) -> bytes:
        while len(self._buffer) < kept + size:
            self._fill(deadline)
        return self._buffer[kept : kept + size]

    def read_frame(self, timeout_s: float = DEADLINE_S) -> tuple[int, bytes]:
        """Return the opcode and payload of the next WebSocket frame (RFC 6455, 5.2)."""
        deadline = time.monotonic() + timeout_s
        first, size = self._take(2, deadline)
        header = 2
        if size in (126, 127):
            layout = ">H" if size == 126 else ">Q"
            (size,) = struct.unpack(layout, self._take(struct.calcsize(layout), deadline, 2))
            header += struct.calcsize(layout)
        payload = self._take(size, deadline, header)
        self._buffer = self._buffer[header + size :]
        return first & 0x0F, payload

    def read_packet(self, timeout_s: float = DEADLINE_S) -> str:
        """Return the next Engine.IO packet, and answer it when it is a ping."""
        opcode, payload = self.read_frame(timeout_s)
        if opcode == 8:
            with contextlib.suppress(OSError):  # RFC 6455, 5.5.1: a close is answered by a close
                self.send_frame(payload, 8)
            raise Ended(struct.unpack(">H", payload[:2])[0] if payload else None)
        assert opcode == 1, f"not a text frame: {opcode} {payload!r}"
        packet = payload.decode()
        self.packets.append(packet)
        if packet.startswith("2") and self.answers_pings:
            self.send_packet("3" + packet[1:])
        if packet == "1":  # Engine.IO's own close: the client closes the transport
            self.close()
            raise Ended(None)
        return packet

    def read_message(self) -> str:
        """Return the next packet that is neither a ping nor a noop."""
        while (packet := self.read_packet()) in {"2", "6"}:
            pass
        return packet

    def send_frame(self, payload: bytes, opcode: int = 1, *, final: bool = True) -> None:
        """Send one masked frame."""
        head = bytes([opcode | (0x80 if final else 0)])
        if len(payload) < 126:
            head += bytes([0x80 | len(payload)])
        elif len(payload) < 65_536:
            head += struct.pack(">BH", 0xFE, len(payload))
        else:
            head += struct.pack(">BQ", 0xFF, len(payload))
        # A zero mask leaves the payload readable in a capture, and is as valid as any other.
        self.socket.settimeout(DEADLINE_S)
        self.socket.sendall(head + b"\0\0\0\0" + payload)

    def send_packet(self, packet: str) -> None:
        """Send one Engine.IO packet as text."""
        self.send_frame(packet.encode())

    def connect(self, auth: object = None) -> dict[str, Any]:
        """Send CONNECT and return the welcome, which must be the first event."""
        self.send_packet("40" if auth is None else "40" + json.dumps(auth))
        packet = self.read_message()
        if packet.startswith("44"):
            raise Refused(json.loads(packet[2:]))
        assert packet.startswith("40{"), packet
        self.sid = json.loads(packet[2:])["sid"]
        packet = self.read_message()
        assert packet.startswith('42["connected",'), packet
        self.welcome = json.loads(packet[2:])[1]
        return self.welcome

    def _read_message(self, timeout_s: float) -> None:
        packet = self.read_packet(timeout_s)
        if packet.startswith("42"):
            name, *arguments = json.loads(packet[2:])
            self.inbox.append((name, arguments[0] if arguments else None))
        elif packet.startswith("43"):
            number, _, body = packet[2:].partition("[")
            self._acks[int(number)] = json.loads("[" + body)[0]
        elif packet.startswith("41"):
            self.inbox.append(("disconnect", None))

    def emit(self, event: object, *arguments: object) -> None:
        """Send an event that asks for no acknowledgement."""
        self.send_packet("42" + json.dumps([event, *arguments]))

    def call(self, event: object, *arguments: object) -> Any:
        """Send an event and return its acknowledgement."""
        return self._acknowledgement(self._ask(event, *arguments))

    def call_at_once(self, times: int, event: object, *arguments: object) -> list[Any]:
        """Send an event several times without waiting between; return the acknowledgements."""
        numbers = [self._ask(event, *arguments) for _ in range(times)]
        return [self._acknowledgement(number) for number in numbers]

    def _ask(self, event: object, *arguments: object) -> int:
        number = next(self._ids)
        self.send_packet(f"42{number}" + json.dumps([event, *arguments]))
        return number

    def _acknowledgement(self, number: int) -> Any:
        deadline = time.monotonic() + DEADLINE_S
        while number not in self._acks:
            self._read_message(deadline - time.monotonic())
        return self._acks.pop(number)

    def expect(self, event: str, timeout_s: float = DEADLINE_S) -> Any:
        """Return the payload of the first event of that name, taking it out of the inbox."""
        deadline = time.monotonic() + timeout_s
        while True:
            for position, (name, payload) in enumerate(self.inbox):
                if name == event:
                    del self.inbox[position]
                    return payload
            self._read_message(deadline - time.monotonic())

    def expect_error(self, code: ErrorCode) -> Any:
        """Return the payload of the next ``error`` event, which must carry that code."""
        error = self.expect("error")
        assert error["code"] == code, error
        return error

    def received(self, *names: str) -> list[tuple[str, Any]]:
        """Return everything sent to this client so far, by waiting for a later message.

        Lossless messages may overtake queued market data, so each lane gets a message.
        """
        fence = f"FENCE-{secrets.token_hex(4).upper()}"
        self.target.publish(
            {"clientId": self.sid, "event": fence, "data": {}},
            {"clientId": self.sid, "event": "ticker:update", "data": {"symbol": fence}},
        )
        deadline = time.monotonic() + DEADLINE_S
        arrived: list[tuple[str, Any]] = []
        while len(arrived) < 2:
            self._read_message(deadline - time.monotonic())
            arrived = [
                (name, payload)
                for name, payload in self.inbox
                if name == fence or (name == "ticker:update" and payload["symbol"] == fence)
            ]
        for line in arrived:
            self.inbox.remove(line)
        return [(name, payload) for name, payload in self.inbox if not names or name in names]

    def wait_until_closed(self, timeout_s: float = DEADLINE_S) -> int | None:
        """Read until the gateway closes, and return its close code."""
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                self._read_message(deadline - time.monotonic())
            except Ended as ended:
                return ended.code

    def close(self) -> None:
        """Close the socket without a close frame."""
        self.socket.close()
