"""``Signatures``: reads tokens whose signature is valid. Pure."""

from __future__ import annotations

import hmac
from binascii import a2b_base64, b2a_base64
from typing import Any, Final

import jwt
from jwt.algorithms import Algorithm, HMACAlgorithm

from gateway import strict_json
from gateway.contract import MAX_TOKEN_BYTES
from gateway.errors import AuthenticationError, UnknownKey
from gateway.key_set import Keys
from gateway.keys import load_public_key
from gateway.settings import Settings

_FROM_BASE64URL: Final = bytes.maketrans(b"-_", b"+/")
_TO_BASE64URL: Final = bytes.maketrans(b"+/", b"-_")
_TYPES: Final = frozenset({"jwt", "at+jwt"})
"""``typ`` of an access token (RFC 7519 section 5.1, RFC 9068 section 2.1), in any case."""
_NOT_IMPLEMENTED: Final = ("crit", "b64", "zip", "enc")
"""Headers that change what a token means (RFC 7515, 7516, 7797)."""
_MOST_HEADERS: Final = 16  # cached token headers: an issuer has one, or one per key


class _PreparedHmac(HMACAlgorithm):
    """HMAC with one key, which is prepared and hashed once instead of for every token."""

    def __init__(self, algorithm: HMACAlgorithm, key: str) -> None:
        super().__init__(algorithm.hash_alg)
        self._prepared = algorithm.prepare_key(key)
        self._begun = hmac.new(self._prepared, digestmod=algorithm.hash_alg)

    def prepare_key(self, _key: str | bytes) -> bytes:
        return self._prepared

    def sign(self, msg: bytes, _key: bytes) -> bytes:
        signing = self._begun.copy()
        signing.update(msg)
        return signing.digest()


class Signatures:
    """Reads the claims of tokens with the key and the algorithm of the settings.

    Args:
        settings: the key.
    """

    def __init__(self, settings: Settings) -> None:
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
        self._by_id: Keys | None = None if settings.jwt_jwks_url is None else {}
        self._known: dict[bytes, tuple[Algorithm, Any]] = {}

    def replace_keys(self, keys: Keys) -> None:
        """Verify tokens with the keys of a key set, and with no others."""
        self._by_id = keys
        self._known.clear()

    def claims(self, token: str) -> dict[str, Any]:
        """Return the claims of a token whose signature is valid.

        Raises:
            AuthenticationError: AUTH_FAILED: it is malformed, or not signed with the key.
        """
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
        algorithm, key = self._known.get(header) or self._algorithm_of(header)
        if not algorithm.verify(signed, key, _decode_segment(signature)):
            raise jwt.InvalidSignatureError
        if len(self._known) < _MOST_HEADERS:
            self._known[header] = (algorithm, key)
        return _decode_segment(payload)

    def _algorithm_of(self, header: bytes) -> tuple[Algorithm, Any]:
        """Return the algorithm and the key that a header names.

        RFC 7515 section 4, RFC 8725 section 3.
        """
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
        name, key = fields["alg"], self._key
        if self._by_id is not None:
            if key_id not in self._by_id:
                raise UnknownKey
            name, key = self._by_id[key_id]
            if name != fields["alg"]:
                raise AuthenticationError.failed("alg is not that of the key")
        algorithm = self._jws.get_algorithm_by_name(name)
        return algorithm, algorithm.prepare_key(key)


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
