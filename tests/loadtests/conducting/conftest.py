"""Fixtures of the conducting tests: Locust with its web page."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from blackbox.process import GatewayProcess
from deadlines import RUN_S
from locust_web import LocustPage

OpenPage = Callable[..., LocustPage]
SHORT = 'steady = "4 s"'


@pytest.fixture
def open_page(
    shared_gateway: Callable[..., GatewayProcess],
    locustfile: str,
    small_scenario: Path,
    tmp_path: Path,
) -> Iterator[OpenPage]:
    pages: list[LocustPage] = []

    def open_page(*more: str, base: str = "", is_judged: bool = False) -> LocustPage:
        gateway = shared_gateway()
        # A test ends its run itself: no host is too slow to look at it before.
        text = small_scenario.read_text()
        assert SHORT in text
        small_scenario.write_text(text.replace(SHORT, 'steady = "600 s"'))
        arguments = ["-f", locustfile, "--scenario", str(small_scenario), "-H", gateway.url, *more]
        arguments += [] if is_judged else ["--no-report"]
        page = LocustPage(arguments, gateway.secret, tmp_path, base)
        pages.append(page)
        return page

    yield open_page
    for page in pages:
        page.process.terminate()
        page.process.wait(RUN_S)
