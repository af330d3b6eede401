"""A dashboard of Grafana: the gateway, the witness, and each budget with its limit."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

from loadtests.alerting.budget_rules import BudgetRule
from loadtests.watching import figures

_SCHEMA: Final = 39  # of Grafana 10.4; newer ones migrate it
_WIDTH: Final = 8
_HEIGHT: Final = 7
_COLUMNS: Final = 24
_SOURCE: Final = {"type": "prometheus", "uid": "${datasource}"}
_HERE: Final = '{instance=~"$instance"}'
_RED: Final = "red"


class _Panel(NamedTuple):
    """One chart: its title, Grafana's unit, and its queries with their legends."""

    title: str
    unit: str
    queries: Sequence[tuple[str, str]]
    limit: float | None = None
    is_floor: bool = False


def _rate(name: str, label: str = "") -> tuple[str, str]:
    by = f"instance, {label}" if label else "instance"
    legend = f"{{{{{label}}}}}" if label else "{{instance}}"
    return f"sum by ({by}) (rate({name}{_HERE}[2m]))", legend


def _quantiles(name: str) -> list[tuple[str, str]]:
    inner = f"sum by (instance, le) (rate({name}_bucket{_HERE}[5m]))"
    return [
        (f"histogram_quantile({rank}, {inner})", f"{said} {{{{instance}}}}")
        for rank, said in ((0.5, "p50"), (0.99, "p99"))
    ]


def _gauge(name: str) -> tuple[str, str]:
    return f"{name}{_HERE}", "{{instance}}"


_GATEWAY: Final = (
    _Panel("Clients", "short", [_gauge("tidegate_clients")]),
    _Panel("Ready", "short", [_gauge("tidegate_ready")]),
    _Panel("Closed connections a second", "short", [
        _rate("tidegate_connections_closed_total", "reason")]),
    _Panel("Events to clients a second", "short", [_rate("tidegate_messages_out_total", "kind")]),
    _Panel("Events from clients a second", "short", [_rate("tidegate_messages_in_total", "event")]),
    _Panel("Bytes to clients", "Bps", [_rate("tidegate_sent_bytes_total")]),
    _Panel("Refused tokens a second", "short", [
        _rate("tidegate_authentication_failures_total", "code")]),
    _Panel("Events over a limit a second", "short", [
        _rate("tidegate_limit_violations_total", "limit")]),
    _Panel("Conflated events a second", "short", [_rate("tidegate_conflated_total")]),
    _Panel("Queued bytes", "bytes", [_gauge("tidegate_queue_bytes")]),
    _Panel("Longest loop lag", "s", [_gauge("tidegate_loop_lag_max_seconds")]),
    _Panel("Fan-out", "s", _quantiles("tidegate_fanout_seconds")),
    _Panel("CPU", "percentunit", [_rate("process_cpu_seconds_total")]),
    _Panel("Memory", "bytes", [_gauge("process_resident_memory_bytes")]),
    _Panel("File descriptors", "short", [
        _gauge("process_open_fds"), (f"process_max_fds{_HERE}", "limit")]),
)  # fmt: skip
_WITNESS: Final = (
    _Panel("Broken promises in 10 minutes", "short", [
        (f"sum by (finding) (increase({figures.FINDINGS}{_HERE}[10m])) > 0", "{{finding}}")]),
    _Panel("Push", "s", _quantiles(figures.PUSH)),
    _Panel("Heartbeat gap", "s", _quantiles(figures.HEARTBEAT_GAP)),
    _Panel("Connected clients", "short", [_gauge(figures.CONNECTED)]),
    _Panel("Reconnects a second", "short", [_rate(figures.RECONNECTS)]),
    _Panel("Deliveries a second", "short", [_rate(figures.DELIVERIES, "outcome")]),
)  # fmt: skip


def dashboard(scenario: str, rules: Sequence[BudgetRule]) -> str:
    """Return the JSON of a dashboard for a scenario's budgets."""
    budgets = [
        _Panel(
            rule.budget.text,
            rule.unit,
            [
                (
                    f'{rule.record.name}{{scenario="{scenario}",instance=~"$instance"}}',
                    "{{instance}}",
                )
            ],
            rule.limit,
            is_floor=rule.budget.operator in (">", ">="),
        )
        for rule in rules
    ]
    rows = {"Budgets": budgets, "Gateway": _GATEWAY, "Witness": _WITNESS}
    content = {
        "title": f"Tidegate {scenario}",
        "uid": f"tidegate-{scenario}"[:40],
        "schemaVersion": _SCHEMA,
        "tags": ["tidegate"],
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "templating": {"list": _VARIABLES},
        "panels": list(_panels(rows)),
    }
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


_VARIABLES: Final = [
    {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus"},
    {
        "name": "instance",
        "label": "Instance",
        "type": "query",
        "datasource": _SOURCE,
        "query": {
            "query": 'label_values(up{job=~"tidegate.*"}, instance)',
            "refId": "instance",
        },
        "refresh": 2,
        "includeAll": True,
        "multi": True,
        "allValue": ".*",
        "current": {"text": "All", "value": "$__all"},
    },
]


def _panels(rows: dict[str, Sequence[_Panel]]) -> Iterator[dict[str, Any]]:
    number, top = 0, 0
    for name, panels in rows.items():
        if not panels:
            continue
        number += 1
        place = {"x": 0, "y": top, "w": _COLUMNS, "h": 1}
        yield {"id": number, "type": "row", "title": name, "gridPos": place, "panels": []}
        top += 1
        each_row = _COLUMNS // _WIDTH
        for index, panel in enumerate(panels):
            number += 1
            x, y = index % each_row * _WIDTH, top + index // each_row * _HEIGHT
            yield _chart(number, panel, {"x": x, "y": y, "w": _WIDTH, "h": _HEIGHT})
        top += -(-len(panels) // each_row) * _HEIGHT


def _chart(number: int, panel: _Panel, place: dict[str, int]) -> dict[str, Any]:
    defaults: dict[str, Any] = {"unit": panel.unit, "min": 0}
    if panel.limit is not None:
        good, broken = ("green", _RED) if not panel.is_floor else (_RED, "green")
        defaults["custom"] = {"thresholdsStyle": {"mode": "line"}}
        defaults["thresholds"] = {
            "mode": "absolute",
            "steps": [{"color": good, "value": None}, {"color": broken, "value": panel.limit}],
        }
    return {
        "id": number,
        "type": "timeseries",
        "title": panel.title,
        "datasource": _SOURCE,
        "gridPos": place,
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": {"legend": {"displayMode": "list", "placement": "bottom"}},
        "targets": [
            {"refId": chr(ord("A") + index), "datasource": _SOURCE, "expr": query,
             "legendFormat": legend}
            for index, (query, legend) in enumerate(panel.queries)
        ],
    }  # fmt: skip
