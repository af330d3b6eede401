from __future__ import annotations

import csv
import json
import os
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from http.client import HTTPResponse
from pathlib import Path
from typing import Any

import pytest
from blackbox.process import GatewayProcess
from deadlines import DEADLINE_S, RUN_S

from loadtests.endpoints import unused_port
from loadtests.health.live_file import MEMBERS
from loadtests.record.finisher import is_finished
from loadtests.results import REPORT, VERDICT

POLL_S = 0.1


class Page:
    """Locust with its web page, and what it answers."""

    def __init__(self, arguments: list[str], secret: str, folder: Path, base: str = "") -> None:
        port = unused_port()
        self.root = f"http://127.0.0.1:{port}{base}"
        self.log = folder / "page.log"
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("LOCUST_", "JWT_"))}
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [
                    *(str(Path(sys.executable).with_name("locust")), *arguments),
                    *("--web-host", "127.0.0.1", "--web-port", str(port)),
                ],
                cwd=folder,
                env={**inherited, "JWT_SECRET": secret},
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def get(self, address: str) -> str:
        with self._open(address) as answer:
            return str(answer.read().decode())

    def where(self, address: str) -> str:
        """Return where an address leads to."""
        with self._open(address) as answer:
            return str(answer.url)

    def wait_until(self, is_so: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + RUN_S
        while not self._holds(is_so):
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, f"no {what}: {self.log.read_text()}"
            time.sleep(POLL_S)

    def table(self) -> dict[str, str]:
        stats = json.loads(self.get("/stats/requests"))
        (found,) = stats["extended_stats"]
        assert found["key"] == "tidegate"
        places = [row["name"] for row in found["data"]]
        assert places == sorted(places)  # what Locust sorts by
        return {row["figure"]: row["now"] for row in found["data"]}

    def live(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.get("/tidegate/live.json"))
        return found

    def _open(self, address: str) -> HTTPResponse:
        answer: HTTPResponse = urllib.request.urlopen(self.root + address, timeout=DEADLINE_S)  # noqa: S310 - our own loopback address
        return answer

    def _holds(self, is_so: Callable[[], bool]) -> bool:
        try:
            return is_so()
        except OSError:
            return False  # nobody listens yet


OpenPage = Callable[..., Page]


@pytest.fixture
def open_page(
    start_gateway: Callable[..., GatewayProcess],
    locustfile: str,
    small_scenario: Path,
    tmp_path: Path,
) -> Iterator[OpenPage]:
    pages: list[Page] = []

    def open_page(*more: str, base: str = "", is_judged: bool = False) -> Page:
        gateway = start_gateway()
        arguments = ["-f", locustfile, "--scenario", str(small_scenario), "-H", gateway.url, *more]
        arguments += [] if is_judged else ["--no-report"]
        page = Page(arguments, gateway.secret, tmp_path, base)
        pages.append(page)
        return page

    yield open_page
    for page in pages:
        page.process.terminate()
        page.process.wait(RUN_S)


def template_of(page: str) -> dict[str, Any]:
    """Return what Locust hands to its page's script."""
    begin = page.index("window.templateArgs = ") + len("window.templateArgs = ")
    found: dict[str, Any] = json.JSONDecoder().raw_decode(page[begin:])[0]
    return found


def test_locusts_page_has_a_tab_with_the_newest_second_of_the_run(
    open_page: OpenPage, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    page = open_page("--autostart", "--csv", "table", "--run-dir", str(run), is_judged=True)
    page.wait_until(lambda: page.live().get("phase") == "steady", "steady phase")

    template = template_of(page.get("/"))
    assert [tab["title"] for tab in template["extended_tabs"]] == ["Tidegate"]
    (structure,) = template["extended_tables"]
    assert [column["key"] for column in structure["structure"]] == list(
        csv.DictReader(page.get("/tidegate/live.csv").splitlines()).fieldnames or ()
    )
    assert page.where("/tidegate").endswith("/?tab=tidegate")

    page.wait_until(
        lambda: re.fullmatch(r"[\d.]+ m?s", page.table()["push p99"]) is not None, "push"
    )
    page.wait_until(lambda: page.table()["clients"] == "14", "clients")
    live = page.live()
    assert set(live) == set(MEMBERS)
    assert live["phase"] in ("steady", "drain")
    assert json.loads((run / "logs" / "live.json").read_text()).keys() == live.keys()

    page.get("/stop")  # a run that its page stops is finished and judged like any other
    page.wait_until((run / VERDICT).exists, "verdict")
    assert is_finished(run)
    assert (run / REPORT).exists()


def test_locusts_own_charts_csv_and_label_stay_beside_the_tab(open_page: OpenPage) -> None:
    page = open_page("--autostart")
    page.wait_until(lambda: page.live().get("phase") == "steady", "steady phase")
    page.wait_until(lambda: bool(template_of(page.get("/"))["history"]), "chart")
    assert "not used for the verdict" in page.get("/")
    assert "CONNECT,connect" in page.get("/stats/requests/csv")
    stats = json.loads(page.get("/stats/requests"))
    assert stats["user_count"] == 14
    assert {"stats", "errors", "current_response_time_percentiles"} <= set(stats)


def test_before_a_run_the_tab_is_empty_and_under_a_base_path_it_is_found(
    open_page: OpenPage,
) -> None:
    page = open_page("--web-base-path", "/locust", base="/locust")
    page.wait_until(lambda: page.live() == {}, "page")
    assert page.table() == {}
    assert page.where("/tidegate").endswith("/locust/?tab=tidegate")
