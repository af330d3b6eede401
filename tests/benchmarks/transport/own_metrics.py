"""What our own gateway says of its loop and its collector, from readings of ``/metrics``."""

from __future__ import annotations

import http.client
import re
from collections.abc import Mapping, Sequence
from typing import Final

from gateway.contract import METRICS_PATH
from tests.benchmarks.transport.crowd import PeerFailed

Samples = Mapping[str, float]

_TIMEOUT_S: Final = 5
_LAG: Final = "tidegate_loop_lag"
_SLICE: Final = "tidegate_fanout_hold"
_PAUSE: Final = "tidegate_gc_pause"
_UPPER: Final = re.compile(r'\ble="([^"]+)"')


def read(port: int) -> dict[str, float]:
    """Return every sample by its name with labels.

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


def explain(before: Samples, later: Sequence[Samples]) -> dict[str, float | None]:
    """Return the rows that readings answer, ms; None where a metric is not there.

    Args:
        before: the reading at the beginning.
        later: readings since; a maximum is that of the seconds before each of them.
    """
    return {
        "loop_lag_ms": _largest_ms(before, later, _LAG),
        "fanout_hold_ms": _maximum_ms(later, _SLICE),
        "gc_pause_ms": _largest_ms(before, later, _PAUSE),
    }


def _maximum_ms(later: Sequence[Samples], metric: str) -> float | None:
    name = f"{metric}_max_seconds"
    return max((samples[name] * 1_000 for samples in later if name in samples), default=None)


def _largest_ms(before: Samples, later: Sequence[Samples], metric: str) -> float | None:
    """Return the maximum, or the end of the highest bucket that grew if that is less.

    Buckets are cumulative: the highest that grew is the first whose growth is the whole
    growth of its labels. None when none grew, or when there is neither.
    """
    grown: dict[str, list[tuple[float, float]]] = {}
    start = f"{metric}_seconds_bucket{{"
    for name, count in later[-1].items():
        found = _UPPER.search(name) if name.startswith(start) else None
        if found:
            labels = name.replace(found[0], "")
            growth = count - before.get(name, 0)
            grown.setdefault(labels, []).append((float(found[1]), growth))
    longest = [
        min(upper for upper, growth in buckets if growth == whole) * 1_000
        for buckets in grown.values()
        if (whole := max(growth for _, growth in buckets)) > 0
    ]
    if grown and not longest:
        return None
    told = [ms for ms in (_maximum_ms(later, metric), max(longest, default=None)) if ms is not None]
    return min(told, default=None)
