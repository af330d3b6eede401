"""Taking over the sockets of clients that ask for a WebSocket.

``Door`` and aiohttp both call ``adopt`` once they have read the request's head.
"""

from __future__ import annotations

import asyncio
import inspect
from typing import Any, Final

from gateway.transport import frames
from gateway.transport.answers import BadRequest, plain_response
from gateway.transport.counts import EndReason
from gateway.transport.engine import Engine
from gateway.transport.engine_session import EngineSession
from gateway.transport.environ import RequestEnviron
from gateway.transport.liveness import Upgrade
from gateway.transport.refusals import RequestRejected
from gateway.transport.requests import RequestHead
from gateway.transport.sockets import bound_kernel, peer_of, scheme_of
from gateway.transport.upgrades import check_upgrade, switching_protocols

_PROTOCOL: Final = "4"
_DECISIVE: Final = frozenset({"EIO", "sid", "token", "transport"})
_CLOSE: Final = frames.encode_close(frames.CloseCode.POLICY_VIOLATION)


def adopt(
    engine: Engine,
    transport: asyncio.Transport,
    head: RequestHead,
    tail: bytes,
    *,
    is_bounded: bool = False,
) -> None:
    """Take over a socket whose client asks for a WebSocket.

    Args:
        engine: the engine that owns the session.
        transport: the transport of the socket.
        head: the head of the request.
        tail: bytes received after the head.
        is_bounded: whether the socket's kernel buffer is already bounded.
    """
    environ = RequestEnviron(head, peer_of(transport), scheme_of(transport))
    try:
        check_upgrade(head)
        refuse_handshake(engine, environ, "websocket")
        sid = head.parameter("sid")
        if sid is None:
            session, upgrade = _new_session(engine, environ), None
        elif _has_websocket(engine, sid):
            # As the reference does: a client told 400 here would report a failed handshake.
            transport.write(switching_protocols(head) + _CLOSE)
            engine.dismiss(transport)
            return
        else:
            session, upgrade = _polling_session(engine, sid)
    except BadRequest as error:
        rejected = RequestRejected(error.status, 3, error.message, error.headers)
        _refuse(engine, transport, environ, rejected)
        return
    except RequestRejected as error:
        _refuse(engine, transport, environ, error)
        return
    if not is_bounded:
        bound_kernel(transport)
    if upgrade is not None:
        transport.write(switching_protocols(head))
    else:
        opening = frames.encode_frame(frames.TEXT, engine.handshake(session, "websocket").encode())
        transport.write(switching_protocols(head) + opening)
    session.begin_websocket(transport, upgrade)
    if upgrade is not None:
        engine.wake_at(session, upgrade.due_ns)
        if tail:
            session.data_received(tail)
        return
    _begin(engine, session, tail)


def refuse_handshake(engine: Engine, environ: RequestEnviron, transport: str) -> None:
    """Check the origin, the query, the transport and the protocol version of a request.

    Args:
        engine: the engine, which has the allowed origins and transports.
        environ: the request.
        transport: the transport that the request should name, ``polling`` or ``websocket``.

    Raises:
        RequestRejected: a check failed. The exception carries the answer.
    """
    head = environ.head
    origin = head.header("origin")
    if origin is not None and not engine.allows_origin(origin, environ):
        raise RequestRejected(400, 4, "Origin not allowed")
    if head.conflicts:
        named = ", ".join(sorted(head.conflicts & _DECISIVE))
        if named:
            raise RequestRejected(400, 3, f"Two different values in the query: {named}")
    parameters = head.parameters
    if parameters.get("transport") != transport or transport not in engine.transports:
        raise RequestRejected(400, 0, "Transport unknown")
    if "j" in parameters:
        raise RequestRejected(400, 3, "JSONP is not served; use CORS")
    if "sid" not in parameters and parameters.get("EIO") != _PROTOCOL:
        raise RequestRejected(400, 5, "Unsupported protocol version; this server speaks EIO=4")


def _refuse(
    engine: Engine, transport: asyncio.Transport, environ: RequestEnviron, reject: RequestRejected
) -> None:
    headers = dict(reject.headers) | dict(engine.answer_headers(environ))
    transport.write(plain_response(reject.status, reject.body, "application/json", headers))
    engine.dismiss(transport)


def _has_websocket(engine: Engine, sid: str) -> bool:
    """Return whether a session has, or tries, another WebSocket."""
    session = engine.sockets.get(sid)
    return session is not None and session.transport is not None


def _new_session(engine: Engine, environ: RequestEnviron) -> EngineSession:
    """Return a new session.

    Raises:
        RequestRejected: the request is not admitted.
    """
    refusal = engine.admission(environ)
    if refusal is not None:
        raise RequestRejected.refused(refusal)
    return engine.open_session(environ)


def _polling_session(engine: Engine, sid: str) -> tuple[EngineSession, Upgrade]:
    """Return a session that began on polling, and its upgrade.

    Raises:
        RequestRejected: the session is unknown, or may not be upgraded.
    """
    session = engine.sockets.get(sid)
    if session is None:
        raise RequestRejected.unknown_session()
    if not engine.allow_upgrades:
        raise RequestRejected.bad_request()
    return session, Upgrade(engine.now_ns() + engine.upgrade_timeout_ns)


def _begin(engine: Engine, session: EngineSession, tail: bytes) -> None:
    """Tell the application about a new session, then read the bytes that already arrived."""
    answer = engine.application.opened(session)
    if answer is not None and inspect.isawaitable(answer):
        session.pause_reading()
        engine.spawn(_begin_later(engine, session, answer, tail))
    else:
        _begin_now(engine, session, answer, tail)


async def _begin_later(engine: Engine, session: EngineSession, answer: Any, tail: bytes) -> None:
    outcome = await engine.answer_of(answer)
    # Also for a refused client, whose close frame must be read. Nothing is read before this
    # function returns.
    session.resume_reading()
    _begin_now(engine, session, outcome, tail)


def _begin_now(engine: Engine, session: EngineSession, answer: object, tail: bytes) -> None:
    if answer is not None and answer is not True:
        engine.close(session, EndReason.SERVER_DISCONNECT, frames.CloseCode.POLICY_VIOLATION)
        return
    session.begin_pings(engine.now_ns())
    if tail:
        session.data_received(tail)
