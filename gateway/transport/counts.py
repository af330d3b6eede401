"""Why sessions end, and how many did."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Final


class EndReason:
    """Why a session ended. The application gets the reason, and ``Counts`` counts by it."""

    SERVER_DISCONNECT: Final = "server disconnect"
    CLIENT_DISCONNECT: Final = "client disconnect"
    PING_TIMEOUT: Final = "ping timeout"
    TRANSPORT_CLOSE: Final = "transport close"
    TRANSPORT_ERROR: Final = "transport error"
    SLOW_CONSUMER: Final = "slow consumer"
    PROTOCOL_BREACH: Final = "protocol breach"
    NO_CONNECT: Final = "no CONNECT"
    ATTACHMENTS_MISSING: Final = "attachments missing"


@dataclass(slots=True)
class Counts:
    """Totals since the start of the engine.

    Attributes:
        closed: ended sessions by reason.
        conflated: parcels replaced by newer ones of their stream.
        sent_bytes: of frames and polling bodies that were written, without those of the fan-out.
    """

    closed: Counter[str] = field(default_factory=Counter)
    conflated: int = 0
    sent_bytes: int = 0
