"""The gateway's HTTP routes, as the laboratory asks them.

OSError (urllib.error.URLError)      nobody answered, or not in time
└── urllib.error.HTTPError           the gateway refused; ``code`` says how
ValueError                           the answer is not what the contract promises
"""

from __future__ import annotations

import json
from urllib.parse import urlsplit
from urllib.request import ProxyHandler, Request, build_opener

from gateway.contract import METRICS_PATH, STREAMS_PATH

MAX_ANSWER_BYTES = 16 * 1_048_576


def fetch(url: str, *, token: str | None = None, timeout_s: float) -> str:
    """Return the text of a GET answer. No proxy is used: it would be measured with the target.

    Raises:
        OSError: nobody answered in ``timeout_s``, or the status was none of 200 to 299.
        ValueError: the address is no http or https URL.
    """
    if urlsplit(url).scheme not in ("http", "https"):
        raise ValueError(f"{url} is no http or https address")
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    request = Request(url, headers=headers)  # noqa: S310 - the scheme was checked above
    with build_opener(ProxyHandler({})).open(request, timeout=timeout_s) as answer:
        body: bytes = answer.read(MAX_ANSWER_BYTES)
    return body.decode()


def fetch_streams(url: str, token: str, *, timeout_s: float) -> dict[str, int]:
    """Return the last number of every stream of a gateway.

    Raises:
        OSError: as ``fetch``.
        ValueError: the answer is no list of streams.
    """
    content = json.loads(fetch(url + STREAMS_PATH, token=token, timeout_s=timeout_s))
    streams = content.get("streams") if isinstance(content, dict) else None
    if not isinstance(streams, dict):
        raise ValueError(f"{STREAMS_PATH} answered no object of streams")
    return {str(name): int(number) for name, number in streams.items()}


def fetch_metrics(url: str, *, timeout_s: float) -> dict[str, float]:
    """Return the gateway's metrics, each the sum over its labels. Raises as ``fetch``."""
    return parse_metrics(fetch(url + METRICS_PATH, timeout_s=timeout_s))


def parse_metrics(text: str) -> dict[str, float]:
    """Return the samples of a Prometheus text by name, summed over labels.

    The text format: ``name{label="value",…} number [timestamp]``; ``#`` begins a comment.
    """
    found: dict[str, float] = {}
    for line in text.splitlines():
        if not line or line.startswith("#"):
            continue
        name, rest = _split_sample(line)
        try:
            value = float(rest.split()[0])
        except (ValueError, IndexError):
            continue  # a line of a later format is no reason to lose the others
        found[name] = found.get(name, 0.0) + value
    return found


def _split_sample(line: str) -> tuple[str, str]:
    name, brace, rest = line.partition("{")
    if brace:
        return name.strip(), rest.rpartition("}")[2]
    name, _, rest = line.partition(" ")
    return name, rest
