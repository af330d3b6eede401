"""Requests to the gateway's HTTP routes, and a port for a server.

OSError (urllib.error.URLError)      no answer, or not in time
└── urllib.error.HTTPError           the gateway refused; ``code`` is the status
ValueError                           the answer breaks the contract
"""

from __future__ import annotations

import json
import random
import socket
from collections.abc import Iterator, Mapping
from contextlib import suppress
from http.client import HTTPException
from math import isfinite
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit
from urllib.request import ProxyHandler, Request, build_opener

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from gateway.contract import METRICS_PATH, STREAMS_PATH

GATEWAY_START_S: Final = 60.0
"""A crowded host needs half a minute. A gateway that fails ends, and is not waited for."""
MAX_ANSWER_BYTES = 16 * 1_048_576
_BUCKET: Final = "_bucket"
_LOWEST_PORT: Final = 10_240
_EPHEMERAL: Final = Path("/proc/sys/net/ipv4/ip_local_port_range")
_PORT_ATTEMPTS: Final = 200


def unused_port() -> int:
    """Return a loopback port that is free now, for a server that binds it later.

    It lies below the range from which the kernel takes ports for outgoing connections, so no
    client of this host takes it in the meantime.

    Raises:
        OSError: none of 200 random ports is free.
    """
    try:
        first_ephemeral = int(_EPHEMERAL.read_text().split()[0])
    except OSError:
        first_ephemeral = 32_768
    highest = max(first_ephemeral, _LOWEST_PORT + _PORT_ATTEMPTS)
    for port in random.SystemRandom().sample(range(_LOWEST_PORT, highest), _PORT_ATTEMPTS):
        with socket.socket() as free:
            try:
                free.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
    raise OSError(f"none of {_PORT_ATTEMPTS} loopback ports below {highest} is free")


def fetch(url: str, *, token: str | None = None, timeout_s: float) -> str:
    """Return the body of a GET request. It uses no proxy, whose delay would be measured too.

    Args:
        url: an http or https URL.
        token: the bearer token; None sends none.
        timeout_s: for the connection and for each read, seconds.

    Raises:
        OSError: no answer within ``timeout_s``, none of HTTP, or a status outside 200 to 299.
        ValueError: the URL is neither http nor https.
    """
    if urlsplit(url).scheme not in ("http", "https"):
        raise ValueError(f"{url} is not an http or https URL")
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    request = Request(url, headers=headers)  # noqa: S310 - the scheme was checked above
    try:
        with build_opener(ProxyHandler({})).open(request, timeout=timeout_s) as answer:
            body: bytes = answer.read(MAX_ANSWER_BYTES)
    except HTTPException as error:
        raise OSError(f"{url} gave no HTTP answer: {error!r}") from None
    return body.decode(errors="replace")


def fetch_streams(url: str, token: str, *, timeout_s: float) -> dict[str, int]:
    """Return the last sequence number of every stream of a gateway.

    Args:
        url: of the gateway, without a path.
        token: a bearer token that may read streams.
        timeout_s: as for ``fetch``.

    Raises:
        OSError: as ``fetch``.
        ValueError: the answer has no object of streams.
    """
    content = json.loads(fetch(url + STREAMS_PATH, token=token, timeout_s=timeout_s))
    streams = content.get("streams") if isinstance(content, dict) else None
    if not isinstance(streams, dict):
        raise ValueError(f"the answer of {STREAMS_PATH} has no object of streams")
    return {str(name): int(number) for name, number in streams.items()}


def fetch_metrics(url: str, *, timeout_s: float, token: str | None = None) -> dict[str, float]:
    """Return the gateway's metrics by name, summed over labels.

    Args:
        url: of the gateway, without a path.
        timeout_s: as for ``fetch``.
        token: the bearer token that opens them; None sends none.

    Raises:
        OSError: as ``fetch``.
        ValueError: as ``fetch``.
    """
    return parse_metrics(fetch(url + METRICS_PATH, token=token, timeout_s=timeout_s))


def parse_metrics(text: str) -> dict[str, float]:
    """Return the samples of a Prometheus page by name, summed over labels.

    A bucket of a histogram keeps its upper end: ``name_bucket{le="0.1"}``.

    The text format: ``name{label="value",…} number [timestamp]``; ``#`` begins a comment.
    """
    found: dict[str, float] = {}
    for sample in _samples(text):
        if not isfinite(sample.value):
            continue  # no measurement
        name = sample.name
        if name.endswith(_BUCKET) and "le" in sample.labels:
            name = f'{name}{{le="{sample.labels["le"]}"}}'
        found[name] = found.get(name, 0.0) + sample.value
    return found


def _samples(text: str) -> Iterator[Sample]:
    """Yield the samples, line by line: one line of a newer format costs no other."""
    for line in text.splitlines():
        if line and not line.startswith("#"):
            with suppress(ValueError):
                for family in text_string_to_metric_families(line):
                    yield from family.samples


def largest_since(
    before: Mapping[str, float], after: Mapping[str, float], histogram: str
) -> float | None:
    """Return the upper end of the highest bucket in which something was observed between readings.

    Args:
        before: the earlier reading, as ``parse_metrics`` returns it.
        after: the later one.
        histogram: the histogram's name.

    Returns:
        0 when nothing was observed; infinity above the last end; None when the readings do not
        tell, because one has no histogram or the process has restarted.
    """
    start = f'{histogram}{_BUCKET}{{le="'
    grown = {
        float(name.removeprefix(start).removesuffix('"}')): count - before[name]
        for name, count in after.items()
        if name.startswith(start) and name in before
    }
    if not grown or min(grown.values()) < 0:
        return None
    whole = max(grown.values())  # buckets are cumulative
    return min(upper for upper, growth in grown.items() if growth == whole) if whole else 0.0


def mean_since(
    before: Mapping[str, float], after: Mapping[str, float], histogram: str
) -> float | None:
    """Return the mean of what was observed between two readings.

    Args:
        before: the earlier reading, as ``parse_metrics`` returns it.
        after: the later one.
        histogram: the histogram's name.

    Returns:
        None when nothing was observed, or the readings do not tell.
    """
    ends = (f"{histogram}_sum", f"{histogram}_count")
    if not all(name in reading for name in ends for reading in (before, after)):
        return None
    total, count = (after[name] - before[name] for name in ends)
    return total / count if count > 0 and total >= 0 else None
