"""Headless Chromium with the stock client, on a page of another origin than the server's.

A browser enforces the same-origin policy: a page of an origin that the server does not allow gets
nothing over HTTP. Browsers do not guard WebSockets, so the server itself must refuse the upgrade.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from aiohttp import web
from deadlines import DEADLINE_S, RUN_S
from serving import OURS, Address, echo_namespaces, serve

pytestmark = [pytest.mark.real_part("chromium"), pytest.mark.real_part("node")]

HERE = Path(__file__).resolve().parent
CLIENT = HERE / "node_modules/socket.io-client/dist/socket.io.min.js"
FLAGS = (
    "--headless=new",
    "--no-sandbox",  # in a container there is no user namespace for it
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
    "--no-default-browser-check",
)


class Page:
    """A page with its own origin, and the reports of its script."""

    def __init__(self, port: int, outcome: asyncio.Future[dict[str, Any]]) -> None:
        self.origin = f"http://localhost:{port}"
        self.outcome = outcome


@pytest.fixture
async def page() -> AsyncIterator[Page]:
    """Serve the page and the stock client's build."""
    outcome: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()

    async def show(request: web.Request) -> web.FileResponse:
        return web.FileResponse(HERE / "browser-page.html")

    async def script(request: web.Request) -> web.FileResponse:
        return web.FileResponse(CLIENT)

    async def report(request: web.Request) -> web.Response:
        outcome.set_result(json.loads(await request.text()))
        return web.Response()

    app = web.Application()
    app.add_routes(
        [web.get("/", show), web.get("/socket.io.js", script), web.post("/outcome", report)]
    )
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "localhost", 0).start()
        yield Page(runner.addresses[0][1], outcome)
    finally:
        await runner.cleanup()


@contextlib.asynccontextmanager
async def chromium(profile: Path, url: str) -> AsyncIterator[None]:
    """Show a page in a browser of its own, which is closed afterwards."""
    log = profile.with_suffix(".log").open("wb")
    process = await asyncio.create_subprocess_exec(
        "chromium", *FLAGS, f"--user-data-dir={profile}", url, stdout=log, stderr=log
    )
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            async with asyncio.timeout(DEADLINE_S):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
        log.close()


async def try_from(page: Page, address: Address, profile: Path) -> dict[str, Any]:
    target = quote(f"http://{address.host}:{address.port}", safe="")
    async with chromium(profile, f"{page.origin}/#{target}"):
        async with asyncio.timeout(RUN_S):
            return await page.outcome


async def test_a_page_of_an_allowed_origin_is_served_on_both_transports(
    page: Page, tmp_path: Path
) -> None:
    server = echo_namespaces(OURS, cors_allowed_origins=[page.origin])
    async with serve(server) as address:
        outcome = await try_from(page, address, tmp_path / "profile")
    answered = {"answer": "from a browser"}
    assert outcome == {"polling": answered, "websocket": answered}


async def test_a_page_of_another_origin_is_refused_on_both_transports(
    page: Page, tmp_path: Path
) -> None:
    server = echo_namespaces(OURS, cors_allowed_origins=["http://localhost:1"])
    opened: list[str] = []
    server.on("connect", lambda sid, environ, auth: opened.append(sid))
    async with serve(server) as address:
        outcome = await try_from(page, address, tmp_path / "profile")
    assert outcome.keys() == {"polling", "websocket"}
    assert all("refused" in each for each in outcome.values()), outcome
    assert not opened, "a refused origin must not reach the application"
