"""The publisher against a publish route of the tests' own, and as the process that a run starts.

Long because both share that route, which keeps what it was sent.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from deadlines import DEADLINE_S, PROMPT_S

from loadtests.plan.publish_plan import PublishPlan, plan_arrivals, read_plan
from loadtests.publication.publisher import GatewayLost, Publisher
from loadtests.publication.publishing import PublisherProcess
from loadtests.record.finisher import finish_run
from loadtests.record.manifest import read_json, write_json
from loadtests.record.recording import SECOND_NS
from loadtests.results import MANIFEST, bucket_range
from scenarios.schema import Arrivals, Publish


def publish(event: str, rate: float, payload_bytes: int | None = None) -> Publish:
    return Publish(event=event, rate=rate, arrivals=Arrivals(), payload_bytes=payload_bytes)


class FakeRoute:
    """A publish route that keeps what it is sent and numbers it; ``answer`` may refuse."""

    def __init__(self) -> None:
        self.items: list[dict[str, Any]] = []
        self.tokens: set[str] = set()
        self.answer: Callable[[], web.Response | None] = lambda: None
        self.offset_ns = 0

    def numbered_us(self) -> int:
        return (time.monotonic_ns() + self.offset_ns) // 1_000

    async def publish(self, request: web.Request) -> web.Response:
        self.tokens.add(request.headers["Authorization"])
        refusal = self.answer()
        if refusal is not None:
            return refusal
        items = json.loads(await request.read())
        published = []
        for item in items:
            self.items.append(item)
            receipt = {
                "stream": str(item["room"]),
                "seq": len(self.items),
                "ts": self.numbered_us(),
            }
            published.append(receipt | ({"userSeq": len(self.items)} if "userId" in item else {}))
        return web.json_response({"accepted": len(items), "published": published}, status=202)


@pytest.fixture
async def route() -> AsyncIterator[tuple[FakeRoute, str]]:
    fake = FakeRoute()
    app = web.Application()
    app.router.add_post("/api/v1/publish", fake.publish)
    async with TestServer(app) as server:
        yield fake, str(server.make_url("")).rstrip("/")


@pytest.fixture
def plan(tmp_path: Path) -> PublishPlan:
    (tmp_path / "logs").mkdir()
    write_json(tmp_path / MANIFEST, {"status": "running"})
    now_ns = time.monotonic_ns()
    return PublishPlan(
        directory=tmp_path,
        url="http://127.0.0.1:1",
        token="token",
        publish=(publish("price:update", 200.0), publish("order:created", 50.0)),
        symbols=("A", "B"),
        weights=(0.5, 0.5),
        seed=20,
        user_ids=("vu-1", "vu-2"),
        t0_ns=now_ns,
        first_ns=now_ns,
        steady_ns=now_ns + SECOND_NS // 4,
        end_ns=None,
        late_ns=SECOND_NS,
        clock_offset_ns=0,
    )


async def publish_until(publisher: Publisher, is_enough: Callable[[], bool]) -> None:
    task = asyncio.create_task(publisher.run())
    deadline_s = time.monotonic() + DEADLINE_S
    while not is_enough() and not task.done():
        assert time.monotonic() < deadline_s
        await asyncio.sleep(0.01)
    publisher.stopping.set()
    await task


def count_rows(directory: Path, table: str, column: str) -> int:
    return sum(
        row or 0 for row in pq.read_table(directory / f"{table}.parquet")[column].to_pylist()
    )


async def test_everything_due_is_published_once_with_its_intended_time(
    plan: PublishPlan, route: tuple[FakeRoute, str]
) -> None:
    fake, url = route
    publisher = Publisher(replace(plan, url=url))
    await publish_until(publisher, lambda: publisher.ledger.published >= 150)
    due = sorted(
        due_ns // 1_000 for due_ns, _, _ in plan_arrivals(plan).take_due(2**62, len(fake.items))
    )
    assert sorted(item["srcTs"] for item in fake.items) == due
    assert publisher.ledger.published == len(fake.items)
    assert fake.tokens == {"Bearer token"}
    assert publisher.ledger.counts.total() == len(fake.items) + sum(
        "userId" in i for i in fake.items
    )
    assert publisher.ledger.missed == publisher.ledger.failed == 0


async def test_the_first_publications_count_in_their_own_second_and_phase(
    plan: PublishPlan, route: tuple[FakeRoute, str]
) -> None:
    _, url = route
    publisher = Publisher(replace(plan, url=url, t0_ns=plan.t0_ns - 5 * SECOND_NS))
    await publish_until(publisher, lambda: publisher.ledger.published >= 10)
    finish_run(plan.directory)
    rows = pq.read_table(plan.directory / "timeline.parquet").to_pylist()
    assert (rows[0]["t_s"], rows[0]["phase"]) == (5, "warm-up")
    assert rows[0]["offered"] > 0


async def test_a_plan_with_an_end_is_published_to_the_last_item_and_no_further(
    plan: PublishPlan, route: tuple[FakeRoute, str]
) -> None:
    _, url = route
    ending = replace(plan, url=url, end_ns=plan.first_ns + SECOND_NS // 2)
    expected = len(plan_arrivals(ending).take_due(2**62, 10_000))
    assert 100 < expected <= 126
    publisher = Publisher(ending)
    await publish_until(publisher, lambda: publisher.ledger.published >= expected)
    assert (publisher.ledger.published, publisher.ledger.missed) == (expected, 0)


async def test_bursts_of_big_payloads_go_out_at_once(
    plan: PublishPlan, route: tuple[FakeRoute, str]
) -> None:
    fake, url = route
    burst = Arrivals(kind="burst", burst_size=40)
    what = Publish(event="ticker:update", rate=200.0, arrivals=burst, payload_bytes=2_048)
    publisher = Publisher(replace(plan, url=url, publish=(what,)))
    await publish_until(publisher, lambda: publisher.ledger.published >= 80)
    assert {len(json.dumps(i["data"], separators=(",", ":"))) for i in fake.items} == {2_048}
    moments = Counter(item["srcTs"] for item in fake.items)
    assert set(moments.values()) == {40}


async def test_the_ledger_and_the_record_tell_the_same(
    plan: PublishPlan, route: tuple[FakeRoute, str]
) -> None:
    fake, url = route
    publisher = Publisher(replace(plan, url=url))
    await publish_until(publisher, lambda: publisher.ledger.published >= 100)
    finish_run(plan.directory)
    ledger = read_json(plan.directory / "logs" / "publisher.json")
    assert ledger is not None
    assert ledger["published"] == len(fake.items) == count_rows(plan.directory, "timeline", "sent")
    assert count_rows(plan.directory, "timeline", "offered") == len(fake.items)
    last = {item["room"]: number for number, item in enumerate(fake.items, 1)}
    owners = {f"user:{i['userId']}": n for n, i in enumerate(fake.items, 1) if "userId" in i}
    assert ledger["streams"] == last | owners
    hist = pq.read_table(plan.directory / "hist.parquet").to_pylist()
    assert {row["series"] for row in hist} == {"publish_delay", "publish_ack", "accept"}
    assert {row["phase"] for row in hist} == {"warm-up", "steady"}
    assert sum(r["count"] for r in hist if r["series"] == "publish_delay") == len(fake.items)


async def test_a_gateway_that_asks_to_wait_gets_the_same_items_later(
    plan: PublishPlan, route: tuple[FakeRoute, str]
) -> None:
    fake, url = route
    refusals = iter(range(3))
    fake.answer = lambda: (
        web.json_response({"errors": [], "retryAfter": 20}, status=503)
        if next(refusals, None) is not None
        else None
    )
    publisher = Publisher(replace(plan, url=url))
    await publish_until(publisher, lambda: publisher.ledger.published >= 100)
    assert publisher.ledger.throttled == 3
    assert publisher.ledger.failed == publisher.ledger.missed == 0
    assert len({item["srcTs"] for item in fake.items if "userId" not in item}) == len(
        [item for item in fake.items if "userId" not in item]
    )


async def test_a_refused_publication_is_an_error_and_never_counted_as_published(
    plan: PublishPlan, route: tuple[FakeRoute, str]
) -> None:
    fake, url = route
    fake.answer = lambda: web.json_response({"errors": ["no"]}, status=400)
    publisher = Publisher(replace(plan, url=url))
    await publish_until(publisher, lambda: publisher.ledger.failed >= 20)
    finish_run(plan.directory)
    assert publisher.ledger.published == 0
    assert count_rows(plan.directory, "timeline", "errors") > 0
    details = pq.read_table(plan.directory / "events.parquet")["detail"].to_pylist()
    assert all("publish answered 400" in words for words in details)


async def test_what_was_due_and_never_went_out_is_missed(
    plan: PublishPlan, route: tuple[FakeRoute, str]
) -> None:
    fake, url = route
    fake.answer = lambda: web.json_response({"retryAfter": 60_000}, status=503)
    publisher = Publisher(replace(plan, url=url))
    await publish_until(publisher, lambda: publisher.ledger.throttled >= 4)
    finish_run(plan.directory)
    offered, sent, missed = (
        count_rows(plan.directory, "timeline", name) for name in ("offered", "sent", "missed")
    )
    assert offered == sent + missed
    assert missed == publisher.ledger.missed
    assert publisher.ledger.failed == sent


async def test_a_gateway_that_is_gone_ends_the_publisher(
    plan: PublishPlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("loadtests.publication.publisher.GIVE_UP_S", 0.05)
    with pytest.raises(GatewayLost, match="has not answered"):
        await Publisher(plan).run()


def test_a_plan_with_an_unknown_or_missing_field_is_refused(tmp_path: Path) -> None:
    with pytest.raises((TypeError, KeyError)):
        read_plan(json.dumps({"directory": str(tmp_path), "publish": []}))
    with pytest.raises(ValueError, match="Expecting"):
        read_plan("nonsense")


def describe(plan: PublishPlan, url: str) -> dict[str, object]:
    return asdict(plan) | {"directory": str(plan.directory), "url": url}


async def wait_for(is_so: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + DEADLINE_S
    while not is_so():
        assert time.monotonic() < deadline_s
        await asyncio.sleep(0.02)


async def test_the_process_ends_in_order_when_its_input_ends(
    plan: PublishPlan, route: tuple[FakeRoute, str]
) -> None:
    fake, url = route
    process = PublisherProcess(plan.directory)
    process.begin(describe(plan, url))
    await wait_for(lambda: len(fake.items) > 50)
    assert not process.is_lost
    await asyncio.to_thread(process.stop)
    assert process.figures()["status"] == "complete"
    assert process.figures()["published"] == len(fake.items)


async def test_a_process_that_is_being_stopped_is_not_lost(
    plan: PublishPlan, route: tuple[FakeRoute, str]
) -> None:
    fake, url = route
    process = PublisherProcess(plan.directory)
    process.begin(describe(plan, url))
    await wait_for(lambda: len(fake.items) > 0)
    stop = asyncio.create_task(asyncio.to_thread(process.stop))
    while not stop.done():
        assert not process.is_lost
        await asyncio.sleep(0.001)
    assert process.figures()["status"] == "complete"


async def test_a_killed_process_is_lost(plan: PublishPlan, route: tuple[FakeRoute, str]) -> None:
    fake, url = route
    process = PublisherProcess(plan.directory)
    process.begin(describe(plan, url))
    await wait_for(lambda: len(fake.items) > 0)
    os.kill(process.pid, signal.SIGKILL)
    await wait_for(lambda: process.is_lost)
    assert process.exit_code == -signal.SIGKILL
    process.stop()
    assert process.figures()["status"] == "lost"


def test_a_process_that_never_began_ends_in_order(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    process = PublisherProcess(tmp_path)
    process.stop()
    assert process.figures() == {"status": "complete", "published": 0, "late": 0, "missed": 0}


def start_process() -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "loadtests.publication.publisher"]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)


async def test_sigterm_ends_the_process_within_a_second(
    plan: PublishPlan, route: tuple[FakeRoute, str]
) -> None:
    fake, url = route
    process = start_process()
    assert process.stdin is not None
    with process.stdin as pipe:
        pipe.write(json.dumps(describe(plan, url)).encode() + b"\n")
        pipe.flush()
        await wait_for(lambda: len(fake.items) > 10)
        asked_s = time.monotonic()
        process.terminate()
        assert await asyncio.to_thread(process.wait, DEADLINE_S) == 0
    # One second is promised; the rest is what a busy machine takes to end an interpreter.
    assert time.monotonic() - asked_s < 1.0 + PROMPT_S


def accepted_ms(directory: Path) -> list[float]:
    """Return the middle of each bucket of the series ``accept``."""
    rows = pq.read_table(directory / "hist.parquet").to_pylist()
    return [sum(bucket_range(r["bucket"])) / 2e6 for r in rows if r["series"] == "accept"]


async def test_what_a_publication_waits_for_its_number_is_timed_once_for_each(
    plan: PublishPlan, route: tuple[FakeRoute, str]
) -> None:
    _, url = route
    publisher = Publisher(replace(plan, url=url))
    await publish_until(publisher, lambda: publisher.ledger.published >= 30)
    finish_run(plan.directory)
    rows = pq.read_table(plan.directory / "hist.parquet").to_pylist()
    assert sum(r["count"] for r in rows if r["series"] == "accept") == publisher.ledger.published
    assert all(0 <= ms < DEADLINE_S * 1_000 for ms in accepted_ms(plan.directory))


async def test_intended_times_are_told_in_the_gateways_clock(
    plan: PublishPlan, route: tuple[FakeRoute, str]
) -> None:
    fake, url = route
    fake.offset_ns = 3_600 * SECOND_NS
    publisher = Publisher(replace(plan, url=url, clock_offset_ns=fake.offset_ns))
    await publish_until(publisher, lambda: publisher.ledger.published >= 30)
    finish_run(plan.directory)
    now_us = fake.numbered_us()
    assert all(0 <= now_us - item["srcTs"] < DEADLINE_S * 1e6 for item in fake.items)
    assert all(0 <= ms < DEADLINE_S * 1_000 for ms in accepted_ms(plan.directory))


async def test_without_a_known_clock_no_intended_time_is_told(
    plan: PublishPlan, route: tuple[FakeRoute, str]
) -> None:
    fake, url = route
    publisher = Publisher(replace(plan, url=url, clock_offset_ns=None))
    await publish_until(publisher, lambda: publisher.ledger.published >= 5)
    finish_run(plan.directory)
    assert not any("srcTs" in item for item in fake.items)
    assert accepted_ms(plan.directory) == []


async def test_the_process_takes_a_clock_that_was_found_anew(
    plan: PublishPlan, route: tuple[FakeRoute, str]
) -> None:
    fake, url = route
    process = PublisherProcess(plan.directory)
    process.begin(describe(plan, url))
    process.tell_clock_offset(3_600 * SECOND_NS)
    limit_us = (time.monotonic_ns() + 3_000 * SECOND_NS) // 1_000
    await wait_for(lambda: any(item["srcTs"] > limit_us for item in fake.items))
    await asyncio.to_thread(process.stop)
    assert process.figures()["status"] == "complete"


async def test_what_an_ordered_restart_refuses_is_missed_and_the_next_gateway_is_published_to(
    plan: PublishPlan, unused_tcp_port: int
) -> None:
    url = f"http://127.0.0.1:{unused_tcp_port}"
    publisher = Publisher(replace(plan, url=url, orders_ns=(plan.first_ns,)))
    publisher.ledger.streams["price:A"] = 1_000  # of the gateway that is gone
    task = asyncio.create_task(publisher.run())
    await wait_until(lambda: publisher.ledger.missed > 5)
    fake, app = FakeRoute(), web.Application()
    app.router.add_post("/api/v1/publish", fake.publish)
    async with TestServer(app, port=unused_tcp_port):
        await wait_until(lambda: publisher.ledger.published > 20)
        publisher.stopping.set()
        await task
    assert publisher.ledger.failed == publisher.ledger.missed
    finish_run(plan.directory)
    assert "price:A" not in publisher.ledger.streams or publisher.ledger.streams["price:A"] < 1_000
    assert count_rows(plan.directory, "timeline", "missed") == publisher.ledger.missed
    assert count_rows(plan.directory, "timeline", "errors") == 0


async def wait_until(is_so: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + DEADLINE_S
    while not is_so():
        assert time.monotonic() < deadline_s
        await asyncio.sleep(0.01)


@pytest.fixture
async def nodes(route: tuple[FakeRoute, str]) -> AsyncIterator[tuple[FakeRoute, FakeRoute, str]]:
    """Two nodes and ``URL,URL`` of them."""
    first, url = route
    second = FakeRoute()
    app = web.Application()
    app.router.add_post("/api/v1/publish", second.publish)
    async with TestServer(app) as server:
        yield first, second, f"{url},{str(server.make_url('')).rstrip('/')}"


def ids_of(*routes: FakeRoute) -> list[str]:
    return [str(item["id"]) for fake in routes for item in fake.items]


async def test_several_nodes_are_published_through_in_turn_and_each_item_has_a_name(
    plan: PublishPlan, nodes: tuple[FakeRoute, FakeRoute, str]
) -> None:
    first, second, url = nodes
    publisher = Publisher(replace(plan, url=url))
    await publish_until(publisher, lambda: publisher.ledger.published >= 150)
    assert min(len(first.items), len(second.items)) > 30
    assert len(set(ids_of(first, second))) == publisher.ledger.published
    assert publisher.ledger.failed == publisher.ledger.missed == 0


@pytest.mark.parametrize("is_there", [True, False], ids=["draining", "gone"])
async def test_what_a_node_does_not_take_goes_to_the_next_at_once(
    plan: PublishPlan, nodes: tuple[FakeRoute, FakeRoute, str], *, is_there: bool
) -> None:
    first, second, url = nodes
    first.answer = lambda: web.json_response({"errors": [], "retryAfter": 60_000}, status=503)
    away = url.split(",")[0] if is_there else "http://127.0.0.1:1"
    publisher = Publisher(replace(plan, url=f"{away},{url.split(',')[1]}"))
    await publish_until(publisher, lambda: publisher.ledger.published >= 150)
    assert len(set(ids_of(second))) == publisher.ledger.published
    assert publisher.ledger.failed == publisher.ledger.throttled == 0


async def test_a_single_gateway_gets_items_without_names(
    plan: PublishPlan, route: tuple[FakeRoute, str]
) -> None:
    fake, url = route
    publisher = Publisher(replace(plan, url=url))
    await publish_until(publisher, lambda: publisher.ledger.published >= 10)
    assert all("id" not in item for item in fake.items)
