"""``KeyFetcher``: fetches an issuer's key set over HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

import aiohttp

from gateway.key_set import Keys, parse_key_set
from gateway.server.log import get_logger

_FETCH_S: Final = 5.0  # a handshake may wait for it, and must be answered within ten seconds
_MOST_BYTES: Final = 262_144
_UNKNOWN_KEY_S: Final = 30.0
"""An unknown ``kid`` fetches the keys again, but not more often than this."""
_REFRESH_S: Final = 300.0
_FIRST_RETRY_S: Final = 1.0

log = get_logger(__name__)


class KeyFetcher:
    """Fetches the keys at the start, each five minutes, and when a token names an unknown one.

    An issuer that cannot be reached, or answers with no key set, leaves the known keys.

    Args:
        url: the address of the key set.
        take: takes the keys of each key set.
    """

    def __init__(self, url: str, take: Callable[[Keys], None]) -> None:
        self.has_keys = False
        self._url = url
        self._take = take
        self._fetching: asyncio.Task[None] | None = None
        self._next_unknown_s = 0.0
        self._periodic: asyncio.Task[None] | None = None
        self._asked: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start to fetch on the running event loop."""
        self._periodic = asyncio.create_task(self._repeat(), name="key set")

    async def stop(self) -> None:
        """Stop fetching."""
        tasks = [task for task in (self._periodic, self._asked, self._fetching) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def ask(self) -> None:
        """Fetch for an unknown key, without waiting."""
        if self._asked is None or self._asked.done():
            self._asked = asyncio.create_task(self.fetch_for_unknown(), name="unknown key")

    async def fetch_for_unknown(self) -> None:
        """Wait for the keys to be fetched, unless they were for an unknown key not long ago."""
        now_s = asyncio.get_running_loop().time()
        if self._fetching is None and now_s < self._next_unknown_s:
            return
        self._next_unknown_s = max(self._next_unknown_s, now_s + _UNKNOWN_KEY_S)
        await self._fetch()

    async def _repeat(self) -> None:
        while True:
            await self._fetch()
            await asyncio.sleep(_REFRESH_S if self.has_keys else _FIRST_RETRY_S)

    async def _fetch(self) -> None:
        """Fetch once for all that wait, who may leave."""
        if self._fetching is None:
            self._fetching = asyncio.create_task(self._fetch_once(), name="fetch of a key set")
        await asyncio.shield(self._fetching)

    async def _fetch_once(self) -> None:
        try:
            self._take(await fetch_keys(self._url))
            self.has_keys = True
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            log.warning(
                "key set not fetched", reason=describe_failure(error), has_keys=self.has_keys
            )
        except Exception:  # a handshake that waits for it must be answered
            log.exception("key set not fetched")
        finally:
            self._fetching = None


async def fetch_keys(url: str) -> Keys:
    """Return the keys of an issuer.

    Raises:
        aiohttp.ClientError, TimeoutError, OSError: the issuer cannot be reached.
        ValueError: its answer is no key set.
    """
    timeout = aiohttp.ClientTimeout(total=_FETCH_S)
    async with (
        aiohttp.ClientSession(timeout=timeout) as session,
        session.get(url, allow_redirects=False) as answer,
    ):
        if answer.status != 200:
            raise ValueError(f"the issuer answered with {answer.status}")
        body = bytearray()
        async for chunk in answer.content.iter_any():
            body += chunk
            if len(body) > _MOST_BYTES:
                raise ValueError(f"the key set has more than {_MOST_BYTES} bytes")
    return parse_key_set(bytes(body))


def describe_failure(error: Exception) -> str:
    """Return why a key set could not be fetched, without what the issuer sent."""
    return str(error) if type(error) is ValueError else type(error).__name__
