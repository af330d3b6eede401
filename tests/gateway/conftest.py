"""What the tests of the gateway's decisions share: settings, tokens, identities."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jwt
import pytest

from gateway.auth import Identity
from gateway.settings import Settings, read_settings

SECRET = "kS9vT2xQ7mL4pR8wZ1cN6bH3jF5dG0aY"
NOW_S = 1_800_000_000.0


@pytest.fixture
def make_settings() -> Callable[..., Settings]:
    """Return a maker of settings from variables, in the environment ``test``."""

    def make(**variables: str) -> Settings:
        environ = {"GATEWAY_ENV": "test", "JWT_SECRET": SECRET} | variables
        return read_settings(environ, random_secret=SECRET)

    return make


@pytest.fixture
def make_token() -> Callable[..., str]:
    """Return a maker of tokens that are valid at ``NOW_S``; ``None`` leaves a claim out."""

    def make(*, secret: Any = SECRET, algorithm: str = "HS256", **claims: Any) -> str:
        merged = {"sub": "alice", "exp": NOW_S + 600} | claims
        kept = {name: value for name, value in merged.items() if value is not None}
        return jwt.PyJWS().encode(_json(kept), secret, algorithm=algorithm)

    return make


@pytest.fixture
def alice() -> Identity:
    return Identity("alice", "alice@example.com", frozenset({"stats"}), int(NOW_S) + 600)


def _json(claims: dict[str, Any]) -> bytes:
    import json

    return json.dumps(claims).encode()
