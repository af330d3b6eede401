"""Logs the failure of a feed's task, which nobody awaits before the gateway stops."""

from __future__ import annotations

import asyncio

from gateway.server.log import get_logger

log = get_logger(__name__)


def log_failure(task: asyncio.Task[None]) -> None:
    """Log the exception of a task that has ended; a done callback."""
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("a market feed has ended by a fault", feed=task.get_name(), exc_info=error)
