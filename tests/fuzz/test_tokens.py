"""The fast path of tokens beside PyJWT, over a corpus and its mutations.

Half of the mutations change a signed token; the others change header or claims, and are signed
again. What we accept, PyJWT must accept with the same claims. What PyJWT accepts, we may refuse
for one of the reasons of ``STRICTER``.
"""

from __future__ import annotations

import base64
import hmac
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import jwt
import pytest
from mutations import mutations

from gateway.auth import Authenticator
from gateway.errors import AuthenticationError
from gateway.settings import read_settings
from gateway.signatures import Signatures

SECRET: Final = "q3vX9mT2kL7pR4wZ8cN1bH6jF5dG0aYs"
NOW_S: Final = 1_800_000_000
SETTINGS: Final = read_settings(
    {"GATEWAY_ENV": "test", "JWT_SECRET": SECRET, "GATEWAY_TOKEN_LEEWAY_SECONDS": "0"},
    random_secret="",
)
PARTS: Final = [
    (json.dumps(header).encode(), claims.encode())
    for header, claims in json.loads((Path(__file__).parent / "corpus/tokens.json").read_text())
]
PIECES: Final = (
    b".", b"=", b"==", b"-", b"_", b"+", b"/", b" ", b"\n", b"\x00", b"\xff", b"A", b"eyJ",
    b'"', b"\\", b"{", b"}", b"[", b",", b":", b"null", b"true", b"NaN", b"Infinity", b"-0", b"1e9",
    b'"exp":1,', b'"alg":"none",', b'"alg":"HS256",', b'"typ":"JWT",', b'"kid":"x",',
    b'"crit":["exp"],', b'"b64":false,', b'"sub":"alice",', b'"nbf":1800000001,',
    b"\xf0\x9f\x98\x80",
)  # fmt: skip
SUITE: Final = 6_000
PROOF: Final = 1_000_000

STRICTER: Final = {
    "token over 4096 bytes": "PyJWT has no limit",
    "token is not ASCII": "PyJWT refuses it too, unless it is in a part that it ignores",
    "not verified: ValueError": "not the canonical base64url: PyJWT takes padding, other "
    "characters and trailing bits (RFC 7515 2, RFC 4648 3.5)",
    "not verified: NotStrictJson": "PyJWT takes NaN, Infinity, integers over 64 bits and other "
    "encodings than UTF-8",
    "header names": "PyJWT knows fewer headers that change what a token means",
    "typ is neither": "PyJWT does not read typ (RFC 8725 3.11)",
    "kid is not a string": "PyJWT does not read kid without a key set",
    "claims are not an object": "PyJWT refuses it too, as a whole",
}
"""Why we refuse what PyJWT accepts, by the beginning of our reason."""


LENIENT: Final = {
    ("nbf", None): "null counts as absent: writers of optional fields leave it",
    ("iat", None): "as nbf",
    ("exp", NOW_S + 0.5): "PyJWT ignores the fraction; RFC 7519 2 allows it in a NumericDate",
}
"""Times that we accept and PyJWT does not, with the reason."""


def _encoded(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def signed(header: bytes, claims: bytes) -> bytes:
    """Return a token with these parts and a signature that fits."""
    text = _encoded(header) + b"." + _encoded(claims)
    return text + b"." + _encoded(hmac.digest(SECRET.encode(), text, "sha256"))


def tokens(count: int, seed: int) -> Iterator[bytes]:
    """Yield tokens: mutated whole, and mutated in one part and signed again."""
    third = count // 3
    yield from mutations([signed(*parts) for parts in PARTS], PIECES, third, seed)
    for header in mutations([header for header, _ in PARTS], PIECES, third, seed + 1):
        yield signed(header, PARTS[0][1])
    for claims in mutations([claims for _, claims in PARTS], PIECES, third, seed + 2):
        yield signed(PARTS[0][0], claims)


def ours(signatures: Signatures, token: bytes) -> dict[str, Any] | str:
    """Return the claims as we read them, or why not."""
    try:
        return signatures.claims(token.decode("latin-1"))
    except AuthenticationError as error:
        return error.reason


def theirs(token: bytes) -> dict[str, Any] | str:
    """Return the claims as PyJWT reads them without checks of their values, or why not."""
    options: Any = {"verify_signature": True, "require": []} | dict.fromkeys(
        ("verify_exp", "verify_nbf", "verify_iat", "verify_aud", "verify_iss", "verify_sub",
         "verify_jti"), False,
    )  # fmt: skip
    try:
        return jwt.decode(token.decode("latin-1"), SECRET, ["HS256"], options=options)
    except (jwt.PyJWTError, ValueError, RecursionError) as error:
        return f"{type(error).__name__}: {error}"


def difference(signatures: Signatures, token: bytes) -> str | None:
    """Return how the two readings differ in what matters, ``None`` if they do not."""
    mine, other = ours(signatures, token), theirs(token)
    if isinstance(mine, str):
        is_known = isinstance(other, str) or mine.startswith(tuple(STRICTER))
        return None if is_known else f"only PyJWT accepts it; we: {mine}"
    if isinstance(other, str):
        return f"only we accept it; PyJWT: {other}"
    return None if repr(mine) == repr(_as_doubles(other)) else f"{mine} is not {other}"


def _as_doubles(value: Any) -> Any:
    """Return claims with integers over 64 bits as floats, as JavaScript reads them.

    RFC 8259 6 lets a reader do so. As ``exp`` such a number lies too far ahead either way.
    """
    if type(value) is int and not -(2**63) <= value < 2**64:
        return float(str(value))
    if isinstance(value, dict):
        return {name: _as_doubles(one) for name, one in value.items()}
    return [_as_doubles(one) for one in value] if isinstance(value, list) else value


def check(count: int, seed: int) -> None:
    differing, accepted = {}, 0
    # One keeps the headers that it has seen, as a gateway does; the other has seen none.
    warm = Signatures(SETTINGS)
    for token in tokens(count, seed):
        cold = Signatures(SETTINGS)
        accepted += not isinstance(ours(cold, token), str)
        found = difference(warm, token)
        if found is None and ours(warm, token) != ours(cold, token):
            found = "a header that was seen before changes the answer"
        if found is not None:
            differing[token] = found
    assert not differing, list(differing.items())[:5]
    assert accepted > count / 20  # otherwise nothing was compared


def test_whatever_we_accept_pyjwt_reads_alike() -> None:
    check(SUITE, seed=1)


@pytest.mark.proof
def test_whatever_we_accept_pyjwt_reads_alike_a_million_times() -> None:
    check(PROOF, seed=2)


@pytest.mark.parametrize("name", ["exp", "nbf", "iat"])
@pytest.mark.parametrize(
    "value", [NOW_S - 1, NOW_S, NOW_S + 1, NOW_S + 0.5, 0, -1, True, "1", None]
)
def test_times_are_judged_as_pyjwt_judges_them_at_that_moment(
    name: str, value: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    claims = {"sub": "alice", "exp": NOW_S + 60, name: value}
    token = signed(b'{"alg":"HS256","typ":"JWT"}', json.dumps(claims).encode())
    authenticator = Authenticator(replace(SETTINGS, max_token_hours=24))
    monkeypatch.setattr("jwt.api_jwt.datetime", _Frozen)
    try:
        authenticator.verify(token.decode(), NOW_S)
        mine = True
    except AuthenticationError:
        mine = False
    try:
        jwt.decode(token, SECRET, ["HS256"], options={"require": ["exp"]})
        other = True
    except jwt.PyJWTError:
        other = False
    assert mine <= other or (name, value) in LENIENT


class _Frozen:
    """The clock that PyJWT reads."""

    @staticmethod
    def now(tz: Any = None) -> Any:
        from datetime import datetime

        return datetime.fromtimestamp(NOW_S, tz)
