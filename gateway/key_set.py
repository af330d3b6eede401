"""A JSON Web Key Set (RFC 7517): the public keys of an issuer, by ``kid``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from gateway import strict_json
from gateway.errors import NotStrictJson
from gateway.keys import algorithm_of_public_key

_MOST_KEYS: Final = 64
_LONGEST_KEY_ID: Final = 256

Keys = Mapping[str, tuple[str, Any]]
"""By ``kid``: the algorithm of a key, and the key."""


def parse_key_set(body: bytes) -> Keys:
    """Return the keys of a set that verify RS256 or ES256 signatures. Other keys are ignored.

    Raises:
        ValueError: the text is no key set, or has no such key. The message quotes none of it.
    """
    try:
        document = strict_json.loads(body)
    except NotStrictJson:
        raise ValueError("the key set is not JSON") from None
    listed = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(listed, list) or len(listed) > _MOST_KEYS:
        raise ValueError(f"the key set has no list of at most {_MOST_KEYS} keys")
    keys: dict[str, tuple[str, Any]] = {}
    for item in listed:
        found = _key(item)
        if found is not None and found[0] in keys:
            raise ValueError("two keys of the key set have one kid")
        if found is not None:
            keys[found[0]] = found[1:]
    if not keys:
        raise ValueError("the key set has no RS256 or ES256 key with a kid")
    return keys


def _key(item: object) -> tuple[str, str, Any] | None:
    """Return the id, algorithm and key of an item, ``None`` if it verifies no token of ours."""
    from jwt.algorithms import ECAlgorithm, RSAAlgorithm
    from jwt.exceptions import PyJWTError

    if not isinstance(item, dict) or "d" in item:  # a private key is not for us
        return None
    key_id, operations = item.get("kid"), item.get("key_ops", ["verify"])
    if not isinstance(key_id, str) or not 0 < len(key_id) <= _LONGEST_KEY_ID:
        return None
    is_for_verifying = isinstance(operations, list) and "verify" in operations
    if item.get("use", "sig") != "sig" or not is_for_verifying:
        return None
    try:
        kind = item.get("kty")
        key = RSAAlgorithm.from_jwk(item) if kind == "RSA" else ECAlgorithm.from_jwk(item)
        algorithm = algorithm_of_public_key(key)
    except (PyJWTError, ValueError, TypeError, KeyError):
        return None
    return (key_id, algorithm, key) if item.get("alg", algorithm) == algorithm else None
