"""The alerts that hold for every gateway, whatever its scenario demands."""

from __future__ import annotations

from typing import Final

from loadtests.alerting.rules import Alert, RuleGroup
from loadtests.alerting.series import GATEWAY_JOB, WITNESS_JOB
from loadtests.watching import figures

_BY_INSTANCE: Final = "sum by (instance)"
_WHO: Final = "{{ $labels.instance }}"

GATEWAY_ALERTS: Final = (
    Alert(
        name="TidegateDown",
        expression=f'up{{job="{GATEWAY_JOB}"}} == 0',
        lasts="1m",
        severity="page",
        summary=f"{_WHO} does not answer scrapes",
    ),
    Alert(
        name="TidegateNotReady",
        expression="tidegate_ready == 0",
        lasts="1m",
        severity="page",
        summary=f"{_WHO} accepts no new clients",
    ),
    Alert(
        name="TidegateDisconnects",
        expression=(
            f'{_BY_INSTANCE} (rate(tidegate_connections_closed_total{{reason!="draining"}}[2m])) '
            f"> 1 + 0.01 * {_BY_INSTANCE} (tidegate_clients)"
        ),
        lasts="2m",
        severity="page",
        summary=f"{_WHO} loses {{{{ $value | humanize }}}} clients a second",
    ),
    Alert(
        name="TidegateAuthenticationFailures",
        expression=f"{_BY_INSTANCE} (rate(tidegate_authentication_failures_total[5m])) > 1",
        lasts="5m",
        severity="ticket",
        summary=f"{_WHO} refuses {{{{ $value | humanize }}}} tokens a second",
    ),
    Alert(
        name="TidegateLimitViolations",
        expression=("sum by (instance, limit) (rate(tidegate_limit_violations_total[5m])) > 1"),
        lasts="5m",
        severity="ticket",
        summary=f"{_WHO} refuses events over the limit {{{{ $labels.limit }}}}",
    ),
    Alert(
        name="TidegateSlowConsumers",
        expression=(
            f"{_BY_INSTANCE} "
            '(increase(tidegate_connections_closed_total{reason="slow_consumer"}[10m])) > 5'
        ),
        lasts="0m",
        severity="ticket",
        summary=f"{_WHO} closed {{{{ $value | humanize }}}} slow clients in 10 minutes",
    ),
    Alert(
        name="TidegateLoopLag",
        expression="tidegate_loop_lag_max_seconds > 0.25",
        lasts="2m",
        severity="page",
        summary=f"a timer of {_WHO} was {{{{ $value | humanizeDuration }}}} late",
    ),
    Alert(
        name="TidegateQueueBytes",
        expression="tidegate_queue_bytes > 134217728",
        lasts="1m",
        severity="page",
        summary=f"{{{{ $value | humanize1024 }}}}B are queued for the clients of {_WHO}",
    ),
    Alert(
        name="TidegateFileDescriptors",
        expression=(
            f'process_open_fds{{job="{GATEWAY_JOB}"}} '
            f'> 0.8 * process_max_fds{{job="{GATEWAY_JOB}"}}'
        ),
        lasts="5m",
        severity="page",
        summary=f"{_WHO} has {{{{ $value }}}} open file descriptors, 80 % of its limit",
    ),
    Alert(
        name="TidegateHandlerErrors",
        expression=f"{_BY_INSTANCE} (increase(tidegate_handler_errors_total[10m])) > 0",
        lasts="0m",
        severity="ticket",
        summary=f"an event handler of {_WHO} failed because of a bug",
    ),
)
WITNESS_ALERTS: Final = (
    Alert(
        name="TidegateWitnessDown",
        expression=f'up{{job="{WITNESS_JOB}"}} == 0',
        lasts="2m",
        severity="ticket",
        summary=f"the witness {_WHO} does not answer scrapes",
    ),
    Alert(
        name="TidegateWitnessDisconnected",
        expression=f"{figures.CONNECTED} < {figures.CLIENTS}",
        lasts="1m",
        severity="page",
        summary=f"only {{{{ $value }}}} clients of the witness {_WHO} are connected",
    ),
    Alert(
        name="TidegateBrokenPromise",
        expression=f"sum by (instance, finding) (increase({figures.FINDINGS}[10m])) > 0",
        lasts="0m",
        severity="page",
        summary=f"the witness {_WHO} found: {{{{ $labels.finding }}}}",
    ),
)
STANDING: Final = (
    RuleGroup("tidegate", GATEWAY_ALERTS),
    RuleGroup("tidegate-witness", WITNESS_ALERTS),
)
"""The groups of the standing alerts."""
