"""The page's server: what it serves, to whom, and that the built page is the present one's."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import jwt
import pytest
from deadlines import DEADLINE_S, RUN_S

from gateway.contract import LISTENING_LINE
from loadtests.demo.page_server import HOST, PAGE, PageSettings, page_origins
from loadtests.processes import child_environment, own_command
from loadtests.supervision.children import Child, ChildFailed

ROOT: Final = Path(__file__).resolve().parents[3]
SOURCES: Final = ROOT / "examples" / "web"
SECRET: Final = "a-secret-of-the-tests-own-that-is-long-enough"
SETTINGS: Final = PageSettings(
    gateway="http://127.0.0.1:3000", user="ada", symbols=("BTC/USDT",), provider="scripted"
)
MOST_BYTES: Final = 400_000
"""Of the built page, uncompressed: React, the client and the page itself."""


def start(folder: Path, port: int = 0) -> tuple[Child, int]:
    """Start a server, and return it with its port."""
    command = own_command("loadtests.demo.page_server", str(port), str(folder / "page.json"))
    environment = child_environment(os.environ) | {"JWT_SECRET": SECRET}
    child = Child("page's server", command, log=folder / "page.log", environment=environment)
    url = child.wait_for_line(LISTENING_LINE, DEADLINE_S)
    return child, int(url.rpartition(":")[2])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("page")


@pytest.fixture(scope="module")
def port(folder: Path) -> Iterator[int]:
    child, port = start(folder)
    try:
        yield port
    finally:
        child.stop(DEADLINE_S)


def get(port: int, path: str, host: str = "") -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection(HOST, port, timeout=DEADLINE_S)
    try:
        connection.request("GET", path, headers={"Host": host or f"{HOST}:{port}"})
        answer = connection.getresponse()
        return answer.status, dict(answer.headers), answer.read()
    finally:
        connection.close()


def test_no_session_before_the_gateway_listens_then_one_with_a_token(
    folder: Path, port: int
) -> None:
    assert get(port, "/session")[0] == 503
    SETTINGS.write(folder / "page.json")
    status, headers, body = get(port, "/session")
    session = json.loads(body)
    claims = jwt.decode(session.pop("token"), SECRET, algorithms=["HS256"])
    assert (status, headers["Cache-Control"]) == (200, "no-store")
    assert session == {
        "gateway": SETTINGS.gateway,
        "symbols": ["BTC/USDT"],
        "provider": "scripted",
    }
    assert claims["sub"] == "ada"
    assert 0 < claims["exp"] - claims["iat"] <= 3_600
    assert "scope" not in claims


def test_the_page_and_its_files_are_served_and_nothing_else(port: int) -> None:
    status, headers, body = get(port, "/")
    assert (status, headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    named = re.findall(r'(?:src|href)="\./([^"]+)"', body.decode())
    assert len(named) >= 2
    for name in named:
        status, headers, content = get(port, f"/{name}")
        assert (status, content) == (200, (PAGE / name).read_bytes())
        assert headers["X-Content-Type-Options"] == "nosniff"
    for path in ("/sources.sha256", "/../page_server.py", "/%2e%2e/page_server.py", "/nothing"):
        assert get(port, path)[0] == 404


@pytest.mark.parametrize("host", ["elsewhere.example", "127.0.0.1", "localhost:1"])
def test_another_host_name_gets_no_token(port: int, host: str) -> None:
    status, _, body = get(port, "/session", host)
    assert status == 403
    assert b"token" not in body


def test_the_names_of_this_machine_are_its_own(port: int) -> None:
    for origin in page_origins(port):
        assert get(port, "/", origin.removeprefix("http://"))[0] == 200


def test_a_port_in_use_is_named(port: int, tmp_path: Path) -> None:
    with pytest.raises(ChildFailed, match=rf"127\.0\.0\.1:{port}: Address already in use"):
        start(tmp_path, port)


def listed_sources() -> dict[str, str]:
    """Return the digests that the last build noted, by file."""
    lines = (PAGE / "sources.sha256").read_text(encoding="utf-8").splitlines()
    return {name: digest for digest, name in (line.split("  ", 1) for line in lines)}


def present_sources() -> dict[str, str]:
    """Return the digests of the files that a build would read."""
    inputs = [SOURCES / name for name in
              ("index.html", "package-lock.json", "tsconfig.json", "vite.config.ts")]  # fmt: skip
    inputs += [path for path in (SOURCES / "src").rglob("*") if path.is_file()]
    return {
        path.relative_to(SOURCES).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in inputs
        if ".test." not in path.name
    }


def test_the_built_page_is_that_of_the_present_sources() -> None:
    assert listed_sources() == present_sources(), "cd examples/web && npm ci && npm run build"


def test_the_built_page_is_small_and_names_no_other_host() -> None:
    files = [path for path in PAGE.iterdir() if path.suffix != ".sha256"]
    assert sum(path.stat().st_size for path in files) <= MOST_BYTES
    assert not list(PAGE.glob("*.map"))
    assert not re.search(r"https?://", (PAGE / "index.html").read_text(encoding="utf-8"))


@pytest.mark.real_part("page build")
def test_a_build_gives_the_same_files(tmp_path: Path) -> None:
    copy = tmp_path / "examples" / "web"
    shutil.copytree(SOURCES, copy, ignore=shutil.ignore_patterns("node_modules"))
    (copy / "node_modules").symlink_to(SOURCES / "node_modules")
    npm(copy, "run", "build")
    built = tmp_path / "loadtests" / "demo" / "page"
    assert contents(built) == contents(PAGE)


@pytest.mark.real_part("page build")
def test_the_page_s_own_tests_pass() -> None:
    assert " passed" in npm(SOURCES, "test")


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def npm(folder: Path, *words: str) -> str:
    """Run npm in a folder and return what it printed."""
    done = subprocess.run(
        ["npm", *words], cwd=folder, capture_output=True, text=True, timeout=2 * RUN_S, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
