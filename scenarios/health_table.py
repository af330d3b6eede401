"""The table ``[health]`` of a scenario file, read strictly."""

from __future__ import annotations

from typing import Final

from scenarios.model import Health
from scenarios.reading import Table

_LOST: Final = "write second_lost_percent, which is one limit for every loss of a second"
_REMOVED: Final = {
    "generator_loop_lag_p99": "write generator_share_p99, which limits the loop's lag as well",
    "generator_cpu_percent": "delete it, because a generator over 95 % of a core is too busy "
    "for any scenario",
    "generator_run_queue_percent": _LOST,
    "generator_steal_percent": _LOST,
    "generator_gc_pause": _LOST,
    "gateway_core_wait": _LOST,
    "schedule_delay_p99": "delete it, because a user that waits for a slow answer sends its next "
    'request late; a budget such as "schedule_delay.p99 <= 5 ms" judges it',
    "second_steal_percent": _LOST,
    "second_core_wait": _LOST,
    "second_run_queue_percent": _LOST,
    "second_loop_lag": "delete it, because a late loop makes no second dirty; "
    "generator_share_p99 limits it over the clean seconds",
    "second_share": "delete it, because a large own share makes no second dirty; "
    "generator_share_p99 limits it over the clean seconds",
    "tainted_percent": "write dirty_seconds_percent",
}
"""Keys of earlier versions, each with what to do instead."""


def read_health(top: Table) -> Health:
    """Return when times can be believed; what the file does not say is as by default."""
    table = top.table("health", optional=True)
    if table is None:
        return Health()
    found = Health(
        generator_share_p99_ms=_span_ms(table, "generator_share_p99"),
        publisher_delay_p99_ms=_span_ms(table, "publisher_delay_p99"),
        second_lost_percent=_percent(table, "second_lost_percent"),
        dirty_seconds_percent=_percent(table, "dirty_seconds_percent"),
    )
    table.finish(_REMOVED)
    return found


def _span_ms(table: Table, key: str) -> float:
    default_s = getattr(Health(), f"{key}_ms") / 1e3
    return 1e3 * table.duration_s(key, 0.0001, 60.0, "50 ms", default_s=default_s)


def _percent(table: Table, key: str) -> float:
    default: float = getattr(Health(), key)
    return table.number(key, 0.0, 100.0, default, default=default)
