"""A model of many nodes on one Redis: its CPU, its bytes out, and the latency of the last node.

``N`` nodes read the log. ``P`` publications a second arrive in calls of ``b``. Each node adds its
own message ``B`` times a second, so the log gets ``E = P + B·N`` entries in ``C = P/b + B·N``
calls. A node that is busy for ``τ`` with a reply gets the calls of that time in its next one::

    replies     R = N·C / (1 + C·τ)               a second, to all nodes
    busy share  U = C·a + E·e + R·r + N·E·d       of the one thread of Redis
    bytes out   O = R·h + N·(P·s + B·N·m)
    one call    S = a + b·e + N·(r + b·d)         until the last reader has its reply
    latency     L = L₀ + S·(1 + U / (2·(1 − U)))  M/D/1: calls arrive at random, S is constant

``a`` and ``e`` are seconds of appending, for a call and for an entry; ``r`` and ``d`` those of
reading, for a reply and for its entry; ``h``, ``s`` and ``m`` are bytes of a reply, a publication
and a node's own message; ``L₀`` is the rest of the way. All but ``m`` are fitted to measurements.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import ceil
from statistics import median
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

FloatArray = NDArray[np.float64]

BEATS_PER_S: Final = 2.0
"""Messages that each node appends by itself."""
BEAT_BYTES: Final = 260
"""Of such a message, as Redis sends it, while no user comes or goes."""
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
        replies_per_s: that Redis sent to readers.
        bytes_per_s: that Redis sent.
    """

    load: Load
    busy_share: float
    replies_per_s: float
    bytes_per_s: float


class Costs(NamedTuple):
    """The constants of the model.

    Attributes:
        append_call_s, append_entry_s: CPU of Redis for a call and for each of its entries.
        reply_s, reply_entry_s: CPU of Redis for a reply to a reader and for each of its entries.
        reply_bytes, entry_bytes: of a reply, and of each of its publications.
        reader_s: for which a node is busy with a reply.
        base_s: latency that is not Redis.
    """

    append_call_s: float
    append_entry_s: float
    reply_s: float
    reply_entry_s: float
    reply_bytes: float
    entry_bytes: float
    reader_s: float
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


def replies_per_s(costs: Costs, load: Load) -> float:
    """Return the replies a second that all nodes get."""
    calls = load.calls_per_s
    return load.nodes * calls / (1 + calls * costs.reader_s)


def busy_share(costs: Costs, load: Load, replies: float | None = None) -> float:
    """Return the share of the thread of Redis that a load takes.

    Args:
        costs: the constants.
        load: the load.
        replies: that all readers get, a second; those of the model by default.
    """
    replies = replies_per_s(costs, load) if replies is None else replies
    entries = load.entries_per_s
    appended = load.calls_per_s * costs.append_call_s + entries * costs.append_entry_s
    return appended + replies * costs.reply_s + load.nodes * entries * costs.reply_entry_s


def bytes_per_s(costs: Costs, load: Load, replies: float | None = None) -> float:
    """Return the bytes a second that Redis sends; see ``busy_share``.

    Args:
        costs: the constants.
        load: the load.
        replies: that all readers get, a second; those of the model by default.
    """
    replies = replies_per_s(costs, load) if replies is None else replies
    sent = replies * costs.reply_bytes
    return sent + load.nodes * load.per_s * costs.entry_bytes + _beat_bytes_per_s(load)


def _beat_bytes_per_s(load: Load) -> float:
    return BEATS_PER_S * load.nodes**2 * BEAT_BYTES


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

    Returns:
        0 where the nodes' own messages take more.
    """
    return _highest(lambda per_s: busy_share(costs, Load(nodes, per_s, batch)))


def most_nodes(costs: Costs) -> int:
    """Return how many nodes keep Redis busy for ``FULL`` of the time by their own messages."""
    return int(_highest(lambda nodes: busy_share(costs, Load(round(nodes), 0, 1))))


def _highest(busy: Callable[[float], float]) -> float:
    """Return the largest argument of an increasing function that keeps it within ``FULL``."""
    low, high = 0.0, 1e9
    if busy(low) > FULL:
        return 0.0
    while high - low > max(0.5, low * 1e-6):
        middle = (low + high) / 2
        low, high = (middle, high) if busy(middle) <= FULL else (low, middle)
    return low


def grow(costs: Costs, load: Load) -> Growth:
    """Return what the model says of a load.

    The nodes' own messages are on one shard only, so more shards cannot relieve it of them.
    """
    busy, sent = busy_share(costs, load), bytes_per_s(costs, load)
    most = most_per_s(costs, load.nodes, load.batch)
    shards = ceil(max(sent / LINK_BYTES_PER_S, load.per_s / most)) if most else 0
    return Growth(
        load=load,
        busy_share=busy,
        cpu_s=busy / (load.per_s * load.nodes),
        bytes_per_s=sent,
        latency_s=latency_s(costs, load),
        most_per_s=most,
        shards=shards,
    )


def fit(observed: Sequence[Observed], reader_s: float) -> Costs:
    """Return the constants with the least squared relative errors, none of them negative.

    Args:
        observed: at least four loads that differ in nodes, batches and rates.
        reader_s: for which a node is busy with a reply; see ``fit_reader``.

    Raises:
        ValueError: there are fewer.
    """
    if len(observed) < _CONSTANTS:
        raise ValueError(f"{_CONSTANTS} loads are needed to fit as many constants")
    loads = [each.load for each in observed]
    replies = np.array([each.replies_per_s for each in observed])
    calls = np.array([load.calls_per_s for load in loads])
    nodes = np.array([load.nodes for load in loads])
    entries = np.array([load.entries_per_s for load in loads])
    published = nodes * np.array([load.per_s for load in loads])
    busy = np.array([each.busy_share for each in observed])
    beats = np.array([_beat_bytes_per_s(load) for load in loads])
    sent = np.maximum(np.array([each.bytes_per_s for each in observed]) - beats, 1.0)
    cpu = _solve(busy, calls, entries, replies, nodes * entries)
    size = _solve(sent, replies, published)
    return Costs(cpu[0], cpu[1], cpu[2], cpu[3], size[0], size[1], reader_s)


def fit_reader(observed: Sequence[Observed]) -> float:
    """Return for how many seconds a node is busy with a reply: the median of what loads show.

    Args:
        observed: at least one load.
    """
    spans = [each.load.nodes / each.replies_per_s - 1 / each.load.calls_per_s for each in observed]
    return max(0.0, median(spans))


def _solve(wanted: FloatArray, *facts: FloatArray) -> list[float]:
    relative = np.stack(facts, axis=1) / wanted[:, None]
    constants, _ = nnls(relative, np.ones(len(wanted)))
    return [float(each) for each in constants]


_CONSTANTS: Final = 4
