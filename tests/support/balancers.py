"""The real nginx and HAProxy, as ``docs/deploy`` configures them but for addresses and sizes."""

from __future__ import annotations

import re
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from blackbox.target import Target, wait_for
from deadlines import RUN_S

from loadtests.endpoints import unused_port

DEPLOY: Final = Path(__file__).parents[2] / "docs" / "deploy"


@contextmanager
def nginx(
    folder: Path, name: str, upstreams: Mapping[str, Target], secret: str
) -> Iterator[Target]:
    """Run nginx before gateways.

    Args:
        folder: where it keeps its files.
        name: of the configuration.
        upstreams: the gateway in place of each ``host:port`` of the configuration.
        secret: the gateways' secret.
    """
    port = unused_port()
    text = _configuration(name, upstreams)
    text = text.replace("listen 8080;", f"listen 127.0.0.1:{port};")
    text = text.replace("worker_processes auto;", "worker_processes 1;")
    text = text.replace("worker_rlimit_nofile 65536;\n", "")
    text = text.replace("worker_connections 32768;", "worker_connections 256;")
    (folder / name).write_text(f"daemon off;\npid {folder}/nginx.pid;\n{text}")
    for own in ("body", "proxy", "fastcgi", "uwsgi", "scgi"):
        (folder / own).mkdir()
    arguments = ("nginx", "-p", str(folder), "-c", name, "-e", str(folder / "error.log"))
    with _running((*arguments, "-t"), arguments, Target(f"http://127.0.0.1:{port}", secret)) as it:
        yield it


@contextmanager
def haproxy(
    folder: Path, name: str, upstreams: Mapping[str, Target], secret: str
) -> Iterator[Target]:
    """Run HAProxy before gateways; the arguments are those of ``nginx``."""
    port = unused_port()
    text = _configuration(name, upstreams)
    text = text.replace("bind *:8080", f"bind 127.0.0.1:{port}")
    text = text.replace("maxconn 40000", "maxconn 256")
    (folder / name).write_text(text)
    arguments = ("haproxy", "-db", "-f", str(folder / name))
    with _running((*arguments, "-c"), arguments, Target(f"http://127.0.0.1:{port}", secret)) as it:
        yield it


def _configuration(name: str, upstreams: Mapping[str, Target]) -> str:
    text = (DEPLOY / name).read_text()
    for place, gateway in upstreams.items():
        assert place in text
        text = re.sub(rf"{re.escape(place)}\b", f"{gateway.host}:{gateway.port}", text)
    return text


@contextmanager
def _running(check: tuple[str, ...], command: tuple[str, ...], front: Target) -> Iterator[Target]:
    checked = subprocess.run(check, capture_output=True, text=True, timeout=RUN_S, check=False)
    assert checked.returncode == 0, checked.stderr
    serving = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        wait_for(lambda: is_live(front))
        yield front
    finally:
        serving.terminate()
        # HAProxy ends by the signal itself.
        assert serving.wait(RUN_S) in (0, -signal.SIGTERM)


def is_live(target: Target) -> bool:
    """Return whether a gateway answers through its balancer."""
    try:
        return target.get("/health/live").status == 200
    except OSError:
        return False
