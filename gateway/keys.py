"""Keys that sign tokens: which secrets are refused, and what a public key can verify."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from gateway.contract import LEAST_SECRET_BYTES

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

_LEAST_RSA_BITS: Final = 2_048  # RFC 7518 §3.3
_LONGEST_PERIOD: Final = 8
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


def refuse_weak_secret(secret: str) -> None:
    """Let a secret pass that nobody can guess.

    Raises:
        ValueError: too short, a known placeholder, or a few characters over and over. The
            message holds nothing of the secret.
    """
    if len(secret.encode("utf-8", "surrogateescape")) < LEAST_SECRET_BYTES:
        raise ValueError(f"must have at least {LEAST_SECRET_BYTES} bytes of random text")
    letters = re.sub(r"[^a-z0-9]", "", secret.lower())
    if any(placeholder in letters for placeholder in _PLACEHOLDERS):
        raise ValueError("is a placeholder; use random text")
    # A text equals itself moved by its period and by nothing shorter.
    if 0 < (secret + secret).find(secret, 1) <= _LONGEST_PERIOD or len(set(secret)) <= 2:
        raise ValueError("repeats a few characters; use random text")


def load_public_key(pem: str) -> tuple[str, RSAPublicKey | EllipticCurvePublicKey]:
    r"""Return the one algorithm that a public key verifies, and the key.

    Args:
        pem: PEM text; ``\n`` may stand for line ends, as environment files write them.

    Returns:
        ``("RS256", key)`` or ``("ES256", key)``.

    Raises:
        ValueError: not such a key; the message holds nothing of it.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import ec, rsa
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        key = load_pem_public_key(pem.replace("\\n", "\n").encode())
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError("must be a public key in PEM (-----BEGIN PUBLIC KEY-----)") from None
    if isinstance(key, rsa.RSAPublicKey):
        if key.key_size < _LEAST_RSA_BITS:
            raise ValueError(f"must have at least {_LEAST_RSA_BITS} bits, not {key.key_size}")
        return "RS256", key
    if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1):
        return "ES256", key
    raise ValueError("must be an RSA key (RS256) or an EC key on P-256 (ES256)")
