"""``logs/live.json``: the newest second of a run, for the terminal and for Locust's page.

Written anew each second, whole or not at all. What was not measured is null.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from loadtests.record.histogram import Histogram
from loadtests.record.live_figures import LiveFigures
from loadtests.record.manifest import write_json
from loadtests.results import Phase, Strain
from scenarios.model import GENERATOR_CPU_PERCENT, Health

RATE_SPAN_S: Final = 5.0
"""Publications are told by another process, in its own seconds: a rate of one would jump."""
HISTORY_S: Final = 900
"""Seconds that the charts of Locust's page show."""
FEWEST_CLIENTS: Final = 10
"""A process takes memory in pages and arenas: fewer clients' cost is lost in them."""
_SECOND_NS: Final = 1_000_000_000
_NS_PER_MS: Final = 1_000_000
_MEMORY: Final = ("pss_anon_bytes", "rss_bytes")

MEMBERS: Final[Mapping[str, tuple[str, str]]] = {
    "t_s": ("s", "since the run's start"),
    "phase": ("", "ramp, warm-up, steady or drain"),
    "phase_from_s": ("s", "when that phase began, since the run's start"),
    "clients": ("", "virtual users that hold a welcome"),
    "offered": ("", "requests and sessions due in this second"),
    "requests": ("", "requests and sessions started in this second"),
    "published": ("", "publications that the gateway accepted so far; null without a publisher"),
    "published_per_s": ("1/s", "their rate in the last five seconds"),
    "received": ("", "events received in this second"),
    "errors": ("", "failures so far that no scenario asked for"),
    "missed": ("", "publications, requests and sessions due so far and never started"),
    "push_p50_ns": ("ns", "median push latency of this second"),
    "push_p99_ns": ("ns", "its 99th percentile"),
    "heartbeats_missed": ("", "heartbeats missed so far"),
    "limits_accepted": ("", "abusers' events so far that were rightly accepted"),
    "limits_refused": ("", "rightly refused"),
    "limits_wrong": ("", "wrong decisions so far, neighbours refused among them"),
    "limits_undecided": ("", "undecidable decisions so far"),
    "memory_per_client_bytes": ("B", "gateway memory over its first reading, for each client"),
    "share_p99_ns": ("ns", "the generator's own share of a push in this second, p99"),
    "cpu_percent": ("%", "of one core, the generator's busiest process"),
    "run_queue_percent": ("%", "of the second that one waited for a core"),
    "steal_percent": ("%", "host steal, of the machine's time"),
    "gc_pause_max_ns": ("ns", "the generator's longest garbage collection of this second"),
    "strains": ("", "list: which limits the generator broke in this second, see Strain"),
    "strained_s": ("s", "strained seconds of the steady phase so far"),
    "nodes": (
        "",
        (
            "empty with one gateway; else `name`, `clients`, `cpu_percent`, `memory_bytes` and "
            "`push_p50_ns` of each node in this second; null where unknown"
        ),
    ),
}
"""Every member of the file: unit and meaning."""


class LiveFile:
    """Writes the file of one run.

    Args:
        path: ``logs/live.json``.
        health: what the generator must keep.

    Attributes:
        newest: the content of the file; empty before the first second.
        history: the content of the last 15 minutes, a second each, oldest first.
        steady_push: all push latencies of the steady phase so far.
    """

    def __init__(self, path: Path, health: Health) -> None:
        self.path = path
        self.newest: dict[str, Any] = {}
        self.history: deque[Mapping[str, Any]] = deque(maxlen=HISTORY_S)
        self.steady_push = Histogram()
        self._health = health
        self._cores = os.cpu_count() or 1
        self._published: deque[tuple[float, int]] = deque()
        self._idle: dict[str, tuple[int, int]] = {}
        self._gateway_cpu_ns: int | None = None
        self._node_cpu_ns: dict[str, int | None] = {}
        self._strained_s = 0

    def write(
        self,
        *,
        t_s: float,
        phase: Phase,
        phase_from_s: float,
        figures: LiveFigures,
        server: Mapping[str, object],
        publisher: Mapping[str, Any] | None,
        nodes: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
    ) -> None:
        """Write one second.

        Args:
            t_s: since the run's start.
            phase: of the run.
            phase_from_s: when that began, since the run's start.
            figures: of all processes together.
            server: the newest columns of ``server``.
            publisher: its ledger so far; None where a scenario publishes nothing.
            nodes: the newest columns of ``nodes``, by node; none where there is one gateway.
        """
        published = None if publisher is None else int(publisher.get("published", 0))
        never = 0 if publisher is None else int(publisher.get("missed", 0))
        self.newest = {
            "t_s": t_s,
            "phase": str(phase),
            "phase_from_s": phase_from_s,
            "clients": figures.clients,
            "offered": figures.offered,
            "requests": figures.sent,
            "published": published,
            "published_per_s": self._rate(t_s, published),
            "received": figures.received,
            "errors": figures.errors,
            "missed": figures.missed + never,
            "push_p50_ns": figures.push.quantile_ns(0.5),
            "push_p99_ns": figures.push.quantile_ns(0.99),
            "heartbeats_missed": figures.heartbeats_missed,
            "limits_accepted": figures.limits_accepted,
            "limits_refused": figures.limits_refused,
            "limits_wrong": figures.limits_wrong,
            "limits_undecided": figures.limits_undecided,
            "memory_per_client_bytes": self._memory_per_client(server),
            **self._describe_generator(figures, phase, self._gateway_cpu(server)),
            "nodes": [
                self._describe_node(name, columns, figures.nodes.get(name))
                for name, columns in nodes.items()
            ],
        }
        self.history.append(self.newest)
        if phase is Phase.STEADY:
            self.steady_push = Histogram.merged([self.steady_push, figures.push])
        write_json(self.path, self.newest)

    def _rate(self, t_s: float, published: int | None) -> float | None:
        """Return publications a second over the last seconds; None with one reading."""
        if published is None:
            return None
        self._published.append((t_s, published))
        while t_s - self._published[0][0] > RATE_SPAN_S:
            self._published.popleft()
        since_s, before = self._published[0]
        return None if t_s <= since_s else (published - before) / (t_s - since_s)

    def _memory_per_client(self, server: Mapping[str, object]) -> int | None:
        """Return memory growth per client since the first reading; None with few clients."""
        clients = server.get("clients")
        column = next((name for name in _MEMORY if server.get(name) is not None), "")
        memory = server.get(column)
        if not isinstance(clients, int) or not isinstance(memory, int):
            return None
        idle_clients, idle_memory = self._idle.setdefault(column, (clients, memory))
        more = clients - idle_clients
        return None if more < FEWEST_CLIENTS else round((memory - idle_memory) / more)

    def _describe_node(
        self, name: str, columns: Mapping[str, Any], push: Histogram | None
    ) -> dict[str, object]:
        """Return one node's figures of this second."""
        now, before = columns.get("cpu_ns"), self._node_cpu_ns.get(name)
        self._node_cpu_ns[name] = now
        # A node that has restarted counts from 0.
        ran_ns = None if now is None or before is None or now < before else now - before
        return {
            "name": name,
            "clients": columns.get("clients"),
            "cpu_percent": _percent(ran_ns),
            "memory_bytes": next((columns[one] for one in _MEMORY if columns.get(one)), None),
            "push_p50_ns": None if push is None else push.quantile_ns(0.5),
        }

    def _gateway_cpu(self, server: Mapping[str, object]) -> int | None:
        """Return the gateway's CPU time since the second before; None while it is unknown."""
        before, now = self._gateway_cpu_ns, server.get("cpu_ns")
        self._gateway_cpu_ns = now if isinstance(now, int) else None
        if before is None or self._gateway_cpu_ns is None:
            return None
        return max(0, self._gateway_cpu_ns - before)

    def _describe_generator(
        self, figures: LiveFigures, phase: Phase, gateway_cpu_ns: int | None
    ) -> dict[str, object]:
        found = figures.generator
        share_p99_ns = figures.share.quantile_ns(0.99)
        strains = find_strains(
            self._health,
            cores=self._cores,
            share_p99_ns=share_p99_ns,
            gateway_cpu_ns=gateway_cpu_ns,
            **found,
        )
        self._strained_s += bool(strains) and phase is Phase.STEADY
        return {
            "share_p99_ns": share_p99_ns,
            "cpu_percent": _percent(found.get("cpu_ns")),
            "run_queue_percent": _percent(found.get("run_queue_ns")),
            "steal_percent": _percent(found.get("steal_ns"), self._cores),
            "gc_pause_max_ns": found.get("gc_pause_max_ns"),
            "strains": list(strains),
            "strained_s": self._strained_s,
        }


def _percent(spent_ns: int | None, cores: int = 1) -> float | None:
    return None if spent_ns is None else spent_ns / (_SECOND_NS * cores) * 100


def find_strains(
    health: Health,
    *,
    cores: int,
    share_p99_ns: float | None = None,
    cpu_ns: float | None = None,
    run_queue_ns: float | None = None,
    gateway_cpu_ns: float | None = None,
    steal_ns: float | None = None,
    gc_pause_max_ns: float | None = None,
) -> tuple[Strain, ...]:
    """Return which limits of ``[health]`` the generator broke in one second, for the live view.

    Whether the times of a run can be believed is decided by the report (``reports.believability``).

    Args:
        health: the scenario's limits.
        cores: of the machine; steal is the sum over all of them.
        share_p99_ns: 99th percentile of its own share of a push.
        cpu_ns: CPU time of its busiest process.
        run_queue_ns: how long that waited for a core.
        gateway_cpu_ns: CPU time of the gateway, for which the generator may have waited. Where
            it is unknown, no wait is a strain.
        steal_ns: host steal, all cores together.
        gc_pause_max_ns: its longest garbage collection.

    An argument of None was not measured and is not a strain.
    """
    lost_ns = health.second_lost_percent / 100 * _SECOND_NS
    wait_ns = None
    if run_queue_ns is not None and gateway_cpu_ns is not None:
        wait_ns = run_queue_ns - gateway_cpu_ns
    found = (
        (Strain.SHARE, share_p99_ns, health.generator_share_p99_ms * _NS_PER_MS),
        (Strain.CPU, cpu_ns, GENERATOR_CPU_PERCENT / 100 * _SECOND_NS),
        (Strain.CORE_WAIT, wait_ns, lost_ns),
        (Strain.STEAL, steal_ns, lost_ns * cores),
        (Strain.COLLECTION, gc_pause_max_ns, lost_ns),
    )
    return tuple(
        strain for strain, span_ns, limit_ns in found if span_ns is not None and span_ns > limit_ns
    )
