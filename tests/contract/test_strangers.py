"""Contract: no request of a stranger makes a 500, an error in the log, or shows a secret there.

``TIDEGATE_STRANGERS=200000`` tries more of them, ``TIDEGATE_STRANGERS_SEED=7`` others.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
from collections.abc import Callable
from pathlib import Path

from blackbox.process import GatewayProcess
from blackbox.target import wait_for
from deadlines import DEADLINE_S
from http_strangers import SECRETS, Stranger, statuses_of

StartGateway = Callable[..., GatewayProcess]

STRANGERS = int(os.environ.get("TIDEGATE_STRANGERS", "300"))
SEED = int(os.environ.get("TIDEGATE_STRANGERS_SEED", "0"))
AT_ONCE = 32
LISTENS_S = 0.02
ANSWERS_WITHIN_S = 0.3  # if at all: many requests are not complete
ANSWERS_OF_500 = frozenset({501, 503, 505})
"""Unknown method or coding, full queues, unknown version."""
SID = re.compile(rb'0\{"sid":"([^"]+)"')


async def call(target: GatewayProcess, stranger: Stranger, sids: list[str]) -> bytes:
    """Send a stranger's segments, and return what came back until nothing did for a moment."""
    reader, writer = await asyncio.open_connection(target.host, target.port)
    answers = b""
    try:
        for segment in stranger.segments():
            writer.write(segment)
            await asyncio.sleep(0)
        with contextlib.suppress(TimeoutError):
            patience_s = ANSWERS_WITHIN_S
            while data := await asyncio.wait_for(reader.read(65_536), patience_s):
                answers += data
                patience_s = LISTENS_S
    except ConnectionError:
        pass
    finally:
        writer.transport.abort()
    sids += [sid.decode() for sid in SID.findall(answers)]
    return answers


async def call_all(target: GatewayProcess) -> dict[int, list[int]]:
    """Return the seeds of the strangers by the statuses that they got."""
    tokens = [target.token("u"), target.token("u", scope="publish stats"), "metrics-t0ken-abcdef"]
    seeds: dict[int, list[int]] = {}
    sids: list[str] = []
    numbers = iter(range(SEED, SEED + STRANGERS))

    async def work() -> None:
        for seed in numbers:
            for status in statuses_of(await call(target, Stranger(seed, tokens, sids), sids)):
                seeds.setdefault(status, []).append(seed)

    await asyncio.gather(*(work() for _ in range(AT_ONCE)))
    return seeds


def test_no_stranger_makes_an_error_or_gets_a_secret_into_the_log(
    start_gateway: StartGateway,
) -> None:
    gateway = start_gateway(
        GATEWAY_CONNECT_TIMEOUT_SECONDS=0.5,
        GATEWAY_METRICS_TOKEN="metrics-t0ken-abcdef",
        GATEWAY_LOG_LEVEL="DEBUG",
    )
    assert gateway.get("/health/live").status == 200
    before = descriptors(gateway)
    seeds = asyncio.run(asyncio.wait_for(call_all(gateway), DEADLINE_S + STRANGERS))
    wrong = {
        status: found[:5]
        for status, found in seeds.items()
        if status >= 500 and status not in ANSWERS_OF_500
    }
    assert not wrong, wrong
    assert {200, 400} <= seeds.keys()
    errors = [one for one in gateway.log_events() if one["level"] in {"error", "critical"}]
    assert not errors, errors[:3]
    log = gateway.log.read_text()
    assert "Traceback" not in log
    assert [secret for secret in (*SECRETS.values(), "eyJ", "t0ken") if secret in log] == []
    assert gateway.get("/health/live").status == 200

    wait_for(lambda: descriptors(gateway) <= before)


def descriptors(gateway: GatewayProcess) -> int:
    return len(list(Path(f"/proc/{gateway.process.pid}/fd").iterdir()))
