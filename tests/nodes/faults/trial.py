"""``run_trial``: does a fault to a cluster, and returns what its clients saw as a row."""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from deadlines import DEADLINE_S, poll_until

from tests.nodes.faults.cluster import Cluster, Size, run_cluster
from tests.nodes.faults.ledger import Findings
from tests.nodes.faults.table import Fault

Row = dict[str, Any]


async def run_trial(fault: Fault, size: Size, folder: Path) -> Row:
    """Return what a fault did.

    Args:
        fault: the fault.
        size: how large the trial is.
        folder: for data and logs; empty.
    """
    parts: dict[str, Any] = {
        name: getattr(fault, name)
        for name in ("names", "is_kept", "is_proxied", "processes", "settings")
    }
    if fault.command is not None:
        parts["command"] = fault.command
    async with run_cluster(folder, size, **parts) as cluster:
        await _have_begun(cluster)
        concerned = cluster.of_node(fault.concerned) if fault.concerned else cluster.listeners
        publisher = cluster.publisher
        publisher.answers.clear()
        hold_s = fault.real_s if size.is_real else fault.small_s
        began_s = time.monotonic()
        await fault.act(cluster, hold_s)
        ended_s = time.monotonic()
        if fault.told:  # what was published before it is not owed
            await poll_until(lambda: all(each.account.told for each in concerned), "all are told")
        await cluster.are_ready()
        ready_s = time.monotonic() - ended_s
        answers = dict(sorted(publisher.answers.items()))
        await cluster.are_connected()
        await publisher.end()
        await cluster.are_current()
        current_s = time.monotonic() - ended_s
        found = Findings()
        for listener in cluster.listeners:
            found.add(listener.account.findings(publisher.accepted))
        return {
            "fault": fault.name,
            "hold_s": hold_s,
            "took_s": round(ended_s - began_s, 2),
            "clients": size.clients,
            **asdict(found),
            "unequal": publisher.unequal,
            "told": _told(cluster, concerned, fault),
            "concerned": len(concerned) if fault.told else 0,
            "told_others": sum(
                bool(each.account.told) for each in cluster.listeners if each not in concerned
            ),
            "reason": fault.told,
            "answers": answers,
            "ready_s": round(ready_s, 2),
            "current_s": round(current_s, 2),
            "accepted": sum(map(len, publisher.accepted.values())),
            "errors": cluster.errors(),
        }


async def _have_begun(cluster: Cluster) -> None:
    """Wait until each client has an event of each of its streams."""
    await poll_until(
        lambda: all(
            each.account.newest[stream] for each in cluster.listeners for stream in each.streams
        ),
        "every client has begun",
        4 * DEADLINE_S,
    )


def _told(cluster: Cluster, concerned: Any, fault: Fault) -> int:
    """Return how many of the clients concerned were told why, and nothing else."""
    if fault.told is None:
        return sum(bool(each.account.told) for each in cluster.listeners)
    return sum(set(each.account.told) == {fault.told} for each in concerned)


def problems(row: Row) -> list[str]:
    """Return what a row has that no fault may do."""
    found = [
        f"{row[name]} {name}"
        for name in ("lost", "doubled", "reordered", "leaked", "unequal", "told_others")
        if row[name]
    ]
    if row["told"] != row["concerned"]:
        found.append(f"{row['told']} of {row['concerned']} clients were told")
    return [*found, *row["errors"]]
