"""Faults of a connection's life: its token, its memory, its pongs, its end."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from gateway.contract import ServerEvent
from gateway.server.app import Gateway
from tests.faults.ports import wrap

_LEAKED_BYTES: Final = 4_096
_OVERSTAY_S: Final = 60.0
_LENIENCY_S: Final = 3_600.0


def leak(gateway: Gateway) -> None:
    """Keep 4 KB of each connection that has gone."""
    transport = gateway.transport
    disconnect = gateway.connections.disconnect
    kept: list[bytes] = []

    def leaking(sid: str, reason: str) -> None:
        kept.append(os.urandom(_LEAKED_BYTES))
        disconnect(sid, reason)

    transport.on("disconnect", leaking)


def overstay(gateway: Gateway) -> None:
    """Serve a connection for 60 s after its token's time was over."""
    expiries = gateway.context.expiries
    leeway_s = gateway.settings.token_leeway_seconds

    def around(schedule: Callable[..., None]) -> Callable[..., None]:
        def late(sid: str, due_unix_s: float) -> None:
            session = gateway.context.sessions.get(sid)
            ends_s = None if session is None else session.identity.expires_at
            is_end = ends_s is not None and due_unix_s >= ends_s + leeway_s
            schedule(sid, due_unix_s + (_OVERSTAY_S if is_end else 0.0))

        return late

    wrap(expiries, "schedule", around)


def let_in(gateway: Gateway) -> None:
    """Take tokens that expired within the last hour."""
    authenticator = gateway._authenticator
    authenticator._settings = replace(gateway.settings, token_leeway_seconds=_LENIENCY_S)


def trust_silence(gateway: Gateway) -> None:
    """Wait for pongs for an hour; the handshake says what was promised."""
    engine = gateway.transport.eio
    engine.ping_timeout_ns = 3_600 * 1_000_000_000


def drain_silently(gateway: Gateway) -> None:
    """Close without a word when told to stop."""

    def around(reply: Callable[..., bool]) -> Callable[..., bool]:
        def silent(sid: str, event: str, data: Any) -> bool:
            return event != ServerEvent.SERVER_DRAINING and reply(sid, event, data)

        return silent

    wrap(gateway.transport, "reply", around)


def drain_for_good(gateway: Gateway) -> None:
    """Send DISCONNECT to each client that a drain closes, so that stock clients stay away."""
    kick = gateway.transport.kick

    def around(_close: Callable[..., None]) -> Callable[..., None]:
        def closing(sid: str, _reason: str) -> None:
            kick(sid)

        return closing

    wrap(gateway.transport, "close_transport", around)


def leave_open(gateway: Gateway) -> None:
    """Disconnect clients whose token has expired, and leave their transports open."""
    engine = gateway.transport.engine
    kicked: list[str] = []

    def around_close(close: Callable[..., None]) -> Callable[..., None]:
        def closing(*arguments: Any, **more: Any) -> None:
            if not kicked:
                close(*arguments, **more)

        return closing

    def around_kick(kick: Callable[..., None]) -> Callable[..., None]:
        def kicking(sid: str, *arguments: Any) -> None:
            kicked.append(sid)
            kick(sid, *arguments)
            kicked.clear()

        return kicking

    wrap(engine, "close", around_close)
    wrap(gateway.transport, "kick", around_kick)


def keep_entitlements(gateway: Gateway) -> None:
    """Leave a client in its rooms when its refreshed token lacks their symbols."""
    wrap(gateway._handlers, "_leave_refused_rooms", lambda _leave: lambda _session: None)


def ignore_entitlements(gateway: Gateway) -> None:
    """Let every token subscribe to everything."""
    wrap(gateway._authenticator, "_entitlements", lambda _read: lambda _claims: None)


def serve_revoked(gateway: Gateway) -> None:
    """Refuse revoked tokens, and go on serving the connections that they opened."""
    wrap(gateway.connections, "close_revoked", lambda _close: lambda _user_id: 0)
