"""aiohttp's runner for an application whose connections come through ``Door``."""

from __future__ import annotations

import logging
from typing import Any

from aiohttp import web
from aiohttp.abc import AbstractAccessLogger
from aiohttp.http_exceptions import HttpProcessingError

from gateway.transport.heads import MAX_HEAD_BYTES
from gateway.transport.relay import Relay


class _Answered(AbstractAccessLogger):
    """Tells the door of a connection that aiohttp has written an answer; it logs nothing."""

    def log(self, request: web.BaseRequest, response: web.StreamResponse, time: float) -> None:
        """Note an answer (aiohttp's access logger).

        Args:
            request: the request.
            response: its answer, not needed here.
            time: seconds that it took, not needed here.
        """
        del response, time
        protocol = None if request.transport is None else request.transport.get_protocol()
        if isinstance(protocol, Relay):
            protocol.answered()


class _ErrorsWithoutValues(logging.Filter):
    """Keeps out of the log what a client sent: of an exception only type and stack are left."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether to log a record of aiohttp; errors of the client are not logged."""
        error = record.exc_info[1] if record.exc_info else None
        if error is None:
            return True
        if isinstance(error, HttpProcessingError | web.RequestPayloadError | ConnectionError):
            return False
        withheld = RuntimeError(f"{type(error).__name__}, its text is withheld")
        record.exc_info = (RuntimeError, withheld, error.__traceback__)
        return True


async def _announce_close(request: web.Request, response: web.StreamResponse) -> None:
    """Announce that an answer which came before the body's end is the connection's last."""
    if not request.content.is_eof():
        response.headers["Connection"] = "close"
        response.force_close()


def runner_behind_door(
    app: web.Application, *, keepalive_timeout: float = 75.0, shutdown_timeout: float = 1.0
) -> web.AppRunner:
    """Return a runner of an application whose server stands behind ``Door``.

    Args:
        app: the application.
        keepalive_timeout: seconds until an idle connection is closed.
        shutdown_timeout: seconds that running handlers get at the end.
    """
    errors = logging.getLogger("gateway.transport.http")
    if not any(isinstance(one, _ErrorsWithoutValues) for one in errors.filters):
        errors.addFilter(_ErrorsWithoutValues())
    app.on_response_prepare.append(_announce_close)
    arguments: dict[str, Any] = {
        "access_log_class": _Answered,
        "auto_decompress": False,
        "keepalive_timeout": keepalive_timeout,
        "lingering_time": 0,  # the door reads on, and does not log that a client left meanwhile
        "logger": errors,
        "max_field_size": MAX_HEAD_BYTES,
        "max_line_size": MAX_HEAD_BYTES,
        "shutdown_timeout": shutdown_timeout,
    }
    return web.AppRunner(app, **arguments)
