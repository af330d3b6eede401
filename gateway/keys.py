"""Checks of the keys that verify tokens: bad secrets, and kinds of public keys."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from gateway.contract import LEAST_SECRET_BYTES

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

_LEAST_RSA_BITS: Final = 2_048  # RFC 7518 §3.3
_LONGEST_PERIOD: Final = 8
_BYTE_ORDER_MARK: Final = "\ufeff"
_PLACEHOLDERS: Final = (
    "changeme",
    "changethis",
    "examplesecret",
    "jwtsecret",
    "placeholder",
    "replaceme",
    "replacethis",
    "secretkey",
    "supersecret",
    "your256bitsecret",
    "yourjwt",
    "yoursecret",
)


def refuse_bad_secret(secret: str) -> None:
    """Refuse a secret that is easy to guess, or that a file or a shell seems to have changed.

    Raises:
        ValueError: it has a byte-order mark or blanks around it, is not UTF-8, is too short, is
            a key of another kind or a known placeholder, or repeats a few characters. The
            message quotes none of it.
    """
    from jwt.algorithms import HMACAlgorithm
    from jwt.exceptions import InvalidKeyError

    if any("\ud800" <= character <= "\udfff" for character in secret):
        raise ValueError("must be UTF-8 text")
    if _BYTE_ORDER_MARK in secret:
        raise ValueError("has a byte-order mark; remove it")
    if secret != secret.strip():
        raise ValueError("begins or ends with a blank or a line end; remove it")
    if len(secret.encode()) < LEAST_SECRET_BYTES:
        raise ValueError(f"must have at least {LEAST_SECRET_BYTES} bytes of random text")
    try:
        HMACAlgorithm(HMACAlgorithm.SHA256).prepare_key(secret)
    except InvalidKeyError:
        raise ValueError("is a key of another kind; a public key is JWT_PUBLIC_KEY") from None
    letters = re.sub(r"[^a-z0-9]", "", secret.lower())
    if any(placeholder in letters for placeholder in _PLACEHOLDERS):
        raise ValueError("is a placeholder; use random text")
    # The first shift that maps a text onto itself is its period.
    if 0 < (secret + secret).find(secret, 1) <= _LONGEST_PERIOD or len(set(secret)) <= 2:
        raise ValueError("repeats a few characters; use random text")


def load_public_key(pem: str) -> tuple[str, RSAPublicKey | EllipticCurvePublicKey]:
    r"""Return the algorithm of a public key, and the key.

    Args:
        pem: PEM text. ``\n`` may stand for a line end, as in environment files.

    Returns:
        ``("RS256", key)`` or ``("ES256", key)``.

    Raises:
        ValueError: the text is no such key. The message quotes none of it.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        key = load_pem_public_key(pem.replace("\\n", "\n").encode())
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError("must be a public key in PEM (-----BEGIN PUBLIC KEY-----)") from None
    return algorithm_of_public_key(key), key  # type: ignore[return-value]  # it has an algorithm


def algorithm_of_public_key(key: object) -> str:
    """Return the algorithm whose signatures a public key verifies: RS256 or ES256.

    Raises:
        ValueError: the key is of another kind, or too short.
    """
    from cryptography.hazmat.primitives.asymmetric import ec, rsa

    if isinstance(key, rsa.RSAPublicKey):
        if key.key_size < _LEAST_RSA_BITS:
            raise ValueError(f"must have at least {_LEAST_RSA_BITS} bits, not {key.key_size}")
        return "RS256"
    if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1):
        return "ES256"
    raise ValueError("must be an RSA key (RS256) or an EC key on P-256 (ES256)")
