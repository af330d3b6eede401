"""The services of ``docs/deploy/compose.yaml`` as processes on loopback, beside a witness.

Commands, environments and mounted files are those of the file, but for addresses and folders.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

import yaml  # type: ignore[import-untyped]  # it publishes no types
from balancers import DEPLOY, nginx
from blackbox.process import GatewayProcess
from blackbox.target import Target
from deadlines import DEADLINE_S
from prometheus_server import prometheus
from redis_server import RedisServer

from loadtests.processes import bound_to_us, child_environment, own_command

COMPOSE: Final[dict[str, Any]] = yaml.safe_load((DEPLOY / "compose.yaml").read_text("utf-8"))
NODES: Final = ("gateway-a", "gateway-b")
_EACH: Final = {"15s": "1s"}
"""The interval of scrapes and rules in ``prometheus.yml``, and that of the tests."""


class Stack(NamedTuple):
    """What was started.

    Attributes:
        front: nginx.
        nodes: the gateways by service.
        prometheus: its URL.
    """

    front: Target
    nodes: Mapping[str, GatewayProcess]
    prometheus: str


def mounts(service: str) -> dict[str, Path]:
    """Return the files and folders of the tree that a service mounts, by their place in it."""
    pairs = [volume.split(":")[:2] for volume in COMPOSE["services"][service]["volumes"]]
    return {target: (DEPLOY / source).resolve() for source, target in pairs if source[0] == "."}


@contextmanager
def stack(folder: Path) -> Iterator[Stack]:
    """Start Redis, both gateways, nginx, a witness and Prometheus."""
    secret = folder / "jwt-secret"
    secret.write_text(secrets.token_hex(32))
    with ExitStack() as held:
        redis = RedisServer(folder, *COMPOSE["services"]["redis"]["command"][1:], is_kept=True)
        held.callback(redis.stop)
        nodes = {name: _gateway(folder / name, name, redis, secret) for name in NODES}
        for node in nodes.values():
            held.callback(node.kill)
        (configuration,) = mounts("nginx").values()
        places = {f"{name}:3000": node for name, node in nodes.items()}
        front = held.enter_context(nginx(folder, configuration.name, places, secret.read_text()))
        addresses = {place: f"{node.host}:{node.port}" for place, node in places.items()}
        addresses["witness:9464"] = held.enter_context(_witness(front))
        arguments = _prometheus_arguments(folder / "prometheus", addresses)
        yield Stack(front, nodes, held.enter_context(prometheus(folder, arguments)))


def _gateway(folder: Path, name: str, redis: RedisServer, secret: Path) -> GatewayProcess:
    folder.mkdir()
    given: dict[str, str | None] = {
        variable: value.replace("redis:6379", f"127.0.0.1:{redis.port}")
        for variable, value in COMPOSE["services"][name]["environment"].items()
    }
    assert given["JWT_SECRET_FILE"] == "/run/secrets/jwt-secret"
    given |= {"JWT_SECRET_FILE": str(secret), "JWT_SECRET": None}
    gateway = GatewayProcess(folder.with_suffix(".log"), given, folder=folder)
    gateway.secret = secret.read_text()
    return gateway


@contextmanager
def _witness(front: Target) -> Iterator[str]:
    """Watch the gateways through nginx, and yield the address of the witness's metrics."""
    process = subprocess.Popen(
        own_command("tidegate", "watch", front.url, "--port", "0", "--every", "5s"),
        stdout=subprocess.PIPE,
        env=child_environment(os.environ) | {"JWT_SECRET": front.secret},
        preexec_fn=bound_to_us(),  # noqa: PLW1509 - the test has no other thread
    )
    try:
        assert process.stdout is not None
        yield urlsplit(json.loads(process.stdout.readline())["listening"]).netloc
    finally:
        process.kill()
        process.communicate(timeout=DEADLINE_S)


def _prometheus_arguments(folder: Path, addresses: Mapping[str, str]) -> list[str]:
    """Copy what the service mounts into a folder, and return its command for that folder."""
    for place, source in mounts("prometheus").items():
        copy = folder / place.removeprefix("/")
        copy.parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if source.is_dir() else shutil.copy)(source, copy)
    configuration = folder / "etc" / "prometheus" / "prometheus.yml"
    text = re.sub(r"^  # (?=[ -])", "  ", configuration.read_text(), flags=re.MULTILINE)
    for written, here in {**addresses, **_EACH}.items():
        assert written in text
        text = text.replace(written, here)
    configuration.write_text(text)
    command = COMPOSE["services"]["prometheus"]["command"]
    return [re.sub(r"=(?=/)", f"={folder}", argument) for argument in command]
