"""Contract: Handshake."""

from __future__ import annotations

import base64
import contextlib
import hmac
import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from blackbox.client import Ended, RawClient, Refused
from blackbox.process import GatewayProcess
from blackbox.target import Target
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from deadlines import QUIET_S

Connect = Callable[..., RawClient]
StartGateway = Callable[..., GatewayProcess]
Stats = Callable[[Target], list[dict[str, Any]]]


def refusal(client: RawClient, auth: object) -> Refused:
    with pytest.raises(Refused) as refused:
        client.connect(auth)
    return refused.value


@pytest.fixture
def refused(open_socket: Connect, gateway: Target) -> Callable[..., Refused]:
    """Send a token that must be refused, and return the refusal."""
    return lambda token: refusal(open_socket(gateway), {"token": token})


def test_a_token_in_auth_connects(connect: Connect) -> None:
    assert connect("alice").welcome["userId"] == "alice"


def test_a_token_in_the_query_connects(open_socket: Connect, gateway: Target) -> None:
    client = open_socket(gateway, query=f"&token={gateway.token('query-user')}")
    assert client.connect()["userId"] == "query-user"


def test_the_same_token_in_both_places_connects(open_socket: Connect, gateway: Target) -> None:
    token = gateway.token("both")
    client = open_socket(gateway, query=f"&token={token}")
    assert client.connect({"token": token})["userId"] == "both"


def test_different_tokens_in_both_places_are_refused(open_socket: Connect, gateway: Target) -> None:
    client = open_socket(gateway, query=f"&token={gateway.token('one')}")
    assert refusal(client, {"token": gateway.token("other")}).code == "AUTH_FAILED"


@pytest.mark.parametrize(
    "auth", [None, {}, {"token": None}, {"token": ""}], ids=["absent", "empty", "null", "blank"]
)
@pytest.mark.parametrize("query", ["", "&token="], ids=["no query", "blank query"])
def test_no_token_is_refused_as_missing(
    open_socket: Connect, gateway: Target, auth: object, query: str
) -> None:
    missing = refusal(open_socket(gateway, query=query), auth)
    assert (missing.message, missing.code) == ("Authentication token missing", "AUTH_MISSING")


def sign_by_hand(header: dict[str, Any], body: dict[str, Any], secret: bytes) -> str:
    """Sign any header and claims with HMAC-SHA-256, also those that a JWT library refuses."""
    parts = (header, {"exp": int(time.time()) + 60, **body})
    text = b".".join(base64.urlsafe_b64encode(json.dumps(p).encode()).rstrip(b"=") for p in parts)
    signature = hmac.digest(secret, text, "sha256")
    return (text + b"." + base64.urlsafe_b64encode(signature).rstrip(b"=")).decode()


def claims(**given: object) -> Callable[[Target], str]:
    return lambda gateway: gateway.token(**{"sub": "claimant", **given})  # type: ignore[arg-type]


BAD_TOKENS: dict[str, Callable[[Target], str]] = {
    "no token at all": lambda _: "nonsense",
    "another secret": lambda g: g.token("u", key="x" * 64),
    "HS512": lambda g: g.token("u", algorithm="HS512"),
    "no signature": lambda g: (
        sign_by_hand({"alg": "none"}, {"sub": "u"}, g.secret.encode()).rpartition(".")[0] + "."
    ),
    "no subject": claims(sub=None),
    "empty subject": lambda g: sign_by_hand({"alg": "HS256"}, {"sub": ""}, g.secret.encode()),
    "subject with a space": claims(sub="a b"),
    "subject with a line end": claims(sub="alice\n"),
    "subject of another script": claims(sub="алиса"),
    "subject of 129": claims(sub="a" * 129),
    "subject that is a number": lambda g: sign_by_hand(
        {"alg": "HS256"}, {"sub": 5}, g.secret.encode()
    ),
    "sub and userId that differ": claims(userId="someone-else"),
    "no exp": claims(lifetime_s=None),
    "exp that is a text": claims(lifetime_s=None, exp="tomorrow"),
    "exp 25 h ahead": claims(lifetime_s=25 * 3_600),
    "over 4 KiB": claims(padding="x" * 4_096),
}


@pytest.mark.parametrize("make", list(BAD_TOKENS.values()), ids=list(BAD_TOKENS))
def test_a_bad_token_is_refused(
    refused: Callable[..., Refused], gateway: Target, make: Callable[[Target], str]
) -> None:
    answer = refused(make(gateway))
    assert (answer.message, answer.code) == ("Authentication failed", "AUTH_FAILED")


GOOD_TOKENS: dict[str, Callable[[Target], str]] = {
    "userId in place of sub": claims(sub=None, userId="claimant"),
    "userId equal to sub": claims(userId="claimant"),
    "exp 20 s ago, within the leeway": claims(lifetime_s=-20),
    "nbf 20 s ahead, within the leeway": claims(nbf=int(time.time()) + 20),
    "iat 20 s ahead, within the leeway": claims(iat=int(time.time()) + 20),
    "exp 23 h ahead": claims(lifetime_s=23 * 3_600),
    "email and scope": claims(email="c@example.com", scope="stats publish"),
    "just under 4 KiB": claims(padding="x" * 2_800),
}


@pytest.mark.parametrize("make", list(GOOD_TOKENS.values()), ids=list(GOOD_TOKENS))
def test_a_good_token_connects(
    connect: Connect, gateway: Target, make: Callable[[Target], str]
) -> None:
    assert connect(token=make(gateway)).welcome["userId"] == "claimant"


@pytest.mark.parametrize("sub", ["a" * 128, "A.z_0@|+=-"], ids=["128 long", "every character"])
def test_every_allowed_subject_connects(connect: Connect, sub: str) -> None:
    assert connect(sub).welcome["userId"] == sub


def test_a_token_past_its_leeway_is_refused_as_expired(
    refused: Callable[..., Refused], gateway: Target
) -> None:
    answer = refused(gateway.token(lifetime_s=-40))
    assert (answer.message, answer.code) == ("Authentication failed", "TOKEN_EXPIRED")


def test_an_expired_token_with_a_wrong_signature_is_not_called_expired(
    refused: Callable[..., Refused], gateway: Target
) -> None:
    assert refused(gateway.token(lifetime_s=-40, key="x" * 64)).code == "AUTH_FAILED"


@pytest.mark.parametrize("claim", ["nbf", "iat"])
def test_a_token_from_the_future_is_refused(
    refused: Callable[..., Refused], gateway: Target, claim: str
) -> None:
    token = gateway.token(**{claim: int(time.time()) + 60})  # type: ignore[arg-type]
    assert refused(token).code in {"AUTH_FAILED", "TOKEN_EXPIRED"}


def test_issuer_audience_and_lifetime_are_checked_when_configured(
    start_gateway: StartGateway, connect: Connect, open_socket: Connect
) -> None:
    gateway = start_gateway(
        GATEWAY_JWT_ISSUER="bank", GATEWAY_JWT_AUDIENCE="tide", GATEWAY_MAX_TOKEN_HOURS=1
    )
    right: dict[str, Any] = {"iss": "bank", "aud": "tide", "lifetime_s": 3_000}
    connect(target=gateway, token=gateway.token(**right))
    wrongs: list[dict[str, Any]] = [
        {"iss": "Bank"},
        {"iss": None},
        {"aud": "tidegate"},
        {"lifetime_s": 3_700},
    ]
    for wrong in wrongs:
        token = gateway.token(**(right | wrong))
        assert refusal(open_socket(gateway), {"token": token}).code == "AUTH_FAILED", wrong


KEYS: dict[str, Callable[[], Any]] = {
    "RS256": lambda: rsa.generate_private_key(public_exponent=65_537, key_size=2_048),
    "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
}


@pytest.mark.parametrize("algorithm", KEYS)
def test_a_public_key_accepts_only_its_own_algorithm(
    start_gateway: StartGateway, connect: Connect, open_socket: Connect, algorithm: str
) -> None:
    key: Any = KEYS[algorithm]()
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    gateway = start_gateway(JWT_SECRET=None, JWT_PUBLIC_KEY=public.decode())
    token = gateway.token("asymmetric", key=key, algorithm=algorithm)
    assert connect(target=gateway, token=token).welcome["userId"] == "asymmetric"
    # The classic forgery: the public key is used as a shared secret.
    forged = sign_by_hand({"alg": "HS256"}, {"sub": "mallory"}, public)
    assert refusal(open_socket(gateway), {"token": forged}).code == "AUTH_FAILED"


@pytest.mark.parametrize(
    "packet",
    ["40[1]", '40"text"', '40{"token":5}', '40{"token":"\\ud800"}', '40{"token":["a"]}', "40{"],
)
def test_an_invalid_handshake_leaves_no_client_behind(
    open_socket: Connect, gateway: Target, stats: Stats, packet: str
) -> None:
    before = {client["id"] for client in stats(gateway)}
    client = open_socket(gateway)
    client.send_packet(packet)
    with contextlib.suppress(Ended, TimeoutError):  # a close or silence leaves no client either
        assert client.read_packet(QUIET_S).startswith("44"), client.packets
    assert {client["id"] for client in stats(gateway)} <= before


def test_the_client_id_is_the_id_of_the_socket(connect: Connect) -> None:
    client = connect()
    assert client.welcome["clientId"] == client.sid


def test_a_refused_client_reaches_no_room(open_socket: Connect, gateway: Target) -> None:
    client = open_socket(gateway)
    refusal(client, {"token": "wrong"})
    client.emit("subscribe", {"channel": "trading"})
    gateway.publish({"room": "trading", "event": "note", "data": {}})
    with contextlib.suppress(Ended, TimeoutError):
        while True:
            client.read_packet(QUIET_S)
    assert not [packet for packet in client.packets if packet.startswith("42")]


def test_development_needs_no_token(start_gateway: StartGateway, open_socket: Connect) -> None:
    gateway = start_gateway(GATEWAY_ENV="development")
    assert open_socket(gateway).connect()["userId"] == "test-user-id"
    assert refusal(open_socket(gateway), {"token": "wrong"}).code == "AUTH_FAILED"
    assert open_socket(gateway).connect({"token": gateway.token("dev")})["userId"] == "dev"


@pytest.mark.parametrize("value", ["1e20", "1e999", '"\\ud83d"'])
def test_json_that_cannot_be_passed_on_is_ignored_in_auth(
    open_socket: Connect, gateway: Target, value: str
) -> None:
    client = open_socket(gateway)
    client.send_packet(f'40{{"token":"{gateway.token("lenient")}","other":{value}}}')
    assert client.read_message().startswith("40{")


def test_half_a_character_for_a_token_is_refused(open_socket: Connect, gateway: Target) -> None:
    assert refusal(open_socket(gateway), {"token": "\ud83d"}).code == "AUTH_FAILED"
