"""The errors of the gateway.

::

    GatewayError
    ├── WireError              what a client did: an `error` event, an acknowledgement, a refusal
    │   ├── AuthenticationError    AUTH_MISSING, AUTH_FAILED, TOKEN_EXPIRED
    │   ├── InvalidPayload         INVALID_PAYLOAD
    │   ├── InvalidChannel         INVALID_CHANNEL
    │   ├── InvalidSymbol          INVALID_SYMBOL
    │   ├── NotAllowed             NOT_ALLOWED
    │   ├── TooManySubscriptions   TOO_MANY_SUBSCRIPTIONS
    │   ├── TooManyConnections     TOO_MANY_CONNECTIONS
    │   ├── UnknownEvent           UNKNOWN_EVENT
    │   ├── RateLimited            RATE_LIMIT_EXCEEDED
    │   ├── ProviderNotFound       PROVIDER_NOT_FOUND
    │   └── InternalError          INTERNAL_ERROR, never with an exception's text
    ├── PublicationRejected      what a publisher did, or a gateway that cannot keep up
    ├── NotStrictJson            text or a value outside strict JSON; also a ValueError
    └── SettingsError            what an operator did
"""

# ruff: noqa: N818 - the names say what happened, as the codes do

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from gateway.contract import ErrorCode, LimitName, Text

_LONGEST_ECHO: Final = 64
_CLOSES: Final[dict[ErrorCode, bool]] = {
    ErrorCode.AUTH_MISSING: True,
    ErrorCode.AUTH_FAILED: False,  # in a session: a refresh that failed, which changes nothing
    ErrorCode.TOKEN_EXPIRED: True,
    ErrorCode.RATE_LIMIT_EXCEEDED: False,  # too many refusals close; the limiter says when
    ErrorCode.INVALID_PAYLOAD: False,
    ErrorCode.INVALID_CHANNEL: False,
    ErrorCode.INVALID_SYMBOL: False,
    ErrorCode.NOT_ALLOWED: False,
    ErrorCode.TOO_MANY_SUBSCRIPTIONS: False,
    ErrorCode.TOO_MANY_CONNECTIONS: True,
    ErrorCode.UNKNOWN_EVENT: False,
    ErrorCode.PROVIDER_NOT_FOUND: False,
    ErrorCode.PROVIDER_ERROR: False,
    ErrorCode.TOO_MANY_STREAMS: False,
    ErrorCode.SESSION_EXISTS: False,
    ErrorCode.SLOW_CONSUMER: True,
    ErrorCode.SERVER_DRAINING: True,
    ErrorCode.INTERNAL_ERROR: False,
}
"""Whether an error of this code, met in a session, ends the connection: total over the codes."""


class GatewayError(Exception):
    """Root of all that the gateway raises on purpose."""


class WireError(GatewayError):
    """What a client did wrong, or may not do now, in the words that it is told.

    Args:
        code: the wire's code.
        message: the text for the client.
        retry_after_ms: when to try again, where that helps.
        limit: the rolling limit that was broken.
    """

    def __init__(
        self,
        code: ErrorCode,
        message: str,
        *,
        retry_after_ms: int | None = None,
        limit: LimitName | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.retry_after_ms = retry_after_ms
        self.limit = limit

    @property
    def closes(self) -> bool:
        """Whether the connection ends with this error."""
        return _CLOSES[self.code]

    def payload(self, timestamp: str) -> dict[str, Any]:
        """Return the payload of the ``error`` event: ``{message, code, timestamp, …}``.

        Args:
            timestamp: ISO 8601, as the wire writes it.

        Returns:
            With ``retryAfter`` (ms) and ``limit`` where they are known.
        """
        payload: dict[str, Any] = {
            "message": self.message,
            "code": self.code,
            "timestamp": timestamp,
        }
        if self.retry_after_ms is not None:
            payload["retryAfter"] = self.retry_after_ms
        if self.limit is not None:
            payload["limit"] = self.limit
        return payload


class AuthenticationError(WireError):
    """A token that is missing, wrong or out of date.

    Args:
        code: AUTH_MISSING, AUTH_FAILED or TOKEN_EXPIRED.
        reason: why, for the log; it never holds any part of the token.
    """

    def __init__(self, code: ErrorCode, reason: str) -> None:
        missing = code is ErrorCode.AUTH_MISSING
        super().__init__(code, Text.AUTH_MISSING if missing else Text.AUTH_FAILED)
        self.reason = reason

    @classmethod
    def missing(cls) -> AuthenticationError:
        """Return the error for a handshake without a token."""
        return cls(ErrorCode.AUTH_MISSING, "no token")

    @classmethod
    def failed(cls, reason: str) -> AuthenticationError:
        """Return the error for a token that is refused, whatever its time."""
        return cls(ErrorCode.AUTH_FAILED, reason)

    @classmethod
    def expired(cls) -> AuthenticationError:
        """Return the error for a token of which all but the time is right."""
        return cls(ErrorCode.TOKEN_EXPIRED, "token expired")


class InvalidPayload(WireError):
    """An event whose payload has the wrong shape or size."""

    def __init__(self, message: str) -> None:
        super().__init__(ErrorCode.INVALID_PAYLOAD, message)


class InvalidChannel(WireError):
    """A channel that does not exist."""

    def __init__(self) -> None:
        super().__init__(ErrorCode.INVALID_CHANNEL, Text.INVALID_CHANNEL)


class InvalidSymbol(WireError):
    """A symbol that is not written as symbols are."""

    def __init__(self, message: str) -> None:
        super().__init__(ErrorCode.INVALID_SYMBOL, message)


class NotAllowed(WireError):
    """Something that this identity may not do."""

    def __init__(self, message: str) -> None:
        super().__init__(ErrorCode.NOT_ALLOWED, message)


class TooManySubscriptions(WireError):
    """More rooms than a client may hold, or more symbols than a process carries."""

    def __init__(self, message: str) -> None:
        super().__init__(ErrorCode.TOO_MANY_SUBSCRIPTIONS, message)


class TooManyConnections(WireError):
    """A user's surplus connection: what the longest-silent one is told.

    Args:
        most: connections that a user may hold.
    """

    def __init__(self, most: int) -> None:
        super().__init__(
            ErrorCode.TOO_MANY_CONNECTIONS,
            f"Too many connections: at most {most} a user; the longest-silent one was closed",
        )


class UnknownEvent(WireError):
    """An event that this gateway does not know.

    Args:
        name: as the client wrote it; its first characters are said back.
    """

    def __init__(self, name: str) -> None:
        super().__init__(ErrorCode.UNKNOWN_EVENT, f"Unknown event: {name[:_LONGEST_ECHO]}")


class RateLimited(WireError):
    """An event over a rolling limit.

    Args:
        retry_after_ms: until one event would pass.
        limit: which one.
    """

    def __init__(self, retry_after_ms: int, limit: LimitName) -> None:
        super().__init__(
            ErrorCode.RATE_LIMIT_EXCEEDED,
            Text.RATE_LIMIT_EXCEEDED,
            retry_after_ms=retry_after_ms,
            limit=limit,
        )


class ProviderNotFound(WireError):
    """A model provider that this gateway does not have."""

    def __init__(self, message: str) -> None:
        super().__init__(ErrorCode.PROVIDER_NOT_FOUND, message)


class InternalError(WireError):
    """A fault of the gateway: the client learns that there was one, the log learns which."""

    def __init__(self) -> None:
        super().__init__(ErrorCode.INTERNAL_ERROR, "Internal error")


class PublicationRejected(GatewayError):
    """A publish request of which nothing was published.

    Args:
        status: HTTP status, 400, 413 or 503.
        errors: one or more of ``{index, message, code}``.
        retry_after_s: when to come back, for 503.
    """

    def __init__(
        self,
        status: int,
        errors: Sequence[dict[str, Any]],
        *,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__("; ".join(f"item {e['index']}: {e['message']}" for e in errors))
        self.status = status
        self.errors = list(errors)
        self.retry_after_s = retry_after_s


class NotStrictJson(GatewayError, ValueError):
    """JSON that another reader would take for something else, or a value JSON cannot hold."""


class SettingsError(GatewayError):
    """Settings that the gateway does not start with.

    Args:
        problems: every one of them, none with a secret in it.
    """

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))
