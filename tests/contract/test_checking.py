"""Contract: ``--check`` and ``--check-token`` say what would stop a gateway or refuse a token."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import time
from pathlib import Path

import jwt
import pytest
from blackbox.forked import run_gateway
from blackbox.process import ROOT
from blackbox.target import Target

from loadtests.endpoints import unused_port

SECRET = secrets.token_hex(32)
GOOD = {"JWT_SECRET": SECRET, "CLIENT_URL": "https://app.example.com", "HOST": "127.0.0.1"}


def check(*arguments: str, token: str = "", **settings: str) -> tuple[int, list[str], list[str]]:
    """Return the exit code, the facts and the problems."""
    environ = {"PATH": os.environ["PATH"], **settings}
    ended = run_gateway(*arguments, environment=environ, given=f"{token}\n")
    return ended.returncode, ended.stdout.splitlines(), ended.stderr.splitlines()


def test_good_settings_are_told_and_nothing_is_left_listening() -> None:
    port = str(unused_port())
    for _ in range(2):
        code, facts, problems = check("--check", **GOOD, PORT=port)
        assert (code, problems) == (0, [])
        assert facts[0] == "settings: production, tokens by HS256"
        assert f"address: 127.0.0.1:{port} is free" in facts


def test_every_bad_setting_is_told_at_once_and_no_secret(gateway: Target) -> None:
    code, _, problems = check("--check", PORT="x", JWT_SECRET="short", GATEWAY_RATE_LIMIT="y")
    assert code == 2
    assert {line.partition(":")[0] for line in problems} == {
        "CLIENT_URL",
        "PORT",
        "JWT_SECRET",
        "GATEWAY_RATE_LIMIT",
    }
    assert "short" not in "".join(problems)


def test_an_address_in_use_and_an_issuer_out_of_reach_are_told_together(gateway: Target) -> None:
    settings = {name: value for name, value in GOOD.items() if name != "JWT_SECRET"}
    issuer = f"http://127.0.0.1:{unused_port()}/keys"
    code, facts, problems = check(
        "--check", **settings, PORT=str(gateway.port), JWT_JWKS_URL=issuer
    )
    assert code == 2
    assert facts[0] == "settings: production, tokens by RS256, ES256"
    assert [line.partition(":")[0] for line in problems] == ["HOST, PORT", "JWT_JWKS_URL"]


def test_a_good_token_is_explained() -> None:
    claims = {
        "sub": "alice",
        "exp": int(time.time()) + 600,
        "scope": "stats publish",
        "entitlements": {"trading": True, "market-data": ["BTC/*"]},
    }
    token = jwt.encode(claims, SECRET, algorithm="HS256")
    code, facts, problems = check("--check-token", token=token, **GOOD)
    assert (code, problems) == (0, [])
    assert facts[:3] == [
        "user: alice",
        "scopes: publish stats",
        "entitlements: market-data:BTC/*, trading",
    ]


@pytest.mark.parametrize(
    ("claims", "key", "why"),
    [
        ({"sub": "alice"}, SECRET, "refused with AUTH_FAILED: exp is missing or not a number"),
        ({"sub": "alice", "exp": 1}, SECRET, "refused with TOKEN_EXPIRED: token expired"),
        (
            {"sub": "alice"},
            secrets.token_hex(32),
            "refused with AUTH_FAILED: not verified: InvalidSignatureError",
        ),
    ],
    ids=["no exp", "expired", "another key"],
)
def test_a_refused_token_is_explained_and_not_quoted(
    claims: dict[str, object], key: str, why: str
) -> None:
    token = jwt.encode(claims, key, algorithm="HS256")
    code, facts, problems = check("--check-token", token=token, **GOOD)
    assert (code, facts, problems) == (2, [], [why])


def test_an_audit_log_is_checked_and_not_made(tmp_path: Path) -> None:
    given = {**GOOD, "PORT": str(unused_port()), "GATEWAY_AUDIT_KEY": secrets.token_hex(32)}
    path = tmp_path / "audit.log"
    code, facts, _ = check("--check", **given, GATEWAY_AUDIT_LOG=str(path))
    assert code == 0
    assert "audit log: goes on after line 0" in facts
    assert not path.exists()
    path.write_text("another file\n")
    for unusable, why in ((path, "is not an audit log"), (tmp_path / "no" / "log", "No such file")):
        code, _, problems = check("--check", **given, GATEWAY_AUDIT_LOG=str(unusable))
        assert code == 2
        assert any(one.startswith("GATEWAY_AUDIT_LOG: ") and why in one for one in problems)
    code, _, problems = check("--check", **GOOD, GATEWAY_AUDIT_LOG=str(path))
    assert "GATEWAY_AUDIT_KEY: is missing; GATEWAY_AUDIT_LOG needs it" in problems


def test_an_unknown_argument_is_refused_by_the_command() -> None:
    ended = subprocess.run(
        (sys.executable, "-m", "gateway", "--chekc"),
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": os.environ["PATH"], **GOOD},
        cwd=ROOT,
    )
    assert (ended.returncode, ended.stdout) == (2, "")
    known = "--processes N, --check, --check-token, --verify-audit and --record are known"
    assert ended.stderr == f"unknown: --chekc; {known}\n"
