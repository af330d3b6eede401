"""``RequestEnviron``: the WSGI environ of a request, parsed from its head on each access."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from functools import lru_cache
from typing import Any, Final
from urllib.parse import quote

from gateway.transport.requests import RequestHead

_LINES: Final = 16  # cached heads: most clients send one request line


class RequestEnviron(MutableMapping[str, Any]):
    """The ``environ`` argument of a connect handler.

    It keeps only the bytes of the request's head and parses them on each access. Keys that
    an application sets are stored beside them.

    Args:
        head: the head of the request that opened the session.
        peer: the address of the other end of the socket, "" when it has none.
        scheme: ``http`` or ``https``.

    Attributes:
        peer: that address, or the client's once it is known.
    """

    __slots__ = ("_added", "_scheme", "head", "peer")

    def __init__(self, head: RequestHead, peer: str, scheme: str = "http") -> None:
        self.head = head
        self.peer = peer
        self._scheme = scheme
        self._added: dict[str, Any] | None = None

    def reduce(self, address: str) -> None:
        """Forget the headers, and of the query all but its token, which may be needed again.

        Args:
            address: the client's address, the ``peer`` from now on.
        """
        token = self.head.parameter("token")
        line = self.head.raw[: self.head.raw.index(b"\r\n")]
        if token is None:
            self.head = _shared_head(line)
        else:
            self.head = _bare_head(line, b"?token=" + quote(token, safe="").encode())
        self.peer = address

    def added(self, key: str) -> Any:
        """Return what an application set under a key, ``None`` if nothing."""
        return None if self._added is None else self._added.get(key)

    def _parse(self) -> dict[str, Any]:
        head = self.head
        names: dict[str, Any] = {
            "REQUEST_METHOD": head.method,
            "PATH_INFO": head.path,
            "SCRIPT_NAME": "",
            "QUERY_STRING": head.query,
            "RAW_URI": head.target,
            "SERVER_PROTOCOL": "HTTP/{}.{}".format(*head.version),
            "REMOTE_ADDR": self.peer,
            "REMOTE_PORT": "0",
            "SERVER_NAME": "aiohttp",
            "SERVER_PORT": "0",
            "SERVER_SOFTWARE": "aiohttp",
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": head.header("x-forwarded-proto") or self._scheme,
            "wsgi.multithread": False,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
        }
        for name, value in head.headers.items():
            key = name.upper().replace("-", "_")
            if key not in ("CONTENT_TYPE", "CONTENT_LENGTH"):
                key = f"HTTP_{key}"
            names[key] = value
        return names if self._added is None else names | self._added

    def __getitem__(self, key: str) -> Any:
        return self._parse()[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._parse())

    def __len__(self) -> int:
        return len(self._parse())

    def __setitem__(self, key: str, value: Any) -> None:
        if self._added is None:
            self._added = {}
        self._added[key] = value

    def __delitem__(self, key: str) -> None:
        if self._added is None or key not in self._added:
            raise KeyError(f"{key!r} came with the request and cannot be removed from it")
        del self._added[key]

    def __repr__(self) -> str:  # never the query: it may carry a token
        return f"<RequestEnviron {self.head.method} {self.head.path} from {self.peer}>"


@lru_cache(maxsize=_LINES)
def _shared_head(line: bytes) -> RequestHead:
    """Return the head of all clients with a request line that has no token."""
    return _bare_head(line, b"")


def _bare_head(line: bytes, query: bytes) -> RequestHead:
    """Return a head without headers.

    Args:
        line: the request line.
        query: its new query, with the question mark; empty for none.
    """
    method, target, _ = line.split(b" ", 2)
    return RequestHead(b"%b %b%b HTTP/1.1\r\n\r\n" % (method, target.partition(b"?")[0], query))
