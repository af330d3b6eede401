"""The application on both server classes, and the section of the document that compares them."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import socketio
from deadlines import DEADLINE_S, POLL_S
from rich.console import Console

from gateway.contract import (
    METRICS_PATH,
    PUBLISH_PATH,
    STREAMS_PATH,
    ClientEvent,
    Scope,
    ServerEvent,
)
from loadtests.comparing.contest import Contestant
from loadtests.endpoints import parse_metrics
from loadtests.tokens import mint
from tests.benchmarks.gate import real_history
from tests.benchmarks.gate.__main__ import SCENARIO, summarise
from tests.benchmarks.gate.proof import document
from tests.benchmarks.gate.socketio_app import STOCK, TIDEGATE
from tests.benchmarks.transport.peers import Peer, Running, start

TICK: dict[str, Any] = {
    "room": "market-data:BTC/USDT",
    "event": "price:update",
    "data": {"symbol": "BTC/USDT", "price": 100.5},
    "srcTs": 1,
}
ORDER: dict[str, Any] = {
    "room": "trading",
    "userId": "ada",
    "event": "order:created",
    "data": {"order": {"id": "o-1", "clientOrderId": "mine", "symbol": "BTC/USDT"}},
}


class Customer:
    """A stock client that keeps every event in the order of arrival."""

    def __init__(self) -> None:
        self.client = socketio.AsyncClient(reconnection=False)
        self.heard: asyncio.Queue[tuple[str, dict[str, Any]]] = asyncio.Queue()
        self.client.on("*", self._hear)

    async def _hear(self, event: str, payload: dict[str, Any]) -> None:
        await self.heard.put((event, payload))

    async def connect(self, running: Running, user_id: str) -> dict[str, Any]:
        """Connect, and return the welcome."""
        token = mint(running.secret, user_id, lifetime_s=600)
        url = f"http://127.0.0.1:{running.port}"
        await self.client.connect(url, auth={"token": token}, transports=["websocket"])
        return await self.next(ServerEvent.CONNECTED)

    async def next(self, event: str) -> dict[str, Any]:
        """Return the next event's payload; another event is a failure."""
        name, payload = await self.heard.get()
        assert name == event, (name, payload)
        return payload

    async def ask(self, event: str, payload: object = None) -> dict[str, Any]:
        """Return the acknowledgement of a request."""
        answer: dict[str, Any] = await self.client.call(event, payload, timeout=DEADLINE_S)
        return answer


@pytest.fixture(scope="module", params=[STOCK, TIDEGATE])
def running(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The application on one of the server classes."""
    command = (sys.executable, "-m", "tests.benchmarks.gate.socketio_app", request.param)
    peer = Peer(key="app", title=request.param, command=command)
    with start(peer, 0, 10 * DEADLINE_S, tmp_path_factory.mktemp("app") / "log") as found:
        yield found


@pytest.fixture
async def customers(running: Running) -> AsyncIterator[list[Customer]]:
    """Two clients, to be connected."""
    both = [Customer(), Customer()]
    yield both
    for one in both:
        await one.client.disconnect()


async def fetch(running: Running, path: str, items: object = None, scope: str = "") -> Any:
    """Return status and text of a request; ``items`` are posted."""
    scopes = [scope] if scope else []
    token = mint(running.secret, "publisher", lifetime_s=600, scopes=scopes)
    headers = {"Authorization": f"Bearer {token}"}
    url = f"http://127.0.0.1:{running.port}{path}"
    method = "GET" if items is None else "POST"
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.request(method, url, json=items) as answer,
    ):
        return answer.status, await answer.text()


async def publish(running: Running, *items: dict[str, Any]) -> list[dict[str, Any]]:
    """Publish, and return the receipts."""
    status, text = await fetch(running, PUBLISH_PATH, list(items), Scope.PUBLISH)
    assert status == 202, text
    receipts: list[dict[str, Any]] = json.loads(text)["published"]
    return receipts


async def test_a_client_gets_a_welcome_marks_a_snapshot_and_numbers_in_order(
    running: Running, customers: list[Customer]
) -> None:
    ada, _ = customers
    async with asyncio.timeout(DEADLINE_S):
        welcome = await ada.connect(running, "ada")
        assert (welcome["userId"], welcome["clientId"]) == ("ada", ada.client.get_sid())
        (receipt,) = await publish(running, TICK)
        before = receipt["seq"]
        market = {"channel": "market-data", "symbols": ["BTC/USDT"]}
        answer = await ada.ask(ClientEvent.SUBSCRIBE, market)
        assert answer == await ada.next(ServerEvent.SUBSCRIBED)
        assert answer["at"]["price:BTC/USDT"] == before
        snapshot = await ada.next("price:update")
        assert (snapshot["seq"], snapshot["snapshot"], "prevSeq" in snapshot) == (
            before,
            True,
            False,
        )
        receipts = await publish(running, TICK, TICK, TICK)
        got = [await ada.next("price:update") for _ in receipts]
        assert [one["seq"] for one in got] == [before + 1, before + 2, before + 3]
        assert [one["prevSeq"] for one in got] == [before, before + 1, before + 2]
        assert [(one["seq"], one["ts"]) for one in got] == [
            (one["seq"], one["ts"]) for one in receipts
        ]
        assert got[0]["srcTs"] == TICK["srcTs"]
        gone = await ada.ask(ClientEvent.UNSUBSCRIBE, market)
        assert gone == await ada.next(ServerEvent.UNSUBSCRIBED)
        assert gone["at"]["price:BTC/USDT"] == before + 3
        await publish(running, TICK)
        pong = await ada.ask(ClientEvent.PING)
        assert pong == await ada.next(ServerEvent.PONG)
        assert pong["received"] <= pong["sent"]
        listed = await ada.ask(ClientEvent.GET_SUBSCRIPTIONS)
        assert (listed["subscriptions"], listed["count"]) == ([], 0)


async def test_the_owner_gets_the_whole_order_and_others_its_public_form(
    running: Running, customers: list[Customer]
) -> None:
    ada, bob = customers
    async with asyncio.timeout(DEADLINE_S):
        for customer, name in ((ada, "ada"), (bob, "bob")):
            mark = (await customer.connect(running, name))["userSeq"]
            await customer.ask(ClientEvent.SUBSCRIBE, {"channel": "trading"})
            await customer.next(ServerEvent.SUBSCRIBED)
            if name == "ada":
                before = mark
        receipts = await publish(running, ORDER, ORDER)
        whole = [await ada.next("order:created") for _ in receipts]
        shown = [await bob.next("order:created") for _ in receipts]
    assert [one["userSeq"] for one in whole] == [before + 1, before + 2]
    assert [one["seq"] for one in whole] == [one["seq"] for one in shown]
    assert all("clientOrderId" in one["order"] and "userSeq" in one for one in whole)
    assert not any("clientOrderId" in one["order"] or "userSeq" in one for one in shown)


async def test_what_is_wrong_is_answered_and_disconnects_nobody(
    running: Running, customers: list[Customer]
) -> None:
    ada, bob = customers
    async with asyncio.timeout(DEADLINE_S):
        await ada.connect(running, "ada")
        for event, payload, code in (
            (ClientEvent.SUBSCRIBE, {"channel": "nothing"}, "INVALID_CHANNEL"),
            (ClientEvent.SUBSCRIBE, {"channel": "market-data", "maxRate": 5}, "INVALID_PAYLOAD"),
            ("no-such-event", {}, "UNKNOWN_EVENT"),
        ):
            answer = await ada.ask(event, payload)
            assert answer["error"]["code"] == code
            assert (await ada.next(ServerEvent.ERROR))["code"] == code
        refused: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        bob.client.on("connect_error", refused.put)
        with pytest.raises(socketio.exceptions.ConnectionError):
            await bob.client.connect(f"http://127.0.0.1:{running.port}", auth={"token": "no"})
        told = {"message": "Authentication failed", "data": {"code": "AUTH_FAILED"}}
        assert await refused.get() == told
        assert [
            (await fetch(running, PUBLISH_PATH, [TICK]))[0],
            (await fetch(running, PUBLISH_PATH, [{}], Scope.PUBLISH))[0],
            (await fetch(running, STREAMS_PATH))[0],
        ] == [403, 400, 403]


async def test_routes_tell_numbers_clients_and_messages(
    running: Running, customers: list[Customer]
) -> None:
    ada, _ = customers
    async with asyncio.timeout(DEADLINE_S):
        await ada.connect(running, "ada")
        await ada.ask(ClientEvent.SUBSCRIBE, {"channel": "market-data"})
        (receipt,) = await publish(running, TICK)
        before = parse_metrics((await fetch(running, METRICS_PATH))[1])
        while before["tidegate_clients"] > 1:  # those of the last test are still leaving
            await asyncio.sleep(POLL_S)
            before = parse_metrics((await fetch(running, METRICS_PATH))[1])
        await publish(running, TICK, ORDER)  # the order reaches its owner, the price the market
        after = parse_metrics((await fetch(running, METRICS_PATH))[1])
        _, text = await fetch(running, STREAMS_PATH, scope=Scope.PUBLISH)
        status, health = await fetch(running, "/api/v1/health/ready")
    assert after["tidegate_messages_out_total"] - before["tidegate_messages_out_total"] == 2
    assert after["tidegate_clients"] == 1
    assert json.loads(text)["streams"]["price:BTC/USDT"] == receipt["seq"] + 1
    assert (status, json.loads(health)["connectedClients"]) == (200, 1)


# The comparisons


def budget(figure: str, value: float | None, verdict: str = "PASS") -> dict[str, Any]:
    """One budget, as ``compare.json`` has it."""
    metric, _, statistic = figure.partition(".")
    named = {"metric": metric, "statistic": statistic}
    if metric == "cost":
        named = {"metric": figure, "statistic": None}  # type: ignore[dict-item]  # as in the file
    low, high = (None, None) if value is None else (value - 0.02, value + 0.02)
    ends = {"low": low, "high": high, "visible": 0.1}
    return {**named, "value": value, **ends, "verdict": verdict, "relative": True}


def outcome(verdict: str, *budgets: dict[str, Any]) -> dict[str, Any]:
    """One comparison, as ``compare_once`` returns it."""
    told = {"verdict": verdict, "pairs": 8, "seconds": 210, "excluded": [], "reasons": []}
    return {**told, "budgets": list(budgets)}


def git(folder: Path, *words: str) -> None:
    identity = ("-c", "user.name=Ada", "-c", "user.email=ada@example.com")
    subprocess.run(["git", "-C", str(folder), *identity, *words], check=True, capture_output=True)


def test_the_command_compares_both_servers_and_each_commit_with_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    commits = [tmp_path / name for name in ("old", "middle", "new")]
    for folder in commits:
        (folder / "gateway").mkdir(parents=True)
        (folder / "gateway" / "__main__.py").touch()
    git(commits[1], "init", "-q")
    git(commits[1], "commit", "-q", "--allow-empty", "-m", "A slower | encoder")
    seen: list[tuple[str, str]] = []

    def compare(
        base: Contestant, head: Contestant, runs: Path, _console: Console, **_more: object
    ) -> dict[str, Any]:
        assert list(runs.iterdir()) == []
        seen.append((base.gateway.name, head.gateway.name))
        return outcome("PASS", budget("push.p50", 0.5))

    monkeypatch.setattr(real_history, "compare_once", compare)
    path = tmp_path / "history.json"
    assert real_history.main([str(path), "--commits", *map(str, commits)]) == 0
    apps = [name.rpartition(" ")[2] for pair in seen[:2] for name in pair]
    assert apps == [STOCK, STOCK, STOCK, TIDEGATE]
    assert seen[2:] == [(str(one), str(two)) for one, two in pairwise(commits)]
    written = json.loads(path.read_text())
    assert written["made"]["scenario"] == "scenarios/compare.toml"
    names = [(one["base"], one["head"]) for one in written["comparisons"]]
    assert names[:2] == [(STOCK, STOCK), (STOCK, "this transport")]
    assert names[2][0] == "old"
    assert names[2][1].endswith(" A slower | encoder")
    assert "push.p50 -50% PASS" in capsys.readouterr().out
    more = ["--commits", *map(str, commits), str(tmp_path / "newest")]
    shutil.copytree(commits[0], tmp_path / "newest")
    assert real_history.main([str(path), *more]) == 0
    assert seen[4:] == [(str(commits[2]), str(tmp_path / "newest"))], "the others did not run again"
    assert json.loads(path.read_text())["comparisons"][:4] == written["comparisons"]


def test_the_command_returns_1_when_an_unchanged_program_fails_and_refuses_one_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(real_history, "compare_once", lambda *_, **__: outcome("FAIL"))
    assert real_history.main([str(tmp_path / "out.json")]) == 1
    with pytest.raises(SystemExit):
        real_history.main([str(tmp_path / "out.json"), "--commits", str(tmp_path)])


def test_the_document_has_a_row_for_each_comparison_of_real_programs() -> None:
    told = [
        {
            **outcome("FAIL", budget("push.p50", 1.25, "FAIL"), budget("cost.per_message", None)),
            "base": "abc A | b",
            "head": "def C",
            "when": "2026-12-01",
        },
        {
            **outcome("PASS", budget("push.p90", 0.5), budget("cost.per_message", 0.6)),
            "base": STOCK,
            "head": "this transport",
            "when": "2026-11-30",
        },
    ]
    comparisons = summarise(told, ("base", "head", "when"))
    text = document("", [], real_history.record(comparisons, SCENARIO))
    assert "## Real history" in text
    days = "2026-11-30 to 2026-12-01"
    assert f"Each comparison ran once with `scenarios/compare.toml`; {days}, " in text
    assert (
        "| abc A \\| b | def C | FAIL (`push.p50`) | 8 | 0 | 210 | 1.250 (1.230–1.270) | – | – |"
    ) in text
    assert (
        "| python-socketio | this transport | PASS | 8 | 0 | 210 | – | 0.500 (0.480–0.520) "
        "| 0.600 (0.580–0.620) |"
    ) in text
    assert "Real history" not in document("", [])
