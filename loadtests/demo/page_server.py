"""Serves the built page on loopback, and a token to it, as a product's own backend would.

``python -m loadtests.demo.page_server PORT FILE`` reads the page's settings from the JSON file that
``PageSettings`` writes, and the signing secret from ``JWT_SECRET``. It prints its address.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final

from gateway.contract import LISTENING_LINE
from loadtests.ending import launch, print_result
from loadtests.tokens import mint

PAGE: Final = Path(__file__).parent / "page"
HOST: Final = "127.0.0.1"
SESSION_PATH: Final = "/session"
_TOKEN_LIFETIME_S: Final = 900  # the page renews it while it is open
_TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
}


@dataclass(frozen=True, kw_only=True)
class PageSettings:
    """What the page is told beside its token.

    Attributes:
        gateway: URL of the gateway.
        user: who the page's visitor is.
        symbols: what the page subscribes to.
        provider: which model its chat asks.
    """

    gateway: str
    user: str
    symbols: tuple[str, ...]
    provider: str

    def write(self, path: Path) -> None:
        """Write the settings; a reader finds the whole file or none."""
        part = path.with_suffix(".part")
        part.write_text(json.dumps(asdict(self)), encoding="utf-8")
        part.replace(path)


def page_origins(port: int) -> tuple[str, ...]:
    """Return the origins under which a browser on this machine finds the page."""
    return (f"http://{HOST}:{port}", f"http://localhost:{port}")


def read_files() -> dict[str, tuple[bytes, str]]:
    """Return the body and content type of each file of the page, by its path.

    Raises:
        FileNotFoundError: the page is not built.
    """
    found = {
        f"/{path.name}": (path.read_bytes(), _TYPES[path.suffix])
        for path in sorted(PAGE.iterdir())
        if path.suffix in _TYPES
    }
    found["/"] = found.pop("/index.html")
    return found


class PageHandler(BaseHTTPRequestHandler):
    """Answers one connection.

    Args:
        files: the page.
        settings: the file of ``PageSettings``.
        secret: signs the tokens.
    """

    timeout = 30.0  # a connection that a browser opened in advance and does not use

    def __init__(
        self,
        *arguments: object,
        files: Mapping[str, tuple[bytes, str]],
        settings: Path,
        secret: str,
    ) -> None:
        self._files = files
        self._settings = settings
        self._secret = secret
        super().__init__(*arguments)  # type: ignore[arg-type]  # as the server calls it

    def do_GET(self) -> None:
        """Answer with a file of the page, or with a session."""
        own_hosts = [
            origin.removeprefix("http://")
            for origin in page_origins(self.connection.getsockname()[1])
        ]
        path = self.path.partition("?")[0]
        # A page of another site may have its own name resolve to this address.
        if self.headers.get("Host") not in own_hosts:
            self._answer(HTTPStatus.FORBIDDEN, b"This server answers to its own address alone\n")
        elif path == SESSION_PATH:
            self._answer_session()
        elif path in self._files:
            body, kind = self._files[path]
            self._answer(HTTPStatus.OK, body, kind)
        else:
            self._answer(HTTPStatus.NOT_FOUND, b"No such file\n")

    def _answer_session(self) -> None:
        try:
            told = json.loads(self._settings.read_bytes())
        except FileNotFoundError:
            self._answer(HTTPStatus.SERVICE_UNAVAILABLE, b"The gateway is starting\n")
            return
        told["token"] = mint(self._secret, told.pop("user"), lifetime_s=_TOKEN_LIFETIME_S)
        self._answer(HTTPStatus.OK, json.dumps(told).encode(), "application/json")

    def _answer(
        self, status: HTTPStatus, body: bytes, kind: str = "text/plain; charset=utf-8"
    ) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        """Keep quiet: the demonstration has one reader, who sees the page itself."""


def main() -> int:
    """Serve until a signal ends the process.

    Raises:
        OSError: another program has the port.
    """
    port, settings = int(sys.argv[1]), Path(sys.argv[2])
    handle = partial(
        PageHandler, files=read_files(), settings=settings, secret=os.environ["JWT_SECRET"]
    )
    try:
        server = ThreadingHTTPServer((HOST, port), handle)
    except OSError as error:
        raise OSError(error.errno, error.strerror, f"{HOST}:{port}") from None
    print_result(f"{LISTENING_LINE}http://{HOST}:{server.server_address[1]}\n")
    server.serve_forever()
    return 0


if __name__ == "__main__":
    launch(["loadtests.demo.page_server", *sys.argv[1:]])
