"""Structured logs on standard error: one line an event, and no secret in any of them."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any, Final, Literal

import structlog

_SECRET_KEYS: Final = frozenset({"token", "secret", "authorization", "password", "key"})
# A JSON Web Token in compact form, wherever it stands: three base64url parts.
_JWT: Final = re.compile(r"eyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*")
_MASK: Final = "[redacted]"


def redact(_logger: object, _method: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
    """Mask what looks like a secret: by its key, and JSON Web Tokens in any text."""
    for key, value in event.items():
        if key.lower() in _SECRET_KEYS:
            event[key] = _MASK
        elif isinstance(value, str):
            event[key] = _JWT.sub(_MASK, value)
    return event


def configure_logs(level: str, style: Literal["json", "console"]) -> None:
    """Send the gateway's own log, and what its libraries log, to standard error in one shape.

    Args:
        level: least level that is written, such as ``INFO``.
        style: ``json`` for machines, ``console`` for people.
    """
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        redact,
    ]
    renderer: Any = (
        structlog.processors.JSONRenderer()
        if style == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
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


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """Return the logger of one module; bind what every line of it shall carry."""
    logger: structlog.stdlib.BoundLogger = structlog.get_logger(name)
    return logger
