"""``tidegate demo`` in Chromium: prices, an order, a chat, and a gateway that is killed."""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from browser_page import BrowserPage
from deadlines import DEADLINE_S, RUN_S

pytestmark = [pytest.mark.real_part("chromium"), pytest.mark.real_part("node")]

ROOT: Final = Path(__file__).resolve().parents[2]
FEWEST_RULES: Final = 20
"""Of an audit that really looked at the page."""
SIZES: Final = ((1_400, 900), (390, 844))
VIEWS: Final = ("Market", "Trade", "Orders", "Chat")
LINK: Final = "[data-testid=link]"
TICKS: Final = "Number(document.querySelector('.quote .flash').dataset.ticks)"
COUNTERS: Final = ("lost", "repeated")


class Demo:
    """A process of ``tidegate demo`` and what it says."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "loadtests", "demo"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=ROOT,
        )
        self.said = ""
        self.page = self.expect(r"the page is on (\S+)")
        self.gateway_pid = int(re.findall(r"the gateway is process (\d+)", self.said)[0])

    def expect(self, pattern: str) -> str:
        """Return the group of a pattern in what the command says from now on, or has said."""
        stdout = self.process.stdout
        assert stdout is not None
        deadline = time.monotonic() + RUN_S
        while (found := re.search(pattern, self.said)) is None:
            ready, _, _ = select.select([stdout], [], [], max(0.0, deadline - time.monotonic()))
            chunk = os.read(stdout.fileno(), 65_536) if ready else b""
            assert chunk, f"waited for {pattern!r}; it said:\n{self.said}"
            self.said += chunk.decode()
        return found[1]

    def interrupt(self) -> int:
        """End it as Ctrl-C does, and return its exit code."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(2 * DEADLINE_S)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()


@pytest.fixture(scope="module")
def demo() -> Iterator[Demo]:
    demo = Demo()
    try:
        yield demo
    finally:
        demo.kill()


@pytest.fixture(scope="module")
def browser() -> Iterator[BrowserPage]:
    page = BrowserPage()
    try:
        yield page
    finally:
        page.end()


def open_live(browser: BrowserPage, demo: Demo, width: int = 1_400, height: int = 900) -> None:
    browser.open(demo.page, width, height)
    browser.wait_for_text(LINK, "Live")
    browser.wait("document.querySelectorAll('.bids tr').length > 0")


def wait_for_a_tick(browser: BrowserPage) -> None:
    seen = browser.evaluate(TICKS)
    browser.wait(f"{TICKS} > {seen}")


def nothing_lost(browser: BrowserPage) -> None:
    assert {name: browser.text(f"[data-testid={name}]") for name in COUNTERS} == {
        "lost": "0",
        "repeated": "0",
    }


def test_prices_tick_and_flash_and_the_book_never_crosses(browser: BrowserPage, demo: Demo) -> None:
    open_live(browser, demo)
    wait_for_a_tick(browser)
    assert browser.evaluate(
        "document.querySelectorAll('.watch .flash.rise, .watch .flash.fall').length"
    )
    prices = browser.evaluate(
        "['.asks tr:last-child button', '.bids tr:first-child button']"
        ".map((css) => Number(document.querySelector(css).innerText.replaceAll(',', '')))"
    )
    assert prices[0] > prices[1] > 0
    browser.click(".watch button:has-text('ETH/USDT')")
    browser.wait_for_text("#market-title", "ETH/USDT")
    wait_for_a_tick(browser)
    nothing_lost(browser)


def test_an_order_is_filled_and_another_one_cancelled(browser: BrowserPage, demo: Demo) -> None:
    open_live(browser, demo)
    browser.click(".send")
    browser.wait_for_text(".problem", "Enter an amount above 0")
    browser.choose(".ticket select", "market")
    browser.fill("#ticket-quantity", "0.5")
    browser.click(".send")
    browser.wait_for_text("[data-status=filled]", "0.5 / 0.5")
    browser.wait_for_text("[data-position='BTC/USDT']", "0.5")
    browser.wait_for_text(".balances", "BTC")
    browser.choose(".ticket select", "limit")
    browser.fill("#ticket-price", "1.5")
    browser.click(".send")
    browser.wait_for_text("[data-testid=notice]", "submitted")
    browser.wait_for_text(".badge", "1 open")
    browser.click("[data-order] .action button")
    browser.wait_for_text("[data-status=cancelled]", "Cancelled")
    browser.click(".tabs button:has-text('Trades')")
    browser.wait_for_text(".blotter tbody", "Yours")
    nothing_lost(browser)


def test_what_the_exchange_refuses_is_said_in_its_words(browser: BrowserPage, demo: Demo) -> None:
    open_live(browser, demo)
    browser.choose(".ticket select", "market")
    browser.click(".sides .sell")
    browser.fill("#ticket-quantity", "100000")
    browser.click(".send")
    browser.wait_for_text("[data-testid=notice].bad", "rejected. Needs 100000 BTC")


def test_a_reloaded_page_has_the_orders_of_before(browser: BrowserPage, demo: Demo) -> None:
    open_live(browser, demo)
    browser.choose(".ticket select", "market")
    browser.fill("#ticket-quantity", "0.25")
    browser.click(".send")
    browser.wait_for_text("[data-status=filled]", "0.25 / 0.25")
    open_live(browser, demo)
    browser.wait_for_text("[data-status=filled]", "0.25 / 0.25")


def test_a_question_is_answered(browser: BrowserPage, demo: Demo) -> None:
    open_live(browser, demo)
    browser.fill("#question", "again")
    browser.click(".chat form button")
    browser.wait("document.querySelectorAll('.turn[data-state=done]').length === 1")
    answer = browser.text(".turn[data-state=done] .answer").split()
    assert set(answer) == {"again"}
    assert len(answer) > 10


def test_the_page_comes_back_when_the_gateway_is_killed(browser: BrowserPage, demo: Demo) -> None:
    open_live(browser, demo)
    epoch = browser.text("[data-testid=epoch]")
    browser.fill("#question", "a stream that the kill interrupts")
    browser.click(".chat form button")
    browser.wait_for_text("[data-state=streaming] .answer", "a stream")
    os.kill(demo.gateway_pid, signal.SIGKILL)
    browser.wait_for_text(LINK, "Reconnecting")
    demo.expect(r"(starting it again)")
    browser.wait_for_text(LINK, "Live")
    browser.wait_for_text("[data-state=interrupted] .end", "The connection broke")
    browser.wait(f"document.querySelector('[data-testid=epoch]').innerText !== '{epoch}'")
    wait_for_a_tick(browser)
    # A new process has no order of the old one.
    browser.wait_for_text(".blotter", "No orders yet")
    browser.choose(".ticket select", "market")
    browser.fill("#ticket-quantity", "0.5")
    browser.click(".send")
    browser.wait_for_text("[data-status=filled]", "0.5 / 0.5")
    browser.fill("#question", "back")
    browser.click(".chat form button")
    browser.wait("document.querySelectorAll('.turn[data-state=done]').length === 1")
    nothing_lost(browser)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("width", "height"), SIZES)
def test_each_view_fits_and_an_audit_finds_nothing_serious(
    browser: BrowserPage, demo: Demo, width: int, height: int, scheme: str, tmp_path: Path
) -> None:
    browser.open(demo.page, width, height, scheme)
    browser.wait_for_text(LINK, "Live")
    for view in VIEWS if width < 760 else VIEWS[:1]:
        if width < 760:
            browser.click(f"nav button:has-text('{view}')")
        browser.screenshot(tmp_path / f"{view}-{width}-{scheme}.png")
        found = browser.audit()
        assert found["serious"] == []
        assert found["rules"] >= FEWEST_RULES
        assert browser.evaluate("document.documentElement.scrollWidth") <= width
    assert browser.complaints() == []


def test_ctrl_c_ends_it_cleanly_with_both_processes(demo: Demo) -> None:
    pids = [demo.gateway_pid, *children_of(demo.process.pid)]
    assert demo.interrupt() == 0
    assert [pid for pid in pids if Path(f"/proc/{pid}").exists()] == []


def children_of(pid: int) -> list[int]:
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="utf-8")
    return [int(each) for each in found.split()]
