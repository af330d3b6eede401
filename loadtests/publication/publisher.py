"""The publisher: a process that publishes at intended times and keeps a ledger of it.

``python -m loadtests.publication.publisher`` reads its plan from standard input, one line of JSON.
It publishes until that input ends or SIGTERM arrives, then exits 0 within a second. It exits 1
when the gateway no longer answers. Further lines of input update the difference between the
gateway's clock and ours, ``{"clock_offset_ns": …}``, or the token, ``{"token": …}``.

Items due together go in one request of at most ``MAX_PUBLISH_ITEMS``. A few requests may be in
flight; the gateway numbers them as they arrive. A late item goes out late, with its intended
time in ``srcTs``; an item that never goes out counts as ``missed``.

With several nodes each request goes to the next one. An item then has an ``id``, so that a request
without an answer can go to another node, and is published once.

ConnectionError
└── GatewayLost      the gateway has not answered for ``GIVE_UP_S``
"""

from __future__ import annotations

import asyncio
import io
import itertools
import json
import logging
import os
import secrets
import signal
import sys
import time
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

import orjson

from gateway.contract import MAX_PUBLISH_ITEMS, PUBLISH_PATH
from loadtests.errors import ClientError
from loadtests.health.fine_selector import make_fine_loop
from loadtests.health.gaps import Gaps
from loadtests.health.time_slice import USUAL_SLICE, ask_for_slices
from loadtests.plan.nodes import split_urls
from loadtests.plan.publish_plan import PublishPlan, plan_arrivals, read_plan
from loadtests.plan.turns import whole_second
from loadtests.publication.payloads import PayloadMaker
from loadtests.publication.posting import Poster
from loadtests.publication.publication_ledger import PublicationLedger
from loadtests.publication.publishing import READY
from loadtests.record.gateway_orders import RESTARTED_WITHIN_S
from loadtests.record.recording import SECOND_NS
from scenarios.schema import Publish

IN_FLIGHT: Final = 4
COARSE_S: Final = 0.000_1
"""A timer may be this late, so the last part of a wait polls."""
BREATH_S: Final = 0.002
"""Pause between two steps of a flush, in which due items go out."""
GIVE_UP_S: Final = 5.0
LAST_ANSWERS_S: Final = 0.6
REQUEST_TIMEOUT_S: Final = 10.0
LONGEST_RETRY_S: Final = 5.0
_NS_PER_US: Final = 1_000

_log = logging.getLogger("publisher")


class GatewayLost(ConnectionError):  # noqa: N818 - the state that ends the process
    """The gateway no longer answers."""


class Publisher:
    """Publishes by a plan and keeps the ledger.

    Attributes:
        ledger: of all publications.
        clock_offset_ns: the gateway's clock minus ours; None when it is unknown.
        token: the bearer token of its requests.
    """

    def __init__(self, plan: PublishPlan) -> None:
        self.plan = plan
        self.ledger = PublicationLedger(plan)
        self.clock_offset_ns = plan.clock_offset_ns
        self.token = plan.token
        self.stopping = asyncio.Event()
        self._nodes = [Poster(url, REQUEST_TIMEOUT_S) for url in split_urls(plan.url)]
        self._turns = itertools.count()
        self._run_id = secrets.token_hex(6) if len(self._nodes) > 1 else ""
        self._arrivals = plan_arrivals(plan)
        self._payloads = PayloadMaker(plan.seed, plan.symbols, plan.weights, plan.user_ids)
        self._pending: set[asyncio.Task[None]] = set()
        self._items = 0
        self._fault: BaseException | None = None
        self._silent_since_ns: int | None = None
        self._gaps = Gaps(plan.orders_ns, round(RESTARTED_WITHIN_S * SECOND_NS))

    async def run(self) -> None:
        """Publish until ``stopping`` is set, then close the ledger.

        Raises:
            GatewayLost: the gateway has not answered for ``GIVE_UP_S``.
        """
        flushes = asyncio.create_task(self._flush_each_second())
        flushes.add_done_callback(self._notice_fault)
        try:
            await self._send_until_stopped()
            await self._end()
        finally:
            flushes.cancel()
            self.ledger.close()
            for node in self._nodes:
                node.close()
        if self._fault is not None:
            raise self._fault

    def take_order(self, order: Mapping[str, Any]) -> None:
        """Take a newer offset of the clock, or a newer token."""
        if "token" in order:
            self.token = str(order["token"])
        else:
            self.clock_offset_ns = int(order["clock_offset_ns"])

    async def _send_until_stopped(self) -> None:
        stop = asyncio.create_task(self.stopping.wait())
        while not self.stopping.is_set():
            due_ns = self._arrivals.next_ns()
            wait_s = None if due_ns is None else (due_ns - time.monotonic_ns()) / SECOND_NS
            if wait_s is None or wait_s > COARSE_S:
                coarse_s = None if wait_s is None else wait_s - COARSE_S
                await asyncio.wait({stop}, timeout=coarse_s)
            elif wait_s > 0:
                await asyncio.sleep(0)
            elif len(self._pending) >= IN_FLIGHT:
                await asyncio.wait({stop, *self._pending}, return_when=asyncio.FIRST_COMPLETED)
            else:
                self._send_batch(time.monotonic_ns())

    def _send_batch(self, now_ns: int) -> bool:
        batch = self._arrivals.take_due(now_ns, MAX_PUBLISH_ITEMS)
        if batch:
            task = asyncio.create_task(self._publish(batch))
            self._pending.add(task)
            task.add_done_callback(self._notice_fault)
        return bool(batch)

    async def _end(self) -> None:
        """Send items that are due, while requests are free; count the rest as missed."""
        stopped_ns = time.monotonic_ns()
        while len(self._pending) < IN_FLIGHT and self._send_batch(stopped_ns):
            pass
        while batch := self._arrivals.take_due(stopped_ns, MAX_PUBLISH_ITEMS):
            self.ledger.miss(len(batch))
            self.ledger.recorder.count("offered", len(batch))
        if self._pending:
            _, unanswered = await asyncio.wait(self._pending, timeout=LAST_ANSWERS_S)
            for task in unanswered:
                task.cancel()
            await asyncio.gather(*unanswered, return_exceptions=True)

    def _notice_fault(self, task: asyncio.Task[None]) -> None:
        self._pending.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self._fault = self._fault or task.exception()
            self.stopping.set()

    async def _publish(self, batch: list[tuple[int, int, int]]) -> None:
        items = [self._item(due_ns, self.plan.publish[index]) for due_ns, index, _ in batch]
        body = orjson.dumps(items)
        self.ledger.send(batch, time.monotonic_ns())
        accepted = False
        try:
            while not accepted:
                status, content = await self._post_in_turn(body)
                accepted = status == HTTPStatus.ACCEPTED
                if accepted:
                    self._take_answer(items, batch, content)
                elif self._is_away(len(items)):
                    return
                elif status != HTTPStatus.SERVICE_UNAVAILABLE:
                    self.ledger.fail(f"publish answered {status}: {str(content)[:300]}")
                    return
                elif not await self._wait_as_told(content):
                    return
        except (ClientError, ValueError) as error:
            if not self._is_away(len(items)):
                self.ledger.fail(f"publish failed: {type(error).__name__}: {error}")
                self._judge_silence()
        finally:
            if not accepted:
                self.ledger.failed += len(items)

    def _item(self, due_ns: int, what: Publish) -> dict[str, object]:
        offset_ns = self.clock_offset_ns
        source_us = None if offset_ns is None else (due_ns + offset_ns) // _NS_PER_US
        item = self._payloads.make(
            what.event, source_us=source_us, unix_s=time.time(), least_bytes=what.payload_bytes
        )
        if self._run_id:
            self._items += 1
            item["id"] = f"{self._run_id}-{self._items}"
        return item

    async def _post_in_turn(self, body: bytes) -> tuple[int, dict[str, Any]]:
        """Publish through the next node; through another one where it does not accept.

        Returns:
            Status and content of the last node's answer.

        Raises:
            ClientError: the last node gave no answer.
            ValueError: its answer is no JSON.
        """
        first = next(self._turns)
        for more in reversed(range(len(self._nodes))):
            node = self._nodes[(first - more) % len(self._nodes)]
            try:
                status, text = await node.post(PUBLISH_PATH, body, self.token)
            except ClientError:
                if not more:
                    raise
                continue
            self._silent_since_ns = None
            if not more or status != HTTPStatus.SERVICE_UNAVAILABLE:
                break
        return status, orjson.loads(text)

    def _take_answer(
        self,
        items: list[dict[str, object]],
        batch: list[tuple[int, int, int]],
        content: dict[str, Any],
    ) -> None:
        now_ns = time.monotonic_ns()
        if self._gaps.take_answer(now_ns) and not self._run_id:
            self.ledger.streams.clear()  # a restarted gateway numbers from 1
        self.ledger.accept(
            items,
            [due_ns for due_ns, _, _ in batch],
            content["published"],
            now_ns,
            is_offset=bool(self.clock_offset_ns),
        )

    async def _wait_as_told(self, content: dict[str, Any]) -> bool:
        self.ledger.throttled += 1
        wait_s = min(LONGEST_RETRY_S, max(0.01, float(content.get("retryAfter", 1_000)) / 1_000))
        try:
            await asyncio.wait_for(self.stopping.wait(), wait_s)
        except TimeoutError:
            return True
        return False

    def _is_away(self, items: int) -> bool:
        """Return whether the gateway is away by order; its failed items then count as missed."""
        if not self._gaps.take_failure(time.monotonic_ns()):
            return False
        self.ledger.miss(items)
        return True

    def _judge_silence(self) -> None:
        now_ns = time.monotonic_ns()
        if self._silent_since_ns is None:
            self._silent_since_ns = now_ns
        if now_ns - self._silent_since_ns > GIVE_UP_S * SECOND_NS:
            raise GatewayLost(f"{self.plan.url} has not answered for {GIVE_UP_S:g} s")

    async def _flush_each_second(self) -> None:
        now_ns = time.monotonic_ns()
        due_ns = now_ns if self.plan.turns is None else whole_second(now_ns)  # in the pause
        while True:
            due_ns += SECOND_NS
            await asyncio.sleep(max(0, due_ns - time.monotonic_ns()) / SECOND_NS)
            self.ledger.recorder.begin_flush(time.monotonic_ns())
            while self.ledger.recorder.flush_step():  # noqa: ASYNC110 - each step is work, not a question
                await asyncio.sleep(BREATH_S)
            self.ledger.write()


async def publish(plan: PublishPlan) -> None:
    """Publish a plan until standard input ends or SIGTERM arrives.

    Raises:
        GatewayLost: the gateway has not answered for ``GIVE_UP_S``.
    """
    publisher = Publisher(plan)
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, publisher.stopping.set)
    source = sys.stdin.fileno()
    rest = b""

    def read_on() -> None:
        nonlocal rest
        data = os.read(source, 4_096)
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            publisher.take_order(json.loads(line))
        if not data:
            loop.remove_reader(source)
            publisher.stopping.set()

    loop.add_reader(source, read_on)
    await publisher.run()


def main() -> int:
    """Run the process and return its exit code."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    _log.info(READY)
    # Python's own reader would buffer lines that the loop must read.
    with io.FileIO(sys.stdin.fileno(), closefd=False) as source:
        line = source.readline().decode()
    if not line:
        return 0
    try:
        plan = read_plan(line)
        # Undo the inherited short slices: the load generator must run first.
        ask_for_slices(USUAL_SLICE)
        # asyncio's own selector rounds waits up to whole milliseconds.
        with asyncio.Runner(loop_factory=make_fine_loop) as runner:
            runner.run(publish(plan))
    except GatewayLost as error:
        _log.error("%s", error)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
