"""``EngineServer``: the interface of ``engineio.AsyncServer`` on this package's engine.

python-engineio provides the settings, the CORS rules and the registration of handlers.
"""

from __future__ import annotations

import logging
from dataclasses import fields
from typing import Any, Final

import engineio
from aiohttp import web
from engineio import packet as stock_packet

from gateway.transport.counts import EndReason
from gateway.transport.dropin.engine_handlers import EngineHandlers
from gateway.transport.engine import Engine
from gateway.transport.engine_options import EngineOptions
from gateway.transport.engine_session import EngineSession
from gateway.transport.environ import RequestEnviron
from gateway.transport.parcels import Parcel
from gateway.transport.polling import Polling

_OWN_OPTIONS: Final = frozenset(field.name for field in fields(EngineOptions))

log = logging.getLogger("gateway.transport")


class EngineServer(Engine, engineio.AsyncServer):  # type: ignore[misc]  # python-engineio ships no types
    """An Engine.IO 4 server for aiohttp.

    Args:
        **options: the fields of ``EngineOptions``, and the arguments of
            ``engineio.AsyncServer``; ``async_mode`` is "aiohttp".

    Raises:
        ValueError: this transport does not support an option.
    """

    def __init__(self, **options: Any) -> None:
        own = {name: options.pop(name) for name in _OWN_OPTIONS & options.keys()}
        mode = options.setdefault("async_mode", "aiohttp")
        if mode != "aiohttp":
            raise ValueError(f"async_mode is {mode!r}: this transport supports only 'aiohttp'")
        options["monitor_clients"] = False  # the timer wheel does it
        engineio.AsyncServer.__init__(self, **options)
        self._registered = EngineHandlers(self, self.handlers)
        Engine.__init__(
            self,
            EngineOptions(**own),
            self._registered,
            ping_interval=self.ping_interval + self.ping_interval_grace_period,
            ping_timeout=self.ping_timeout,
            max_message_bytes=self.max_http_buffer_size,
            transports=self.transports,
            allow_upgrades=self.allow_upgrades,
        )
        self._polling = Polling(self)

    def attach(self, app: web.Application, engineio_path: str = "engine.io") -> None:
        """Serve a path of an aiohttp application."""
        self.path = f"/{engineio_path.strip('/')}/"
        app.router.add_route("*", self.path, self.handle_request)
        app.on_shutdown.append(self._shut_down_with)

    async def _shut_down_with(self, _app: web.Application) -> None:
        await self.shutdown()

    async def handle_request(self, request: web.Request) -> web.StreamResponse:
        """Answer an HTTP request for the path: a poll, a polling body or an upgrade."""
        return await self._polling.answer(request)

    def allows_origin(self, origin: str, environ: RequestEnviron) -> bool:
        """Return whether a page of this origin may connect."""
        if self.cors_allowed_origins == []:
            return True
        allowed = self._cors_allowed_origins(environ)
        return allowed is None or origin in allowed

    def cors_headers(self, environ: RequestEnviron) -> list[tuple[str, str]]:
        """Return the CORS headers of an answer."""
        headers: list[tuple[str, str]] = self._cors_headers(environ)
        return headers

    def cookie_for(self, sid: str) -> str | None:
        """Return the ``Set-Cookie`` header of a new polling session, ``None`` for none."""
        cookie = self.cookie
        if cookie is None:
            return None
        if not isinstance(cookie, dict):
            cookie = {"name": cookie, "path": "/", "SameSite": "Lax"}
        return str(self._generate_sid_cookie(sid, cookie))

    def compress(self, body: bytes, accepted: str) -> tuple[bytes, str | None]:
        """Return a polling body, compressed if the client accepts it, and its encoding."""
        if self.http_compression and len(body) >= self.compression_threshold:
            for entry in accepted.split(","):
                encoding = entry.split(";")[0].strip()
                if encoding in self.compression_methods:
                    return getattr(self, f"_{encoding}")(body), encoding
        return body, None

    async def send(self, sid: str, data: str | bytes | list[Any] | dict[str, Any]) -> None:
        """Send a message to a client, if it still exists."""
        if isinstance(data, list | dict):
            self._send_message(sid, stock_packet.Packet.json.dumps(data, separators=(",", ":")))
        else:
            self._send_message(sid, data)

    async def send_packet(self, sid: str, pkt: Any) -> None:
        """Send a MESSAGE packet of python-engineio to a client.

        Raises:
            ValueError: the packet has another type.
        """
        if pkt.packet_type != stock_packet.MESSAGE:
            raise ValueError(f"packet type {pkt.packet_type}: only MESSAGE can be sent")
        await self.send(sid, pkt.data)

    def _send_message(self, sid: str, data: str | bytes) -> None:
        session = self.sockets.get(sid)
        if session is None:
            log.warning("message to an unknown session", extra={"sid": sid})
        else:
            session.send(Parcel(data))

    async def get_session(self, sid: str) -> dict[str, Any]:
        """Return the data that an application saved for a client.

        Raises:
            KeyError: the session does not exist.
        """
        session: EngineSession = self._get_socket(sid)
        if session.application is None:
            session.application = {}
        return session.application

    async def save_session(self, sid: str, session: dict[str, Any]) -> None:
        """Save an application's data for a client.

        Raises:
            KeyError: the session does not exist.
        """
        self._get_socket(sid).application = session

    async def disconnect(self, sid: str | None = None) -> None:
        """Close a client, or all clients if ``sid`` is ``None``."""
        if sid is None:
            await self.close_all()
        elif sid in self.sockets:
            self.close(self.sockets[sid], EndReason.SERVER_DISCONNECT)

    def transport(self, sid: str) -> str:
        """Return the transport of a client, "polling" or "websocket".

        Raises:
            KeyError: the session does not exist.
        """
        session: EngineSession = self._get_socket(sid)
        is_websocket = session.transport is not None and session.upgrade is None
        return "websocket" if is_websocket else "polling"

    def _get_socket(self, sid: str) -> EngineSession:
        session: EngineSession | None = self.sockets.get(sid, self._registered.departing.get(sid))
        if session is None:
            raise KeyError("Session not found")
        return session
