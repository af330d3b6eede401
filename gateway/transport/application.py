"""The application of a Socket.IO server: its handlers, its hooks, and how it sends."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol

from gateway.transport.engine_session import EngineSession, Participant
from gateway.transport.environ import RequestEnviron
from gateway.transport.parcels import Parcel

OnEvent = Callable[[str, object, tuple[object, ...], int], Any]
OnWelcome = Callable[[str], None]
OnBreach = Callable[[RequestEnviron, str | None, str], None]

NOT_HANDLED: Final = object()
"""The answer of ``dispatch`` to an event without a handler, which is not acknowledged."""


@dataclass(frozen=True, slots=True)
class Hooks:
    """Callbacks and limits of a gateway, as ``AsyncServer`` describes them; ``None`` for none."""

    on_event: OnEvent | None
    on_welcome: OnWelcome | None
    on_breach: OnBreach | None
    max_connects: int | None


class ApplicationHandlers(Protocol):
    """An application's handlers."""

    @property
    def always_connect(self) -> bool:
        """Whether CONNECT is answered before its handler is called."""

    def prepare(self) -> None:
        """Prepare for clients. Called for every new session."""

    def serves(self, namespace: str) -> bool:
        """Return whether clients may connect to a namespace."""

    def connect(self, participant: Participant, auth: Any) -> Any:
        """Call the connect handler and return its answer, or an awaitable of it."""

    def disconnect(self, participant: Participant, reason: str) -> Any:
        """Call the disconnect handler and return its awaitable, ``None`` if it has ended."""

    def dispatch(self, participant: Participant, name: str, arguments: list[Any]) -> Any:
        """Call an event's handler and return its answer, an awaitable of it, or ``NOT_HANDLED``.

        Args:
            participant: the client.
            name: the event's name.
            arguments: the event's arguments.
        """

    def refusal(self, outcome: object) -> Any:
        """Return the CONNECT_ERROR payload for a connect handler's answer or exception."""


class Outgoing(Protocol):
    """What ``Clients`` needs from its server."""

    packet_class: type[Any]

    def encode(self, kind: int, data: Any, namespace: str, ack_id: int | None = ...) -> Parcel:
        """Return the parcel of a packet.

        Args:
            kind: the packet type of the Socket.IO protocol.
            data: event name and arguments, or the arguments of an acknowledgement.
            namespace: the client's namespace.
            ack_id: id of the acknowledgement; None without one.
        """

    def send_parcel(self, session: EngineSession, parcel: Parcel) -> None:
        """Send a parcel to one session; see ``SocketServer``."""
