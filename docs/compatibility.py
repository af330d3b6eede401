"""What of python-socketio's and python-engineio's servers the transport has, by inspection.

Every public method and constructor argument of the installed versions is a row: *same*,
*refused* with an error, or *different*, and then the words are here. A name that is listed
here and no longer exists, or exists and is not inherited, overridden or listed, fails.
"""

from __future__ import annotations

import dataclasses
import inspect
from importlib.metadata import version
from typing import Any

METHODS: dict[str, dict[str, str]] = {
    "AsyncServer": {
        "get_environ": "different: a mapping made from the request's head when it is read; no "
        "`aiohttp.request` in it, and `REMOTE_ADDR` is the peer's address",
        "emit": "different: never waits for a client; what waits is bounded by `max_send_bytes` "
        "and `max_send_age`. Extra keywords for a client manager are not taken",
        "disconnect": "different: closes the transport too when the client has no other "
        "namespace, and aborts it after `close_timeout`",
        "shutdown": "different: closes all clients, and waits until their sockets are closed",
        "instrument": "refused: `NotImplementedError`",
    },
    "EngineServer": {
        "send_packet": "different: MESSAGE packets alone; others raise `ValueError`",
        "disconnect": "different: sends a WebSocket close frame, and aborts after `close_timeout`",
        "shutdown": "different: closes all clients, and waits until their sockets are closed",
    },
}
"""Methods that are not simply the same."""
ARGUMENTS: dict[str, dict[str, str]] = {
    "AsyncServer": {
        "client_manager": "different: a `gateway.transport.Rooms`, or a class that mixes one in; "
        "others raise `ValueError`",
        "json": "different: without it the standard library's, but NaN and infinities are "
        "neither sent nor taken; a module holds for its server, not for the process",
        "async_handlers": "different: events of a client are handled in order either way, one "
        "after the other; acknowledgements overtake, so that `call` works in a handler",
        "serializer": "refused: `ValueError` for other than the default",
        "logger": "different: messages at INFO, which carry tokens, are not logged unless a "
        "logger of one's own is given",
    },
    "EngineServer": {
        "async_mode": "refused: `ValueError` for other than `aiohttp`",
        "async_handlers": "different: messages of a client are handled in order either way",
        "monitor_clients": "different: always on, by one timer for all",
        "ping_interval": "different: announced and kept to the millisecond",
        "max_http_buffer_size": "different: also bounds binary attachments together, and closes "
        "with 1009 before a frame is buffered",
    },
}
"""Constructor arguments that are not simply the same."""


def compatibility() -> str:
    """Return the document."""
    import engineio
    import socketio

    from gateway.transport import AsyncServer, EngineServer
    from gateway.transport.engine import EngineOptions

    parts = [
        "# The transport beside python-socketio\n",
        (
            "`gateway.transport.AsyncServer` takes the place of `socketio.AsyncServer`, and\n"
            "`gateway.transport.EngineServer` that of `engineio.AsyncServer`, on aiohttp. By\n"
            f"inspection of python-socketio {version('python-socketio')} and python-engineio "
            f"{version('python-engineio')}.\n\n"
            "permessage-deflate is never negotiated: a frame is encoded once for all its\n"
            "recipients, and compressing it for each would cost more than the network does.\n"
        ),
    ]
    parts.append(_section(AsyncServer, socketio.AsyncServer))
    parts.append(_section(EngineServer, engineio.AsyncServer))
    parts.append(_additions(AsyncServer, EngineOptions))
    return "\n".join(parts)


def _section(ours: type[Any], theirs: type[Any]) -> str:
    name = ours.__name__
    lines = [f"## `{name}` for `{theirs.__module__.split('.')[0]}.{theirs.__name__}`", ""]
    lines += ["| method | |", "|---|---|"]
    said = dict(METHODS[name])
    for method in sorted(_public(theirs)):
        lines.append(f"| `{method}` | {said.pop(method, None) or _compare(ours, theirs, method)} |")
    lines += ["", "| argument | |", "|---|---|"]
    arguments = dict(ARGUMENTS[name])
    for argument in _arguments(theirs):
        lines.append(f"| `{argument}` | {arguments.pop(argument, 'same')} |")
    if said or arguments:
        raise SystemExit(f"{name} has no {sorted([*said, *arguments])}: mend docs/compatibility.py")
    return "\n".join(lines) + "\n"


def _public(server: type[Any]) -> list[str]:
    return [name for name, _ in inspect.getmembers(server, callable) if name[0] != "_"]


def _compare(ours: type[Any], theirs: type[Any], method: str) -> str:
    """Return "same" for a method that is inherited, or overridden with the same parameters."""
    own, stock = getattr(ours, method), getattr(theirs, method)
    if own is stock or inspect.isclass(stock):
        return "same"
    own_names = list(inspect.signature(own).parameters)
    stock_names = list(inspect.signature(stock).parameters)
    if method == "handle_request" or own_names[: len(stock_names)] == stock_names:
        return "same"
    raise SystemExit(
        f"{ours.__name__}.{method}({', '.join(own_names)}) differs from the stock "
        f"({', '.join(stock_names)}): say how in docs/compatibility.py"
    )


def _arguments(server: type[Any]) -> list[str]:
    names: dict[str, None] = {}
    for base in server.__mro__[:-1]:
        for name, parameter in inspect.signature(base.__init__).parameters.items():  # type: ignore[misc]
            if name != "self" and parameter.kind not in (
                inspect.Parameter.VAR_KEYWORD,
                inspect.Parameter.VAR_POSITIONAL,
            ):
                names[name] = None
    return list(names)


def _default(value: object) -> object:
    return value if isinstance(value, int | float | None) else "the monotonic clock"


def _additions(server: type[Any], options: type[Any]) -> str:
    lines = ["## Beyond them", "", "| argument | default |", "|---|---|"]
    own = [
        (name, parameter.default)
        for name, parameter in inspect.signature(server.__init__).parameters.items()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    ]
    lines += [f"| `AsyncServer({name}=…)` | {_default(default)} |" for name, default in own]
    lines += [
        f"| `EngineServer({field.name}=…)` | {_default(field.default)} |"
        for field in dataclasses.fields(options)
    ]
    lines += [
        "",
        "The docstrings of `AsyncServer` and `EngineOptions` say what each is for. `AsyncServer`",
        "passes those of `EngineServer` on.",
        "",
    ]
    return "\n".join(lines)
