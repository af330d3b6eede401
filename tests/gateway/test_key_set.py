from __future__ import annotations

import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from gateway.key_set import parse_key_set
from gateway.values import issuer_url

EC_KEY = ec.generate_private_key(ec.SECP256R1())
GOOD: dict[str, Any] = {**ECAlgorithm.to_jwk(EC_KEY.public_key(), as_dict=True), "kid": "good"}
SMALL = rsa.generate_private_key(public_exponent=65_537, key_size=1_024)  # noqa: S505 - too small on purpose
OTHER_CURVE = ec.generate_private_key(ec.SECP384R1())

IGNORED: dict[str, Any] = {
    "no object": "key",
    "no kid": {name: value for name, value in GOOD.items() if name != "kid"},
    "a number for kid": GOOD | {"kid": 5},
    "an empty kid": GOOD | {"kid": ""},
    "for encryption": GOOD | {"kid": "x", "use": "enc"},
    "for signing alone": GOOD | {"kid": "x", "key_ops": ["sign"]},
    "operations that are a number": GOOD | {"kid": "x", "key_ops": 5},
    "another algorithm": GOOD | {"kid": "x", "alg": "RS256"},
    "a private key": ECAlgorithm.to_jwk(EC_KEY, as_dict=True) | {"kid": "x"},
    "a symmetric key": {"kty": "oct", "k": "c2VjcmV0", "kid": "x"},
    "another curve": ECAlgorithm.to_jwk(OTHER_CURVE.public_key(), as_dict=True) | {"kid": "x"},
    "another kind": OKPAlgorithm.to_jwk(
        ed25519.Ed25519PrivateKey.generate().public_key(), as_dict=True
    )
    | {"kid": "x"},
    "a short key": RSAAlgorithm.to_jwk(SMALL.public_key(), as_dict=True) | {"kid": "x"},
    "no point of the curve": GOOD | {"kid": "x", "x": GOOD["y"]},
    "no coordinate": GOOD | {"kid": "x", "x": 7},
    "no modulus": {"kty": "RSA", "kid": "x", "e": "AQAB"},
}


def document(*keys: object) -> bytes:
    return json.dumps({"keys": keys}).encode()


@pytest.mark.parametrize("key", list(IGNORED.values()), ids=list(IGNORED))
def test_a_key_that_verifies_none_of_our_tokens_is_ignored(key: object) -> None:
    assert list(parse_key_set(document(key, GOOD))) == ["good"]
    with pytest.raises(ValueError, match="no RS256 or ES256 key"):
        parse_key_set(document(key))


def test_a_key_names_the_algorithm_of_its_kind() -> None:
    found = rsa.generate_private_key(public_exponent=65_537, key_size=2_048).public_key()
    keys = parse_key_set(document(GOOD, RSAAlgorithm.to_jwk(found, as_dict=True) | {"kid": "rsa"}))
    assert {key_id: algorithm for key_id, (algorithm, _) in keys.items()} == {
        "good": "ES256",
        "rsa": "RS256",
    }


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b'{"keys": {}}',
        document(GOOD, GOOD),
        document(*[GOOD | {"kid": str(number)} for number in range(65)]),
    ],
)
def test_other_documents_are_refused(body: bytes) -> None:
    with pytest.raises(ValueError, match="key"):
        parse_key_set(body)


@pytest.mark.parametrize(
    "url", ["https://a.example/jwks", "https://a.example:8443/k?x=1", "http://127.0.0.1:8080/k"]
)
def test_an_issuer_has_https_or_is_local(url: str) -> None:
    assert issuer_url(url) == url


@pytest.mark.parametrize(
    "url",
    [
        "a.example/jwks",
        "http://a.example/jwks",
        "http://127.0.0.1.example/jwks",
        "file:///etc/jwks",
        "https:///jwks",
        "https://u:p@a.example/jwks",
        "https://a.example:0/jwks",
        "https://a.example:99999/jwks",
        "https://a.example/a b",
        "https://[::1/jwks",
        "https://a.example/#keys",
    ],
)
def test_other_urls_are_refused(url: str) -> None:
    with pytest.raises(ValueError, match="https URL"):
        issuer_url(url)
