"""``AsyncServer``: the interface of ``socketio.AsyncServer`` on this package's server.

python-socketio provides packets, namespaces and the registration of handlers. This package
provides sessions, rooms, fan-out and strict decoding.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from typing import Any, Final

import socketio
from socketio import packet as packets

from gateway.transport.application import Hooks, OnBreach, OnEvent, OnWelcome
from gateway.transport.dropin import standard_json
from gateway.transport.dropin.engine import EngineServer
from gateway.transport.dropin.handlers import RegisteredHandlers
from gateway.transport.dropin.rooms import Rooms
from gateway.transport.engine_session import EngineSession
from gateway.transport.environ import RequestEnviron
from gateway.transport.parcels import Flow
from gateway.transport.server import SocketServer, parcel_of

_CONNECT_TIMEOUT_S: Final = 45.0  # Socket.IO's own


class AsyncServer(SocketServer, socketio.AsyncServer):  # type: ignore[misc]  # python-socketio ships no types
    """A Socket.IO 5 server for aiohttp.

    Args:
        client_manager: a ``Rooms``, or an instance of a class that mixes it in.
        logger: as in ``socketio.AsyncServer``, but INFO is not logged: it contains tokens.
        json: a module with ``dumps`` and ``loads``. The default is the standard library's
            JSON without NaN and infinities, which JavaScript cannot read.
        async_handlers: accepted and ignored: events of a client are handled in order.
        namespaces: as in ``socketio.AsyncServer``.
        connect_timeout: seconds until a client's CONNECT must be accepted, or its transport is
            closed.
        flows: how an event is delivered, by its name. The default is lossless and in order.
        on_event: ``(sid, name, arguments, size in bytes)``, called for every event in place of
            the registered handlers, except ``connect`` and ``disconnect``. It returns the
            acknowledgement or an awaitable of it. ``name`` may be any JSON value.
        on_welcome: ``(sid)``, called directly after a client's CONNECT is answered.
        on_breach: ``(environ, sid or None before CONNECT, what)``, called before a client is
            closed for breaking the protocol.
        max_connects: CONNECT packets of one transport above which it is closed. ``None`` for no
            limit but that of control frames: a client may join any number of namespaces.
        **options: further arguments of ``socketio.AsyncServer``, and those of
            ``EngineServer``.

    Raises:
        ValueError: this transport does not support an option.
    """

    def __init__(
        self,
        client_manager: Rooms | None = None,
        logger: Any = False,
        json: Any = None,
        async_handlers: bool = True,
        namespaces: Any = None,
        *,
        connect_timeout: float = _CONNECT_TIMEOUT_S,
        flows: Mapping[str, Flow] | None = None,
        on_event: OnEvent | None = None,
        on_welcome: OnWelcome | None = None,
        on_breach: OnBreach | None = None,
        max_connects: int | None = None,
        **options: Any,
    ) -> None:
        if client_manager is not None and not isinstance(client_manager, Rooms):
            raise ValueError(
                f"client_manager is a {type(client_manager).__name__}: this transport needs a "
                "gateway.transport.Rooms, or a class such as `class Manager(AsyncRedisManager, "
                "Rooms)`"
            )
        if options.pop("serializer", "default") != "default":
            raise ValueError("serializer: this transport supports only the default one")
        engineio_logger = options.pop("engineio_logger", False)
        if isinstance(engineio_logger, bool):
            engineio_logger = _quiet_logger("gateway.transport.engineio")
        if isinstance(logger, bool):
            logger = _quiet_logger("gateway.transport.socketio")
        socketio.AsyncServer.__init__(
            self,
            client_manager=client_manager or Rooms(),
            logger=logger,
            async_handlers=async_handlers,
            namespaces=namespaces,
            connect_timeout=connect_timeout,
            engineio_logger=engineio_logger,
            **options,
        )
        # A class of its own: setting json on the stock class would change every server.
        packet_class = type("Packet", (packets.Packet,), {"json": json or standard_json})
        SocketServer.__init__(
            self,
            self.eio,
            self.manager,
            RegisteredHandlers(self),
            Hooks(on_event, on_welcome, on_breach, max_connects),
            packet_class=packet_class,
            flows=dict(flows or {}),
        )
        self.environ = _Environs(self.eio)

    async def disconnect(
        self, sid: str, namespace: str | None = None, ignore_queue: bool = False
    ) -> None:
        """Disconnect a client, in whichever process it is if the manager is shared.

        Args:
            sid: the client.
            namespace: its namespace; the default one if not given.
            ignore_queue: whether to disconnect it in this process only.
        """
        namespace = namespace or "/"
        if ignore_queue or await self.manager.can_disconnect(sid, namespace):
            await self.fanout.flushed()  # earlier events reach the client first
            self.kick(sid, namespace)

    async def get_session(self, sid: str, namespace: str | None = None) -> dict[str, Any]:
        """Return the data saved for a client, also while its disconnect handler is running.

        Raises:
            KeyError: the client does not exist.
        """
        saved: dict[str, Any] = self._saved(sid, namespace).setdefault(namespace or "/", {})
        return saved

    async def save_session(
        self, sid: str, session: dict[str, Any], namespace: str | None = None
    ) -> None:
        """Save an application's data for a client.

        Args:
            sid: the client.
            session: the data.
            namespace: the client's namespace; the default one if not given.

        Raises:
            KeyError: the client does not exist.
        """
        self._saved(sid, namespace)[namespace or "/"] = session

    def _saved(self, sid: str, namespace: str | None) -> dict[str, Any]:
        participant = self.participants.find(sid, namespace)
        if participant is None:
            raise KeyError("Session not found")
        session: EngineSession = participant.session
        if session.application is None:
            session.application = {}
        return session.application

    async def _send_packet(self, eio_sid: str, pkt: Any) -> None:
        session = self.engine.sockets.get(eio_sid)
        if session is not None:
            session.send(parcel_of(pkt))

    def instrument(self, *_args: Any, **_kwargs: Any) -> Any:
        """Refuse: the admin interface needs the stock transport.

        Raises:
            NotImplementedError: always.
        """
        raise NotImplementedError("the admin interface is not available on this transport")

    def _engineio_server_class(self) -> type[EngineServer]:
        return EngineServer


class _Environs(Mapping[str, RequestEnviron]):
    """The environ of each session, by Engine.IO sid."""

    def __init__(self, engine: EngineServer) -> None:
        self._engine = engine

    def __getitem__(self, eio_sid: str) -> RequestEnviron:
        session: EngineSession = self._engine.sockets[eio_sid]
        return session.environ

    def __iter__(self) -> Iterator[str]:
        return iter(self._engine.sockets)

    def __len__(self) -> int:
        return len(self._engine.sockets)


def _quiet_logger(name: str) -> logging.Logger:
    """Return a logger without INFO, where both libraries log tokens."""
    logger = logging.getLogger(name)
    logger.setLevel(logging.WARNING)
    return logger
