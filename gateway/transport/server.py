"""``AsyncServer``: python-socketio's server with one door for events and an ordered fan-out.

What it adds to ``socketio.AsyncServer``:

- every client event goes to one ``on_event`` with its size, so that no name which a
  client can choose ever reaches the ``connect`` or ``disconnect`` handler;
- ``on_welcome`` runs after the CONNECT packet has been queued (what a connect handler
  emits itself goes out before it);
- ``deliver`` encodes a packet once and queues it for each recipient in turn, without a
  task for each, and returns how many there were;
- binary events and packets that do not decode are named to ``on_breach`` instead of
  being logged with their content.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection
from typing import Any, Final

import engineio
import socketio
from engineio import packet as engineio_packet
from engineio.exceptions import SocketIsClosedError
from socketio import packet as socketio_packet

OnEvent = Callable[[str, object, tuple[object, ...], int], Awaitable[object]]
OnWelcome = Callable[[str], Awaitable[None]]
OnBreach = Callable[[str | None, str], Awaitable[None]]
OnSession = Callable[[dict[str, Any]], None]

_SLICE: Final = 4
"""Recipients between two turns of the loop. A write costs about 100 µs and an answer to somebody
else takes about six turns, so that others wait 3 ms, however large the broadcast."""
_CLOSING_POLL_S: Final = 0.02
_BINARY_PACKETS: Final = (socketio_packet.BINARY_EVENT, socketio_packet.BINARY_ACK)


class AsyncServer(socketio.AsyncServer):  # type: ignore[misc]  # python-socketio ships no types
    """A Socket.IO server on aiohttp for one namespace, ``/``.

    Args:
        on_event: ``(sid, name, arguments, size in bytes) -> acknowledgement``; ``name`` is what
            the client sent in a name's place, of any JSON type.
        on_welcome: ``(sid)``, after CONNECT and before anything else to that client.
        on_breach: ``(sid or None before CONNECT, what)``: a binary event, a malformed packet.
        on_session_open: ``(environ)``: an Engine.IO session began.
        on_session_close: ``(environ)``: it ended; called once for each that began.
        json: module with strict ``dumps`` and ``loads``.
        allowed_origins: exact origins; a request without Origin is accepted.
        ping_interval_ms: between two Engine.IO pings; the stock transport cuts to whole seconds
            what it announces of it.
        ping_timeout_ms: how long a pong may take.
        max_payload_bytes: largest frame or polling body.
    """

    def __init__(
        self,
        *,
        on_event: OnEvent,
        on_welcome: OnWelcome,
        on_breach: OnBreach,
        on_session_open: OnSession,
        on_session_close: OnSession,
        json: Any,
        allowed_origins: Collection[str],
        ping_interval_ms: int,
        ping_timeout_ms: int,
        max_payload_bytes: int,
    ) -> None:
        self._on_event = on_event
        self._on_welcome = on_welcome
        self._on_breach = on_breach
        self._on_session_open = on_session_open
        self._on_session_close = on_session_close
        super().__init__(
            async_mode="aiohttp",
            async_handlers=False,
            json=json,
            logger=_quiet_logger("gateway.transport.socketio"),
            engineio_logger=_quiet_logger("gateway.transport.engineio"),
            cors_allowed_origins=list(allowed_origins),
            ping_interval=ping_interval_ms / 1000,
            ping_timeout=ping_timeout_ms / 1000,
            max_http_buffer_size=max_payload_bytes,
        )

    async def send_event(self, sid: str, event: str, data: object) -> bool:
        """Queue one event for one client, behind all that is queued already.

        Returns:
            Whether the client was there to be sent to.
        """
        eio_sid = self.manager.eio_sid_from_sid(sid, "/")
        if eio_sid is None:
            return False
        packet = self.packet_class(socketio_packet.EVENT, namespace="/", data=[event, data])
        return await self._queue_packet(eio_sid, packet)

    async def deliver(
        self,
        event: str,
        data: object,
        *,
        rooms: Collection[str] | None = None,
        except_sids: Collection[str] = (),
    ) -> int:
        """Queue one event, encoded once, for each client of the rooms, one copy each.

        Args:
            event: name of the event.
            data: its payload.
            rooms: rooms whose members are meant; ``None`` for every client.
            except_sids: members that are left out.

        Returns:
            How many clients it was queued for.
        """
        packet = self.packet_class(socketio_packet.EVENT, namespace="/", data=[event, data])
        frame = engineio_packet.Packet(engineio_packet.MESSAGE, packet.encode())
        # The manager lists a client once, however many of the rooms it is in.
        target = None if rooms is None else list(rooms)
        if target == []:
            return 0
        sent = 0
        for position, (sid, eio_sid) in enumerate(
            list(self.manager.get_participants("/", target)), start=1
        ):
            if sid not in except_sids and await self._queue(eio_sid, frame):
                sent += 1
            if position % _SLICE == 0:
                await asyncio.sleep(0)
        return sent

    async def close_transports(self, grace_s: float) -> None:
        """Close every transport without a Socket.IO disconnect, so that stock clients return.

        Args:
            grace_s: how long clients may take to close their side; then they are aborted.
        """
        connections = [
            transport
            for environ in self.environ.values()
            if (transport := environ["aiohttp.request"].transport) is not None
        ]
        for socket in list(self.eio.sockets.values()):
            await socket.close(wait=False, reason=self.reason.SERVER_DISCONNECT)
        deadline = asyncio.get_running_loop().time() + grace_s
        while not all(connection.is_closing() for connection in connections):
            if asyncio.get_running_loop().time() >= deadline:
                break
            await asyncio.sleep(_CLOSING_POLL_S)
        for connection in connections:
            connection.abort()

    async def _queue_packet(self, eio_sid: str, packet: socketio_packet.Packet) -> bool:
        frame = engineio_packet.Packet(engineio_packet.MESSAGE, packet.encode())
        return await self._queue(eio_sid, frame)

    async def _queue(self, eio_sid: str, frame: engineio_packet.Packet) -> bool:
        try:
            await self._send_eio_packet(eio_sid, frame)
        except SocketIsClosedError:
            return False
        return True

    async def _handle_eio_connect(self, eio_sid: str, environ: dict[str, Any]) -> None:
        await super()._handle_eio_connect(eio_sid, environ)
        self._on_session_open(environ)

    async def _handle_eio_disconnect(self, eio_sid: str, reason: str) -> None:
        environ = self.environ.get(eio_sid)
        try:
            await super()._handle_eio_disconnect(eio_sid, reason)
        finally:
            if environ is not None:
                self._on_session_close(environ)

    async def _handle_connect(self, eio_sid: str, namespace: str | None, data: object) -> None:
        before = self.manager.sid_from_eio_sid(eio_sid, "/")
        await super()._handle_connect(eio_sid, namespace, data)
        sid = self.manager.sid_from_eio_sid(eio_sid, "/")
        if before is None and sid is not None and self.manager.is_connected(sid, "/"):
            await self._on_welcome(sid)

    async def _handle_eio_message(self, eio_sid: str, data: object) -> None:
        if eio_sid not in self.environ:  # packets behind an Engine.IO close: nobody's
            return
        sid = self.manager.sid_from_eio_sid(eio_sid, "/")
        if not isinstance(data, str):
            what = "binary event" if isinstance(data, bytes) else "malformed packet"
            await self._on_breach(sid, what)
            return
        try:
            packet = self.packet_class(encoded_packet=data)
        except Exception as error:  # noqa: BLE001 - the decoder raises whatever its input makes it
            await self._on_breach(sid, f"malformed packet ({type(error).__name__})")
            return
        if packet.packet_type == socketio_packet.CONNECT:
            await self._handle_connect(eio_sid, packet.namespace, packet.data)
        elif packet.packet_type == socketio_packet.DISCONNECT:
            await self._handle_disconnect(eio_sid, packet.namespace)
        elif packet.packet_type == socketio_packet.EVENT:
            size = len(data.encode("utf-8", "surrogatepass"))
            await self._dispatch(eio_sid, packet, size)
        elif packet.packet_type == socketio_packet.ACK:
            await self._on_breach(sid, "acknowledgement that nobody asked for")
        elif packet.packet_type in _BINARY_PACKETS:
            await self._on_breach(sid, "binary event")
        else:
            await self._on_breach(sid, "malformed packet (unknown type)")

    async def _dispatch(self, eio_sid: str, packet: socketio_packet.Packet, size: int) -> None:
        sid = self.manager.sid_from_eio_sid(eio_sid, "/")
        data = packet.data
        if sid is None or not self.manager.is_connected(sid, "/"):
            await self._on_breach(sid, "event before CONNECT")
            return
        if packet.namespace not in (None, "/") or not isinstance(data, list) or not data:
            await self._on_breach(sid, "malformed packet (an event without a name)")
            return
        answer = await self._on_event(sid, data[0], tuple(data[1:]), size)
        if packet.id is not None and self.manager.is_connected(sid, "/"):
            await self._queue_packet(
                eio_sid,
                self.packet_class(socketio_packet.ACK, namespace="/", id=packet.id, data=[answer]),
            )

    def _engineio_server_class(self) -> type[engineio.AsyncServer]:
        return engineio.AsyncServer  # type: ignore[no-any-return]  # python-engineio ships no types


def _quiet_logger(name: str) -> logging.Logger:
    """Return a logger that never says INFO: both libraries print tokens there."""
    logger = logging.getLogger(name)
    logger.setLevel(logging.WARNING)
    return logger
