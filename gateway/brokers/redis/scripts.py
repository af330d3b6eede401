"""``LogScripts``: calls the Lua scripts of the log, which Redis runs each in one step."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from importlib.resources import files
from typing import Any, Final

from redis.asyncio import Redis
from redis.exceptions import NoScriptError, RedisError

from gateway.brokers.redis.connecting import describe_failure
from gateway.brokers.redis.log_state import LogAway

CALL_S: Final = 5.0
"""The longest wait for an answer. A slower link counts as cut."""
_NAMES: Final = ("append", "join", "keep", "turn", "missed")


class LogScripts:
    """The scripts, each sent to Redis once and then named by its hash.

    Args:
        redis: the client that calls them.
    """

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        folder = files(__package__)
        self._texts = {name: folder.joinpath(f"{name}.lua").read_text("utf-8") for name in _NAMES}
        self._hashes: dict[str, str] = {}

    async def call(self, name: str, keys: Sequence[str], arguments: Sequence[Any]) -> Any:
        """Call a script and return its answer.

        Args:
            name: the script.
            keys: its keys.
            arguments: its other arguments.

        Raises:
            RedisError: Redis refuses, or the connection is cut.
            OSError: the connection is cut.
            TimeoutError: no answer comes within ``CALL_S``.
        """
        redis = self._redis
        async with asyncio.timeout(CALL_S):
            known = self._hashes.get(name)
            if known is not None:
                try:
                    return await redis.evalsha(known, len(keys), *keys, *arguments)
                except NoScriptError:
                    pass  # Redis was started anew
            self._hashes[name] = known = str(await redis.script_load(self._texts[name]))
            return await redis.evalsha(known, len(keys), *keys, *arguments)

    async def ask(self, name: str, keys: Sequence[str], arguments: Sequence[Any]) -> Any:
        """Call a script for somebody who only needs to know whether the log answers.

        Args:
            name: the script.
            keys: its keys.
            arguments: its other arguments.

        Raises:
            LogAway: the log cannot be reached, or refuses.
        """
        try:
            return await self.call(name, keys, arguments)
        except (RedisError, OSError, TimeoutError) as error:
            raise LogAway(describe_failure(error)) from None
