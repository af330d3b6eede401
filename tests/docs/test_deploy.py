"""The files of ``docs/deploy``, read by the real programs and run as far as one machine can.

No container is built here: the Dockerfile's commands run in an empty folder instead.
"""

from __future__ import annotations

import fnmatch
import json
import os
import re
import secrets
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml  # type: ignore[import-untyped]  # it publishes no types
from balancers import is_live, nginx
from blackbox.client import RawClient
from blackbox.process import GatewayProcess
from blackbox.target import Target, wait_for
from compose_services import COMPOSE, mounts
from deadlines import RUN_S

from loadtests.endpoints import unused_port

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "docs" / "deploy"
BIN = Path(sys.executable).parent
INSTALL_S = 4 * RUN_S  # forty packages, on a busy machine


def run(*command: str | Path, cwd: Path = ROOT, timeout_s: float = RUN_S) -> str:
    """Run a command, and return what it wrote; it must end with 0."""
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=timeout_s,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_linters_accept_the_container_files() -> None:
    run(BIN / "hadolint", DEPLOY / "Dockerfile")
    run(
        BIN / "check-jsonschema", "--builtin-schema", "vendor.compose-spec", DEPLOY / "compose.yaml"
    )
    run(BIN / "kubernetes-validate", "--strict", DEPLOY / "kubernetes.yaml")


def test_grafana_finds_the_dashboard_and_its_data_source_at_the_first_start() -> None:
    mounted = mounts("grafana")
    provisioning = "/etc/grafana/provisioning"
    (source,) = read(mounted[f"{provisioning}/datasources/tidegate.yml"])["datasources"]
    (provider,) = read(mounted[f"{provisioning}/dashboards/tidegate.yml"])["providers"]
    assert list(mounted[provider["options"]["path"]].glob("dashboard-*.json"))
    assert (source["type"], source["isDefault"]) == ("prometheus", True)
    place = urlsplit(source["url"])
    assert (place.hostname in COMPOSE["services"], place.port) == (True, 9_090)


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text("utf-8"))


@pytest.mark.real_part("systemd-analyze")
def test_systemd_accepts_the_unit_and_calls_it_safe(tmp_path: Path) -> None:
    copy = tmp_path / "tidegate.service"
    text = (DEPLOY / "tidegate.service").read_text()
    copy.write_text(text.replace("/opt/tidegate/bin", str(BIN)))
    run("systemd-analyze", "verify", copy)
    told = run("systemd-analyze", "security", "--offline=true", "--threshold=20", copy)
    assert re.search(r"exposure level .* OK", told)


def unit() -> dict[str, list[str]]:
    """Return the values of each name in the unit."""
    found: dict[str, list[str]] = {}
    for line in (DEPLOY / "tidegate.service").read_text().splitlines():
        name, is_setting, value = line.partition("=")
        if is_setting and not line.startswith("#"):
            found.setdefault(name, []).append(value)
    return found


def read_only_but(folder: Path) -> list[str]:
    """Return what runs a command on a disk that is read-only but for a folder, if we may."""
    script = 'mount --bind "$0" "$0"; mount -o remount,bind,ro /; exec "$@"'
    prefix = ["unshare", "--mount", "sh", "-ec", script, str(folder)]
    tried = subprocess.run([*prefix, "true"], capture_output=True, check=False, timeout=RUN_S)
    return prefix if tried.returncode == 0 else []


def test_the_unit_checks_serves_and_keeps_an_audit_log_where_it_may_write(tmp_path: Path) -> None:
    """Its commands run as they stand, but for the folders that systemd makes.

    Where the tests may mount, they run on a read-only disk, as with ``ProtectSystem=strict``.
    """
    values = unit()
    folders = {"%d": tmp_path / "credentials", "%L": tmp_path / "logs"}
    folders["%d"].mkdir()
    for credential in values["LoadCredential"]:
        (folders["%d"] / credential.partition(":")[0]).write_text(secrets.token_hex(32))
    for name in values["LogsDirectory"]:
        (folders["%L"] / name).mkdir(parents=True)
    given = dict(pair.split("=", 1) for pair in values["Environment"])
    for specifier, folder in folders.items():
        given = {name: value.replace(specifier, str(folder)) for name, value in given.items()}
    environment = {"PATH": os.environ["PATH"], "HOST": "127.0.0.1", "PORT": str(unused_port())}
    environment |= given
    sandbox = read_only_but(folders["%L"])
    check, start = (
        [*sandbox, *values[name][0].replace("/opt/tidegate/bin", str(BIN)).split()]
        for name in ("ExecStartPre", "ExecStart")
    )
    checked = subprocess.run(check, cwd=tmp_path, env=environment, check=False, timeout=RUN_S)
    assert checked.returncode == 0
    serving = subprocess.Popen(start, cwd=tmp_path, env=environment)
    target = Target(f"http://127.0.0.1:{environment['PORT']}", "")
    try:
        wait_for(lambda: is_live(target))
        assert target.request("POST", "/api/v1/publish", body={}).status == 401
    finally:
        serving.terminate()
        assert serving.wait(RUN_S) == 0
    log = Path(given["GATEWAY_AUDIT_LOG"])
    assert [path.name for path in log.parent.iterdir()] == ["audit.log"]
    assert '"event":"authentication refused"' in log.read_text()
    verified = (BIN / "tidegate", "audit", "verify", log)
    subprocess.run(verified, env=environment, check=True, timeout=RUN_S)


@pytest.mark.real_part("promtool")
def test_promtool_accepts_the_configuration_of_prometheus() -> None:
    run("promtool", "check", "config", DEPLOY / "prometheus.yml")


def instructions(name: str) -> list[str]:
    """Return the arguments of each instruction of that name in the Dockerfile."""
    text = re.sub(r"\\\n\s*", "", (DEPLOY / "Dockerfile").read_text())
    return re.findall(rf"^{name} (.+)$", text, re.MULTILINE)


def argument_list(instruction: str) -> list[str]:
    """Return the command of a ``CMD`` in its JSON form, which a ``HEALTHCHECK`` ends with too."""
    found: list[str] = json.loads(instruction[instruction.index("[") :])
    return found


def test_what_is_copied_into_the_image_is_sent_to_the_builder() -> None:
    kept = [line[1:] for line in (ROOT / ".dockerignore").read_text().split() if line[0] == "!"]
    for copied in instructions("COPY"):
        for source in copied.split()[:-1]:
            is_ours = not source.startswith("-") and not source.startswith("/")
            assert not is_ours or any(fnmatch.fnmatch(source, one) for one in kept), source


@pytest.mark.proof  # it downloads forty packages
@pytest.mark.timeout(3 * INSTALL_S)
def test_the_commands_of_the_image_build_serve_and_find_it_healthy(tmp_path: Path) -> None:
    """The commands run as they stand, but for the folder in place of /opt/tidegate."""
    build, home = tmp_path / "build", tmp_path / "home"
    build.mkdir()
    for copied in instructions("COPY"):
        *sources, target = copied.split()
        for source in sources:
            if source.startswith(("-", "/")):
                continue  # from the first stage
            place = build / (Path(source).name if target == "./" else target)
            copy = shutil.copytree if (ROOT / source).is_dir() else shutil.copy
            copy(ROOT / source, place)
    for command in instructions("RUN"):
        if not command.startswith("useradd"):
            run(
                "sh",
                "-e",
                "-c",
                command.replace("/opt/tidegate", str(home)),
                cwd=build,
                timeout_s=INSTALL_S,
            )
    port = str(unused_port())
    secret = tmp_path / "jwt-secret"
    secret.write_text(secrets.token_hex(32))
    environment = {
        "PATH": f"{home / 'bin'}:{os.environ['PATH']}",
        "HOST": "127.0.0.1",
        "PORT": port,
        "CLIENT_URL": "https://app.example.com",
        "JWT_SECRET_FILE": str(secret),
    }
    (start,), (healthy,) = (
        [argument_list(one) for one in instructions(name)] for name in ("CMD", "HEALTHCHECK")
    )
    serving = subprocess.Popen(start, cwd=tmp_path, env=environment)
    try:
        wait_for(
            lambda: (
                subprocess.run(
                    healthy, env=environment, cwd=tmp_path, stderr=subprocess.DEVNULL, check=False
                ).returncode
                == 0
            )
        )
    finally:
        serving.terminate()
        assert serving.wait(RUN_S) == 0


@pytest.mark.real_part("nginx")
def test_nginx_passes_websockets_polls_and_addresses(
    start_gateway: Callable[..., GatewayProcess], tmp_path: Path
) -> None:
    gateway = start_gateway(
        GATEWAY_TRUSTED_PROXIES="127.0.0.1",
        GATEWAY_ADDRESS_LIMIT_EXEMPT="none",
        GATEWAY_MAX_CONNECTIONS_PER_ADDRESS=2,
    )
    upstreams = {"gateway:3000": gateway}
    with nginx(tmp_path, "nginx.conf", upstreams, gateway.secret) as front:
        with closing(RawClient(front)) as client:
            client.connect({"token": front.token("alice")})
            client.call("subscribe", {"channel": "trading"})
            front.publish({"room": "trading", "event": "news", "data": {"n": 1}})
            assert client.expect("news")["n"] == 1
        polling = "/socket.io/?EIO=4&transport=polling"
        farther = {"X-Forwarded-For": "203.0.113.7"}
        statuses = [front.get(polling, headers=farther).status for _ in range(3)]
        assert statuses == [200, 200, 429], "the third of one address is one too many"
        opened = front.get(polling, headers={"X-Forwarded-For": "203.0.113.8"})
        sid = json.loads(opened.text[1:])["sid"]
        token = json.dumps({"token": front.token("bob")})
        sent = front.request("POST", f"{polling}&sid={sid}", body=f"40{token}".encode())
        assert (sent.status, sent.text) == (200, "ok")
        polled = [front.get(f"{polling}&sid={sid}").text for _ in range(2)]
        assert '42["connected"' in "".join(polled)
