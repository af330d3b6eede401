"""Contract: Handshake, with the keys of an issuer's key set."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
import pytest
from blackbox.client import RawClient, Refused
from blackbox.process import GatewayProcess
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from deadlines import until
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from gateway.contract import ErrorCode

Connect = Callable[..., RawClient]
StartGateway = Callable[..., GatewayProcess]

RSA_KEY = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
EC_KEY = ec.generate_private_key(ec.SECP256R1())
ALGORITHMS = {"one": "RS256", "two": "ES256", "three": "ES256"}
KEYS: dict[str, Any] = {
    "one": RSA_KEY,
    "two": EC_KEY,
    "three": ec.generate_private_key(ec.SECP256R1()),
}


def jwk(key_id: str) -> dict[str, Any]:
    kind = RSAAlgorithm if ALGORITHMS[key_id] == "RS256" else ECAlgorithm
    written = kind.to_jwk(KEYS[key_id].public_key(), as_dict=True)
    return {**written, "kid": key_id, "use": "sig"}


def token(key_id: str, *, named: str | None = None, **claims: object) -> str:
    claims = {"sub": "of-the-issuer", "exp": int(time.time()) + 600, **claims}
    headers = {"kid": named or key_id}
    return jwt.encode(claims, KEYS[key_id], algorithm=ALGORITHMS[key_id], headers=headers)


class Issuer:
    """An HTTP server with a key set, on loopback."""

    def __init__(self, port: int = 0) -> None:
        self.fetches = 0
        self.status = 200
        self.body = b""
        self.publish("one", "two")
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                issuer.fetches += 1
                self.send_response(issuer.status)
                self.send_header("Content-Length", str(len(issuer.body)))
                self.end_headers()
                self.wfile.write(issuer.body)

            def log_message(self, *_: object) -> None:
                """Log nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}/keys"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    def publish(self, *key_ids: str) -> None:
        self.body = json.dumps({"keys": [jwk(key_id) for key_id in key_ids]}).encode()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    server = Issuer()
    try:
        yield server
    finally:
        server.close()


@pytest.fixture
def start(start_gateway: StartGateway) -> Callable[[str], GatewayProcess]:
    def start_with(url: str) -> GatewayProcess:
        return start_gateway(JWT_SECRET=None, JWT_JWKS_URL=url)

    return start_with


Start = Callable[[str], GatewayProcess]


def is_ready(gateway: GatewayProcess) -> bool:
    return gateway.get("/health/ready").status == 200


def refusal(open_socket: Connect, gateway: GatewayProcess, offered: str) -> str:
    with pytest.raises(Refused) as refused:
        open_socket(gateway).connect({"token": offered})
    return refused.value.code


def test_tokens_are_verified_by_the_key_that_they_name(
    connect: Connect, open_socket: Connect, start: Start, issuer: Issuer
) -> None:
    gateway = start(issuer.url)
    until(lambda: is_ready(gateway), "the first keys")
    for key_id in ("one", "two"):
        client = connect(target=gateway, token=token(key_id))
        assert client.welcome["userId"] == "of-the-issuer"
    refused = [
        token("three", named="two"),
        token("one", named="two"),
        jwt.encode({"sub": "x", "exp": time.time() + 60}, KEYS["one"], algorithm="RS256"),
        jwt.encode({"sub": "x", "exp": time.time() + 60}, "x" * 40, headers={"kid": "one"}),
        token("one", exp=int(time.time()) - 60),
    ]
    codes = [refusal(open_socket, gateway, one) for one in refused]
    assert codes == [ErrorCode.AUTH_FAILED] * 4 + [ErrorCode.TOKEN_EXPIRED]
    of_a_feed = token("two", scope="publish")
    assert gateway.get("/api/v1/streams", token=of_a_feed).status == 200


def test_a_new_key_is_fetched_when_a_token_names_it_and_a_removed_one_is_refused(
    connect: Connect, open_socket: Connect, start: Start, issuer: Issuer
) -> None:
    gateway = start(issuer.url)
    until(lambda: is_ready(gateway), "the first keys")
    client = connect(target=gateway, token=token("one"))
    issuer.publish("two", "three")
    assert connect(target=gateway, token=token("three")).welcome["userId"] == "of-the-issuer"
    assert refusal(open_socket, gateway, token("one")) == ErrorCode.AUTH_FAILED
    assert client.call("token:refresh", {"token": token("three")})["expiresAt"]


def test_unknown_keys_cost_one_fetch_in_half_a_minute(
    open_socket: Connect, start: Start, issuer: Issuer
) -> None:
    gateway = start(issuer.url)
    until(lambda: is_ready(gateway), "the first keys")
    began_s, before = time.monotonic(), issuer.fetches
    for number in range(20):
        unknown = token("three", named=f"unknown-{number}")
        assert refusal(open_socket, gateway, unknown) == ErrorCode.AUTH_FAILED
        assert gateway.get("/api/v1/streams", token=unknown).status == 401
    assert 1 <= issuer.fetches - before <= 1 + (time.monotonic() - began_s) // 30


@pytest.mark.parametrize(
    ("status", "body"),
    [(500, b"{}"), (200, b"no keys"), (200, b'{"keys": []}'), (302, b""), (200, b" " * 300_000)],
    ids=["an error", "no JSON", "no keys", "a redirect", "a large answer"],
)
def test_an_issuer_that_fails_leaves_the_known_keys(
    connect: Connect,
    open_socket: Connect,
    start: Start,
    issuer: Issuer,
    status: int,
    body: bytes,
) -> None:
    gateway = start(issuer.url)
    until(lambda: is_ready(gateway), "the first keys")
    before = issuer.fetches
    issuer.status, issuer.body = status, body
    assert refusal(open_socket, gateway, token("three")) == ErrorCode.AUTH_FAILED
    assert issuer.fetches == before + 1
    assert connect(target=gateway, token=token("one")).welcome["userId"] == "of-the-issuer"
    assert is_ready(gateway)


def test_an_issuer_that_is_gone_leaves_the_known_keys(
    connect: Connect, open_socket: Connect, start: Start
) -> None:
    issuer = Issuer()
    try:
        gateway = start(issuer.url)
        until(lambda: is_ready(gateway), "the first keys")
    finally:
        issuer.close()
    assert refusal(open_socket, gateway, token("three")) == ErrorCode.AUTH_FAILED
    assert connect(target=gateway, token=token("two")).welcome["userId"] == "of-the-issuer"


def test_a_gateway_is_not_ready_before_it_has_keys(
    connect: Connect, open_socket: Connect, start: Start, issuer: Issuer
) -> None:
    issuer.status = 503
    gateway = start(issuer.url)
    until(lambda: issuer.fetches > 0, "the first fetch")
    assert not is_ready(gateway)
    assert open_socket(gateway).upgrade.status == 503
    issuer.status = 200
    until(lambda: is_ready(gateway), "the first keys")
    assert connect(target=gateway, token=token("one")).welcome["userId"] == "of-the-issuer"


def test_a_refresh_with_an_unknown_key_fetches_it_for_the_next_one(
    connect: Connect, start: Start, issuer: Issuer
) -> None:
    gateway = start(issuer.url)
    until(lambda: is_ready(gateway), "the first keys")
    client = connect(target=gateway, token=token("one"))
    issuer.publish("three")
    before = issuer.fetches
    offered = {"token": token("three")}
    assert client.call("token:refresh", offered)["error"]["code"] == ErrorCode.AUTH_FAILED
    until(lambda: issuer.fetches > before, "the fetch")
    until(
        lambda: gateway.get("/api/v1/streams", token=token("three", scope="publish")).status == 200
    )
    assert client.call("token:refresh", offered)["expiresAt"]
