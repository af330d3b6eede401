"""The welcome event: the client's identity, the gateway's clock and the enforced limits."""

from __future__ import annotations

from typing import Any

from gateway import contract
from gateway.limits.quota import EventQuotas
from gateway.server.context import Context
from gateway.session import Session
from gateway.settings import Settings


def enforced_limits(settings: Settings, quotas: EventQuotas) -> dict[str, Any]:
    """Return the enforced limits, as ``limits`` of the welcome event lists them.

    Returns:
        ``events`` with ``{limit, windowMs}`` for each rolling limit; counts and sizes beside it.
    """
    return {
        "events": {
            limit.value: {"limit": quota.limit, "windowMs": quota.window_ms}
            for limit, quota in quotas.by_limit.items()
        },
        "refusedEventsPerMinute": settings.max_refused_events,
        "connectionsPerUser": settings.max_connections_per_user,
        "connectionsPerAddress": settings.max_connections_per_address,
        "connectsPerMinutePerAddress": settings.max_connects_per_minute_per_address,
        "eventBytes": settings.max_event_bytes,
        "llmEventBytes": contract.MAX_LLM_EVENT_BYTES,
        "payloadBytes": contract.MAX_PAYLOAD_BYTES,
        "sendBytes": settings.max_send_bytes,
        "sendMs": round(settings.max_send_seconds * 1_000),
        "connectsPerTransport": contract.MAX_CONNECTS,
        "connectMs": round(settings.connect_timeout_seconds * 1_000),
        "symbolsPerCall": contract.MAX_SYMBOLS_PER_CALL,
        "roomsPerClient": settings.max_rooms_per_client,
        "symbols": settings.max_symbols_per_process,
    }


def welcome_payload(context: Context, session: Session) -> dict[str, Any]:
    """Return the payload of a client's ``connected`` event."""
    user_id, streams = session.identity.user_id, context.streams
    return {
        "message": contract.WELCOME_TEXT,
        "clientId": session.sid,
        "userId": user_id,
        "timestamp": context.broadcaster.timestamp(),
        "clock": context.clock.id,
        "epoch": streams.epoch,
        "userSeq": streams.last_user(user_id),
        "heartbeatInterval": round(context.settings.heartbeat_seconds * 1_000),
        "limits": context.limits,
    }
