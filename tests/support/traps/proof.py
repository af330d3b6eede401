"""Assertions that tell a server in a trap from a failure of the check itself."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, Final

from deadlines import PROMPT_S, poll_until
from peers import RawPeer
from serving import Transport

PATIENT: Final = {"ping_interval": 25.0, "ping_timeout": 20.0, "cors_allowed_origins": "*"}
"""Pings so far apart that no ping timeout can be mistaken for a decision of the server."""

Check = Callable[[Transport], Coroutine[Any, Any, None]]


class Trapped(AssertionError):  # noqa: N818 - what happened to the server, not an error of ours
    """The server showed the wrong behaviour that the check looks for."""


def demand(condition: object, what: str) -> None:
    """Raise Trapped unless the condition holds."""
    if not condition:
        raise Trapped(what)


@contextlib.contextmanager
def demanded(what: str) -> Iterator[None]:
    """Turn a missed deadline, a lost connection or a failed assertion inside into Trapped."""
    try:
        yield
    except (AssertionError, TimeoutError, ConnectionError, EOFError) as error:
        raise Trapped(f"{what}: {error!r}") from error


async def demand_closed(peer: RawPeer, what: str, timeout_s: float = PROMPT_S) -> bytes:
    """Raise Trapped unless the server closes this connection within the timeout."""
    with demanded(what):
        return await peer.closed_within(timeout_s)


def sessions(server: Any) -> int:
    """Return the number of Engine.IO sessions of a Socket.IO server."""
    return len(server.eio.sockets)


def participants(server: Any, namespace: str = "/") -> list[str]:
    """Return the sids that an event to the whole namespace would reach."""
    if namespace not in server.manager.get_namespaces():
        return []
    return [sid for sid, _ in server.manager.get_participants(namespace, None)]


async def demand_empty(server: Any) -> None:
    """Raise Trapped if anything of a client is left in the server's tables."""
    with demanded("something of a client that is gone is left"):
        await poll_until(
            lambda: not sessions(server) and not participants(server) and not server.environ,
            "empty tables",
            PROMPT_S,
        )
