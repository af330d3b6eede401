"""``RequestHead``: the head of an HTTP/1.1 request, as bytes with views of their fields.

The fields are parsed on each access, with a small cache, because the accesses of one request
come together.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Final
from urllib.parse import unquote, unquote_plus

_LINE_END: Final = b"\r\n"
_HEADS_READ: Final = 128  # cached heads: those of connections that are opening a session


class RequestHead:
    """The request line and headers, as bytes with views of their fields.

    It keeps only the bytes. Only `RequestReader` and aiohttp's checked fields may make one.

    Attributes:
        raw: the bytes, with the blank line.
    """

    __slots__ = ("raw",)

    def __init__(self, raw: bytes) -> None:
        self.raw = raw

    @property
    def method(self) -> str:
        """The method as sent. Case matters."""
        return self.raw[: self.raw.index(b" ")].decode()

    @property
    def target(self) -> str:
        """The target as sent. Its query may hold a secret."""
        start = self.raw.index(b" ") + 1
        return self.raw[start : self.raw.index(b" ", start)].decode()

    @property
    def version(self) -> tuple[int, int]:
        """The HTTP version, major and minor."""
        end = self.raw.index(_LINE_END)
        return self.raw[end - 3] - 0x30, self.raw[end - 1] - 0x30

    @property
    def path(self) -> str:
        """The path without the query, percent-decoded."""
        return _read_target(self.raw)[0]

    @property
    def query(self) -> str:
        """The query as sent, without its question mark; empty if there is none."""
        return self.target.partition("?")[2]

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers by lower-case name, repeated ones joined with ``", "``."""
        return _read_headers(self.raw)

    def header(self, name: str) -> str | None:
        """Return a header by name, in any case, repeated ones joined with ``", "``."""
        return _read_headers(self.raw).get(name.lower())

    def header_values(self, name: str) -> list[str]:
        """Return the value of each line of a header, in their order."""
        lowered = self.raw.lower()
        prefix = b"\r\n%s:" % name.lower().encode("latin-1")
        values: list[str] = []
        at = lowered.find(prefix)
        while at >= 0:
            at += len(prefix)
            end = lowered.index(_LINE_END, at)
            values.append(self.raw[at:end].decode("latin-1").strip(" \t"))
            at = lowered.find(prefix, end)
        return values

    @property
    def parameters(self) -> Mapping[str, str]:
        """The first value of each query parameter, decoded."""
        return _read_target(self.raw)[1]

    def parameter(self, name: str) -> str | None:
        """Return the first value of a query parameter, decoded; ``None`` if it is absent."""
        return _read_target(self.raw)[1].get(name)

    @property
    def conflicts(self) -> frozenset[str]:
        """The query parameters that are given twice with different values."""
        return _read_target(self.raw)[2]


@lru_cache(maxsize=_HEADS_READ)
def _read_headers(raw: bytes) -> Mapping[str, str]:
    found: dict[str, str] = {}
    for line in raw[:-4].decode("latin-1").split("\r\n")[1:]:
        name, _, value = line.partition(":")
        name, value = name.lower(), value.strip(" \t")
        found[name] = f"{found[name]}, {value}" if name in found else value
    return MappingProxyType(found)


@lru_cache(maxsize=_HEADS_READ)
def _read_target(raw: bytes) -> tuple[str, Mapping[str, str], frozenset[str]]:
    """Return the path, the first value of each query parameter, and those with two values."""
    target, _, query = RequestHead(raw).target.partition("?")
    path = _strip_authority(target)
    found: dict[str, str] = {}
    conflicts: set[str] = set()
    for pair in query.split("&"):
        key, _, value = pair.partition("=")
        if "%" in pair or "+" in pair:
            key, value = unquote_plus(key), unquote_plus(value)
        if found.setdefault(key, value) != value:
            conflicts.add(key)
    path = unquote(path) if "%" in path else path
    return path, MappingProxyType(found), frozenset(conflicts)


def _strip_authority(target: str) -> str:
    if target.startswith("/"):
        return target
    _, scheme_end, rest = target.partition("://")
    if not scheme_end:
        return target
    slash = rest.partition("?")[0].find("/")
    return rest[slash:] if slash >= 0 else "/"
