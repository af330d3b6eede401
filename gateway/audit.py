"""The audit log's lines: one a security event, chained with a key. Pure: the time is an argument.

A line is a JSON object that ends with ``mac``: HMAC-SHA256 with the key over the ``mac`` of the
line before and the bytes of this line before its own ``mac``. The first line of a file names the
``mac`` before it as ``after``, so a file can be checked without the one before.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Final

_BEFORE_MAC: Final = b',"mac":"'
_MAC_DIGITS: Final = 64
_END: Final = b'"}'
_SUFFIX_BYTES: Final = len(_BEFORE_MAC) + _MAC_DIGITS + len(_END)
_HEX: Final = frozenset(b"0123456789abcdef")
_NO_MAC: Final = "0" * _MAC_DIGITS
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_NS_PER_US: Final = 1_000
LINE_BEGINS: Final = b'{"n":'


class AuditEvent(StrEnum):
    """The events of the audit log."""

    AUTHENTICATED = "authenticated"
    AUTHENTICATION_REFUSED = "authentication refused"
    TOKEN_REFRESHED = "token refreshed"  # noqa: S105 - an event
    TOKEN_REFUSED = "token refused"  # noqa: S105 - an event
    TOKEN_EXPIRED = "token expired"  # noqa: S105 - an event
    TOKEN_REVOKED = "token revoked"  # noqa: S105 - an event
    SESSION_REFUSED = "session refused"
    LIMIT_EXCEEDED = "limit exceeded"
    PROTOCOL_BREACH = "protocol breach"
    CLIENT_CLOSED = "client closed"
    ENTITLEMENT_REFUSED = "entitlement refused"
    ENTITLEMENT_WITHDRAWN = "entitlement withdrawn"
    SCOPE_REFUSED = "scope refused"
    ADMINISTERED = "administered"
    ANOMALY = "anomaly"
    LOG_OPENED = "log opened"
    LOG_CONTINUED = "log continued"
    LOG_LOST = "log lost"
    LOG_CLOSED = "log closed"


_BEGINNINGS: Final = (AuditEvent.LOG_OPENED, AuditEvent.LOG_CONTINUED)


@dataclass(frozen=True, slots=True)
class ChainEnd:
    """The end of a chain, to which the next line is tied.

    Attributes:
        number: of the last line, 0 before the first.
        mac: of the last line.
    """

    number: int = 0
    mac: str = _NO_MAC


@dataclass(frozen=True, slots=True)
class AuditLine:
    """A line that has the form of the audit log; its ``mac`` is not checked yet.

    Attributes:
        link: its number and its ``mac``.
        signed: the bytes that its ``mac`` covers.
        fields: all fields but ``mac``.
    """

    link: ChainEnd
    signed: bytes
    fields: Mapping[str, Any]

    @property
    def event(self) -> object:
        """The event's name."""
        return self.fields.get("event")

    @property
    def after(self) -> str | None:
        """The ``mac`` that a file's first line is tied to, ``None`` in other lines."""
        after = self.fields.get("after")
        return after if isinstance(after, str) else None

    def follows(self, mac: str, key: bytes) -> bool:
        """Return whether the key tied this line to the line with that ``mac``."""
        return hmac.compare_digest(_sign(key, mac, self.signed), self.link.mac)


class AuditChain:
    """Makes the lines of a chain.

    Args:
        key: the secret key.
        last: the end of the chain so far.

    Attributes:
        last: the number and ``mac`` of the last line. Setting it undoes later lines.
    """

    def __init__(self, key: bytes, last: ChainEnd | None = None) -> None:
        self._key = key
        self.last = last or ChainEnd()

    def seal(self, unix_ns: int, event: AuditEvent, fields: Mapping[str, object]) -> bytes:
        """Return the next line, with its line end.

        Args:
            unix_ns: the time of the event, Unix ns.
            event: the event.
            fields: its facts. Those that are ``None`` are left out.
        """
        number = self.last.number + 1
        line: dict[str, object] = {"n": number, "time": _iso(unix_ns), "event": event.value}
        if event in _BEGINNINGS:
            line["after"] = self.last.mac
        line |= {name: value for name, value in fields.items() if value is not None}
        signed = json.dumps(line, separators=(",", ":"), default=repr).encode()[:-1]
        mac = _sign(self._key, self.last.mac, signed)
        self.last = ChainEnd(number, mac)
        return b"".join((signed, _BEFORE_MAC, mac.encode(), _END, b"\n"))


def read_line(line: bytes) -> AuditLine | None:
    """Return the parts of a line without its line end; ``None`` if it is no line of an audit log.

    Args:
        line: the bytes.
    """
    signed, suffix = line[:-_SUFFIX_BYTES], line[-_SUFFIX_BYTES:]
    mac = suffix[len(_BEFORE_MAC) : -len(_END)]
    if not (
        signed.startswith(LINE_BEGINS)
        and suffix.startswith(_BEFORE_MAC)
        and suffix.endswith(_END)
        and _HEX.issuperset(mac)
    ):
        return None
    try:
        fields = json.loads(signed + b"}")
    except (ValueError, RecursionError):
        return None
    number = fields.get("n")
    if type(number) is not int or number < 1:
        return None
    return AuditLine(ChainEnd(number, mac.decode()), signed, fields)


def _sign(key: bytes, previous: str, signed: bytes) -> str:
    return hmac.digest(key, previous.encode() + signed, "sha256").hex()


def _iso(unix_ns: int) -> str:
    moment = _EPOCH + timedelta(microseconds=unix_ns // _NS_PER_US)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
