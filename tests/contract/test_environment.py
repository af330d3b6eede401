"""Contract: Environment, and how the process starts and stops."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from blackbox.client import RawClient
from blackbox.forked import run_gateway
from blackbox.process import ROOT, GatewayProcess
from deadlines import DEADLINE_S

Connect = Callable[..., RawClient]
StartGateway = Callable[..., GatewayProcess]

SECRET = "f3a1c07d5be94a6c8d20e7b915c4f6a8"
PRODUCTION = {
    "JWT_SECRET": SECRET,
    "CLIENT_URL": "http://localhost:5173",
    "HOST": "127.0.0.1",
    "PORT": "0",
}


def refused(ended: subprocess.CompletedProcess[str]) -> str:
    """Return what a gateway that did not start wrote."""
    assert ended.returncode == 2, ended
    assert ended.stdout == ""
    assert "Traceback" not in ended.stderr
    return ended.stderr


def environment(**environ: str | None) -> dict[str, str]:
    """Return the environment of production with some variables replaced, or left out."""
    given = {name: value for name, value in {**PRODUCTION, **environ}.items() if value}
    return {"PATH": os.environ["PATH"], **given}


def refuse_to_start(**environ: str | None) -> str:
    """Start the gateway with an invalid environment; return its output."""
    return refused(run_gateway(environment=environment(**environ)))


REFUSED: dict[str, tuple[dict[str, str | None], str]] = {
    "no secret in production": ({"JWT_SECRET": None}, "JWT_SECRET"),
    "a short secret": ({"JWT_SECRET": "s3cret-and-too-short"}, "JWT_SECRET"),
    "a placeholder": ({"JWT_SECRET": "your-secret-key-change-in-production"}, "JWT_SECRET"),
    "one letter again and again": ({"JWT_SECRET": "a" * 40}, "JWT_SECRET"),
    "both kinds of key": ({"JWT_PUBLIC_KEY": "-----BEGIN PUBLIC KEY-----"}, "JWT_PUBLIC_KEY"),
    "a public key that is none": (
        {"JWT_SECRET": None, "JWT_PUBLIC_KEY": "not a key"},
        "JWT_PUBLIC_KEY",
    ),
    "no CLIENT_URL in production": ({"CLIENT_URL": None}, "CLIENT_URL"),
    "REDIS_URL": ({"REDIS_URL": "http://localhost"}, "REDIS_URL"),
    "a port that is none": ({"PORT": "http"}, "PORT"),
    "a port too large": ({"PORT": "65536"}, "PORT"),
    "an unknown environment": ({"GATEWAY_ENV": "prod"}, "GATEWAY_ENV"),
    "two environments": ({"GATEWAY_ENV": "development", "NODE_ENV": "production"}, "NODE_ENV"),
    "a public key for a secret": ({"JWT_SECRET": "ssh-rsa " + "x1Z" * 20}, "JWT_SECRET"),
    "a secret in no encoding": ({"JWT_SECRET": SECRET + "\udcff"}, "JWT_SECRET"),
    "a file of a secret that is not there": (
        {"JWT_SECRET": None, "JWT_SECRET_FILE": "/no/such/file"},
        "JWT_SECRET_FILE",
    ),
    "a secret and its file": ({"JWT_SECRET_FILE": "/dev/null"}, "JWT_SECRET_FILE"),
    "a negative limit": ({"GATEWAY_RATE_LIMIT": "-1"}, "GATEWAY_RATE_LIMIT"),
    "a limit that is a word": ({"GATEWAY_RATE_LIMIT": "many"}, "GATEWAY_RATE_LIMIT"),
    "a heartbeat of nan": ({"GATEWAY_HEARTBEAT_SECONDS": "nan"}, "GATEWAY_HEARTBEAT_SECONDS"),
    "a network that is none": ({"GATEWAY_TRUSTED_PROXIES": "proxy"}, "GATEWAY_TRUSTED_PROXIES"),
    "an unknown name": ({"GATEWAY_RATE_LIMITS": "5"}, "GATEWAY_RATE_LIMITS"),
    "development for everybody": ({"GATEWAY_ENV": "development", "HOST": "0.0.0.0"}, "HOST"),
}


@pytest.mark.parametrize(("environ", "named"), list(REFUSED.values()), ids=list(REFUSED))
def test_an_invalid_environment_stops_the_start_and_is_named(
    environ: dict[str, str | None], named: str
) -> None:
    said = refuse_to_start(**environ)
    assert named in said
    for value in (SECRET, environ.get("JWT_SECRET")):
        assert not value or value not in said, "a secret is never printed"


def test_every_problem_is_listed_at_once_by_the_command() -> None:
    environ = environment(
        JWT_SECRET="short", CLIENT_URL=None, PORT="x", GATEWAY_RATE_LIMIT="x", GATEWAY_NONE="1"
    )
    ended = subprocess.run(
        [sys.executable, "-m", "gateway"],
        cwd=ROOT,
        env=environ,
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
    said = refused(ended)
    names = ("JWT_SECRET", "CLIENT_URL", "PORT", "GATEWAY_RATE_LIMIT", "GATEWAY_NONE")
    assert [name for name in names if name not in said] == []


def test_a_misspelt_name_is_reported_with_the_right_one() -> None:
    assert "GATEWAY_HEARTBEAT_SECONDS" in refuse_to_start(GATEWAY_HEARTBEAT_SECOND="5")


def test_a_port_in_use_gives_one_clear_line(shared_gateway: StartGateway) -> None:
    said = refuse_to_start(PORT=str(shared_gateway().port))
    assert len(said.strip().splitlines()) == 1
    assert "PORT" in said


def test_names_that_container_platforms_inject_are_ignored(start_gateway: StartGateway) -> None:
    start_gateway(
        GATEWAY_SERVICE_HOST="10.0.0.1", GATEWAY_PORT="tcp://10.0.0.1:3000", GATEWAY_PORT_80_TCP="x"
    )


def test_development_listens_on_every_address_when_allowed(
    start_gateway: StartGateway,
) -> None:
    gateway = start_gateway(
        GATEWAY_ENV="development", HOST="0.0.0.0", GATEWAY_DEVELOPMENT_ANYWHERE=1
    )
    assert gateway.line.startswith("listening on http://0.0.0.0:")


def test_development_makes_a_secret_of_its_own_and_takes_the_default_origin(
    start_gateway: StartGateway,
) -> None:
    gateway = start_gateway(NODE_ENV="development", JWT_SECRET=None, CLIENT_URL=None, HOST=None)
    assert gateway.host == "127.0.0.1"
    origin = {"Origin": "http://localhost:5173"}
    assert gateway.get("/socket.io/?EIO=4&transport=polling", headers=origin).status == 200


def test_secrets_are_read_from_files(
    connect: Connect, start_gateway: StartGateway, tmp_path: Path
) -> None:
    secret, metrics = tmp_path / "jwt-secret", tmp_path / "metrics-token"
    secret.write_text(f"{SECRET}\n")
    metrics.write_text("scrape\n")
    gateway = start_gateway(
        JWT_SECRET=None, JWT_SECRET_FILE=secret, GATEWAY_METRICS_TOKEN_FILE=metrics
    )
    gateway.secret = SECRET
    assert connect(target=gateway).welcome["userId"]
    assert gateway.get("/metrics").status == 401
    assert gateway.get("/metrics", token="scrape").status == 200


def test_one_line_gives_the_address_of_the_gateway(start_gateway: StartGateway) -> None:
    gateway = start_gateway()
    assert gateway.line == f"listening on http://127.0.0.1:{gateway.port}\n"
    assert gateway.port != 0


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_the_gateway_cleanly(
    connect: Connect, start_gateway: StartGateway, how: signal.Signals
) -> None:
    gateway = start_gateway()
    client = connect(target=gateway)
    gateway.process.send_signal(how)
    client.wait_until_closed()
    assert gateway.process.wait(DEADLINE_S) == 0
    assert "Traceback" not in gateway.log.read_text()


def test_a_stop_ends_in_time_although_a_client_does_not_close(
    connect: Connect, start_gateway: StartGateway
) -> None:
    gateway = start_gateway(GATEWAY_SHUTDOWN_SECONDS=1)
    connect(target=gateway)  # and never reads again
    gateway.process.terminate()
    assert gateway.process.wait(1 + DEADLINE_S) == 0


def test_tidegate_serve_is_the_same_gateway() -> None:
    command = Path(sys.executable).with_name("tidegate")
    if not command.exists():
        pytest.skip("tidegate is not installed as a command here")
    environ = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), **PRODUCTION}
    with subprocess.Popen([str(command), "serve"], env=environ, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline().startswith(b"listening on http://127.0.0.1:")
            process.terminate()
            assert process.wait(DEADLINE_S) == 0
        finally:
            process.kill()


def test_the_log_is_json_and_holds_no_secret(
    connect: Connect, open_socket: Connect, start_gateway: StartGateway
) -> None:
    gateway = start_gateway(GATEWAY_LOG_LEVEL="DEBUG")
    token = gateway.token("logged")
    client = open_socket(gateway, query=f"&token={token}")
    client.connect({"token": token})
    client.call("token:refresh", {"token": token})
    client.call("subscribe", {"channel": "weather"})
    bad = gateway.token("logged", key="x" * 64)
    refused = open_socket(gateway, query=f"&token={bad}")
    refused.send_packet("40" + json.dumps({"token": bad}))
    assert refused.read_packet().startswith("44")
    refused.close()
    gateway.get("/metrics", token=token)
    client.close()
    assert gateway.stop() == 0
    text = gateway.log.read_text()
    assert [secret for secret in (token, bad, gateway.secret) if secret in text] == []
    assert gateway.log_events()
