"""What our own gateway says of its loop and its collector, from two readings of ``/metrics``."""

from __future__ import annotations

import http.client
import re
from collections.abc import Mapping
from typing import Final

from gateway.contract import METRICS_PATH
from tests.benchmarks.transport.crowd import PeerFailed

Samples = Mapping[str, float]

_TIMEOUT_S: Final = 5
_LAG: Final = "tidegate_loop_lag_max_seconds"
_SLICE: Final = "tidegate_fanout_hold_max_seconds"
_PAUSES: Final = re.compile(r'tidegate_gc_pause_seconds_bucket\{.*\ble="(?P<upper>[^"]+)".*\}')


def read(port: int) -> dict[str, float]:
    """Return every sample by its name with labels; the largest lag begins anew with this.

    Raises:
        PeerFailed: the gateway does not answer with metrics.
    """
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_TIMEOUT_S)
    try:
        connection.request("GET", METRICS_PATH)
        answer = connection.getresponse()
        text = answer.read().decode()
    except OSError as error:
        raise PeerFailed(f"{METRICS_PATH} did not answer: {error}") from error
    finally:
        connection.close()
    if answer.status != http.client.OK:
        raise PeerFailed(f"{METRICS_PATH} answered {answer.status}")
    lines = (line.rpartition(" ") for line in text.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, _, value in lines if name}


def explain(before: Samples, after: Samples) -> dict[str, float | None]:
    """Return the rows that these two readings answer, ms; None where a metric is not there."""
    return {
        "loop_lag_ms": _milliseconds(after, _LAG),
        "fanout_hold_ms": _milliseconds(after, _SLICE),
        "gc_pause_ms": _longest_pause_ms(before, after),
    }


def _milliseconds(samples: Samples, name: str) -> float | None:
    return samples[name] * 1_000 if name in samples else None


def _longest_pause_ms(before: Samples, after: Samples) -> float | None:
    """Return the upper end of the highest bucket that grew, over all generations.

    Buckets are cumulative: the highest that grew is the first whose growth is the whole
    growth of its generation. None without a pause, or without an upper end.
    """
    grown: dict[str, list[tuple[float, float]]] = {}
    for name, count in after.items():
        found = _PAUSES.fullmatch(name)
        if found:
            labels = name.replace(f'le="{found["upper"]}"', "")
            growth = count - before.get(name, 0)
            grown.setdefault(labels, []).append((float(found["upper"]), growth))
    longest = [
        min(upper for upper, growth in buckets if growth == whole)
        for buckets in grown.values()
        if (whole := max(growth for _, growth in buckets)) > 0
    ]
    pause_s = max(longest, default=float("inf"))
    return None if pause_s == float("inf") else pause_s * 1_000
