from __future__ import annotations

import base64
import hmac
import json
import string
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from gateway.auth import (
    DEVELOPMENT_IDENTITY,
    Authenticator,
    Identity,
    authenticate,
    handshake_token,
)
from gateway.contract import ErrorCode, Text
from gateway.errors import AuthenticationError, NotAllowed
from gateway.settings import Settings, read_settings

NOW_S = 1_800_000_000.0
MakeToken = Callable[..., str]
MakeSettings = Callable[..., Settings]


@pytest.fixture
def authenticator(make_settings: MakeSettings) -> Authenticator:
    return Authenticator(make_settings())


def code_of(authenticator: Authenticator, token: str, unix_s: float = NOW_S) -> ErrorCode | None:
    try:
        authenticator.verify(token, unix_s)
    except AuthenticationError as error:
        return error.code
    return None


def test_a_valid_token_becomes_an_identity(
    authenticator: Authenticator, make_token: MakeToken
) -> None:
    token = make_token(email="alice@example.com", scope="publish stats")
    assert authenticator.verify(token, NOW_S) == Identity(
        "alice", "alice@example.com", frozenset({"publish", "stats"}), int(NOW_S) + 600
    )


@pytest.mark.parametrize(
    "claims",
    [
        pytest.param({"sub": None, "userId": "bob"}, id="userId in place of sub"),
        pytest.param({"userId": "alice"}, id="sub and userId equal"),
        pytest.param({"sub": "a.b_c@d|e+f=g-h"}, id="every character of a user id"),
        pytest.param({"sub": "x" * 128}, id="128 characters"),
        pytest.param({"exp": NOW_S + 86_400}, id="24 hours ahead"),
        pytest.param({"exp": NOW_S - 29}, id="expired within the leeway"),
        pytest.param({"nbf": NOW_S + 30, "iat": NOW_S + 30}, id="clocks 30 s apart"),
        pytest.param({"iss": "anybody", "aud": ["anything"]}, id="parties that nobody asked for"),
        pytest.param({"wei": 10**20}, id="an integer over 64 bits in an unknown claim"),
        pytest.param({"note": "\ud83d"}, id="half a character in an unknown claim"),
    ],
)
def test_these_tokens_are_accepted(
    authenticator: Authenticator, make_token: MakeToken, claims: dict[str, Any]
) -> None:
    assert code_of(authenticator, make_token(**claims)) is None


@pytest.mark.parametrize(
    "claims",
    [
        pytest.param({"secret": "y" * 32}, id="another secret"),
        pytest.param({"secret": "y" * 64, "algorithm": "HS512"}, id="another algorithm"),
        pytest.param({"secret": None, "algorithm": "none"}, id="algorithm none"),
        pytest.param({"exp": None}, id="no exp"),
        pytest.param({"exp": "1900000000"}, id="exp as text"),
        pytest.param({"exp": True}, id="exp as truth"),
        pytest.param({"exp": 1e400}, id="exp infinite"),
        pytest.param({"exp": NOW_S + 86_400 + 31}, id="more than 24 hours ahead"),
        pytest.param({"nbf": NOW_S + 31}, id="not valid yet"),
        pytest.param({"iat": NOW_S + 31}, id="issued in the future"),
        pytest.param({"nbf": "soon"}, id="nbf as text"),
        pytest.param({"sub": None}, id="no sub"),
        pytest.param({"sub": ""}, id="empty sub"),
        pytest.param({"sub": 7}, id="sub as number"),
        pytest.param({"sub": "x" * 129}, id="129 characters"),
        pytest.param({"sub": "alice\n"}, id="newline after sub"),
        pytest.param({"sub": "álice"}, id="not ASCII"),
        pytest.param({"userId": "bob"}, id="sub and userId differ"),
        pytest.param({"email": 1}, id="email as number"),
        pytest.param({"scope": ["publish"]}, id="scope as list"),
        pytest.param({"email": "x" * 4_096}, id="over 4 KiB"),
        pytest.param({"email": "\ud800"}, id="lone surrogate"),
    ],
)
def test_these_tokens_fail(
    authenticator: Authenticator, make_token: MakeToken, claims: dict[str, Any]
) -> None:
    assert code_of(authenticator, make_token(**claims)) is ErrorCode.AUTH_FAILED


def test_no_token_changes_what_the_next_one_is_compared_with(
    authenticator: Authenticator, make_token: MakeToken
) -> None:
    forged = make_token(secret="y" * 32)
    tokens = [make_token(), forged, make_token(sub="bob"), forged, make_token()]
    failed = ErrorCode.AUTH_FAILED
    assert [code_of(authenticator, token) for token in tokens] == [None, failed] * 2 + [None]


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "é.b.c", "\ud800", "." * 5_000, "..", "a..b"])
def test_text_that_is_no_token_fails(authenticator: Authenticator, token: str) -> None:
    with pytest.raises(AuthenticationError) as caught:
        authenticator.verify(token, NOW_S)
    assert caught.value.code is ErrorCode.AUTH_FAILED
    assert caught.value.message == Text.AUTH_FAILED


def test_the_reason_for_the_log_holds_nothing_of_the_token(
    authenticator: Authenticator, make_token: MakeToken
) -> None:
    token = make_token(sub="not a user id")
    with pytest.raises(AuthenticationError) as caught:
        authenticator.verify(token, NOW_S)
    assert caught.value.reason == "sub is not a valid user id"


@pytest.mark.parametrize(
    ("claims", "code"),
    [
        ('"exp":1800000600,"wei":1e999', None),
        ('"exp":1e999', ErrorCode.AUTH_FAILED),
        ('"exp":1800000600,"iat":100000000000000000000', ErrorCode.AUTH_FAILED),
        ('"exp":1800000600,"wei":NaN', ErrorCode.AUTH_FAILED),
    ],
)
def test_numbers_that_no_float_holds_are_refused_where_they_are_used(
    authenticator: Authenticator, make_settings: MakeSettings, claims: str, code: ErrorCode | None
) -> None:
    import jwt

    text = f'{{"sub":"alice",{claims}}}'.encode()
    token = jwt.PyJWS().encode(text, str(make_settings().jwt_secret), algorithm="HS256")
    assert code_of(authenticator, token) is code


def test_claims_that_are_no_object_fail(
    authenticator: Authenticator, make_settings: MakeSettings
) -> None:
    import jwt

    token = jwt.PyJWS().encode(b"[1]", str(make_settings().jwt_secret), algorithm="HS256")
    assert code_of(authenticator, token) is ErrorCode.AUTH_FAILED


def test_a_token_expires_at_exp_and_leeway(
    authenticator: Authenticator, make_token: MakeToken
) -> None:
    token = make_token(exp=NOW_S)
    assert code_of(authenticator, token, NOW_S + 29.9) is None
    assert code_of(authenticator, token, NOW_S + 30) is ErrorCode.TOKEN_EXPIRED


@pytest.mark.parametrize(
    "claims", [{"secret": "y" * 32}, {"sub": "a b"}, {"nbf": NOW_S + 99}, {"iss": "other"}]
)
def test_an_expired_token_with_another_fault_is_not_called_expired(
    make_settings: MakeSettings, make_token: MakeToken, claims: dict[str, Any]
) -> None:
    authenticator = Authenticator(make_settings(GATEWAY_JWT_ISSUER="us"))
    token = make_token(**({"exp": NOW_S - 1_000, "iss": "us"} | claims))
    assert code_of(authenticator, token) is ErrorCode.AUTH_FAILED


@pytest.mark.parametrize(
    ("claims", "code"),
    [
        pytest.param({"iss": "us", "aud": "gateway"}, None, id="both right"),
        pytest.param({"iss": "us", "aud": ["web", "gateway"]}, None, id="aud in a list"),
        pytest.param({"aud": "gateway"}, ErrorCode.AUTH_FAILED, id="no iss"),
        pytest.param({"iss": "us"}, ErrorCode.AUTH_FAILED, id="no aud"),
        pytest.param({"iss": "US", "aud": "gateway"}, ErrorCode.AUTH_FAILED, id="another iss"),
        pytest.param({"iss": "us", "aud": "gate"}, ErrorCode.AUTH_FAILED, id="part of aud"),
    ],
)
def test_issuer_and_audience_are_exact(
    make_settings: MakeSettings,
    make_token: MakeToken,
    claims: dict[str, Any],
    code: ErrorCode | None,
) -> None:
    settings = make_settings(GATEWAY_JWT_ISSUER="us", GATEWAY_JWT_AUDIENCE="gateway")
    assert code_of(Authenticator(settings), make_token(**claims)) is code


@pytest.mark.parametrize("algorithm", ["RS256", "ES256"])
def test_a_public_key_verifies_its_kind_alone(make_token: MakeToken, algorithm: str) -> None:
    private: Any = (
        rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
        if algorithm == "RS256"
        else ec.generate_private_key(ec.SECP256R1())
    )
    pem = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    environ = {"GATEWAY_ENV": "test", "JWT_PUBLIC_KEY": pem.decode().replace("\n", "\\n")}
    authenticator = Authenticator(read_settings(environ, random_secret="unused"))
    assert code_of(authenticator, make_token(secret=private, algorithm=algorithm)) is None
    assert code_of(authenticator, make_token()) is ErrorCode.AUTH_FAILED
    # The classic confusion: HS256 keyed with the text of the public key.
    forged = _hs256_by_hand(pem)
    assert code_of(authenticator, forged) is ErrorCode.AUTH_FAILED


def _hs256_by_hand(key: bytes) -> str:
    import hashlib
    import hmac

    def b64(part: bytes) -> str:
        return base64.urlsafe_b64encode(part).rstrip(b"=").decode()

    head = b64(json.dumps({"alg": "HS256", "typ": "JWT"}).encode())
    body = b64(json.dumps({"sub": "alice", "exp": NOW_S + 600}).encode())
    mac = hmac.new(key, f"{head}.{body}".encode(), hashlib.sha256).digest()
    return f"{head}.{body}.{b64(mac)}"


@pytest.mark.parametrize(
    ("auth", "query", "token"),
    [
        pytest.param(None, None, None, id="nothing"),
        pytest.param({}, None, None, id="no token"),
        pytest.param({"token": None}, None, None, id="null"),
        pytest.param({"token": ""}, "", None, id="empty"),
        pytest.param({"token": "a"}, None, "a", id="auth"),
        pytest.param(None, "a", "a", id="query"),
        pytest.param({"token": ""}, "a", "a", id="empty and query"),
        pytest.param({"token": "a"}, "a", "a", id="both the same"),
    ],
)
def test_the_token_of_a_handshake(auth: object, query: str | None, token: str | None) -> None:
    assert handshake_token(auth, query) == token


@pytest.mark.parametrize(
    ("auth", "query"),
    [
        pytest.param({"token": "a"}, "b", id="two different"),
        pytest.param([1], None, id="auth as list"),
        pytest.param("a", None, id="auth as text"),
        pytest.param(False, None, id="auth as truth"),
        pytest.param({"token": 1}, None, id="token as number"),
        pytest.param({"token": False}, None, id="token as truth"),
    ],
)
def test_a_handshake_of_the_wrong_shape_fails(auth: object, query: str | None) -> None:
    with pytest.raises(AuthenticationError) as caught:
        handshake_token(auth, query)
    assert caught.value.code is ErrorCode.AUTH_FAILED


@pytest.mark.parametrize("development", [True, False])
def test_a_lone_surrogate_in_the_token_fails(
    authenticator: Authenticator, development: bool
) -> None:
    with pytest.raises(AuthenticationError) as caught:
        authenticate(authenticator, {"token": "\udfff"}, None, NOW_S, development=development)
    assert caught.value.code is ErrorCode.AUTH_FAILED


@pytest.mark.parametrize(
    "bend",
    [
        pytest.param(lambda h, p, s: f"{h}.{p}.{s[:-4]}AAAA", id="another signature"),
        pytest.param(lambda h, p, s: f"{h}.{p}", id="no signature"),
        pytest.param(lambda h, p, s: f"{h}.{p}.", id="an empty signature"),
        pytest.param(lambda h, p, s: f"{h}.{p[:-2]}AA.{s}", id="another payload"),
        pytest.param(lambda h, p, s: f"{h}.{p}.{s}!", id="a character of no alphabet"),
        pytest.param(lambda h, p, s: f"{h}.{p}.{p}.{s}", id="four parts"),
    ],
)
def test_a_header_that_is_known_vouches_for_no_other_token(
    authenticator: Authenticator, make_token: MakeToken, bend: Callable[..., str]
) -> None:
    good = make_token()
    for _ in range(2):  # learned by the first, known to the second
        assert code_of(authenticator, good) is None
    assert code_of(authenticator, bend(*good.split("."))) is ErrorCode.AUTH_FAILED
    assert code_of(authenticator, good) is None


def test_a_known_header_is_no_way_around_the_times(
    authenticator: Authenticator, make_token: MakeToken
) -> None:
    assert code_of(authenticator, make_token()) is None
    assert code_of(authenticator, make_token(exp=NOW_S - 60)) is ErrorCode.TOKEN_EXPIRED


def test_headers_of_one_key_are_remembered_up_to_a_bound(
    authenticator: Authenticator, make_settings: MakeSettings
) -> None:
    secret = make_settings().jwt_secret or ""
    claims = {"sub": "alice", "exp": int(NOW_S) + 60}
    for number in range(40):
        token = jwt.encode(claims, secret, algorithm="HS256", headers={"kid": f"key {number}"})
        assert code_of(authenticator, token) is None
    assert len(authenticator._signatures._known) <= 16


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        pytest.param({"kid": "k"}, None, id="a key's name"),
        pytest.param({"kid": 5}, ErrorCode.AUTH_FAILED, id="a key's name that is no text"),
        pytest.param({"jku": "https://keys.invalid"}, None, id="an address of keys"),
        pytest.param({"crit": ["exp"]}, ErrorCode.AUTH_FAILED, id="an extension it must know"),
        pytest.param({"b64": False}, ErrorCode.AUTH_FAILED, id="a payload as it is"),
        pytest.param(
            {"b64": False, "crit": ["b64"]}, ErrorCode.AUTH_FAILED, id="a payload as it is, crit"
        ),
        pytest.param({"crit": []}, ErrorCode.AUTH_FAILED, id="no extension"),
        pytest.param({"b64": True}, ErrorCode.AUTH_FAILED, id="a payload in base64, said"),
        pytest.param({"zip": "DEF"}, ErrorCode.AUTH_FAILED, id="a deflated payload"),
        pytest.param({"enc": "A256GCM"}, ErrorCode.AUTH_FAILED, id="an encrypted payload"),
        pytest.param({"zip": None}, ErrorCode.AUTH_FAILED, id="zip null"),
        pytest.param({"typ": "JWT"}, None, id="typ JWT"),
        pytest.param({"typ": "jwt"}, None, id="typ jwt"),
        pytest.param({"typ": "at+jwt"}, None, id="an access token"),
        pytest.param({"typ": "AT+JWT"}, None, id="an access token in capitals"),
        pytest.param({"typ": "application/at+jwt"}, None, id="an access token's media type"),
        pytest.param({"typ": "JWE"}, ErrorCode.AUTH_FAILED, id="typ JWE"),
        pytest.param({"typ": "JOSE"}, ErrorCode.AUTH_FAILED, id="typ JOSE"),
        pytest.param({"typ": "logout+jwt"}, ErrorCode.AUTH_FAILED, id="a token to log out"),
        pytest.param({"typ": "secevent+jwt"}, ErrorCode.AUTH_FAILED, id="a security event"),
        pytest.param({"typ": ""}, ErrorCode.AUTH_FAILED, id="typ empty"),
        pytest.param({"typ": None}, ErrorCode.AUTH_FAILED, id="typ null"),
        pytest.param({"typ": ["JWT"]}, ErrorCode.AUTH_FAILED, id="typ as list"),
        pytest.param({"alg": ["HS256"]}, ErrorCode.AUTH_FAILED, id="alg as list"),
        pytest.param({"alg": "none"}, ErrorCode.AUTH_FAILED, id="no algorithm"),
        pytest.param({"alg": "HS512"}, ErrorCode.AUTH_FAILED, id="another algorithm"),
    ],
)
def test_a_header_is_judged_alike_each_time(
    authenticator: Authenticator,
    make_settings: MakeSettings,
    fields: dict[str, Any],
    code: ErrorCode | None,
) -> None:
    claims = {"sub": "alice", "exp": int(NOW_S) + 60}
    signed = b".".join(
        base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=")
        for part in ({"alg": "HS256"} | fields, claims)
    )
    secret = (make_settings().jwt_secret or "").encode()
    signature = base64.urlsafe_b64encode(hmac.digest(secret, signed, "sha256")).rstrip(b"=")
    token = (signed + b"." + signature).decode()
    assert [code_of(authenticator, token) for _ in range(3)] == [code] * 3
    assert bool(authenticator._signatures._known) is (code is None)


def bend_segment(position: int, bend: Callable[[str], str]) -> Callable[[str], str]:
    """Return a function that bends one segment of a token: header, payload or signature."""

    def bent(token: str) -> str:
        segments = token.split(".")
        segments[position] = bend(segments[position])
        return ".".join(segments)

    return bent


ALPHABET = string.ascii_uppercase + string.ascii_lowercase + string.digits + "-_"


def set_trailing_bit(segment: str) -> str:
    """Return a segment whose last character has a bit that belongs to no byte."""
    assert len(segment) % 4 in (2, 3), "no bit is left over"
    return segment[:-1] + ALPHABET[ALPHABET.index(segment[-1]) | 1]


@pytest.mark.parametrize("position", [0, 1, 2], ids=["header", "payload", "signature"])
@pytest.mark.parametrize("is_known", [False, True], ids=["first", "header known"])
@pytest.mark.parametrize(
    "bend",
    [
        pytest.param(lambda segment: segment + "=" * (-len(segment) % 4), id="padding"),
        pytest.param(lambda segment: segment + "\n", id="newline"),
        pytest.param(lambda segment: " " + segment, id="blank"),
        pytest.param(lambda segment: segment[:2] + "\t" + segment[2:], id="tab inside"),
        pytest.param(lambda segment: segment[:3] + "=" + segment[3:], id="padding inside"),
        pytest.param(lambda segment: segment.replace("_", "/").replace("-", "+"), id="base64"),
        pytest.param(set_trailing_bit, id="trailing bit"),
    ],
)
def test_a_token_has_one_spelling(
    authenticator: Authenticator,
    make_settings: MakeSettings,
    bend: Callable[[str], str],
    is_known: bool,
    position: int,
) -> None:
    secret = (make_settings().jwt_secret or "").encode()

    def sign(spell: Callable[[str], str]) -> str:
        """Sign what is spelt, so that only the spelling can be wrong."""
        # Each of the three segments has a - or a _, and bits left over.
        parts = {"alg": "HS256", "kid": ">>>?~"}, {"sub": "al", "exp": 1800000600, "x": ">>>???10"}
        signed = ".".join(
            base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()
            for part in parts
        )
        if position < 2:
            signed = spell(signed + ".").removesuffix(".")
        digest = hmac.digest(secret, signed.encode(), "sha256")
        token = f"{signed}.{base64.urlsafe_b64encode(digest).rstrip(b'=').decode()}"
        return spell(token) if position == 2 else token

    good, bad = sign(lambda token: token), sign(bend_segment(position, bend))
    if is_known:
        assert code_of(authenticator, good) is None
    assert bad != good
    assert code_of(authenticator, bad) is ErrorCode.AUTH_FAILED
    assert code_of(authenticator, good) is None


def test_a_missing_token_is_refused_in_production(authenticator: Authenticator) -> None:
    with pytest.raises(AuthenticationError) as caught:
        authenticate(authenticator, None, None, NOW_S, development=False)
    assert caught.value.code is ErrorCode.AUTH_MISSING
    assert caught.value.message == "Authentication token missing"


def test_a_missing_token_is_allowed_in_development(authenticator: Authenticator) -> None:
    identity = authenticate(authenticator, None, None, NOW_S, development=True)
    assert identity is DEVELOPMENT_IDENTITY
    assert (identity.user_id, identity.email) == ("test-user-id", "test@example.com")


def test_a_token_that_is_given_in_development_must_be_valid(
    authenticator: Authenticator, make_token: MakeToken
) -> None:
    token = make_token()
    assert authenticate(authenticator, None, token, NOW_S, development=True).user_id == "alice"
    with pytest.raises(AuthenticationError):
        authenticate(authenticator, {"token": "bad"}, None, NOW_S, development=True)


def test_a_refresh_takes_a_later_token_of_the_same_user(
    authenticator: Authenticator, make_token: MakeToken, alice: Identity
) -> None:
    renewed = authenticator.refresh(alice, make_token(exp=NOW_S + 900), NOW_S)
    assert renewed.expires_at == NOW_S + 900


def test_a_refresh_with_an_expired_token_is_auth_failed(
    authenticator: Authenticator, make_token: MakeToken, alice: Identity
) -> None:
    with pytest.raises(AuthenticationError) as caught:
        authenticator.refresh(alice, make_token(exp=NOW_S - 99), NOW_S)
    assert caught.value.code is ErrorCode.AUTH_FAILED


def test_a_refresh_with_another_users_token_is_not_allowed(
    authenticator: Authenticator, make_token: MakeToken, alice: Identity
) -> None:
    with pytest.raises(NotAllowed):
        authenticator.refresh(alice, make_token(sub="bob"), NOW_S)
