"""``LogTerms``: where the log is, and how much it keeps."""

from __future__ import annotations

from typing import Final, NamedTuple

from gateway.settings import Settings

NO_CLIENT: Final = "REDIS_URL: needs the client of Redis: pip install 'tidegate[redis]'"
_MOST_STREAMS: Final = 200_000


class LogTerms(NamedTuple):
    """Where the log is, and how much it keeps.

    Attributes:
        url: the address of Redis, with its password: never print it.
        prefix: what the names of all keys begin with; its braces keep them on one shard.
        node: the id of this node.
        most_entries: entries of the log.
        log_ms: the age of its oldest entry, ms.
        most_streams: streams of the young generation; more turn the generations early.
        retention_ms: how long a stream and private events are kept unused, ms.
        authorities: file of those that may sign its certificate, besides the system's.
    """

    url: str
    prefix: str
    node: str
    most_entries: int
    log_ms: int
    most_streams: int
    retention_ms: int
    authorities: str | None = None


def log_terms(settings: Settings, url: str) -> LogTerms:
    """Return what the settings say of the log.

    Args:
        settings: the settings.
        url: the address of Redis.
    """
    return LogTerms(
        url=url,
        prefix=f"{{{settings.redis_prefix}}}:",
        node=settings.node,
        most_entries=settings.redis_log_entries,
        log_ms=round(settings.redis_log_seconds * 1_000),
        most_streams=_MOST_STREAMS,
        authorities=settings.redis_ca if url.startswith("rediss:") else None,
        retention_ms=max(1, round(settings.user_retention_seconds * 1_000)),
    )
