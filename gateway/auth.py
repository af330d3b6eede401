"""Authentication: verifies tokens and returns identities. Pure: the time is an argument."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from gateway import strict_json
from gateway.contract import USER_ID_PATTERN, ErrorCode
from gateway.entitlements import NOTHING, Entitlements, parse_entitlements
from gateway.errors import AuthenticationError, NotAllowed, UnknownKey
from gateway.key_set import Keys
from gateway.revocations import Revocations
from gateway.settings import Settings
from gateway.signatures import Signatures

_SECONDS_PER_HOUR: Final = 3_600.0


@dataclass(frozen=True, slots=True)
class Identity:
    """The user of a connection or of an HTTP request, as the token names it.

    Attributes:
        user_id: the token's ``sub``.
        email: the token's ``email``, ``None`` if it has none.
        scopes: the token's scopes, for the HTTP routes.
        expires_at: the token's ``exp``, Unix s; ``None`` without a token (development).
        issued_at: the token's ``iat``, Unix s; ``None`` if it has none.
        entitlements: the rooms that it may subscribe to.
    """

    user_id: str
    email: str | None
    scopes: frozenset[str]
    expires_at: int | None
    issued_at: float | None = None
    entitlements: Entitlements = None


DEVELOPMENT_IDENTITY: Final = Identity(
    user_id="test-user-id", email="test@example.com", scopes=frozenset(), expires_at=None
)
"""The identity of a client without a token, in development, unless entitlements are required."""


class Authenticator:
    """Verifies tokens with the key and the algorithm of the settings.

    Args:
        settings: the key, issuer, audience, leeway and longest lifetime of tokens.

    Attributes:
        revocations: tokens that are refused although they are valid.
        anonymous: the identity of a client without a token, in development.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._signatures = Signatures(settings)
        self.anonymous = (
            replace(DEVELOPMENT_IDENTITY, entitlements=NOTHING)
            if settings.entitlements == "required"
            else DEVELOPMENT_IDENTITY
        )
        longest_s = settings.max_token_hours * _SECONDS_PER_HOUR
        self.revocations = Revocations(longest_s + 2 * settings.token_leeway_seconds)

    def replace_keys(self, keys: Keys) -> None:
        """Verify tokens with the keys of a key set, and with no others."""
        self._signatures.replace_keys(keys)

    def reload(self, settings: Settings) -> None:
        """Verify tokens with the key of new settings. A key set stays as it is."""
        if settings.jwt_jwks_url is None:
            self._signatures = Signatures(settings)

    def verify(self, token: str, unix_s: float) -> Identity:
        """Return the identity of a token.

        Args:
            token: a JSON Web Token in compact form.
            unix_s: the time, Unix s.

        Raises:
            AuthenticationError: AUTH_FAILED; or TOKEN_EXPIRED if only its time is wrong.
            UnknownKey: AUTH_FAILED; another key set may have its key.
        """
        claims = self._signatures.claims(token)
        identity = Identity(
            user_id=_user_id(claims),
            email=_text(claims, "email"),
            scopes=frozenset((_text(claims, "scope") or "").split()),
            expires_at=math.floor(expires_at := _time(claims, "exp")),
            issued_at=None if claims.get("iat") is None else _time(claims, "iat"),
            entitlements=self._entitlements(claims),
        )
        self._check_parties(claims)
        if self.revocations.concern(identity.user_id, identity.issued_at):
            raise AuthenticationError.failed("revoked")
        self._check_times(claims, expires_at, unix_s)
        return identity

    def refresh(self, identity: Identity, token: str, unix_s: float) -> Identity:
        """Return the identity of a connection's new token.

        Args:
            identity: the connection's current identity.
            token: the new token.
            unix_s: the time, Unix s.

        Raises:
            AuthenticationError: AUTH_FAILED, also for an expired token.
            UnknownKey: as ``verify``.
            NotAllowed: the token belongs to another user.
        """
        try:
            renewed = self.verify(token, unix_s)
        except UnknownKey:
            raise
        except AuthenticationError as error:
            raise AuthenticationError.failed(error.reason) from None
        if renewed.user_id != identity.user_id:
            raise NotAllowed("The token belongs to another user")
        return renewed

    def _entitlements(self, claims: Mapping[str, Any]) -> Entitlements:
        if "entitlements" not in claims:
            return self.anonymous.entitlements
        try:
            return parse_entitlements(claims["entitlements"])
        except ValueError as error:
            raise AuthenticationError.failed(str(error)) from None

    def _check_parties(self, claims: Mapping[str, Any]) -> None:
        issuer, audience = self._settings.jwt_issuer, self._settings.jwt_audience
        if issuer is not None and claims.get("iss") != issuer:
            raise AuthenticationError.failed("another issuer")
        if audience is not None:
            named = claims.get("aud")  # RFC 7519 §4.1.3: a string, or a list of strings
            if audience not in (named if isinstance(named, list) else [named]):
                raise AuthenticationError.failed("another audience")

    def _check_times(self, claims: Mapping[str, Any], expires_at: float, unix_s: float) -> None:
        leeway_s = self._settings.token_leeway_seconds
        for name in ("nbf", "iat"):
            if claims.get(name) is not None and _time(claims, name) > unix_s + leeway_s:
                raise AuthenticationError.failed(f"{name} lies in the future")
        longest_s = self._settings.max_token_hours * _SECONDS_PER_HOUR
        if expires_at > unix_s + longest_s + leeway_s:
            raise AuthenticationError.failed("exp lies too far ahead")
        if unix_s >= expires_at + leeway_s:
            raise AuthenticationError.expired()


def handshake_token(auth: object, query_token: str | None) -> str | None:
    """Return the token of a handshake, ``None`` if it is absent, null or empty.

    Args:
        auth: the payload of CONNECT, any JSON; ``None`` without one.
        query_token: the query parameter ``token``.

    Raises:
        AuthenticationError: ``auth`` is not an object, its token is not a string, or the two
            tokens differ.
    """
    if auth is not None and not isinstance(auth, dict):
        raise AuthenticationError.failed("auth is not an object")
    token = auth.get("token") if auth else None
    if token is not None and not isinstance(token, str):
        raise AuthenticationError.failed("token is not a string")
    if token and query_token and token != query_token:
        raise AuthenticationError.failed("two different tokens")
    return token or query_token or None


def authenticate(
    authenticator: Authenticator,
    auth: object,
    query_token: str | None,
    unix_s: float,
    *,
    development: bool,
) -> Identity:
    """Return the identity of a client that connects.

    Args:
        authenticator: verifies the token.
        auth: the payload of CONNECT.
        query_token: the query parameter ``token``.
        unix_s: the time, Unix s.
        development: whether a token may be missing. A given token must still be valid.

    Raises:
        AuthenticationError: AUTH_MISSING, AUTH_FAILED or TOKEN_EXPIRED.
    """
    token = handshake_token(auth, query_token)
    if token is not None:
        return authenticator.verify(token, unix_s)
    if development:
        return authenticator.anonymous
    raise AuthenticationError(ErrorCode.AUTH_MISSING, "no token")


def _user_id(claims: Mapping[str, Any]) -> str:
    user_id, other = claims.get("sub"), claims.get("userId")
    if user_id is None:
        user_id, other = other, None
    if user_id is None:
        raise AuthenticationError.failed("no sub")
    if not isinstance(user_id, str) or not USER_ID_PATTERN.fullmatch(user_id):
        raise AuthenticationError.failed("sub is not a valid user id")
    if other is not None and other != user_id:
        raise AuthenticationError.failed("sub and userId differ")
    return user_id


def _text(claims: Mapping[str, Any], name: str) -> str | None:
    value = claims.get(name)
    if value is not None and not strict_json.is_text(value):
        raise AuthenticationError.failed(f"{name} is not a text")
    return value


def _time(claims: Mapping[str, Any], name: str) -> float:
    value = claims.get(name)
    if type(value) is int:
        return value
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise AuthenticationError.failed(f"{name} is missing or not a number")
    return value
