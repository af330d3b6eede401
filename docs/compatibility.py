"""Write ``docs/transport.md``: the transport compared with python-socketio and python-engineio.

Every public method and constructor argument of the installed versions is a row: *same*,
*refused* with an error, or *different*. This module has the words for the last two. It exits
with an error for a name that no longer exists, and for a method that is neither listed here,
nor inherited, nor overridden with the same parameters.
"""

from __future__ import annotations

import inspect
from importlib.metadata import version
from typing import Any

METHODS: dict[str, dict[str, str]] = {
    "AsyncServer": {
        "get_environ": "different: a mapping that reads the request's head on demand, without "
        "`aiohttp.request`; `REMOTE_ADDR` is the peer's address",
        "emit": "different: never waits for a client. `max_send_bytes` and `max_send_age` bound "
        "the queued bytes. Extra keywords for a client manager are not accepted",
        "disconnect": "different: also closes the transport when the client has no other "
        "namespace, and aborts it after `close_timeout`",
        "shutdown": "different: closes all clients, and waits until their sockets are closed",
        "instrument": "refused: `NotImplementedError`",
    },
    "EngineServer": {
        "send_packet": "different: MESSAGE packets only; others raise `ValueError`",
        "disconnect": "different: sends a WebSocket close frame, and aborts after `close_timeout`",
        "shutdown": "different: closes all clients, and waits until their sockets are closed",
    },
}
"""Methods that are not the same."""
ARGUMENTS: dict[str, dict[str, str]] = {
    "AsyncServer": {
        "client_manager": "different: a `gateway.transport.Rooms`, or a class that inherits from "
        "it; others raise `ValueError`",
        "json": "different: the default is the standard library's, but NaN and infinities are "
        "neither sent nor accepted. A module applies to its server, not to the process",
        "async_handlers": "different: the events of a client are always handled one after the "
        "other, in order. Acknowledgements overtake events, so `call` works in a handler",
        "serializer": "refused: `ValueError` for any but the default",
        "logger": "different: INFO messages, which contain tokens, are logged only to a logger "
        "that you pass",
    },
    "EngineServer": {
        "async_mode": "refused: `ValueError` for any but `aiohttp`",
        "async_handlers": "different: the messages of a client are always handled in order",
        "monitor_clients": "different: always on, with one timer for all clients",
        "ping_interval": "different: announced and kept to the millisecond",
        "max_http_buffer_size": "different: also bounds the sum of an event's binary attachments; "
        "a longer frame closes the connection with 1009 before it is buffered",
    },
}
"""Constructor arguments that are not the same."""


def compatibility() -> str:
    """Return the comparison as Markdown."""
    import engineio
    import socketio

    from gateway.transport import AsyncServer, EngineServer

    parts = [
        "# The transport compared with python-socketio\n",
        (
            "On aiohttp, `gateway.transport.AsyncServer` replaces `socketio.AsyncServer`, and\n"
            "`gateway.transport.EngineServer` replaces `engineio.AsyncServer`. These tables come\n"
            f"from python-socketio {version('python-socketio')} and python-engineio "
            f"{version('python-engineio')}.\n\n"
            "The transport never negotiates permessage-deflate. It encodes a frame once for all\n"
            "recipients; compressing it for each of them would cost more than the network saves.\n"
        ),
    ]
    parts.append(_section(AsyncServer, socketio.AsyncServer))
    parts.append(_section(EngineServer, engineio.AsyncServer))
    parts.append(_additions(AsyncServer, EngineServer))
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


def _additions(*servers: type[Any]) -> str:
    lines = ["## Additional arguments", "", "| argument | default |", "|---|---|"]
    for server in servers:
        stock = set(_arguments(server.__mro__[1]))
        for name, parameter in inspect.signature(server.__init__).parameters.items():
            if parameter.kind is inspect.Parameter.KEYWORD_ONLY and name not in stock:
                default = parameter.default
                shown = (
                    default if isinstance(default, int | float | None) else "the monotonic clock"
                )
                lines.append(f"| `{server.__name__}({name}=…)` | {shown} |")
    lines += [
        "",
        "Their docstrings say what each is for. `AsyncServer` hands those of `EngineServer` on.",
        "",
    ]
    return "\n".join(lines)
