"""Sockets, frames and fan-out: Socket.IO 5 on asyncio and aiohttp. Knows nothing of trading."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gateway.transport.door import Door
    from gateway.transport.engine import EngineServer
    from gateway.transport.environ import RequestEnviron
    from gateway.transport.parcels import Flow, Lane
    from gateway.transport.refusals import Refusal
    from gateway.transport.rooms import Rooms
    from gateway.transport.server import AsyncServer
    from gateway.transport.sockets import bound_accepted

__all__ = [
    "AsyncServer",
    "Door",
    "EngineServer",
    "Flow",
    "Lane",
    "Refusal",
    "RequestEnviron",
    "Rooms",
    "bound_accepted",
]

_HOMES = {
    "AsyncServer": "server",
    "Door": "door",
    "EngineServer": "engine",
    "Flow": "parcels",
    "Lane": "parcels",
    "Refusal": "refusals",
    "RequestEnviron": "environ",
    "Rooms": "rooms",
    "bound_accepted": "sockets",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"gateway.transport.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
