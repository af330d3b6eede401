"""A model of many nodes on one Redis: its CPU, its bytes out, and the latency of the last node.

``N`` nodes read the log. ``P`` publications a second arrive in calls of ``b``. Each node adds its
own message ``B`` times a second, so the log gets ``E = P + B·N`` entries in ``C = P/b + B·N``
calls. Every call wakes every reader once, and every reader gets every entry::

    busy share  U = C·a + E·e + N·(C·r + E·d)     of the one thread of Redis
    bytes out   O = N·(C·h + E·s)
    one call    S = a + b·e + N·(r + b·d)         until the last reader has its reply
    latency     L = L₀ + S·(1 + U / (2·(1 − U)))  M/D/1: calls arrive at random, S is constant

``a``, ``e``, ``r`` and ``d`` are seconds a call and an entry of appending, and a reply and an entry
of reading; ``h`` and ``s`` are bytes of a reply and an entry; ``L₀`` is the rest of the way. All are
fitted to measurements. The model has no batching of late readers, so near ``U = 1`` it is pessimistic.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from scipy.optimize import nnls

BEATS_PER_S: Final = 2.0
"""Messages that each node appends by itself."""
FULL: Final = 0.7
"""Busy share above which the queue before Redis grows quickly."""
LINK_BYTES_PER_S: Final = 125_000_000
"""One gigabit a second."""
SIZES: Final = (10, 100, 1_000)


class Load(NamedTuple):
    """What a Redis has to do.

    Attributes:
        nodes: that read the log.
        per_s: publications a second of all publishers.
        batch: publications a call.
    """

    nodes: int
    per_s: float
    batch: float

    @property
    def calls_per_s(self) -> float:
        """Calls that append, a second."""
        return self.per_s / self.batch + BEATS_PER_S * self.nodes

    @property
    def entries_per_s(self) -> float:
        """Entries that the log gets, a second."""
        return self.per_s + BEATS_PER_S * self.nodes


class Observed(NamedTuple):
    """What was measured of a load.

    Attributes:
        load: the load.
        busy_share: of the thread of Redis.
        bytes_per_s: that Redis sent.
    """

    load: Load
    busy_share: float
    bytes_per_s: float


class Costs(NamedTuple):
    """The constants of the model.

    Attributes:
        append_call_s, append_entry_s: CPU of Redis for a call and for each of its entries.
        reply_s, reply_entry_s: CPU of Redis for a reply to a reader and for each of its entries.
        reply_bytes, entry_bytes: of a reply, and of each of its entries.
        base_s: latency that is not Redis.
    """

    append_call_s: float
    append_entry_s: float
    reply_s: float
    reply_entry_s: float
    reply_bytes: float
    entry_bytes: float
    base_s: float = 0.0


class Growth(NamedTuple):
    """What the model says of a load.

    Attributes:
        load: the load.
        busy_share: of the thread of Redis; more than 1 cannot be served.
        cpu_s: of Redis for a publication and a node.
        bytes_per_s: that Redis sends.
        latency_s: until the last node has a publication; None where the queue has no end.
        most_per_s: publications a second at a busy share of ``FULL``, 0 where the nodes' own
            messages take more.
        shards: that keep ``FULL`` and a gigabit a second each.
    """

    load: Load
    busy_share: float
    cpu_s: float
    bytes_per_s: float
    latency_s: float | None
    most_per_s: float
    shards: int


def busy_share(costs: Costs, load: Load) -> float:
    """Return the share of the thread of Redis that a load takes."""
    calls, entries = load.calls_per_s, load.entries_per_s
    appended = calls * costs.append_call_s + entries * costs.append_entry_s
    return appended + load.nodes * (calls * costs.reply_s + entries * costs.reply_entry_s)


def bytes_per_s(costs: Costs, load: Load) -> float:
    """Return the bytes a second that Redis sends."""
    sent = load.calls_per_s * costs.reply_bytes + load.entries_per_s * costs.entry_bytes
    return load.nodes * sent


def latency_s(costs: Costs, load: Load) -> float | None:
    """Return the time until the last node has a publication, None where the queue has no end."""
    busy = busy_share(costs, load)
    if busy >= 1:
        return None
    append = costs.append_call_s + load.batch * costs.append_entry_s
    call = append + load.nodes * (costs.reply_s + load.batch * costs.reply_entry_s)
    return costs.base_s + call * (1 + busy / (2 * (1 - busy)))


def most_per_s(costs: Costs, nodes: int, batch: float) -> float:
    """Return the publications a second at which Redis is busy for ``FULL`` of the time.

    Args:
        costs: the constants.
        nodes: that read the log.
        batch: publications a call.
    """
    idle = busy_share(costs, Load(nodes, 0, batch))
    each = busy_share(costs, Load(nodes, 1, batch)) - idle
    return max(0.0, (FULL - idle) / each)


def grow(costs: Costs, load: Load) -> Growth:
    """Return what the model says of a load.

    The nodes' own messages are on one shard only, so more shards cannot relieve it of them.
    """
    busy, sent = busy_share(costs, load), bytes_per_s(costs, load)
    most = most_per_s(costs, load.nodes, load.batch)
    links = bytes_per_s(costs, load) / LINK_BYTES_PER_S
    shards = int(np.ceil(max(1.0, links, load.per_s / most))) if most else 0
    return Growth(
        load=load,
        busy_share=busy,
        cpu_s=busy / (load.per_s * load.nodes),
        bytes_per_s=sent,
        latency_s=latency_s(costs, load),
        most_per_s=most,
        shards=shards,
    )


def fit(observed: Sequence[Observed]) -> Costs:
    """Return the constants with the least squared relative errors, none of them negative.

    Args:
        observed: at least four loads that differ in nodes, batches and rates.

    Raises:
        ValueError: there are fewer.
    """
    if len(observed) < _CONSTANTS:
        raise ValueError(f"{_CONSTANTS} loads are needed to fit as many constants")
    facts = np.array(
        [
            (load.calls_per_s, load.entries_per_s, load.nodes * load.calls_per_s, load.nodes * load.entries_per_s)
            for load, _, _ in observed
        ]
    )
    busy = np.array([each.busy_share for each in observed])
    sent = np.array([each.bytes_per_s for each in observed])
    cpu, _ = nnls(facts / busy[:, None], np.ones(len(observed)))
    size, _ = nnls(facts[:, 2:] / sent[:, None], np.ones(len(observed)))
    return Costs(*map(float, cpu), *map(float, size))


_CONSTANTS: Final = 4
