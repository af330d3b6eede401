"""In which seconds the generator was strained: over the limits that it must keep. Pure.

The limits of ``[health]``, held against one second, for the live view. Whether the times of a
run can be believed is decided by the report (``reports.believability``).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from scenarios.model import GENERATOR_CPU_PERCENT, Health

_SECOND_NS: Final = 1_000_000_000
_NS_PER_MS: Final = 1_000_000


def find_strains(
    health: Health,
    *,
    cores: int,
    share_p99_ns: float | None = None,
    cpu_ns: float | None = None,
    run_queue_ns: float | None = None,
    steal_ns: float | None = None,
    gc_pause_max_ns: float | None = None,
) -> tuple[str, ...]:
    """Return what was wrong with the generator in one second, in words; empty when it was well.

    Args:
        health: the scenario's limits.
        cores: of the machine; the host takes time from all of them.
        share_p99_ns: 99th percentile of its own share of a push.
        cpu_ns: CPU time of its busiest process.
        run_queue_ns: how long that waited for a core.
        steal_ns: what the host took of the machine, all cores together.
        gc_pause_max_ns: its longest garbage collection.

    What is None was not measured, and is no strain.
    """
    spans_ms = (
        ("own share", share_p99_ns, health.generator_share_p99_ms),
        ("garbage collection", gc_pause_max_ns, 10 * health.second_lost_percent),
    )
    parts = (
        ("CPU", cpu_ns, 1, GENERATOR_CPU_PERCENT),
        ("wait for a core", run_queue_ns, 1, health.second_lost_percent),
        ("time the host took", steal_ns, cores, health.second_lost_percent),
    )
    return (*_long(spans_ms), *_large(parts))


def _long(spans_ms: tuple[tuple[str, float | None, float], ...]) -> Iterator[str]:
    for name, span_ns, limit_ms in spans_ms:
        if span_ns is not None and span_ns > limit_ms * _NS_PER_MS:
            yield f"{name} {span_ns / _NS_PER_MS:.3g} ms, allowed {limit_ms:g} ms"


def _large(parts: tuple[tuple[str, float | None, int, float], ...]) -> Iterator[str]:
    for name, spent_ns, cores, limit_percent in parts:
        if spent_ns is None:
            continue
        percent = spent_ns / (_SECOND_NS * cores) * 100
        if percent > limit_percent:
            yield f"{name} {percent:.3g} %, allowed {limit_percent:g} %"
