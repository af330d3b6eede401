"""How many sockets and files a process may have open (``RLIMIT_NOFILE``)."""

from __future__ import annotations

import resource
import sys
from contextlib import suppress


def raise_limit() -> int:
    """Raise this process's limit as far as the kernel allows, and return it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):  # macOS: the hard limit may be more than it allows
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return _finite(resource.getrlimit(resource.RLIMIT_NOFILE)[0])


def highest_limit(pid: int) -> int:
    """Return the limit up to which another process may raise its own; Linux alone tells."""
    if sys.platform != "linux":
        return sys.maxsize
    return _finite(resource.prlimit(pid, resource.RLIMIT_NOFILE)[1])


def _finite(limit: int) -> int:
    return sys.maxsize if limit == resource.RLIM_INFINITY else limit
