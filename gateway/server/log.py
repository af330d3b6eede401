"""Structured logs on standard error: one line per event, without secrets.

A line is written at every connect, so the gateway's own lines take one encoding and are queued
for a thread that writes them. Lines of libraries pass through ``logging`` and have the same form.
"""

from __future__ import annotations

import atexit
import json
import logging
import os
import re
import select
import time
from collections.abc import Mapping, MutableMapping
from contextvars import ContextVar
from functools import partial
from typing import Any, Final, Literal, Protocol

import orjson
import structlog

from gateway.server.lines import LineWriter

_STANDARD_ERROR: Final = 2
_SECRET_KEYS: Final = frozenset({"token", "secret", "authorization", "password", "key"})
# A JSON Web Token in compact form, anywhere in a text: three base64url parts.
_JWT: Final = re.compile(r"eyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*")
_JWT_BEGINS: Final = "eyJ"
_JWT_BYTES: Final = re.compile(_JWT.pattern.encode())
_MASK: Final = "[redacted]"
_DELETE: Final = b"\x7f"  # the one control character that JSON does not escape
# A dataclass is logged as its repr, which may leave out a secret.
_JSON: Final = orjson.OPT_APPEND_NEWLINE | orjson.OPT_PASSTHROUGH_DATACLASS
TRACE_ID: Final[ContextVar[str | None]] = ContextVar("trace_id", default=None)
"""The trace that log lines belong to; see ``gateway.server.tracing``."""
_NS_PER_S: Final = 1_000_000_000
_NS_PER_US: Final = 1_000


def redact(_logger: object, _method: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
    """Mask values with the key of a secret, and JSON Web Tokens in any text.

    Args:
        _logger: ignored, as ``_method``: structlog's processor interface.
        _method: ignored.
        event: the fields of the line, which are changed in place.
    """
    for key, value in event.items():
        if key.lower() in _SECRET_KEYS:
            event[key] = _MASK
        elif isinstance(value, str) and _JWT_BEGINS in value:
            event[key] = _JWT.sub(_MASK, value)
    return event


def _add_node(
    node: str, _logger: object, _method: str, event: MutableMapping[str, Any]
) -> Mapping[str, Any]:
    event["node"] = node
    return event


def escape(_logger: object, _method: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
    """Escape characters that a terminal would act on, except in a stack trace.

    Args:
        _logger: ignored, as ``_method``: structlog's processor interface.
        _method: ignored.
        event: the fields of the line, which are changed in place.
    """
    for key, value in event.items():
        if isinstance(value, str) and not value.isprintable() and key != "exception":
            event[key] = value.encode("unicode_escape").decode("ascii")
    return event


def add_trace(_logger: object, _method: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
    """Add ``trace_id`` to a line that belongs to a trace.

    Args:
        _logger: ignored, as ``_method``: structlog's processor interface.
        _method: ignored.
        event: the fields of the line, which are changed in place.
    """
    trace_id = TRACE_ID.get()
    if trace_id is not None:
        event["trace_id"] = trace_id
    return event


def configure_logs(
    level: str,
    style: Literal["json", "console"],
    *,
    node: str = "",
    shares_stream: bool = False,
) -> LineWriter:
    """Write the logs of the gateway and its libraries to standard error, in one form.

    Args:
        level: the lowest level that is written, such as ``INFO``.
        style: ``json`` for machines, ``console`` for people.
        node: the name of the node, which every line tells; "" for none.
        shares_stream: whether other processes write lines to the same stream.

    Returns:
        The writer of the lines, which counts those that it drops.
    """
    shared: list[Any] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        redact,
        add_trace,
    ]
    if node:
        shared.insert(0, partial(_add_node, node))
    renderer: Any = (
        structlog.processors.JSONRenderer(separators=(",", ":"))
        if style == "json"
        else structlog.dev.ConsoleRenderer(colors=os.isatty(_STANDARD_ERROR))
    )
    if style == "console":
        shared.append(escape)
    own: list[Any] = [*shared, renderer, _encode]
    logger_class: type[Any] = structlog.make_filtering_bound_logger(level)
    if style == "json":
        own = [JsonLine(node)]
        logger_class = _with_one_processor(logger_class)
    batch = {"most_batch_bytes": select.PIPE_BUF} if shares_stream else {}  # such writes are atomic
    lines = LineWriter(_STANDARD_ERROR, partial(_tell_dropped, own), **batch)
    atexit.register(lines.close)
    structlog.configure(
        processors=own,
        logger_factory=partial(_Lines, lines),
        wrapper_class=logger_class,
        cache_logger_on_first_use=True,
    )
    handler = _Handler(lines)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    # aiohttp's access log prints the query, and with it a token.
    logging.getLogger("aiohttp.access").setLevel(logging.CRITICAL)
    logging.captureWarnings(capture=True)
    return lines


def _with_one_processor(logger_class: type[Any]) -> type[Any]:
    """Return a logger class without bound fields, whose one processor makes the whole line.

    It skips structlog's loop over processors, a third of the time of a line.

    Args:
        logger_class: structlog's class, which leaves out lines below a level.
    """

    class _Logger(logger_class):  # type: ignore[misc]  # made at run time
        def _proxy_to_logger(self, method: str, event: str | None = None, **fields: Any) -> None:
            fields["event"] = event
            (process,) = self._processors
            getattr(self._logger, method)(process(self._logger, method, fields))

    return _Logger


def get_logger(name: str) -> structlog.typing.FilteringBoundLogger:
    """Return the logger of a module."""
    logger: structlog.typing.FilteringBoundLogger = structlog.get_logger(name)
    return logger


class _Named(Protocol):
    """Anything with the name of the module that logs."""

    name: str


class JsonLine:
    """A structlog processor that returns the complete JSON line of an event.

    It adds ``level``, ``logger``, ``timestamp`` (ISO 8601 UTC, µs) and the stack trace of an
    exception, and masks secrets.

    Args:
        node: the name of the node, which each line tells; "" for none.
    """

    def __init__(self, node: str = "") -> None:
        self._node = node
        self._second = -1
        self._prefix = ""

    def __call__(self, logger: _Named, method: str, event: dict[str, Any]) -> bytes:
        """Return the line of an event."""
        if "exc_info" in event:
            structlog.processors.format_exc_info(logger, method, event)
        redact(logger, method, event)
        add_trace(logger, method, event)
        event["level"] = method
        if self._node:
            event["node"] = self._node
        event["logger"] = logger.name
        event["timestamp"] = self._timestamp(time.time_ns())
        line = _encode_json(event)
        if b"eyJ" in line:  # in a value that is not a string
            line = _JWT_BYTES.sub(_MASK.encode(), line)
        return line

    def _timestamp(self, unix_ns: int) -> str:
        second, rest_ns = divmod(unix_ns, _NS_PER_S)
        if second != self._second:  # many lines share a second
            self._prefix = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
            self._second = second
        return f"{self._prefix}.{rest_ns // _NS_PER_US:06d}Z"


class _Lines:
    """Queues lines for structlog.

    Args:
        lines: the writer.
        name: the name of the module that logs.
    """

    def __init__(self, lines: LineWriter, name: str = "") -> None:
        self.name = name
        self.debug = self.info = self.warning = self.error = self.critical = lines.write


class _Handler(logging.Handler):
    """Queues lines of libraries."""

    def __init__(self, lines: LineWriter) -> None:
        super().__init__()
        self._lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._lines.write(_encode(None, "", self.format(record)))
        except Exception:  # noqa: BLE001 - as in the standard library's handlers
            self.handleError(record)


def _tell_dropped(processors: list[Any], count: int) -> bytes:
    """Return the line that tells how many lines were dropped."""
    line: Any = {"event": "log lines dropped", "count": count}
    for process in processors:
        line = process(_NAMED, "warning", line)
    return bytes(line)


_NAMED: Final = logging.getLogger(__name__)  # only its name is used


def _encode_json(event: Mapping[str, Any]) -> bytes:
    """Return a line of printable ASCII, so that no value can end the line."""
    try:
        line = orjson.dumps(event, default=repr, option=_JSON)
        if line.isascii() and _DELETE not in line:
            return line
        text = json.dumps(orjson.loads(line), separators=(",", ":"))
    except TypeError:  # an integer over 64 bits, a lone surrogate, a key that is not a string
        text = json.dumps(event, default=repr)
    return text.encode().replace(_DELETE, b"\\u007f") + b"\n"


def _encode(_logger: object, _method: str, line: str) -> bytes:
    return f"{line}\n".encode(errors="backslashreplace")
