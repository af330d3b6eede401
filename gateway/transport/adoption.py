"""``Adoption``: a socket whose client asks for a WebSocket becomes a session's, or is refused.

There is one way in, whoever read the request's head: the ``Door``, or aiohttp.
"""

from __future__ import annotations

import asyncio
import inspect
from typing import TYPE_CHECKING, Any

from gateway.transport import frames
from gateway.transport.environ import RequestEnviron
from gateway.transport.refusals import Reject, refuse_handshake
from gateway.transport.requests import (
    BadRequest,
    RequestHead,
    check_upgrade,
    plain_response,
    switching_protocols,
)
from gateway.transport.session import EngineSession, Upgrade
from gateway.transport.sockets import bound_kernel, peer_of, scheme_of

if TYPE_CHECKING:
    from gateway.transport.engine import EngineServer


class Adoption:
    """Adopts sockets for an engine.

    Args:
        engine: whose sessions they become.
    """

    def __init__(self, engine: EngineServer) -> None:
        self._engine = engine

    def adopt(
        self,
        transport: asyncio.Transport,
        head: RequestHead,
        tail: bytes,
        *,
        is_bounded: bool = False,
    ) -> None:
        """Take over a socket whose client asks for a WebSocket.

        Args:
            transport: the socket's.
            head: of the request.
            tail: what came behind it already.
            is_bounded: what the kernel may take for it is bounded already.
        """
        environ = RequestEnviron(head, peer_of(transport), scheme_of(transport))
        try:
            check_upgrade(head)
            refuse_handshake(self._engine, environ, "websocket")
            session, upgrade = self._session_for(environ)
        except BadRequest as error:
            self._refuse(transport, Reject(error.status, 3, error.message, error.headers))
            return
        except Reject as error:
            self._refuse(transport, error)
            return
        if not is_bounded:
            bound_kernel(transport)
        if upgrade is not None:
            transport.write(switching_protocols(head))
        else:
            opening = frames.encode_frame(
                frames.TEXT, self._engine.handshake(session, "websocket").encode()
            )
            transport.write(switching_protocols(head) + opening)
        session.begin_websocket(transport, upgrade)
        if upgrade is not None:
            self._engine.wake_at(session, upgrade.due_ns)
            if tail:
                session.data_received(tail)
            return
        self._begin(session, tail)

    def _refuse(self, transport: asyncio.Transport, reject: Reject) -> None:
        transport.write(
            plain_response(reject.status, reject.body, "application/json", reject.headers)
        )
        self._engine.dismiss(transport)

    def _session_for(self, environ: RequestEnviron) -> tuple[EngineSession, Upgrade | None]:
        """Return the session that a WebSocket is for, and the upgrade of one that exists.

        Raises:
            Reject: the session is unknown, has a WebSocket already, or is not admitted.
        """
        sid = environ.head.parameter("sid")
        if sid is None:
            refusal = self._engine.admission(environ)
            if refusal is not None:
                raise Reject.refused(refusal)
            return self._engine.open_session(environ), None
        session = self._engine.sockets.get(sid)
        if session is None:
            raise Reject.unknown_session()
        if session.transport is not None or not self._engine.allow_upgrades:
            raise Reject.bad_request()
        return session, Upgrade(self._engine.now_ns() + self._engine.upgrade_timeout_ns)

    def _begin(self, session: EngineSession, tail: bytes) -> None:
        """Tell the application of a WebSocket's session, then read what came already."""
        answer = self._engine.application.opened(session)
        if answer is not None and inspect.isawaitable(answer):
            session.pause_reading()
            self._engine.spawn(self._begin_later(session, answer, tail))
        else:
            self._begin_now(session, answer, tail)

    async def _begin_later(self, session: EngineSession, answer: Any, tail: bytes) -> None:
        outcome = await self._engine.answer_of(answer)
        # Also of who is refused, for its close is waited for; nothing is read before this returns.
        session.resume_reading()
        self._begin_now(session, outcome, tail)

    def _begin_now(self, session: EngineSession, answer: object, tail: bytes) -> None:
        if answer is not None and answer is not True:
            self._engine.close(
                session, self._engine.reason.SERVER_DISCONNECT, frames.CloseCode.POLICY_VIOLATION
            )
            return
        session.begin_pings(self._engine.now_ns())
        if tail:
            session.data_received(tail)
