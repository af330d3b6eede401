"""What the HTTP routes share: answers in JSON, refusals, scopes of bearer tokens, bodies."""

from __future__ import annotations

from typing import Any, Final

from aiohttp import web

from gateway import strict_json
from gateway.audit import AuditEvent
from gateway.auth import Authenticator, Identity
from gateway.client_address import client_address
from gateway.contract import ErrorCode, Scope
from gateway.entitlements import require_scope
from gateway.errors import AuthenticationError, UnknownKey, WireError
from gateway.server.context import Context
from gateway.server.key_fetcher import KeyFetcher
from gateway.transport.answers import BadRequest
from gateway.transport.handover import answer_and_close, answer_nobody
from gateway.transport.intake import read_body
from gateway.transport.sockets import unmapped

_LOG_RETRY_S: Final = 1
_BODY_S: Final = 10.0


class Guard:
    """Admits requests whose bearer token has the scope of the route.

    Args:
        context: the parts of the gateway.
        authenticator: verifies bearer tokens.
        fetcher: fetches the keys of the issuer; ``None`` where the settings hold the key.
    """

    def __init__(
        self, context: Context, authenticator: Authenticator, fetcher: KeyFetcher | None
    ) -> None:
        self._context = context
        self._fetcher = fetcher
        self._authenticator = authenticator

    async def admit(self, request: web.Request, scope: Scope) -> Identity | web.Response:
        """Return the identity of a request, or its refusal: 401 or 403."""
        return await self._admit(request, scope)

    async def admit_user(self, request: web.Request) -> Identity | web.Response:
        """Return the identity of a user's request, or its refusal: 401.

        No scope is needed, and in development no token, as for a connection.
        """
        is_open = self._context.settings.environment == "development"
        if is_open and "Authorization" not in request.headers:
            return self._authenticator.anonymous
        return await self._admit(request, None)

    async def _admit(self, request: web.Request, scope: Scope | None) -> Identity | web.Response:
        token = bearer(request)
        if token is None:
            self.note_refused(request, ErrorCode.AUTH_MISSING)
            which = "" if scope is None else f" with the scope {scope}"
            return rejected(
                401,
                f"A bearer token{which} is needed",
                ErrorCode.AUTH_MISSING,
                headers={"WWW-Authenticate": "Bearer"},
            )
        try:
            identity = await self._verify(token)
            if scope is not None:
                require_scope(identity.scopes, scope)
        except AuthenticationError as error:
            self._context.metrics.authentication_failed(error.code)
            self.note_refused(request, error.code, reason=error.reason)
            return rejected(401, error.message, error.code, headers={"WWW-Authenticate": "Bearer"})
        except WireError as error:
            self._context.security.note(
                AuditEvent.SCOPE_REFUSED,
                user=identity.user_id,
                address=self.address_of(request),
                path=request.path,
            )
            return rejected(403, error.message, error.code)
        return identity

    def note_refused(
        self, request: web.Request, code: ErrorCode, *, reason: str | None = None
    ) -> None:
        """Note a request with a missing or refused token.

        Args:
            request: the request.
            code: the code of its answer.
            reason: why the token is refused.
        """
        self._context.security.note(
            AuditEvent.AUTHENTICATION_REFUSED,
            address=self.address_of(request),
            code=code.value,
            reason=reason,
            path=request.path,
        )

    def address_of(self, request: web.Request) -> str:
        """Return the address of a request's client."""
        proxies = self._context.settings.trusted_proxies
        forwarded = ", ".join(request.headers.getall("X-Forwarded-For", ())) or None
        return client_address(unmapped(request.remote or ""), forwarded, proxies)

    async def _verify(self, token: str) -> Identity:
        try:
            return self._authenticator.verify(token, self._context.clock.unix_s())
        except UnknownKey:
            if self._fetcher is None:
                raise
        await self._fetcher.fetch_for_unknown()
        return self._authenticator.verify(token, self._context.clock.unix_s())


async def body_of(request: web.Request, most_bytes: int) -> bytes | web.StreamResponse:
    """Return the body of a request, or the answer to a bad one, which closes the connection.

    Args:
        request: the request.
        most_bytes: the largest body.
    """
    try:
        return await read_body(request, most_bytes, _BODY_S)
    except BadRequest as error:
        answered = errors(error.message, ErrorCode.INVALID_PAYLOAD)
        return answer_and_close(
            request, error.status, strict_json.dumps(answered).encode(), error.headers
        )
    except ConnectionError:
        return answer_nobody()


def bearer(request: web.Request) -> str | None:
    """Return the bearer token of a request, ``None`` if it has none."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" and token.strip() else None


def json_answer(
    payload: object, *, status: int = 200, headers: dict[str, str] | None = None
) -> web.Response:
    """Return an answer with a JSON body.

    Args:
        payload: the body.
        status: the status.
        headers: more headers.
    """
    return web.Response(
        text=strict_json.dumps(payload),
        status=status,
        headers=headers,
        content_type="application/json",
    )


def rejected(
    status: int,
    message: str,
    code: str,
    *,
    headers: dict[str, str] | None = None,
    retry_after_s: int | None = None,
) -> web.Response:
    """Return a refusal ``{errors: [{index, message, code}], retryAfter?}``.

    Args:
        status: the status.
        message: the text of the error.
        code: its code.
        headers: more headers.
        retry_after_s: seconds until the client should try again.
    """
    answer = errors(message, code)
    if retry_after_s is not None:
        answer["retryAfter"] = 1_000 * retry_after_s
    return json_answer(answer, status=status, headers=headers)


def log_away() -> web.Response:
    """Return the refusal of a request that needs the log of the nodes, while that is away."""
    return rejected(
        503,
        "The log of the nodes is away",
        ErrorCode.INTERNAL_ERROR,
        headers={"Retry-After": str(_LOG_RETRY_S)},
        retry_after_s=_LOG_RETRY_S,
    )


def errors(message: str, code: str) -> dict[str, Any]:
    """Return the body of a refusal of a whole request."""
    return {"errors": [{"index": None, "message": message, "code": code}]}
