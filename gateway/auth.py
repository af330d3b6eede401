"""Authentication: verifies tokens and returns identities. Pure: the time is an argument."""

from __future__ import annotations

import hmac
import math
from binascii import a2b_base64, b2a_base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import jwt
from jwt.algorithms import Algorithm, HMACAlgorithm

from gateway import strict_json
from gateway.contract import MAX_TOKEN_BYTES, USER_ID_PATTERN, ErrorCode
from gateway.errors import AuthenticationError, NotAllowed
from gateway.keys import load_public_key
from gateway.revocations import Revocations
from gateway.settings import Settings

_SECONDS_PER_HOUR: Final = 3_600.0
_FROM_BASE64URL: Final = bytes.maketrans(b"-_", b"+/")
_TO_BASE64URL: Final = bytes.maketrans(b"+/", b"-_")
_TYPES: Final = frozenset({"jwt", "at+jwt"})
"""``typ`` of an access token (RFC 7519 section 5.1, RFC 9068 section 2.1), in any case."""
_NOT_IMPLEMENTED: Final = ("crit", "b64", "zip", "enc")
"""Headers that change what a token means (RFC 7515, 7516, 7797)."""
_MOST_HEADERS: Final = 16  # cached token headers: an issuer has one, or one per key


@dataclass(frozen=True, slots=True)
class Identity:
    """The user of a connection or of an HTTP request, as the token names it.

    Attributes:
        user_id: the token's ``sub``.
        email: the token's ``email``, ``None`` if it has none.
        scopes: the token's scopes, for the HTTP routes.
        expires_at: the token's ``exp``, Unix s; ``None`` without a token (development).
        issued_at: the token's ``iat``, Unix s; ``None`` if it has none.
    """

    user_id: str
    email: str | None
    scopes: frozenset[str]
    expires_at: int | None
    issued_at: float | None = None


DEVELOPMENT_IDENTITY: Final = Identity(
    user_id="test-user-id", email="test@example.com", scopes=frozenset(), expires_at=None
)
"""The identity of a client without a token, in development."""


class _PreparedHmac(HMACAlgorithm):
    """HMAC with one key, which is prepared once instead of for every token."""

    def __init__(self, algorithm: HMACAlgorithm, key: str) -> None:
        super().__init__(algorithm.hash_alg)
        self._prepared = algorithm.prepare_key(key)
        self._digest = algorithm.hash_alg().name

    def prepare_key(self, _key: str | bytes) -> bytes:
        return self._prepared

    def sign(self, msg: bytes, key: bytes) -> bytes:
        return hmac.digest(key, msg, self._digest)  # one call into OpenSSL


class Authenticator:
    """Verifies tokens with the key and the algorithm of the settings.

    Args:
        settings: the key, issuer, audience, leeway and longest lifetime of tokens.

    Attributes:
        revocations: tokens that are refused although they are valid.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        longest_s = settings.max_token_hours * _SECONDS_PER_HOUR
        self.revocations = Revocations(longest_s + 2 * settings.token_leeway_seconds)
        self._algorithms = list(settings.jwt_algorithms)
        self._jws = jwt.PyJWS(algorithms=self._algorithms)
        self._key: Any = settings.jwt_secret
        if settings.jwt_public_key is not None:
            self._key = load_public_key(settings.jwt_public_key)[1]
        for name in self._algorithms:
            algorithm = self._jws.get_algorithm_by_name(name)
            if isinstance(algorithm, HMACAlgorithm):
                self._jws.unregister_algorithm(name)
                self._jws.register_algorithm(name, _PreparedHmac(algorithm, self._key))
        self._known: dict[bytes, Algorithm] = {}

    def verify(self, token: str, unix_s: float) -> Identity:
        """Return the identity of a token.

        Args:
            token: a JSON Web Token in compact form.
            unix_s: the time, Unix s.

        Raises:
            AuthenticationError: AUTH_FAILED; or TOKEN_EXPIRED if only its time is wrong.
        """
        claims = self._signed_claims(token)
        identity = Identity(
            user_id=_user_id(claims),
            email=_text(claims, "email"),
            scopes=frozenset((_text(claims, "scope") or "").split()),
            expires_at=math.floor(_time(claims, "exp")),
            issued_at=None if claims.get("iat") is None else _time(claims, "iat"),
        )
        self._check_parties(claims)
        if self.revocations.concern(identity.user_id, identity.issued_at):
            raise AuthenticationError.failed("revoked")
        self._check_times(claims, unix_s)
        return identity

    def refresh(self, identity: Identity, token: str, unix_s: float) -> Identity:
        """Return the identity of a connection's new token.

        Args:
            identity: the connection's current identity.
            token: the new token.
            unix_s: the time, Unix s.

        Raises:
            AuthenticationError: AUTH_FAILED, also for an expired token.
            NotAllowed: the token belongs to another user.
        """
        try:
            renewed = self.verify(token, unix_s)
        except AuthenticationError as error:
            raise AuthenticationError.failed(error.reason) from None
        if renewed.user_id != identity.user_id:
            raise NotAllowed("The token belongs to another user")
        return renewed

    def _signed_claims(self, token: str) -> dict[str, Any]:
        try:
            encoded = token.encode("ascii")
        except UnicodeEncodeError:
            raise AuthenticationError.failed("token is not ASCII") from None
        if len(encoded) > MAX_TOKEN_BYTES:
            raise AuthenticationError.failed(f"token over {MAX_TOKEN_BYTES} bytes")
        try:
            claims = strict_json.read(self._signed_payload(encoded))
        except (jwt.PyJWTError, ValueError) as error:
            # Only the exception's name: its message may quote the token.
            raise AuthenticationError.failed(f"not verified: {type(error).__name__}") from None
        if not isinstance(claims, dict):
            raise AuthenticationError.failed("claims are not an object")
        return claims

    def _signed_payload(self, encoded: bytes) -> bytes:
        """Return the payload of a token whose signature is valid.

        The headers of valid tokens are cached by their bytes.

        Raises:
            AuthenticationError: its header is wrong.
            jwt.PyJWTError: it is not signed with the key.
            ValueError: it is malformed.
        """
        signed, _, signature = encoded.rpartition(b".")
        header, _, payload = signed.partition(b".")
        algorithm = self._known.get(header) or self._algorithm_of(header)
        key = algorithm.prepare_key(self._key)
        if not algorithm.verify(signed, key, _decode_segment(signature)):
            raise jwt.InvalidSignatureError
        if len(self._known) < _MOST_HEADERS:
            self._known[header] = algorithm
        return _decode_segment(payload)

    def _algorithm_of(self, header: bytes) -> Algorithm:
        """Return the algorithm that a header names (RFC 7515 section 4, RFC 8725 section 3)."""
        fields = strict_json.loads(_decode_segment(header))
        if not isinstance(fields, dict):
            raise AuthenticationError.failed("header is not an object")
        for name in _NOT_IMPLEMENTED:
            if name in fields:
                raise AuthenticationError.failed(f"header names {name}, which is not implemented")
        kind, key_id = fields.get("typ", "JWT"), fields.get("kid", "")
        if not isinstance(kind, str) or kind.lower().removeprefix("application/") not in _TYPES:
            raise AuthenticationError.failed("typ is neither JWT nor at+jwt")
        if not isinstance(key_id, str):
            raise AuthenticationError.failed("kid is not a string")
        if fields.get("alg") not in self._algorithms:
            raise AuthenticationError.failed("alg is not that of the key")
        return self._jws.get_algorithm_by_name(fields["alg"])

    def _check_parties(self, claims: Mapping[str, Any]) -> None:
        issuer, audience = self._settings.jwt_issuer, self._settings.jwt_audience
        if issuer is not None and claims.get("iss") != issuer:
            raise AuthenticationError.failed("another issuer")
        if audience is not None:
            named = claims.get("aud")  # RFC 7519 §4.1.3: a string, or a list of strings
            if audience not in (named if isinstance(named, list) else [named]):
                raise AuthenticationError.failed("another audience")

    def _check_times(self, claims: Mapping[str, Any], unix_s: float) -> None:
        leeway_s = self._settings.token_leeway_seconds
        for name in ("nbf", "iat"):
            if claims.get(name) is not None and _time(claims, name) > unix_s + leeway_s:
                raise AuthenticationError.failed(f"{name} lies in the future")
        expires_at = _time(claims, "exp")
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
        return DEVELOPMENT_IDENTITY
    raise AuthenticationError(ErrorCode.AUTH_MISSING, "no token")


def _decode_segment(segment: bytes) -> bytes:
    """Return the bytes of a base64url text (RFC 7515 section 2).

    Raises:
        ValueError: the text has padding, other characters, or is not the canonical encoding.
    """
    decoded = a2b_base64(segment.translate(_FROM_BASE64URL) + b"=" * (-len(segment) % 4))
    # a2b_base64 skips unknown characters, so only encoding again finds them.
    if b2a_base64(decoded, newline=False).translate(_TO_BASE64URL).rstrip(b"=") != segment:
        raise ValueError("not base64url")
    return decoded


def _user_id(claims: Mapping[str, Any]) -> str:
    named = [claims[name] for name in ("sub", "userId") if claims.get(name) is not None]
    if not named:
        raise AuthenticationError.failed("no sub")
    user_id = named[0]
    if not isinstance(user_id, str) or not USER_ID_PATTERN.fullmatch(user_id):
        raise AuthenticationError.failed("sub is not a valid user id")
    if any(other != user_id for other in named):
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
