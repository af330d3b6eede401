"""How this node connects to Redis, and what to say when it cannot."""

from __future__ import annotations

import ssl
from typing import Any, Final

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ResponseError

from gateway.brokers.redis.terms import LogTerms
from gateway.errors import SettingsError

CONNECT_S: Final = 1.0
_MOST_TOLD: Final = 200


def connect(terms: LogTerms) -> Redis:
    """Return a client of Redis that has not connected yet.

    Args:
        terms: where Redis is.

    Raises:
        SettingsError: the file of authorities cannot be read.
    """
    more: dict[str, Any] = {}
    if terms.authorities is not None:
        _check_authorities(terms.authorities)
        more["ssl_ca_certs"] = terms.authorities
    return Redis.from_url(
        terms.url,
        protocol=2,
        retry=Retry(NoBackoff(), 0),
        socket_connect_timeout=CONNECT_S,
        # Calls have limits of their own. With this one each command would be a task, and
        # Python 3.11's ``wait_for`` loses a cancellation that comes as the task ends.
        socket_timeout=None,
        socket_keepalive=True,
        client_name=f"tidegate-{terms.node}",
        driver_info=None,  # it would cost each new connection an answer more
        **more,
    )


def _check_authorities(path: str) -> None:
    try:
        ssl.create_default_context(cafile=path)
    except OSError as error:
        reason = "it has no certificate" if isinstance(error, ssl.SSLError) else error.strerror
        raise SettingsError([f"GATEWAY_REDIS_CA: cannot read {path}: {reason}"]) from None


def describe_failure(error: BaseException) -> str:
    """Return what happened, without the address and the password of Redis."""
    if isinstance(error, ResponseError):
        return f"{type(error).__name__}: {str(error)[:_MOST_TOLD]}"
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"its certificate is refused: {cause.verify_message}"
        cause = cause.__cause__ or cause.__context__
    return type(error).__name__
