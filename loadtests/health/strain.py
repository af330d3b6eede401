"""In which seconds the generator was strained: over the limits that it must keep. Pure.

The limits of ``[health]``, held against one second, for the live view. Whether the times of a
run can be believed is decided by the report (``reports.believability``).
"""

from __future__ import annotations

from typing import Final

from loadtests.results import Strain
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
    gateway_cpu_ns: float | None = None,
    steal_ns: float | None = None,
    gc_pause_max_ns: float | None = None,
) -> tuple[Strain, ...]:
    """Return which limits the generator broke in one second.

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
