"""Tokens for virtual users: what an identity provider would give them."""

from __future__ import annotations

import base64
import hmac
import json
import time
from collections.abc import Iterable, Mapping

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


def forge(
    key: str, claims: Mapping[str, object], *, algorithm: str = "HS256", digest: str = "sha256"
) -> str:
    """Return a token as no library would sign it: an HMAC whatever its header says.

    Args:
        key: what signs it; empty leaves the signature out, as ``none`` has it (RFC 7519 §6.1).
        claims: its payload, sound or not.
        algorithm: what its header claims.
        digest: the hash of the HMAC.
    """
    header = {"alg": algorithm, "typ": "JWT"}
    text = b".".join(_encoded(json.dumps(part).encode()) for part in (header, claims))
    signature = _encoded(hmac.digest(key.encode(), text, digest)) if key else b""
    return (text + b"." + signature).decode()


def _encoded(data: bytes) -> bytes:
    """Return base64url without padding (RFC 7515 §2)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=")
