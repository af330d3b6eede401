"""HTTP answers as bytes, written without an HTTP server.

::

    Exception
    └── BadRequest    the request is invalid; carries the status to answer with
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from types import MappingProxyType
from typing import Final

NO_HEADERS: Final[Mapping[str, str]] = MappingProxyType({})
_NAME: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")  # RFC 9110 5.6.2
_VALUE: Final = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_WEIGHT: Final = re.compile(r"q=(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)")
_OUR_HEADERS: Final = frozenset({"connection", "content-length", "transfer-encoding"})


class BadRequest(Exception):  # noqa: N818 - the name says what happened, as the status does
    """The request is invalid.

    Args:
        status: the HTTP status to answer with.
        message: what is wrong and what would be right, without any value of the client.
        headers: headers that the answer needs.
    """

    def __init__(self, status: int, message: str, headers: Mapping[str, str] = NO_HEADERS) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.headers = headers

    @classmethod
    def malformed(cls, message: str) -> BadRequest:
        """Return the refusal of a malformed request."""
        return cls(HTTPStatus.BAD_REQUEST, message)


def plain_response(
    status: int, body: bytes, content_type: str, headers: Mapping[str, str] = NO_HEADERS
) -> bytes:
    """Return a complete response that closes the connection.

    ``Connection`` also names an ``Upgrade`` among the headers (RFC 9110 7.8).

    Args:
        status: the HTTP status.
        body: the body.
        content_type: its type.
        headers: additional headers.

    Raises:
        ValueError: the status does not exist, or a header is malformed or set by this function
            itself.
    """
    phrase = HTTPStatus(status).phrase
    is_offer = any(name.lower() == "upgrade" for name in headers)
    own = {"Content-Type": content_type}
    return b"HTTP/1.1 %d %b\r\nConnection: close%b\r\nContent-Length: %d\r\n%b%b\r\n%b" % (
        status,
        phrase.encode(),
        b", Upgrade" if is_offer else b"",
        len(body),
        encode_headers(own, _OUR_HEADERS),
        encode_headers(headers, _OUR_HEADERS | {"content-type"}),
        body,
    )


def encode_headers(headers: Mapping[str, str], forbidden: frozenset[str]) -> bytes:
    """Return header lines.

    Args:
        headers: the headers.
        forbidden: lower-case names that the caller sets itself.

    Raises:
        ValueError: a header is malformed or forbidden.
    """
    lines: list[str] = []
    for name, value in headers.items():
        if not _NAME.fullmatch(name) or name.lower() in forbidden:
            raise ValueError(f"header {name!r} is malformed, or set by the server itself")
        if not _VALUE.fullmatch(value):
            raise ValueError(f"header {name} has a control or non-latin-1 character in its value")
        lines.append(f"{name}: {value}\r\n")
    return "".join(lines).encode("latin-1")


def choose_encoding(accepted: str, offered: Sequence[str]) -> str | None:
    """Return the content coding that a client likes best, ``None`` for none (RFC 9110 12.5.3).

    Args:
        accepted: the client's ``Accept-Encoding``, empty for none.
        offered: the codings to choose from, the best first.
    """
    weights: dict[str, float] = {}
    for entry in accepted.lower().split(","):
        coding, _, parameter = (part.strip(" \t") for part in entry.partition(";"))
        weight = _WEIGHT.fullmatch(parameter)
        if coding and (weight is not None or not parameter):
            weights.setdefault(coding, float(weight[1]) if weight else 1.0)
    anything = weights.get("*", 0.0)
    plain = weights.get("identity", 0.0)
    likings = {coding: weights.get(coding, anything) for coding in offered}
    best = max(likings, key=likings.__getitem__, default=None)
    return best if best is not None and likings[best] > 0 and likings[best] >= plain else None
