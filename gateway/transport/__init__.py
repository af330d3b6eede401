"""Socket.IO 5 on asyncio and aiohttp: sockets, frames and fan-out, for any application."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gateway.transport.descriptors import DescriptorReserve
    from gateway.transport.door import Door
    from gateway.transport.dropin.engine import EngineServer
    from gateway.transport.dropin.handlers import ConnectRejected
    from gateway.transport.dropin.rooms import Rooms
    from gateway.transport.dropin.server import AsyncServer
    from gateway.transport.environ import RequestEnviron
    from gateway.transport.parcels import Flow, Lane, Parcel
    from gateway.transport.passed_door import PassedDoor
    from gateway.transport.refusals import HandshakeRefusal
    from gateway.transport.runner import runner_behind_door
    from gateway.transport.server import Keep, SocketServer
    from gateway.transport.siblings import Siblings, ask, socket_of
    from gateway.transport.sockets import (
        BACKLOG,
        accept_waiting,
        bound_accepted,
        hold_port,
        listen,
        url_of,
    )

__all__ = [
    "BACKLOG",
    "AsyncServer",
    "ConnectRejected",
    "DescriptorReserve",
    "Door",
    "EngineServer",
    "Flow",
    "HandshakeRefusal",
    "Keep",
    "Lane",
    "Parcel",
    "PassedDoor",
    "RequestEnviron",
    "Rooms",
    "Siblings",
    "SocketServer",
    "accept_waiting",
    "ask",
    "bound_accepted",
    "hold_port",
    "listen",
    "runner_behind_door",
    "socket_of",
    "url_of",
]

_HOMES = {
    "BACKLOG": "sockets",
    "AsyncServer": "dropin.server",
    "ConnectRejected": "dropin.handlers",
    "DescriptorReserve": "descriptors",
    "Door": "door",
    "EngineServer": "dropin.engine",
    "Flow": "parcels",
    "HandshakeRefusal": "refusals",
    "Keep": "server",
    "Lane": "parcels",
    "Parcel": "parcels",
    "PassedDoor": "passed_door",
    "RequestEnviron": "environ",
    "Rooms": "dropin.rooms",
    "Siblings": "siblings",
    "SocketServer": "server",
    "ask": "siblings",
    "accept_waiting": "sockets",
    "bound_accepted": "sockets",
    "hold_port": "sockets",
    "listen": "sockets",
    "runner_behind_door": "runner",
    "socket_of": "siblings",
    "url_of": "sockets",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"gateway.transport.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
