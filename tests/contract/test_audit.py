"""Contract: the audit log of a gateway process, and ``tidegate audit verify``."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from blackbox.client import RawClient, Refused
from blackbox.forked import run_gateway
from blackbox.process import ROOT, GatewayProcess
from deadlines import PROMPT_S, until

from gateway.audit import AuditChain, AuditEvent
from gateway.contract import DISCONNECT_PATH, REVOKE_PATH

Connect = Callable[..., RawClient]
StartGateway = Callable[..., GatewayProcess]

KEY = "q3vX9mT2kL7pR4wZ8cN1bH6jF5dG0aYs"


def start_audited(start_gateway: StartGateway, path: Path | str, **more: object) -> GatewayProcess:
    return start_gateway(GATEWAY_AUDIT_LOG=path, GATEWAY_AUDIT_KEY=KEY, **more)


Told = tuple[int, list[str], list[str]]


def told_by(ended: subprocess.CompletedProcess[str]) -> Told:
    """Return the exit code, the facts and the problems."""
    return ended.returncode, ended.stdout.splitlines(), ended.stderr.splitlines()


def verify(*arguments: object) -> Told:
    """Check files as the command does, in the gateway's own words."""
    environ = {"PATH": os.environ["PATH"], "GATEWAY_AUDIT_KEY": KEY}
    return told_by(run_gateway("--verify-audit", *map(str, arguments), environment=environ))


def verify_by_command(*arguments: object, key: str | None = KEY) -> Told:
    """Check files with ``tidegate audit verify``."""
    environ = {"PATH": os.environ["PATH"]}
    if key is not None:
        environ["GATEWAY_AUDIT_KEY"] = key
    command = (sys.executable, "-m", "loadtests", "audit", "verify", *map(str, arguments))
    ended = subprocess.run(
        command, capture_output=True, text=True, check=False, env=environ, cwd=ROOT
    )
    return told_by(ended)


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def events_of(path: Path) -> list[str]:
    return [line["event"] for line in lines_of(path)]


def test_every_kind_of_security_event_has_its_line_and_no_token(
    connect: Connect, open_socket: Connect, start_gateway: StartGateway, tmp_path: Path
) -> None:
    path = tmp_path / "audit.log"
    gateway = start_audited(
        start_gateway,
        path,
        GATEWAY_RATE_LIMIT=4,
        GATEWAY_TOKEN_LEEWAY_SECONDS=0,
        GATEWAY_ADDRESS_LIMIT_EXEMPT="none",
        GATEWAY_MAX_CONNECTS_PER_MINUTE_PER_ADDRESS=7,
    )
    secrets = [gateway.token("alice", entitlements={"market-data": ["BTC/USD"]})]
    alice = connect(target=gateway, token=secrets[0])
    alice.call("subscribe", {"channel": "market-data", "symbols": ["BTC/USD"]})
    alice.call("subscribe", {"channel": "trading"})
    alice.call("token:refresh", {"token": gateway.token("mallory")})
    secrets.append(gateway.token("alice", entitlements={}))
    alice.call("token:refresh", {"token": secrets[1]})
    for _ in range(3):
        alice.call("get-subscriptions")
    with pytest.raises(Refused):
        open_socket(gateway).connect({"token": gateway.token("eve", key="x" * 40)})
    connect("kicked", target=gateway)
    connect(target=gateway, token=gateway.token("revoked", iat=int(time.time()) - 60))
    connect(target=gateway, token=gateway.token("brief", lifetime_s=PROMPT_S + 1))
    admin = gateway.token("operator", scope="admin")
    gateway.request("POST", DISCONNECT_PATH, token=admin, body={"userId": "kicked"})
    body = {"userId": "revoked", "issuedBefore": time.time()}
    gateway.request("POST", REVOKE_PATH, token=admin, body=body)
    gateway.request("POST", DISCONNECT_PATH, token=gateway.token("eve"), body={})
    gateway.request("POST", DISCONNECT_PATH, body={})
    gateway.request("POST", DISCONNECT_PATH, token=admin, body={"everybody": True})
    open_socket(gateway).send_frame(b"9nonsense")
    open_socket(gateway)
    assert open_socket(gateway).upgrade.status == 429
    until(lambda: "token expired" in path.read_text(), "the end of the short token")
    assert gateway.stop() == 0
    told = events_of(path)
    assert set(told) >= {
        "log opened",
        "authenticated",
        "authentication refused",
        "entitlement refused",
        "entitlement withdrawn",
        "token refused",
        "token refreshed",
        "token expired",
        "token revoked",
        "limit exceeded",
        "client closed",
        "session refused",
        "scope refused",
        "protocol breach",
        "administered",
        "log closed",
    }
    assert told.count("administered") == 3
    text = path.read_text()
    assert not any(secret in text for secret in (*secrets, admin, gateway.secret, KEY))
    (withdrawn,) = [one for one in lines_of(path) if one["event"] == "entitlement withdrawn"]
    assert (withdrawn["user"], withdrawn["rooms"]) == ("alice", ["market-data:BTC/USD"])
    code, facts, problems = verify(path)
    assert (code, problems) == (0, [])
    assert facts[0].startswith(f"{len(told)} lines, the last is number {len(told)} of ")


def test_a_chain_goes_on_over_rotation_and_crash_and_every_tampering_is_found(
    connect: Connect, start_gateway: StartGateway, tmp_path: Path
) -> None:
    path, old = tmp_path / "audit.log", tmp_path / "audit.log.1"
    gateway = start_audited(start_gateway, path)
    connect("before", target=gateway)
    path.rename(old)
    gateway.process.send_signal(signal.SIGHUP)
    until(path.exists, "the new file")
    connect("after", target=gateway)
    until(lambda: "authenticated" in events_of(path), "the line in the new file")
    gateway.kill()
    with path.open("ab") as file:
        file.write(b'{"n":9,"time"')
    again = start_audited(start_gateway, path)
    until(lambda: "a torn last line was removed" in again.log.read_text(), "the line about it")
    assert again.stop() == 0
    code, facts, problems = verify(old, path)
    assert (code, problems) == (0, [])
    assert any("ended without closing" in fact for fact in facts)
    lines = path.read_bytes().splitlines(keepends=True)
    damaged = {
        "removed": lines[:1] + lines[2:],
        "changed": [lines[0], lines[1].replace(b"after", b"AFTER"), *lines[2:]],
        "moved": [lines[1], lines[0], *lines[2:]],
        "cut": [*lines[:-1], lines[-1][:-9]],
    }
    for how, content in damaged.items():
        path.write_bytes(b"".join(content))
        code, _, problems = verify(old, path)
        assert code == 1, how
        assert problems, how
    path.write_bytes(b"".join(lines[:-1]))
    assert verify(old, path)[0] == 0
    last = json.loads(lines[-1])["n"]
    assert verify_by_command(old, path, "--last", last)[0] == 1


def test_a_full_disk_does_not_stop_the_gateway_and_is_told(
    connect: Connect, start_gateway: StartGateway, tmp_path: Path
) -> None:
    path = tmp_path / "audit.log"
    chain = AuditChain(KEY.encode())
    former = [chain.seal(0, AuditEvent.LOG_OPENED, {})]
    former += [chain.seal(0, AuditEvent.AUTHENTICATED, {}) for _ in range(1_000)]
    path.write_bytes(b"".join(former))  # larger than the log, to which the limit applies too
    gateway = start_audited(start_gateway, path)
    until(lambda: "log continued" in path.read_text(), "the first line of the start")
    _, hard = resource.prlimit(gateway.process.pid, resource.RLIMIT_FSIZE)
    size = path.stat().st_size
    resource.prlimit(gateway.process.pid, resource.RLIMIT_FSIZE, (size + 100, hard))  # EFBIG
    client = connect("waits", target=gateway)
    until(lambda: "it cannot be written" in gateway.log.read_text(), "the log line")
    assert client.call("get-subscriptions")["count"] == 0
    assert "tidegate_audit_queued 1.0" in gateway.get("/metrics").text
    assert path.stat().st_size == size  # no torn line
    resource.prlimit(gateway.process.pid, resource.RLIMIT_FSIZE, (hard, hard))
    until(lambda: "waits" in path.read_text(), "the line that had to wait")
    assert gateway.stop() == 0
    assert verify(path)[0] == 0


def test_an_audit_log_on_standard_error_is_checked_among_other_lines(
    connect: Connect, start_gateway: StartGateway
) -> None:
    gateway = start_audited(start_gateway, "-")
    connect(target=gateway)
    assert gateway.stop() == 0
    assert verify_by_command("--stream", gateway.log)[::2] == (0, [])
    assert verify(gateway.log)[0] == 1


@pytest.mark.parametrize(
    ("key", "file", "told"),
    [
        (None, "x.log", "GATEWAY_AUDIT_KEY: is missing"),
        (KEY, "/no/such/file", "/no/such/file: cannot be read: No such file or directory"),
    ],
)
def test_what_keeps_a_check_from_beginning_is_told(key: str | None, file: str, told: str) -> None:
    code, _, problems = verify_by_command(file, key=key)
    assert code == 2
    assert problems[0].startswith(told)
