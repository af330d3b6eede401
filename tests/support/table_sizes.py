"""How many entries a gateway keeps in each of its tables."""

from __future__ import annotations

from gateway.server.context import Context


def connection_entries(context: Context) -> dict[str, int]:
    """Return the number of entries of each table of connections."""
    return {
        "sessions": len(context.sessions),
        "subscriptions": len(context.subscriptions),
        "user_connections": len(context.user_connections),
        "expiries": len(context.expiries),
        "rates": len(context.rates.tiers),
        "held_rooms": context.streams.held_rooms(),
    }


def retained_entries(context: Context) -> dict[str, int]:
    """Return the number of entries of each table that outlives a connection."""
    watch = context.security.watch
    return {
        "user_windows": len(context.user_windows),
        "addresses": len(context.addresses),
        "revocations": len(context.revocations),
        "anomalies": 0 if watch is None else len(watch),
        **context.broker.entries(),
    }
