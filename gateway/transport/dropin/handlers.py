"""The handlers that an application registered with python-socketio."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable
from typing import Any, Final

import socketio
from socketio.exceptions import ConnectionRefusedError as ConnectRejected

from gateway.transport.application import NOT_HANDLED
from gateway.transport.dropin.engine_handlers import takes
from gateway.transport.engine_session import Participant

__all__ = ["ConnectRejected", "RegisteredHandlers"]

_REJECTED: Final = {"message": "Connection rejected by server"}

log = logging.getLogger("gateway.transport")


class RegisteredHandlers:
    """Calls functions and class-based namespaces as python-socketio does.

    Args:
        server: the server at which they are registered.
    """

    def __init__(self, server: socketio.AsyncServer) -> None:
        self._server = server
        self.always_connect: bool = server.always_connect

    def prepare(self) -> None:
        """Initialize the client manager, once."""
        if not self._server.manager_initialized:
            self._server.manager_initialized = True
            self._server.manager.initialize()

    def serves(self, namespace: str) -> bool:
        """Return whether clients may connect to a namespace."""
        return (
            namespace in self._server.handlers
            or namespace in self._server.namespace_handlers
            or self._server.namespaces == "*"
            or namespace in self._server.namespaces
        )

    def connect(self, participant: Participant, auth: Any) -> Any:
        """Call the connect handler and return its answer, or an awaitable of it."""
        arguments: tuple[Any, ...] = (participant.sid, participant.session.environ)
        handler, prefixed = self._function(
            "connect", participant.namespace, (*arguments, auth or None)
        )
        if handler is not None:
            # python-socketio's older signature has no auth.
            return handler(*(prefixed if takes(handler, len(prefixed)) else prefixed[:-1]))
        handler, prefixed = self._namespace(participant.namespace, (*arguments, auth or None))
        if handler is None:
            return None
        method = getattr(handler, "on_connect", None)
        if method is not None and not takes(method, len(prefixed)):
            prefixed = prefixed[:-1]
        return handler.trigger_event("connect", *prefixed)

    def disconnect(self, participant: Participant, reason: str) -> Any:
        """Call the disconnect handler and return its awaitable, ``None`` if it has ended."""
        arguments = (participant.sid, reason)
        handler, prefixed = self._function("disconnect", participant.namespace, arguments)
        if handler is not None:
            answer = handler(*(prefixed if takes(handler, len(prefixed)) else prefixed[:-1]))
        else:
            handler, prefixed = self._namespace(participant.namespace, arguments)
            answer = None if handler is None else handler.trigger_event("disconnect", *prefixed)
        return answer if answer is not None and inspect.isawaitable(answer) else None

    def dispatch(self, participant: Participant, name: str, arguments: list[Any]) -> Any:
        """Call an event's handler and return its answer, an awaitable of it, or ``NOT_HANDLED``.

        Args:
            participant: the client.
            name: the event's name.
            arguments: the event's arguments.
        """
        handler, prefixed = self._function(
            name, participant.namespace, (participant.sid, *arguments)
        )
        if handler is not None:
            return handler(*prefixed)
        handler, prefixed = self._namespace(participant.namespace, (participant.sid, *arguments))
        return NOT_HANDLED if handler is None else handler.trigger_event(name, *prefixed)

    def refusal(self, outcome: object) -> Any:
        """Return the CONNECT_ERROR payload for a connect handler's answer or exception.

        It never holds the text of an unexpected exception.
        """
        if isinstance(outcome, ConnectRejected):
            return outcome.error_args
        if isinstance(outcome, BaseException) and not isinstance(outcome, ConnectionRefusedError):
            log.error("connect handler failed", exc_info=outcome)
        return _REJECTED

    def _function(
        self, event: str, namespace: str, arguments: tuple[Any, ...]
    ) -> tuple[Callable[..., Any] | None, tuple[Any, ...]]:
        """Return the function that handles an event, and its arguments."""
        found: tuple[Any, tuple[Any, ...]] = self._server._get_event_handler(  # noqa: SLF001 - python-socketio has no public way
            event, namespace, arguments
        )
        return found

    def _namespace(self, namespace: str, arguments: tuple[Any, ...]) -> tuple[Any, tuple[Any, ...]]:
        """Return the class-based namespace that handles events, and its arguments."""
        found: tuple[Any, tuple[Any, ...]] = self._server._get_namespace_handler(  # noqa: SLF001 - as above
            namespace, arguments
        )
        return found
