"""Entitlements: checks what an identity may do, beyond being connected."""

from __future__ import annotations

from gateway.auth import Identity
from gateway.contract import Scope
from gateway.errors import NotAllowed


def require_scope(identity: Identity, scope: Scope) -> None:
    """Check that an identity has a scope.

    Raises:
        NotAllowed: it has not. The message names the scope.
    """
    if scope not in identity.scopes:
        raise NotAllowed(f"The token needs the scope {scope.value!r}")
