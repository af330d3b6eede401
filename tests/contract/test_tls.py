"""Contract: a gateway that terminates TLS itself."""

from __future__ import annotations

import http.client
import json
import re
import shutil
import signal
import socket
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest
from blackbox.process import GatewayProcess
from blackbox.target import Target
from certificates import Chain, make_chain
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from deadlines import DEADLINE_S, until
from peers import RawPeer
from serving import Address

from gateway.contract import SOCKETIO_PATH
from gateway.server.checking import check_start
from loadtests.endpoints import unused_port

StartGateway = Callable[..., GatewayProcess]


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Chain:
    return make_chain(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def another(tmp_path_factory: pytest.TempPathFactory) -> Chain:
    return make_chain(tmp_path_factory.mktemp("another"))


def start_tls(start_gateway: StartGateway, chain: Chain) -> GatewayProcess:
    return start_gateway(GATEWAY_TLS_CERTIFICATE=chain.certificate, GATEWAY_TLS_KEY=chain.key)


def ask(target: Target, chain: Chain, method: str, path: str, body: str | None = None) -> str:
    connection = http.client.HTTPSConnection(
        target.host, target.port, timeout=DEADLINE_S, context=chain.client
    )
    try:
        connection.request(method, path, body)
        answer = connection.getresponse()
        assert answer.status == 200
        return answer.read().decode()
    finally:
        connection.close()


def serial_of(target: Target, chain: Chain) -> int:
    """Return the serial number of the certificate that a new connection gets."""
    with (
        socket.create_connection((target.host, target.port), DEADLINE_S) as plain,
        chain.client.wrap_socket(plain, server_hostname=target.host) as secure,
    ):
        return x509.load_der_x509_certificate(secure.getpeercert(True) or b"").serial_number


def test_the_url_is_https_and_a_client_polls_over_tls(
    start_gateway: StartGateway, chain: Chain
) -> None:
    gateway = start_tls(start_gateway, chain)
    assert gateway.url.startswith("https://127.0.0.1:")
    base = f"{SOCKETIO_PATH}?EIO=4&transport=polling"
    opened = ask(gateway, chain, "GET", base)
    sid = json.loads(opened[1:])["sid"]
    assert json.loads(opened[1:])["upgrades"] == ["websocket"]
    auth = json.dumps({"token": gateway.token("alice")})
    assert ask(gateway, chain, "POST", f"{base}&sid={sid}", f"40{auth}") == "ok"
    assert '"userId":"alice"' in ask(gateway, chain, "GET", f"{base}&sid={sid}")


async def test_a_websocket_over_tls_gets_its_welcome_and_events(
    start_gateway: StartGateway, chain: Chain
) -> None:
    gateway = start_tls(start_gateway, chain)
    async with RawPeer.websocket(
        Address(gateway.host, gateway.port, SOCKETIO_PATH), tls=chain.client
    ) as peer:
        await peer.read_message()
        await peer.send_packets("40" + json.dumps({"token": gateway.token("alice")}))
        assert (await peer.read_message()).startswith("40{")
        assert '"userId":"alice"' in await peer.read_message()
        await peer.send_packets('427["ping"]')
        while not (message := await peer.read_message()).startswith("437["):
            assert re.match(r'42\["(pong|heartbeat|connection-count)"', message), message


def test_plain_http_and_an_old_tls_get_no_answer(start_gateway: StartGateway, chain: Chain) -> None:
    gateway = start_tls(start_gateway, chain)
    with socket.create_connection((gateway.host, gateway.port), DEADLINE_S) as plain:
        plain.sendall(b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"HTTP" not in plain.recv(1_000)
    old = chain.client
    old.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        old.maximum_version = ssl.TLSVersion.TLSv1_1
    with (
        socket.create_connection((gateway.host, gateway.port), DEADLINE_S) as plain,
        pytest.raises((ssl.SSLError, ConnectionError)),
    ):
        old.wrap_socket(plain, server_hostname=gateway.host)
    until(gateway.log_events, "the first line of the log")
    assert gateway.log_events()[-1]["level"] == "info"


def test_a_client_without_a_handshake_is_closed_in_time(
    start_gateway: StartGateway, chain: Chain
) -> None:
    gateway = start_gateway(
        GATEWAY_TLS_CERTIFICATE=chain.certificate,
        GATEWAY_TLS_KEY=chain.key,
        GATEWAY_HEAD_TIMEOUT_SECONDS=0.2,
    )
    with socket.create_connection((gateway.host, gateway.port), DEADLINE_S) as silent:
        assert silent.recv(1) == b""
    assert {line["level"] for line in gateway.log_events()} == {"info"}


def test_sighup_takes_a_new_certificate_and_a_bad_one_changes_nothing(
    start_gateway: StartGateway, chain: Chain, another: Chain, tmp_path: Path
) -> None:
    used = Chain(tmp_path / "chain.pem", tmp_path / "key.pem", tmp_path / "root.pem")
    for source, target in zip(chain, used, strict=True):
        shutil.copy(source, target)
    gateway = start_tls(start_gateway, used)
    first = serial_of(gateway, chain)
    shutil.copy(another.certificate, used.certificate)  # the key is not this certificate's
    gateway.process.send_signal(signal.SIGHUP)
    until(lambda: "the certificate stays" in gateway.log.read_text(), "the refusal")
    assert serial_of(gateway, chain) == first
    shutil.copy(another.key, used.key)
    gateway.process.send_signal(signal.SIGHUP)
    until(lambda: "the certificate was read again" in gateway.log.read_text(), "the reload")
    assert serial_of(gateway, another) != first


def test_what_keeps_the_certificate_from_use_is_told_before_a_start(
    chain: Chain, another: Chain, tmp_path: Path
) -> None:
    given = {
        "GATEWAY_ENV": "test",
        "HOST": "127.0.0.1",
        "PORT": str(unused_port()),
        "GATEWAY_TLS_CERTIFICATE": str(chain.certificate),
    }
    empty = tmp_path / "empty.pem"
    empty.touch()
    both = "GATEWAY_TLS_CERTIFICATE, GATEWAY_TLS_KEY: "
    locked = tmp_path / "locked.pem"
    key = serialization.load_pem_private_key(chain.key.read_bytes(), password=None)
    locked.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"passphrase"),
        )
    )
    told = {
        str(locked): "GATEWAY_TLS_KEY: has a passphrase; use a key without one",
        str(another.key): f"{both}the key is not the certificate's",
        str(empty): f"{both}must be a certificate and its private key in PEM",
        "/no/such": "GATEWAY_TLS_KEY: the file cannot be read: No such file or directory",
    }
    for path, problem in told.items():
        assert problem in check_start(given | {"GATEWAY_TLS_KEY": path})[1]
    assert check_start(given)[1] == [
        "GATEWAY_TLS_KEY: is missing; GATEWAY_TLS_CERTIFICATE needs it"
    ]
    facts, problems = check_start(given | {"GATEWAY_TLS_KEY": str(chain.key)})
    assert "tls: certificate and key belong together" in facts
    assert not any("TLS" in problem for problem in problems)
