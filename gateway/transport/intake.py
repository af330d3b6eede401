"""The body of a request that aiohttp received, bounded in size and time."""

from __future__ import annotations

import asyncio
from http import HTTPStatus

from aiohttp import web

from gateway.transport.answers import BadRequest


async def read_body(request: web.Request, most_bytes: int, timeout_s: float) -> bytes:
    """Return a request's body.

    A compressed body is refused: a few bytes of it could hold the event loop for long.

    Args:
        request: the request.
        most_bytes: the largest body.
        timeout_s: seconds that the body may take.

    Raises:
        BadRequest: 408, 413 or 415. The rest of the body should not be read.
        ConnectionResetError: the client has disconnected.
    """
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise BadRequest(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "A body may have no content coding")
    too_large = BadRequest(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"A body has at most {most_bytes} bytes"
    )
    if (request.content_length or 0) > most_bytes:
        raise too_large
    body = bytearray()
    try:
        async with asyncio.timeout(timeout_s):
            async for chunk in request.content.iter_any():
                body += chunk
                if len(body) > most_bytes:
                    raise too_large
    except TimeoutError:
        raise BadRequest(
            HTTPStatus.REQUEST_TIMEOUT, f"The body took longer than {timeout_s:g} s"
        ) from None
    except RuntimeError:  # of aiohttp, when the client left before the reading began
        if request.transport is not None:
            raise
        raise ConnectionResetError("the client disconnected before its body") from None
    except web.RequestPayloadError:
        raise BadRequest.malformed("The body is malformed") from None
    return bytes(body)
