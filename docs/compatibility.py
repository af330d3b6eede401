"""Write ``docs/transport.md``: the transport compared with python-socketio and python-engineio.

Every public method and constructor argument of the installed versions is a row: *same*,
*refused* with an error, or *different*. This module has the words for the last two. It exits
with an error for a name that no longer exists, and for a method that is neither listed here,
nor inherited, nor overridden with the same parameters.
"""

from __future__ import annotations

import dataclasses
import inspect
from importlib.metadata import version
from typing import Any

METHODS: dict[str, dict[str, str]] = {
    "AsyncServer": {
        "get_environ": "different: a mapping that parses the request's head on each access, "
        "without `aiohttp.request`; `REMOTE_ADDR` is the peer's address",
        "emit": "different: never waits for a client; queued bytes are bounded by "
        "`max_send_bytes` and `max_send_age`. Extra keywords for a client manager are ignored",
        "disconnect": "different: also closes the transport if the client has no other "
        "namespace, and aborts it after `close_timeout`",
        "shutdown": "different: closes all clients, and waits until their sockets are closed",
        "instrument": "refused: `NotImplementedError`",
    },
    "EngineServer": {
        "send_packet": "different: only MESSAGE packets; others raise `ValueError`",
        "disconnect": "different: sends a WebSocket close frame, and aborts after `close_timeout`",
        "shutdown": "different: closes all clients, and waits until their sockets are closed",
    },
}
"""Methods that are not the same."""
ARGUMENTS: dict[str, dict[str, str]] = {
    "AsyncServer": {
        "client_manager": "different: a `gateway.transport.Rooms`, or a class that mixes one in; "
        "others raise `ValueError`",
        "json": "different: the default is the standard library's JSON without NaN and "
        "infinities; a module applies to its server, not to the process",
        "async_handlers": "different: events of a client are always handled in order, one after "
        "the other; acknowledgements overtake them, so that `call` works in a handler",
        "serializer": "refused: `ValueError` unless it is the default",
        "logger": "different: INFO messages, which contain tokens, are logged only by a logger "
        "that you pass",
    },
    "EngineServer": {
        "async_mode": "refused: `ValueError` unless it is `aiohttp`",
        "async_handlers": "different: messages of a client are always handled in order",
        "monitor_clients": "different: always on, with one timer for all clients",
        "http_compression": "different: `Accept-Encoding` is read with its weights",
        "ping_interval": "different: announced and kept to the millisecond",
        "max_http_buffer_size": "different: also bounds the binary attachments of a packet "
        "together, and closes with 1009 before a frame is buffered",
    },
}
"""Constructor arguments that are not the same."""


def compatibility() -> str:
    """Return the comparison as Markdown."""
    import engineio
    import socketio

    from gateway.transport import AsyncServer, EngineServer
    from gateway.transport.engine import EngineOptions

    parts = [
        "# The transport compared with python-socketio\n",
        (
            "`gateway.transport.AsyncServer` replaces `socketio.AsyncServer`, and\n"
            "`gateway.transport.EngineServer` replaces `engineio.AsyncServer`, on aiohttp. These\n"
            f"tables come from inspecting python-socketio {version('python-socketio')} and "
            f"python-engineio {version('python-engineio')}.\n\n"
            "permessage-deflate is never negotiated: a frame is encoded once for all its\n"
            "recipients, and compressing it for each client would cost more than the bytes saved.\n"
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
        raise SystemExit(f"{name} has no {sorted([*said, *arguments])}: edit docs/compatibility.py")
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
        f"({', '.join(stock_names)}): describe the difference in docs/compatibility.py"
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
    if isinstance(value, str):
        return f"`{value}`" if value else "none"
    return value if isinstance(value, int | float | None) else "the monotonic clock"


def _additions(server: type[Any], options: type[Any]) -> str:
    lines = ["## Additional arguments", "", "| argument | default |", "|---|---|"]
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
        "The docstrings of `AsyncServer` and `EngineOptions` describe each. `AsyncServer` also",
        "accepts the arguments of `EngineServer`.",
        "",
    ]
    return "\n".join(lines)
