"""Tokens for virtual users, as an identity provider would issue them."""

from __future__ import annotations

import base64
import hmac
import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

import jwt

from gateway.contract import Scope

LAB_USER: Final = "tidegate-lab"
PROBE_USER: Final = "tidegate-probe"
USER_LIFETIME_S: Final = 23 * 3_600
"""A gateway accepts tokens of at most 24 h."""
_PROBE_LIFETIME_S: Final = 60


class Tokens(Protocol):
    """Gives each client of a run its identity and its token.

    Attributes:
        secret: the gateway's ``JWT_SECRET``; None when others issue the tokens.
        problems: messages on tokens that could not be renewed.
    """

    secret: str | None
    problems: list[str]

    def user_id(self, index: int) -> str:
        """Return the id of a virtual user."""

    def token(self, index: int) -> str:
        """Return the newest token of a virtual user."""

    def probe(self) -> str:
        """Return a token for a connection that measures."""

    def publisher(self, lifetime_s: int) -> str | None:
        """Return a token with the scope to publish; None when there is none."""

    def end_unix_s(self, index: int) -> float | None:
        """Return when the token of a virtual user expires, wall clock; None when unknown."""


@dataclass
class SignedTokens:
    """Tokens that this process signs.

    Attributes:
        secret: the gateway's ``JWT_SECRET``; kept in memory alone.
        problems: always empty.
    """

    secret: str | None = field(repr=False)
    problems: list[str] = field(default_factory=list)

    def user_id(self, index: int) -> str:
        """Return the id of a virtual user, ``vu-<n>``."""
        return f"vu-{index}"

    def token(self, index: int) -> str:
        """Return a new token of a virtual user."""
        return mint(self.secret or "", self.user_id(index), lifetime_s=USER_LIFETIME_S)

    def probe(self) -> str:
        """Return a new token of a separate user."""
        return mint(self.secret or "", PROBE_USER, lifetime_s=_PROBE_LIFETIME_S)

    def end_unix_s(self, index: int) -> None:
        """Return None: each token is signed anew when it is asked for."""

    def publisher(self, lifetime_s: int) -> str:
        """Return a new token with the scope to publish, for at most 23 h."""
        lifetime_s = min(USER_LIFETIME_S, lifetime_s)
        return mint(self.secret or "", LAB_USER, lifetime_s=lifetime_s, scopes=[Scope.PUBLISH])


def mint(
    secret: str,
    user_id: str,
    *,
    lifetime_s: int,
    scopes: Iterable[str] = (),
    unix_s: float | None = None,
    entitlements: Mapping[str, object] | None = None,
) -> str:
    """Return a user's signed token (JWT, HS256).

    Args:
        secret: the gateway's ``JWT_SECRET``.
        user_id: the claim ``sub``.
        lifetime_s: seconds from now to ``exp``.
        scopes: the claim ``scope``, joined by spaces; without any the claim is absent.
        unix_s: the current time in wall-clock seconds; None reads the clock.
        entitlements: the claim of that name; None leaves it out.
    """
    issued_s = int(time.time() if unix_s is None else unix_s)
    claims: dict[str, object] = {"sub": user_id, "iat": issued_s, "exp": issued_s + lifetime_s}
    granted = " ".join(scopes)
    if granted:
        claims["scope"] = granted
    if entitlements is not None:
        claims["entitlements"] = entitlements
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
