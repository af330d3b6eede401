"""HTTP long polling over aiohttp, and WebSocket upgrades that aiohttp received."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any, Final

from aiohttp import web

from gateway.transport import handover, payloads
from gateway.transport.adoption import adopt, refuse_handshake
from gateway.transport.answers import BadRequest
from gateway.transport.counts import EndReason
from gateway.transport.engine import Engine
from gateway.transport.engine_session import EngineSession
from gateway.transport.environ import RequestEnviron
from gateway.transport.intake import read_body
from gateway.transport.payloads import PacketType, PayloadError
from gateway.transport.refusals import RequestRejected
from gateway.transport.relay import relay_of
from gateway.transport.requests import RequestHead
from gateway.transport.sockets import unmapped
from gateway.transport.upgrades import is_websocket_upgrade

_TEXT: Final = "text/plain; charset=UTF-8"
_PROBED_POLL_S: Final = 0.1  # how long a poll waits during the probe of an upgrade
_PACKETS_A_TURN: Final = 64  # packets of a body that are handled in one turn of the event loop


class Polling:
    """Answers the requests of polling clients.

    Args:
        engine: the engine that owns the sessions.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Answer one request for the engine's path."""
        environ = RequestEnviron(_head_of(request), unmapped(request.remote or ""), request.scheme)
        head = environ.head
        if request.method == "GET" and is_websocket_upgrade(head):
            return await handover.take_over(request, head, partial(adopt, self._engine))
        try:
            if request.method == "OPTIONS":
                response: web.Response = web.Response()
            else:
                refuse_handshake(self._engine, environ, "polling")
                response = await self._serve(request, environ)
        except ConnectionResetError:
            return handover.answer_nobody()
        except RequestRejected as error:
            if error.ends_connection:
                headers = dict(error.headers) | dict(self._engine.answer_headers(environ))
                return handover.answer_and_close(request, error.status, error.body, headers)
            response = web.Response(
                status=error.status,
                body=error.body,
                content_type="application/json",
                headers=dict(error.headers),
            )
        for name, value in self._engine.answer_headers(environ):
            response.headers.add(name, value)
        return response

    async def _serve(self, request: web.Request, environ: RequestEnviron) -> web.Response:
        engine = self._engine
        sid = environ.head.parameter("sid")
        if sid is None:
            if request.method != "GET":
                raise RequestRejected(400, 2, "Bad handshake method")
            return await self._open(environ)
        session = engine.sockets.get(sid)
        if session is not None:
            session.wake(engine.now_ns())  # a passed deadline counts before the request
            session = engine.sockets.get(sid)
        if session is None:
            leaving = engine.leaving.get(sid)
            if leaving is None or request.method != "GET":
                raise RequestRejected.unknown_session()
            return self._farewell(leaving, environ)
        if session.transport is not None and session.upgrade is None:
            raise RequestRejected.bad_request("The session has moved to a WebSocket")
        if request.method == "GET":
            return await self._poll(session, request, environ)
        if request.method == "POST":
            return await self._receive(session, request)
        raise RequestRejected.bad_request("Use GET or POST")

    async def _open(self, environ: RequestEnviron) -> web.Response:
        engine = self._engine
        refusal = engine.admission(environ)
        if refusal is not None:
            raise RequestRejected.refused(refusal)
        session = engine.open_session(environ)
        answer = await engine.answer_of(engine.application.opened(session))
        if answer is not None and answer is not True:
            engine.finish(session, EndReason.SERVER_DISCONNECT)
            raise RequestRejected(401, 4, answer if isinstance(answer, str) else "Unauthorized")
        session.begin_pings(engine.now_ns())
        response = web.Response(
            body=engine.handshake(session, "polling").encode(), headers={"Content-Type": _TEXT}
        )
        cookie = engine.cookie_for(session.sid)
        if cookie is not None:
            response.headers.add("Set-Cookie", cookie)
        return response

    async def _poll(
        self, session: EngineSession, request: web.Request, environ: RequestEnviron
    ) -> web.Response:
        engine = self._engine
        if session.poll is not None:
            session.answer_poll(PacketType.CLOSE.encode())
            engine.close(session, EndReason.TRANSPORT_ERROR)
            raise RequestRejected.bad_request("The session has another open poll")
        if not session.has_packets:
            release = None
            if session.upgrade is not None and session.upgrade.is_probed:
                # A client that got the probe's answer upgrades after its poll has ended. One
                # that did not goes on polling, so polls deliver, and end at this pace.
                loop = asyncio.get_running_loop()
                release = loop.call_later(_PROBED_POLL_S, session.answer_poll)
            try:
                answer = await self._wait(session, request)
            finally:
                if release is not None:
                    release.cancel()
            if answer is not None:
                return self._packets([answer], environ)
        if not session.is_open:
            return self._farewell(session, environ)
        is_upgraded = session.transport is not None and session.upgrade is None
        packets = [] if is_upgraded else session.take_packets(engine.max_message_bytes)
        return self._packets(packets or [PacketType.NOOP.encode()], environ)

    async def _wait(self, session: EngineSession, request: web.Request) -> bytes | None:
        """Wait until a poll can be answered.

        Returns:
            The packet to answer with, ``None`` for the session's queued packets.

        Raises:
            ConnectionResetError: the client has disconnected. Its session is closed, because
                packets of this answer would be lost.
        """
        transport = request.transport
        relay = None if transport is None else relay_of(transport)
        poll: asyncio.Future[bytes | None] = asyncio.get_running_loop().create_future()
        session.poll = poll
        try:
            if relay is not None:
                relay.on_end = session.answer_poll
                answer = await poll
            if relay is None or relay.server is None:
                raise ConnectionResetError("the client disconnected during a poll")
        except (asyncio.CancelledError, ConnectionResetError):
            self._engine.finish(session, EndReason.TRANSPORT_CLOSE)
            raise
        finally:
            session.poll = None
            if relay is not None:
                relay.on_end = None
        return answer

    def _farewell(self, session: EngineSession, environ: RequestEnviron) -> web.Response:
        """Answer a poll of a closed session: first its queued packets, then CLOSE.

        A stock client acts on CLOSE at once and drops the packets of the same answer.

        Raises:
            RequestRejected: in place of CLOSE, for a client that may return. CLOSE would keep
                python-engineio's client away.
        """
        packets = session.take_packets(self._engine.max_message_bytes)
        if not packets:
            self._engine.forget(session)
            if not session.is_dismissed:
                raise RequestRejected.unknown_session()
            packets = [PacketType.CLOSE.encode()]
        return self._packets(packets, environ)

    def _packets(self, packets: list[bytes], environ: RequestEnviron) -> web.Response:
        accepted = environ.head.header("accept-encoding") or ""
        body, encoding = self._engine.compress(payloads.encode_payload(packets), accepted)
        self._engine.counts.sent_bytes += len(body)
        headers = {"Content-Type": _TEXT}
        if encoding is not None:
            headers["Content-Encoding"] = encoding
        return web.Response(body=body, headers=headers)

    async def _receive(self, session: EngineSession, request: web.Request) -> web.Response:
        if session.is_receiving:
            self._engine.close(session, EndReason.TRANSPORT_ERROR)
            raise RequestRejected.bad_request("The session has another open POST request")
        session.is_receiving = True
        try:
            return await self._take_body(session, request)
        finally:
            session.is_receiving = False

    async def _take_body(self, session: EngineSession, request: web.Request) -> web.Response:
        engine = self._engine
        body = await self._read_body(session, request)
        try:
            for number, packet in enumerate(payloads.decode_payload(body), start=1):
                if not session.is_open:
                    break
                self._take_packet(session, packet)
                if not number % _PACKETS_A_TURN:
                    await asyncio.sleep(0)
                    await session.worked_off()
        except PayloadError as error:
            engine.breach(session, "malformed polling body")
            raise RequestRejected.bad_request(str(error)) from None
        if session.is_broken:
            raise RequestRejected.bad_request("The body has a packet that may not be sent")
        await session.worked_off()
        return web.Response(text="ok", content_type="text/html")

    def _take_packet(self, session: EngineSession, packet: payloads.Packet) -> None:
        engine = self._engine
        if packet.type is PacketType.MESSAGE:
            engine.receive(session, packet.data)
        elif packet.type is PacketType.PONG:
            session.receive_pong()
        elif packet.type is PacketType.CLOSE:
            session.answer_poll(PacketType.NOOP.encode())
            engine.close(session, EndReason.CLIENT_DISCONNECT)
        else:
            engine.breach(session, "malformed packet (Engine.IO)")

    async def _read_body(self, session: EngineSession, request: web.Request) -> bytes:
        engine = self._engine
        try:
            return await read_body(request, engine.max_message_bytes, engine.body_timeout_s)
        except BadRequest as error:
            engine.close(session, EndReason.TRANSPORT_ERROR)
            raise RequestRejected(error.status, 3, error.message, ends_connection=True) from None
        except ConnectionError:
            engine.finish(session, EndReason.TRANSPORT_CLOSE)
            raise RequestRejected.bad_request("The client disconnected during its body") from None


def _head_of(request: web.Request) -> RequestHead:
    """Return the request head, rebuilt from aiohttp's parsed fields."""
    version = request.version
    lines: list[Any] = [
        f"{request.method} {request.raw_path} HTTP/{version.major}.{version.minor}".encode()
    ]
    lines += [name + b": " + value for name, value in request.raw_headers]
    return RequestHead(b"\r\n".join([*lines, b"", b""]))
