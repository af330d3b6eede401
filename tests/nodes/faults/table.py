"""The table of faults: what is done, for how long, and what clients may be told."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from deadlines import DEADLINE_S, poll_until

from gateway.contract import ResyncReason
from tests.nodes.faults.cluster import Cluster, delay, swallow

LOG_ENTRIES: Final = 100
_TRIMMED: Final = 500
_DAY_S: Final = 86_400

Act = Callable[[Cluster, float], Awaitable[None]]


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One row.

    Attributes:
        name: in the table.
        act: does it to a cluster, for so many s, and undoes it.
        small_s, real_s: how long it lasts in a test and in the proof, s; 0 where it is a moment.
        told: the reason of ``resync`` that the clients concerned must be told, ``None`` for none.
        concerned: the node whose clients are concerned, "" for all.
        names, is_kept, is_proxied, processes, settings, command: see ``run_cluster``.
        real_clients: of the proof.
    """

    name: str
    act: Act
    small_s: float = 0.0
    real_s: float = 0.0
    told: ResyncReason | None = None
    concerned: str = ""
    names: Sequence[str] = "ab"
    is_kept: bool = True
    is_proxied: bool = False
    processes: int = 0
    settings: Mapping[str, str] = field(default_factory=dict)
    command: Callable[[str], Sequence[str]] | None = None
    real_clients: int = 200


async def _restart(cluster: Cluster, _hold_s: float) -> None:
    await asyncio.to_thread(cluster.redis.stop)
    await asyncio.to_thread(cluster.redis.start)


async def _delete(cluster: Cluster, _hold_s: float) -> None:
    await asyncio.to_thread(cluster.redis.command, "FLUSHALL")


async def _cut(cluster: Cluster, _hold_s: float) -> None:
    for _ in range(5):
        await asyncio.to_thread(cluster.redis.command, "CLIENT", "KILL", "TYPE", "normal")
        await asyncio.sleep(0.1)


async def _stop(cluster: Cluster, hold_s: float) -> None:
    cluster.redis.pause()
    await asyncio.sleep(hold_s)
    cluster.redis.resume()


def _slow(milliseconds: float) -> Act:
    async def act(cluster: Cluster, hold_s: float) -> None:
        cluster.slow(delay(milliseconds))
        await asyncio.sleep(hold_s)
        cluster.slow()

    return act


async def _swallow(cluster: Cluster, hold_s: float) -> None:
    proxy = cluster.proxies["a"]
    proxy.set(swallow())
    await cluster.are_ready(wanted=False)
    await asyncio.sleep(hold_s)
    proxy.set(())


async def _fill(cluster: Cluster, hold_s: float) -> None:
    await asyncio.to_thread(cluster.redis.command, "CONFIG", "SET", "maxmemory", "1")
    refused = cluster.publisher.answers["503"]
    await poll_until(lambda: cluster.publisher.answers["503"] > refused, "it refuses")
    await asyncio.sleep(hold_s)
    await asyncio.to_thread(cluster.redis.command, "CONFIG", "SET", "maxmemory", "0")


async def _trim(cluster: Cluster, _hold_s: float) -> None:
    cluster.publishes_to = "b"
    await _wait_for_answers(cluster)
    cluster.nodes["a"].process.send_signal(signal.SIGSTOP)

    def accepted() -> int:
        return sum(map(len, cluster.publisher.accepted.values()))

    begun = accepted()
    try:
        await poll_until(
            lambda: accepted() > begun + _TRIMMED, "the log is trimmed", 4 * DEADLINE_S
        )
    finally:
        cluster.nodes["a"].process.send_signal(signal.SIGCONT)
        cluster.publishes_to = ""


async def _wait_for_answers(cluster: Cluster) -> None:
    url = cluster.nodes["a"].url
    await poll_until(lambda: not cluster.publisher.under_way[url], "the node has answered")


async def _kill_node(cluster: Cluster, _hold_s: float) -> None:
    """Kill a node once a client has an event whose publisher has no answer yet."""
    cluster.publishes_to = "a"
    async with asyncio.timeout(4 * DEADLINE_S):
        while not cluster.has_unanswered():  # noqa: ASYNC110 - the answer follows within 1 ms
            await asyncio.sleep(0)
    cluster.publishes_to = ""
    cluster.kill("a")


async def _pause_node(cluster: Cluster, hold_s: float) -> None:
    cluster.nodes["a"].process.send_signal(signal.SIGSTOP)
    try:
        await asyncio.sleep(hold_s)
    finally:
        cluster.nodes["a"].process.send_signal(signal.SIGCONT)


async def _only_wait(_cluster: Cluster, hold_s: float) -> None:
    await asyncio.sleep(hold_s)


def _command_with_clock(name: str) -> Sequence[str]:
    offset_s = {"a": _DAY_S, "b": -_DAY_S}[name]
    return (sys.executable, "-m", "tests.nodes.faults.off_clock", str(offset_s))


async def _roll(cluster: Cluster, _hold_s: float) -> None:
    node = cluster.nodes["n"]
    node.process.send_signal(signal.SIGHUP)

    def is_done() -> bool:
        return any(line["event"] == "rolling restart done" for line in node.log_events())

    await poll_until(is_done, "the rolling restart is done", 12 * DEADLINE_S)


async def _send_twice(cluster: Cluster, hold_s: float) -> None:
    cluster.publisher.sends_twice = True
    await asyncio.sleep(hold_s)
    cluster.publisher.sends_twice = False


FAULTS: Final = (
    Fault(name="Redis killed and started again", act=_restart),
    Fault(
        name="Redis killed and started again without its data",
        act=_restart,
        is_kept=False,
        told=ResyncReason.EPOCH,
    ),
    Fault(name="data of Redis deleted", act=_delete, told=ResyncReason.EPOCH),
    Fault(name="connections to Redis cut five times", act=_cut),
    Fault(name="Redis stopped", act=_stop, small_s=2, real_s=30),
    Fault(name="Redis slow by 100 ms", act=_slow(100), small_s=1, real_s=10, is_proxied=True),
    Fault(name="Redis slow by 2 s", act=_slow(2_000), small_s=4, real_s=20, is_proxied=True),
    Fault(
        name="half-open connection of a node to Redis",
        act=_swallow,
        small_s=0,
        real_s=15,
        is_proxied=True,
    ),
    Fault(name="`maxmemory` reached", act=_fill, small_s=1, real_s=10),
    Fault(
        name="log trimmed past a slow node",
        act=_trim,
        told=ResyncReason.NOT_HELD,
        concerned="a",
        settings={"GATEWAY_REDIS_LOG_ENTRIES": str(LOG_ENTRIES)},
    ),
    Fault(name="node killed in mid-broadcast", act=_kill_node),
    Fault(name="node paused", act=_pause_node, small_s=2, real_s=20),
    Fault(
        name="clocks of two nodes a day ahead and a day behind",
        act=_only_wait,
        small_s=1,
        real_s=10,
        command=_command_with_clock,
    ),
    Fault(
        name="rolling restart of three nodes",
        act=_roll,
        names="n",
        processes=3,
        real_clients=2_000,
    ),
    Fault(
        name="each publication sent to two nodes at once, with one `id`",
        act=_send_twice,
        small_s=1,
        real_s=10,
    ),
)
