"""``tidegate serve --check`` asks Redis about itself, and says what is not fit for the log."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from blackbox.process import ROOT
from deadlines import RUN_S
from redis_server import RedisServer

from gateway.brokers.redis.probe import judge
from gateway.server.checking import check_start

BASE = {"GATEWAY_ENV": "development", "HOST": "127.0.0.1", "PORT": "0"}
PASSWORD = "hunter2-of-redis"
NEEDED = "--processes: several processes need a log that they share; set REDIS_URL, or run one"


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path, is_kept=True)
    yield server
    server.stop()


@pytest.mark.real_part("redis-server")
def test_redis_is_asked_and_a_fit_one_is_a_fact(redis: RedisServer) -> None:
    facts, problems = check_start(BASE | {"REDIS_URL": redis.url}, processes=3)
    assert problems == []
    assert "processes: 3 nodes share the port" in facts
    assert facts[-1].startswith("redis: ")
    redis.command("CONFIG", "SET", "appendonly", "no")
    redis.command("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    facts, problems = check_start(BASE | {"REDIS_URL": redis.url})
    assert problems == []
    assert [fact.partition(":")[0] for fact in facts[-2:]] == ["warning", "warning"]
    redis.command("CONFIG", "SET", "maxmemory", "1gb")
    _, problems = check_start(BASE | {"REDIS_URL": redis.url})
    assert problems == [
        "REDIS_URL: maxmemory-policy allkeys-lru may evict what the nodes share; use noeviction"
    ]


@pytest.mark.real_part("redis-server")
def test_a_refused_password_and_an_absent_redis_are_told_without_the_address(
    redis: RedisServer,
) -> None:
    redis.command("CONFIG", "SET", "requirepass", PASSWORD)
    for given in ("", f":{PASSWORD[::-1]}@"):
        _, problems = check_start(BASE | {"REDIS_URL": redis.url.replace("//", f"//{given}")})
        assert problems == ["REDIS_URL: Redis refuses the user or the password"]
    redis.stop()
    url = redis.url.replace("//", f"//:{PASSWORD}@")
    _, problems = check_start(BASE | {"REDIS_URL": url})
    assert problems == ["REDIS_URL: Redis does not answer: ConnectionError"]


def test_an_old_redis_is_refused() -> None:
    facts, problems = judge({"redis_version": "6.0.16", "aof_enabled": 1})
    assert facts == ["redis: 6.0.16 answers"]
    assert problems == ["REDIS_URL: Redis 6.0.16 is too old; the log needs 6.2 or newer"]


def test_a_file_of_authorities_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    path = tmp_path / "authority.pem"
    given = BASE | {"REDIS_URL": "rediss://127.0.0.1:1", "GATEWAY_REDIS_CA": str(path)}
    absent = f"GATEWAY_REDIS_CA: cannot read {path}: No such file or directory"
    assert check_start(given)[1] == [absent]
    path.write_text("no certificate")
    assert check_start(given)[1] == [f"GATEWAY_REDIS_CA: cannot read {path}: it has no certificate"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--processes", "2"), NEEDED),
        (("--processes", "no"), "--processes: must be a whole number from 1 to 64"),
    ],
)
def test_the_command_checks_several_processes(arguments: tuple[str, ...], told: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "gateway", "--check", *arguments],
        cwd=ROOT,
        env=os.environ | BASE,
        capture_output=True,
        text=True,
        timeout=RUN_S,
        check=False,
    )
    assert (done.returncode, told in done.stderr) == (2, True), done.stderr
