"""The example page in Chromium on a gateway in this process: cuts, tokens, cancels."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, Final

import pytest
from browser_page import BrowserPage
from deadlines import DEADLINE_S, poll_until

from gateway.contract import LISTENING_LINE
from gateway.server.app import Gateway
from gateway.settings import read_settings
from loadtests.demo.page_server import PageSettings
from loadtests.processes import child_environment, own_command
from loadtests.supervision.children import Child

pytestmark = [pytest.mark.real_part("chromium"), pytest.mark.real_part("node")]

SECRET: Final = "a-secret-of-the-tests-own-that-is-long-enough"
USER: Final = "ada"
SYMBOL: Final = "BTC/USDT"


@pytest.fixture
async def page(tmp_path: Path) -> AsyncIterator[str]:
    """Serve the page, and return its URL."""
    command = own_command("loadtests.demo.page_server", "0", str(tmp_path / "page.json"))
    environment = child_environment(os.environ) | {"JWT_SECRET": SECRET}
    child = Child("page's server", command, log=tmp_path / "page.log", environment=environment)
    try:
        yield await asyncio.to_thread(child.wait_for_line, LISTENING_LINE, DEADLINE_S)
    finally:
        await asyncio.to_thread(child.stop, DEADLINE_S)


@pytest.fixture
async def gateway(
    page: str, tmp_path: Path, request: pytest.FixtureRequest
) -> AsyncIterator[Gateway]:
    """Run a gateway in this process, that the page finds; a test may add settings."""
    settings = getattr(request, "param", {}) | {
        "GATEWAY_ENV": "test",
        "JWT_SECRET": SECRET,
        "CLIENT_URL": page,
        "HOST": "127.0.0.1",
        "PORT": "0",
        "GATEWAY_MARKET": "simulated",
        "GATEWAY_MARKET_SYMBOLS": SYMBOL,
        "GATEWAY_EXCHANGE": "paper",
    }
    gateway = Gateway(read_settings(settings, random_secret=SECRET))
    try:
        url = await gateway.start()
        told = PageSettings(gateway=url, user=USER, symbols=(SYMBOL,), provider="scripted")
        told.write(tmp_path / "page.json")
        yield gateway
    finally:
        await gateway.stop()


@pytest.fixture
async def browser() -> AsyncIterator[BrowserPage]:
    browser = await asyncio.to_thread(BrowserPage)
    try:
        yield browser
    finally:
        await asyncio.to_thread(browser.end)


async def test_an_order_that_ended_during_a_cut_is_replayed(
    page: str, gateway: Gateway, browser: BrowserPage
) -> None:
    async def do(act: Callable[..., Any], *arguments: Any) -> Any:
        return await asyncio.to_thread(act, *arguments)

    await do(browser.open, page)
    await do(browser.wait, "document.querySelectorAll('.bids tr').length > 0")
    await do(browser.fill, "#ticket-quantity", "1")
    await do(browser.fill, "#ticket-price", "0.01")
    await do(browser.click, ".send")
    await do(browser.wait_for_text, ".badge", "1 open")
    order_id = await do(browser.evaluate, "document.querySelector('[data-order]').dataset.order")
    epoch = await do(browser.text, "[data-testid=epoch]")

    # One step of the loop: the client cannot have returned in between.
    (session,) = gateway.context.sessions
    gateway.transport.close_transport(session.sid, "draining")
    assert gateway.sources.exchange is not None
    gateway.sources.exchange.cancel(USER, order_id)

    await do(browser.wait_for_text, "[data-status=cancelled]", "Cancelled")
    await do(browser.wait_for_text, "[data-testid=link]", "Live")
    shown = {name: await do(browser.text, f"[data-testid={name}]")
             for name in ("replayed", "lost", "repeated", "epoch")}  # fmt: skip
    assert int(shown.pop("replayed")) >= 2, "the order's end, and the balances"
    assert shown == {"lost": "0", "repeated": "0", "epoch": epoch}
    seen = await do(browser.text, "[data-testid=received]")
    await do(
        browser.wait, f"document.querySelector('[data-testid=received]').innerText !== {seen!r}"
    )


# Each token has 900 s: its client is warned two seconds after it came.
@pytest.mark.parametrize(
    "gateway", [{"GATEWAY_TOKEN_EXPIRING_SECONDS": "898"}], indirect=True, ids=["expiring"]
)
async def test_a_token_that_expires_soon_is_renewed_on_the_open_connection(
    page: str, gateway: Gateway, browser: BrowserPage
) -> None:
    await asyncio.to_thread(browser.open, page)
    await poll_until(lambda: len(gateway.context.sessions) == 1, "connected", 4 * DEADLINE_S)
    (session,) = gateway.context.sessions
    first = session.identity.expires_at
    assert first is not None
    await poll_until(lambda: session.identity.expires_at != first, "renewed", 4 * DEADLINE_S)
    assert [each.sid for each in gateway.context.sessions] == [session.sid]


# An answer of many minutes: it cannot end before it is cancelled.
@pytest.mark.parametrize(
    "gateway",
    [{"GATEWAY_SCRIPTED_TOKENS": "9999", "GATEWAY_SCRIPTED_TOKENS_PER_SECOND": "10"}],
    indirect=True,
    ids=["long answer"],
)
async def test_an_answer_streams_until_it_is_cancelled(
    page: str, gateway: Gateway, browser: BrowserPage
) -> None:
    def stream_and_cancel() -> None:
        browser.open(page)
        browser.wait_for_text("[data-testid=link]", "Live")
        browser.fill("#question", "one two three")
        browser.click(".chat form button")
        browser.wait_for_text("[data-state=streaming] .answer", "one two")
        early = len(browser.text(".turn .answer"))
        browser.wait(f"document.querySelector('.turn .answer').innerText.length > {early}")
        browser.click(".chat .stop")
        browser.wait_for_text("[data-state=cancelled] .end", "Cancelled")

    await asyncio.to_thread(stream_and_cancel)
    ended = 'tidegate_model_streams_ended_total{outcome="cancelled"} 1.0'
    assert ended in gateway.context.metrics.expose()[0].decode()
