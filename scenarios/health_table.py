"""The table ``[health]`` of a scenario file, read strictly."""

from __future__ import annotations

from typing import Final

from scenarios.model import Health
from scenarios.reading import Table

_HEALTH: Final = Health()


def read_health(top: Table) -> Health:
    """Return what the generator must keep; what the file does not say is as by default."""
    table = top.table("health", optional=True)
    if table is None:
        return Health()
    found = Health(
        generator_share_p99_ms=_span_ms(table, "generator_share_p99", _HEALTH),
        generator_loop_lag_p99_ms=_optional_ms(table, "generator_loop_lag_p99"),
        generator_cpu_percent=_percent(table, "generator_cpu_percent", _HEALTH),
        generator_run_queue_percent=_percent(table, "generator_run_queue_percent", _HEALTH),
        generator_steal_percent=_percent(table, "generator_steal_percent", _HEALTH),
        generator_gc_pause_ms=_span_ms(table, "generator_gc_pause", _HEALTH),
        gateway_core_wait_ms=_span_ms(table, "gateway_core_wait", _HEALTH),
        schedule_delay_p99_ms=_optional_ms(table, "schedule_delay_p99"),
        publisher_delay_p99_ms=_span_ms(table, "publisher_delay_p99", _HEALTH),
        second_steal_percent=_percent(table, "second_steal_percent", _HEALTH),
        second_core_wait_ms=_span_ms(table, "second_core_wait", _HEALTH),
        second_loop_lag_ms=_span_ms(table, "second_loop_lag", _HEALTH),
        second_share_ms=_span_ms(table, "second_share", _HEALTH),
        second_run_queue_percent=_percent(table, "second_run_queue_percent", _HEALTH),
        tainted_percent=_percent(table, "tainted_percent", _HEALTH),
    )
    table.finish()
    return found


def _span_ms(table: Table, key: str, defaults: Health) -> float:
    default_s = getattr(defaults, f"{key}_ms") / 1e3
    return 1e3 * table.duration_s(key, 0.0001, 60.0, "50 ms", default_s=default_s)


def _optional_ms(table: Table, key: str) -> float | None:
    found_s = table.duration_s(key, 0.0001, 60.0, "50 ms", default_s=-1.0)
    return None if found_s < 0 else 1e3 * found_s


def _percent(table: Table, key: str, defaults: Health) -> float:
    default: float = getattr(defaults, key)
    return table.number(key, 0.0, 100.0, default, default=default)
