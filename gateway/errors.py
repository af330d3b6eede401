"""The errors of the gateway.

::

    GatewayError
    ├── WireError              told to the client: `error` event, acknowledgement, refusal
    │   ├── AuthenticationError    AUTH_MISSING, AUTH_FAILED, TOKEN_EXPIRED
    │   │   └── UnknownKey             AUTH_FAILED, once the key set was fetched again
    │   ├── InvalidPayload         INVALID_PAYLOAD
    │   ├── InvalidChannel         INVALID_CHANNEL
    │   ├── InvalidSymbol          INVALID_SYMBOL
    │   ├── NotAllowed             NOT_ALLOWED
    │   ├── TooManySubscriptions   TOO_MANY_SUBSCRIPTIONS
    │   ├── TooManyConnections     TOO_MANY_CONNECTIONS
    │   ├── UnknownEvent           UNKNOWN_EVENT
    │   ├── RateLimited            RATE_LIMIT_EXCEEDED
    │   ├── ProviderNotFound       PROVIDER_NOT_FOUND
    │   ├── ProviderFailure        PROVIDER_ERROR, in gateway.llm with its kinds
    │   ├── SessionExists          SESSION_EXISTS
    │   ├── TooManyStreams         TOO_MANY_STREAMS
    │   ├── Draining               SERVER_DRAINING
    │   └── InternalError          INTERNAL_ERROR, never with an exception's text
    ├── InvalidOrder             a request for an order that the exchange cannot read
    ├── PublicationRejected      an invalid publication, or a gateway that cannot keep up
    ├── SourceFailed             a source of events that cannot begin
    ├── NotStrictJson            a text or value outside strict JSON; also a ValueError
    └── SettingsError            invalid settings
"""

# ruff: noqa: N818 - the names say what happened, as the codes do

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from gateway.contract import ErrorCode, LimitName, Text

_LONGEST_ECHO: Final = 64


class GatewayError(Exception):
    """The root of the gateway's exceptions."""


class WireError(GatewayError):
    """An error that the client is told.

    Args:
        code: the error code of the wire contract.
        message: the text for the client.
        retry_after_ms: ms until the client may try again.
        limit: the exceeded rolling limit.
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

    def payload(self, timestamp: str) -> dict[str, Any]:
        """Return the payload of the ``error`` event: ``{message, code, timestamp, …}``.

        Args:
            timestamp: ISO 8601, in the format of the wire.

        Returns:
            The payload, with ``retryAfter`` (ms) and ``limit`` if the error has them.
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
    """The token is missing, invalid or expired.

    Args:
        code: AUTH_MISSING, AUTH_FAILED or TOKEN_EXPIRED.
        reason: the reason for the log, without any part of the token.
    """

    def __init__(self, code: ErrorCode, reason: str) -> None:
        missing = code is ErrorCode.AUTH_MISSING
        super().__init__(code, Text.AUTH_MISSING if missing else Text.AUTH_FAILED)
        self.reason = reason

    @classmethod
    def missing(cls) -> AuthenticationError:
        """Return the error of a handshake without a token."""
        return cls(ErrorCode.AUTH_MISSING, "no token")

    @classmethod
    def failed(cls, reason: str) -> AuthenticationError:
        """Return the error of an invalid token."""
        return cls(ErrorCode.AUTH_FAILED, reason)

    @classmethod
    def expired(cls) -> AuthenticationError:
        """Return the error of a token that is valid except for its time."""
        return cls(ErrorCode.TOKEN_EXPIRED, "token expired")


class UnknownKey(AuthenticationError):
    """The token's ``kid`` is not in the key set that the gateway knows."""

    def __init__(self) -> None:
        super().__init__(ErrorCode.AUTH_FAILED, "kid is unknown")


class InvalidPayload(WireError):
    """The payload of an event has the wrong shape or size."""

    def __init__(self, message: str) -> None:
        super().__init__(ErrorCode.INVALID_PAYLOAD, message)


class InvalidChannel(WireError):
    """The channel does not exist."""

    def __init__(self) -> None:
        super().__init__(ErrorCode.INVALID_CHANNEL, Text.INVALID_CHANNEL)


class InvalidSymbol(WireError):
    """The symbol is invalid."""

    def __init__(self, message: str) -> None:
        super().__init__(ErrorCode.INVALID_SYMBOL, message)


class NotAllowed(WireError):
    """The identity lacks the permission."""

    def __init__(self, message: str) -> None:
        super().__init__(ErrorCode.NOT_ALLOWED, message)


class TooManySubscriptions(WireError):
    """The client has too many rooms, or the process too many symbols."""

    def __init__(self, message: str) -> None:
        super().__init__(ErrorCode.TOO_MANY_SUBSCRIPTIONS, message)


class TooManyConnections(WireError):
    """The user has too many connections. The longest-silent one gets this error.

    Args:
        most: how many connections a user may have.
    """

    def __init__(self, most: int) -> None:
        super().__init__(
            ErrorCode.TOO_MANY_CONNECTIONS,
            f"Too many connections: at most {most} a user; the longest-silent one was closed",
        )


class UnknownEvent(WireError):
    """The event's name is unknown.

    Args:
        name: the name. The message quotes its first 64 characters.
    """

    def __init__(self, name: str) -> None:
        echo = name[:_LONGEST_ECHO].encode(errors="replace").decode()  # a lone surrogate as "?"
        super().__init__(ErrorCode.UNKNOWN_EVENT, f"Unknown event: {echo}")


class RateLimited(WireError):
    """The event exceeds a rolling limit.

    Args:
        retry_after_ms: ms until an event passes again.
        limit: the exceeded limit.
    """

    def __init__(self, retry_after_ms: int, limit: LimitName) -> None:
        super().__init__(
            ErrorCode.RATE_LIMIT_EXCEEDED,
            Text.RATE_LIMIT_EXCEEDED,
            retry_after_ms=retry_after_ms,
            limit=limit,
        )


class ProviderNotFound(WireError):
    """The model provider is unknown or not configured."""

    def __init__(self, message: str) -> None:
        super().__init__(ErrorCode.PROVIDER_NOT_FOUND, message)


class SessionExists(WireError):
    """The user has a model stream with this ``sessionId`` already."""

    def __init__(self) -> None:
        super().__init__(
            ErrorCode.SESSION_EXISTS, "A stream with this sessionId is running; use another"
        )


class TooManyStreams(WireError):
    """The user, or the gateway, has too many model streams at once."""

    def __init__(self, message: str) -> None:
        super().__init__(ErrorCode.TOO_MANY_STREAMS, message)


class Draining(WireError):
    """The gateway is about to stop, and ends what it does for clients."""

    def __init__(self) -> None:
        super().__init__(ErrorCode.SERVER_DRAINING, "The gateway is about to stop; reconnect")


class InternalError(WireError):
    """The gateway failed. Only the log has the details."""

    def __init__(self) -> None:
        super().__init__(ErrorCode.INTERNAL_ERROR, "Internal error")


class InvalidOrder(GatewayError):
    """A request for an order was refused, and no order was made.

    Args:
        problems: for each the field, empty for the whole request, and the text for the client.
    """

    def __init__(self, problems: Iterable[tuple[str, str]]) -> None:
        self.problems = tuple(problems)
        super().__init__(
            "; ".join(f"{field} {message}".strip() for field, message in self.problems)
        )


class PublicationRejected(GatewayError):
    """A publish request was rejected, and nothing was published.

    Args:
        status: the HTTP status, 400, 413 or 503.
        errors: one or more of ``{index, message, code}``.
        retry_after_s: seconds until the publisher should try again, for 503.
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
    """JSON that parsers read differently, or a value that JSON cannot hold."""


class SettingsError(GatewayError):
    """The settings are invalid, and the gateway does not start.

    Args:
        problems: one line per problem, without secrets.
    """

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


class SourceFailed(GatewayError):
    """A source of events cannot begin. The message says what to change."""
