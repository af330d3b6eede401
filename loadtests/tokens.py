"""Tokens for virtual users, as an identity provider would issue them."""

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
    """Return a user's signed token (JWT, HS256).

    Args:
        secret: the gateway's ``JWT_SECRET``.
        user_id: the claim ``sub``.
        lifetime_s: seconds from now to ``exp``.
        scopes: the claim ``scope``, joined by spaces; without any the claim is absent.
        unix_s: the current time in wall-clock seconds; None reads the clock.
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
    """Return a token that no library would sign: always an HMAC, whatever the header claims.

    Args:
        key: the signing key; empty omits the signature, as for ``none`` (RFC 7519 §6.1).
        claims: the payload, valid or not.
        algorithm: the header's ``alg``.
        digest: the hash of the HMAC.
    """
    header = {"alg": algorithm, "typ": "JWT"}
    text = b".".join(_encoded(json.dumps(part).encode()) for part in (header, claims))
    signature = _encoded(hmac.digest(key.encode(), text, digest)) if key else b""
    return (text + b"." + signature).decode()


def _encoded(data: bytes) -> bytes:
    """Return base64url without padding (RFC 7515 §2)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=")
