"""``EngineOptions``: the limits and hooks of an engine."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from gateway.transport.environ import RequestEnviron
from gateway.transport.refusals import HandshakeRefusal


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineOptions:
    """Limits and hooks of an engine: keyword arguments of ``AsyncServer`` and ``EngineServer``.

    Attributes:
        connect_timeout: seconds until the application must have admitted a session, or it is
            closed. ``None`` for no limit.
        max_send_bytes: lossless bytes queued for one client above which it is closed.
        max_send_age: seconds that lossless bytes may be queued before the client is closed.
        max_waiting_bytes: bytes queued for all clients above which those with the most are
            closed.
        close_timeout: seconds until a closing socket is aborted.
        head_timeout: seconds until the first request head must be complete, or the connection
            is aborted.
        body_timeout: seconds until a polling body must be complete, or its session is closed.
        upgrade_timeout: seconds until a client must complete an upgrade, or its WebSocket is
            closed.
        max_fragments: fragments of a WebSocket message above which the session is closed.
        admit: called before a session exists. A ``HandshakeRefusal`` becomes the HTTP answer.
        sid_prefix: beginning of every id, so that other processes can tell whose session it is.
        on_session_close: called once for each admitted session, with its environ.
        clock: returns monotonic ns.
    """

    connect_timeout: float | None = None
    max_send_bytes: int = 1_048_576
    max_send_age: float = 5.0
    max_waiting_bytes: int = 268_435_456
    close_timeout: float = 2.0
    head_timeout: float = 10.0
    body_timeout: float = 10.0
    upgrade_timeout: float = 10.0
    max_fragments: int = 1_024
    admit: Callable[[RequestEnviron], HandshakeRefusal | None] | None = None
    on_session_close: Callable[[RequestEnviron], None] | None = None
    sid_prefix: str = ""
    clock: Callable[[], int] = time.monotonic_ns
