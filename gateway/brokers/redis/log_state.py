"""What a node and its link to the log tell each other. It needs no client of Redis."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple, Protocol

from gateway.server.log import get_logger

_POLL_S: Final = 0.002
_ENDS_S: Final = 2.0

log = get_logger(__name__)


async def poll(condition: Callable[[], object], within_s: float) -> bool:
    """Wait until a condition holds, and return whether it does.

    Args:
        condition: is looked at each 2 ms.
        within_s: the longest wait, s.
    """
    loop = asyncio.get_running_loop()
    until_s = loop.time() + within_s
    while not condition():
        if loop.time() > until_s:
            return False
        await asyncio.sleep(_POLL_S)
    return True


async def end_tasks(tasks: Iterable[asyncio.Task[None]]) -> None:
    """Cancel tasks, and wait until they have ended.

    Args:
        tasks: the tasks. Their exceptions are left in them.
    """
    pending = set(tasks)
    for task in pending:
        task.cancel()
    if pending:
        done, pending = await asyncio.wait(pending, timeout=_ENDS_S)
        for task in done:
            if not task.cancelled():
                task.exception()  # it may stay there, without a warning
    if pending:
        log.error("tasks of the log did not end", tasks=[task.get_name() for task in pending])


class LogAway(Exception):  # noqa: N818 - the name says what happened
    """The log cannot be reached, or it refuses to append.

    Args:
        reason: what happened, without the address.
        is_unsure: whether the publication may have been appended all the same.
    """

    def __init__(self, reason: str, *, is_unsure: bool = False) -> None:
        super().__init__(reason)
        self.is_unsure = is_unsure


class EntriesMissing(Exception):  # noqa: N818 - the name says what happened
    """The log has no longer what follows the last entry that this node applied."""


class LogState(NamedTuple):
    """What the log says to a node that joins.

    Attributes:
        epoch: the log's epoch.
        floor: the number before a new user's first.
        number: the number of the last entry.
        key: the key of public ids.
        goes_on: whether the node goes on after the last entry that it applied.
        young, old: the last numbers of streams, empty if it goes on.
        values: the newest event of each stream of a symbol, as a record.
        revoked: the revocations, by user.
    """

    epoch: str
    floor: int
    number: int
    key: bytes
    goes_on: bool
    young: dict[str, int]
    old: dict[str, int]
    values: dict[str, bytes]
    revoked: dict[str, str]


class Reader(Protocol):
    """What applies the log on this node."""

    number: int
    """The number of the last entry that was applied."""

    def joined(self, joined: LogState) -> None:
        """Take over the state of the log, before its next entry is read."""

    def apply(self, fields: Sequence[bytes]) -> bool:
        """Apply an entry, or skip it.

        Returns:
            Whether it is an entry of the nodes: only those have a number.

        Raises:
            EntriesMissing: it does not follow the last one.
        """

    def is_congested(self) -> bool:
        """Return whether no more entries should be applied now."""
