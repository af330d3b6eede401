"""Tokens for virtual users: what an identity provider would give them."""

from __future__ import annotations

import time
from collections.abc import Iterable

import jwt


def mint(
    secret: str,
    user_id: str,
    *,
    lifetime_s: int,
    scopes: Iterable[str] = (),
    unix_s: float | None = None,
) -> str:
    """Return a signed token (JWT, HS256) of one user.

    Args:
        secret: the gateway's ``JWT_SECRET``.
        user_id: becomes ``sub``.
        lifetime_s: seconds from now to ``exp``.
        scopes: become ``scope``, separated by spaces; none, and the claim is absent.
        unix_s: wall-clock seconds taken for now; by default the machine's.
    """
    issued_s = int(time.time() if unix_s is None else unix_s)
    claims: dict[str, object] = {"sub": user_id, "iat": issued_s, "exp": issued_s + lifetime_s}
    granted = " ".join(scopes)
    if granted:
        claims["scope"] = granted
    return jwt.encode(claims, secret, algorithm="HS256")
