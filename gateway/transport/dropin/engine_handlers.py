"""The handlers of an Engine.IO server without Socket.IO."""

from __future__ import annotations

import functools
import inspect
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from gateway.transport.engine import Engine
from gateway.transport.engine_session import EngineSession

log = logging.getLogger("gateway.transport")


class EngineHandlers:
    """Calls the ``connect``, ``message`` and ``disconnect`` handlers of an Engine.IO server.

    Args:
        engine: runs asynchronous handlers.
        handlers: python-engineio's dict of registered handlers by event.

    Attributes:
        departing: closed sessions whose ``disconnect`` handler is running.
    """

    def __init__(self, engine: Engine, handlers: Mapping[str, Callable[..., Any]]) -> None:
        self._engine = engine
        self._handlers = handlers
        self.departing: dict[str, EngineSession] = {}

    def opened(self, session: EngineSession) -> Any:
        """Call the ``connect`` handler and return its answer."""
        session.admission_due_ns = 0
        handler = self._handlers.get("connect")
        if handler is None:
            return None
        try:
            return handler(session.sid, session.environ)
        except Exception:
            log.exception("connect handler failed")
            return False

    def received(self, session: EngineSession, data: str | bytes) -> None:
        """Call the ``message`` handler, after the handling of the previous message."""
        session.in_order(lambda: self._call("message", session.sid, data))

    def breached(self, _session: EngineSession, what: str) -> None:
        """Log a breach of the protocol."""
        self._engine.log_breach(what)

    def closed(self, session: EngineSession, reason: str) -> None:
        """Call the ``disconnect`` handler."""
        waiting = self._call("disconnect", session.sid, reason)
        if waiting is not None:
            self.departing[session.sid] = session
            self._engine.spawn(self._depart(session, waiting))

    async def _depart(self, session: EngineSession, waiting: Awaitable[Any]) -> None:
        try:
            await waiting
        finally:
            del self.departing[session.sid]

    def _call(self, event: str, *arguments: object) -> Any:
        handler = self._handlers.get(event)
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
    """Return whether a handler accepts this number of positional arguments."""
    try:
        inspect.signature(handler).bind(*range(count))
    except TypeError:
        return False
    except ValueError:  # a builtin without a signature
        return True
    return True
