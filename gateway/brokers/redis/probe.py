"""``probe``: tries the Redis of the settings once, for ``serve --check``."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final

from redis.exceptions import AuthenticationError, RedisError

from gateway.brokers.redis.connecting import connect, describe_failure
from gateway.brokers.redis.terms import LogTerms

_OLDEST: Final = (6, 2)
_PROBE_S: Final = 5.0


async def probe(terms: LogTerms) -> tuple[list[str], list[str]]:
    """Return facts and warnings about Redis, and what makes it unfit for the log.

    Args:
        terms: where Redis is.

    Raises:
        SettingsError: the file of authorities cannot be read.
    """
    redis = connect(terms)
    try:
        async with asyncio.timeout(_PROBE_S):
            found = await redis.info()
    except AuthenticationError:
        return [], ["REDIS_URL: Redis refuses the user or the password"]
    except (RedisError, OSError, TimeoutError) as error:
        return [], [f"REDIS_URL: Redis does not answer: {describe_failure(error)}"]
    finally:
        await redis.aclose()
    return judge(found)


def judge(found: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """Return facts and warnings, and problems, from what Redis says of itself.

    Args:
        found: the answer of INFO.
    """
    version = str(found["redis_version"])
    facts, problems = [f"redis: {version} answers"], []
    if tuple(map(int, version.split(".")[:2])) < _OLDEST:
        problems.append(f"REDIS_URL: Redis {version} is too old; the log needs 6.2 or newer")
    policy = found.get("maxmemory_policy", "noeviction")
    if policy != "noeviction":
        told = f"maxmemory-policy {policy} may evict what the nodes share; use noeviction"
        if found.get("maxmemory"):
            problems.append(f"REDIS_URL: {told}")
        else:  # nothing is evicted without a limit
            facts.append(f"warning: {told}")
    if not found.get("aof_enabled"):
        facts.append(
            "warning: appendonly no: Redis loses the log when it ends, and clients fetch anew; "
            "use appendonly yes"
        )
    return facts, problems
