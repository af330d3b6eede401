from __future__ import annotations

import pytest

from gateway.auth import Identity
from gateway.contract import ErrorCode, LimitName, Scope, Text
from gateway.entitlements import require_scope
from gateway.errors import (
    AuthenticationError,
    InternalError,
    InvalidChannel,
    NotAllowed,
    RateLimited,
    TooManyConnections,
    UnknownEvent,
    WireError,
)


def test_an_errors_payload_has_the_contracts_shape() -> None:
    assert InvalidChannel().payload("T") == {
        "message": Text.INVALID_CHANNEL,
        "code": "INVALID_CHANNEL",
        "timestamp": "T",
    }
    assert RateLimited(1_500, LimitName.USER).payload("T") == {
        "message": "Rate limit exceeded",
        "code": "RATE_LIMIT_EXCEEDED",
        "timestamp": "T",
        "retryAfter": 1_500,
        "limit": "user",
    }


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (AuthenticationError.missing(), "AUTH_MISSING", "Authentication token missing"),
        (AuthenticationError.failed("why"), "AUTH_FAILED", "Authentication failed"),
        (AuthenticationError.expired(), "TOKEN_EXPIRED", "Authentication failed"),
        (InternalError(), "INTERNAL_ERROR", "Internal error"),
    ],
)
def test_what_the_client_is_told(error: WireError, code: str, message: str) -> None:
    assert (error.code, error.message) == (ErrorCode(code), message)


def test_the_reason_of_a_refused_token_is_for_the_log_alone() -> None:
    assert "secret detail" not in str(AuthenticationError.failed("secret detail").payload("T"))


def test_a_long_name_is_not_said_back_whole() -> None:
    assert len(UnknownEvent("x" * 10_000).message) < 100


def test_a_name_with_half_a_character_is_said_back_in_one_that_json_can_hold() -> None:
    assert UnknownEvent("a\ud83d").message == "Unknown event: a?"


def test_the_surplus_connection_learns_the_limit() -> None:
    assert "at most 20 a user" in TooManyConnections(20).message


def test_a_scope_is_required_by_name(alice: Identity) -> None:
    require_scope(alice.scopes, Scope.STATS)
    with pytest.raises(NotAllowed, match="'publish'"):
        require_scope(alice.scopes, Scope.PUBLISH)
