"""Sockets, frames and fan-out: Socket.IO 5 over aiohttp. Knows nothing of trading."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gateway.transport.server import AsyncServer

__all__ = ["AsyncServer"]


def __getattr__(name: str) -> Any:
    if name == "AsyncServer":
        from gateway.transport.server import AsyncServer

        return AsyncServer
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
