"""What stands on Engine.IO sessions: the interface, and the one of a bare Engine.IO server."""

from __future__ import annotations

import functools
import inspect
import logging
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from gateway.transport.engine import EngineServer
    from gateway.transport.session import EngineSession

log = logging.getLogger("gateway.transport")


class Application(Protocol):
    """What stands on the sessions: Engine.IO handlers, or a Socket.IO server."""

    def opened(self, session: EngineSession) -> Any:
        """Note a new session; an awaitable is awaited. What is not ``None`` or true refuses it."""

    def received(self, session: EngineSession, data: str | bytes) -> None:
        """Take one message."""

    def breached(self, session: EngineSession, what: str) -> None:
        """Note what a client did that closes it; it is closed when this returns."""

    def closed(self, session: EngineSession, reason: str) -> None:
        """Note that a session has ended, before the engine forgets it."""


@dataclass(slots=True)
class Counts:
    """What happened to sessions since the start.

    Attributes:
        closed: sessions by reason.
        conflated: parcels replaced by newer ones.
    """

    closed: Counter[str] = field(default_factory=Counter)
    conflated: int = 0


class EngineHandlers:
    """The application of a bare Engine.IO server: its ``connect``, ``message``, ``disconnect``."""

    def __init__(self, engine: EngineServer) -> None:
        self._engine = engine

    def opened(self, session: EngineSession) -> Any:
        """Ask the ``connect`` handler."""
        session.admission_due_ns = 0
        handler = self._engine.handlers.get("connect")
        if handler is None:
            return None
        try:
            return handler(session.sid, session.environ)
        except Exception:
            log.exception("connect handler failed")
            return False

    def received(self, session: EngineSession, data: str | bytes) -> None:
        """Give a message to the ``message`` handler, behind the one before."""
        session.in_order(lambda: self._call("message", session.sid, data))

    def breached(self, session: EngineSession, what: str) -> None:
        """Log it; nobody else is interested."""
        log.warning("protocol breach", extra={"sid": session.sid, "what": what})

    def closed(self, session: EngineSession, reason: str) -> None:
        """Tell the ``disconnect`` handler."""
        waiting = self._call("disconnect", session.sid, reason)
        if waiting is not None:
            self._engine.departing[session.sid] = session
            self._engine.spawn(self._depart(session, waiting))

    async def _depart(self, session: EngineSession, waiting: Awaitable[Any]) -> None:
        try:
            await waiting
        finally:
            del self._engine.departing[session.sid]

    def _call(self, event: str, *arguments: object) -> Any:
        handler = self._engine.handlers.get(event)
        if handler is None:
            return None
        if event == "disconnect" and not takes(handler, len(arguments)):
            arguments = arguments[:1]  # python-engineio's older signature
        try:
            answer = handler(*arguments)
        except Exception:
            log.exception("%s handler failed", event)
            return None
        return answer if inspect.isawaitable(answer) else None


@functools.lru_cache(maxsize=256)
def takes(handler: Callable[..., Any], count: int) -> bool:
    """Return whether a handler can be called with so many positional arguments."""
    try:
        inspect.signature(handler).bind(*range(count))
    except TypeError:
        return False
    except ValueError:  # a builtin without a signature
        return True
    return True
