"""``Connections``: authenticates, welcomes, watches and closes clients."""

from __future__ import annotations

import random
from collections.abc import Callable, Coroutine
from typing import Final, NoReturn

from gateway.audit import AuditEvent
from gateway.auth import Authenticator, Identity, authenticate
from gateway.contract import ServerEvent, iso_timestamp, user_room
from gateway.errors import AuthenticationError, TooManyConnections, UnknownKey, WireError
from gateway.server.context import Context
from gateway.server.key_fetcher import KeyFetcher
from gateway.server.log import get_logger
from gateway.server.nodes import Nodes
from gateway.server.returns import replay, returning_of
from gateway.server.welcome import welcome_payload
from gateway.session import Session
from gateway.transport import ConnectRejected, RequestEnviron
from gateway.transport.counts import EndReason

_RECONNECT_AFTER_MS: Final = (1_000, 5_000)  # jitter: clients must not reconnect all at once
_LIMITER: Final = "tidegate.limiter"
_CLOSINGS: Final = {
    "token expired": AuditEvent.TOKEN_EXPIRED,
    "token revoked": AuditEvent.TOKEN_REVOKED,
}

log = get_logger(__name__)


class Connections:
    """The life of a client, from its handshake to its removal from the last table.

    Args:
        context: the parts of the gateway.
        authenticator: verifies tokens.
        address_of: returns the client's address of a request.
        fetcher: fetches the keys of the issuer; ``None`` where the settings hold the key.
    """

    def __init__(
        self,
        context: Context,
        authenticator: Authenticator,
        address_of: Callable[[RequestEnviron], str],
        fetcher: KeyFetcher | None = None,
    ) -> None:
        self._fetcher = fetcher
        self._context = context
        self._authenticator = authenticator
        self._address_of = address_of
        self._log = log.bind()  # structlog's proxy looks its logger up for each line

    def connect(
        self, sid: str, environ: RequestEnviron, auth: object
    ) -> Coroutine[None, None, None] | None:
        """Authenticate a client; the transport's connect handler.

        Args:
            sid: the client.
            environ: the request that opened its session.
            auth: the payload of its CONNECT packet.

        Returns:
            A coroutine if the key of its token has to be fetched.

        Raises:
            ConnectRejected: the token is missing or refused. The client gets a CONNECT_ERROR.
        """
        try:
            self._admit(sid, environ, auth)
        except UnknownKey as error:
            if self._fetcher is not None:
                return self._connect_later(self._fetcher, sid, environ, auth)
            self._reject(environ, error)
        return None if self._context.nodes is None else self._fetched(self._context.nodes, sid)

    def _fetched(self, nodes: Nodes, sid: str) -> Coroutine[None, None, None] | None:
        """Return a coroutine that fetches what a client missed, ``None`` if that is here."""
        session = self._context.sessions.get(sid)
        if session is None or session.returning is None:
            return None
        return nodes.fetch(session.identity.user_id)

    async def _connect_later(
        self, fetcher: KeyFetcher, sid: str, environ: RequestEnviron, auth: object
    ) -> None:
        await fetcher.fetch_for_unknown()
        if self._context.transport.get_environ(sid) is None:
            return  # it has left: nothing would remove its session from the tables
        try:
            self._admit(sid, environ, auth)
        except UnknownKey as error:
            self._reject(environ, error)
        nodes = self._context.nodes
        fetched = None if nodes is None else self._fetched(nodes, sid)
        if fetched is not None:
            await fetched

    def _reject(self, environ: RequestEnviron, error: AuthenticationError) -> NoReturn:
        self._context.metrics.authentication_failed(error.code)
        self._context.faults.note(
            "authentication refused",
            address=self._address_of(environ),
            code=error.code,
            reason=error.reason,
        )
        self._context.security.note(
            AuditEvent.AUTHENTICATION_REFUSED,
            address=self._address_of(environ),
            code=error.code.value,
            reason=error.reason,
        )
        raise ConnectRejected(error.message, {"code": error.code}) from None

    def _admit(self, sid: str, environ: RequestEnviron, auth: object) -> None:
        context = self._context
        now_ns = context.clock.monotonic_ns()
        try:
            identity = authenticate(
                self._authenticator,
                auth,
                environ.head.parameter("token"),
                context.clock.unix_s(),
                development=context.settings.environment == "development",
            )
        except UnknownKey:
            raise
        except AuthenticationError as error:
            self._reject(environ, error)
        except Exception:
            # Not the client's fault: a CONNECT_ERROR would keep a stock client away.
            log.exception("connect handler failed", client=sid)
            context.metrics.handler_failed()
            context.transport.close_transport(sid, "internal error")
            return
        address = self._address_of(environ)
        environ.reduce(address)  # a browser's cookies need not be kept for each client
        limiter = context.limiter_for(identity.user_id, environ.added(_LIMITER))
        context.sessions.add(
            Session(
                sid=sid,
                identity=identity,
                address=address,
                connected_at_ns=now_ns,
                limiter=limiter,
                returning=returning_of(auth),
            )
        )
        context.streams.hold_user(identity.user_id, now_ns)
        context.security.note(
            AuditEvent.AUTHENTICATED, user=identity.user_id, address=address, client=sid
        )

    def welcome(self, sid: str) -> None:
        """Send the welcome event to a connected client, and add it to its user's room."""
        context = self._context
        session = context.sessions.get(sid)
        if session is None:
            return
        user_id = session.identity.user_id
        now_ns = context.clock.monotonic_ns()
        nodes = context.nodes
        elsewhere = 0 if nodes is None else nodes.presence.elsewhere(user_id)
        surplus = context.user_connections.add(user_id, sid, now_ns, elsewhere)
        context.transport.reply(sid, ServerEvent.CONNECTED, welcome_payload(context, session))
        if session.returning is not None:
            replay(context, session, session.returning)
            session.returning = None
            if nodes is not None:
                nodes.returned(user_id)
        context.transport.enter_rooms(sid, (user_room(user_id),))
        context.metrics.client_connected()
        context.count_changed = True
        self._watch(session)
        self._log.info("client connected", client=sid, user=user_id)
        if context.is_draining:
            self.tell_draining(session)
        if nodes is not None:
            nodes.user_came(user_id)
        if surplus is not None:
            self.close_surplus(surplus)
        elif nodes is not None and 1 + elsewhere > context.settings.max_connections_per_user:
            nodes.surplus(user_id)

    def close_surplus(self, sid: str) -> None:
        """Close a connection in favour of a newer one of its user."""
        error = TooManyConnections(self._context.settings.max_connections_per_user)
        self.close(sid, error, reason="too many connections")

    def disconnect(self, sid: str, reason: str) -> None:
        """Remove a client from every table; the transport's disconnect handler."""
        context = self._context
        session = context.sessions.remove(sid)
        if session is None:
            return
        if reason == EndReason.CLIENT_DISCONNECT:
            # Its transport may connect again, which renews no limit.
            environ = context.transport.get_environ(sid)
            if environ is not None:
                environ[_LIMITER] = session.limiter
        now_ns = context.clock.monotonic_ns()
        user_id = session.identity.user_id
        context.expiries.cancel(sid)
        left = context.subscriptions.drop(sid)
        context.rates.tiers.drop(sid)
        context.user_connections.remove(sid)
        if context.nodes is not None:
            if session.returning is not None:
                context.nodes.returned(user_id)
            context.nodes.user_left(user_id)
        context.user_windows.release(user_id, now_ns)
        context.streams.release((user_room(user_id), *left), now_ns)
        context.metrics.client_closed(
            session.closing_reason or reason, (now_ns - session.connected_at_ns) / 1e9
        )
        context.count_changed = True
        self._log.info(
            "client closed", client=sid, user=user_id, reason=session.closing_reason or reason
        )

    def refresh(self, session: Session, token: str) -> Identity:
        """Replace the token of a connection by a new one of the same user.

        Raises:
            WireError: AUTH_FAILED or NOT_ALLOWED. The connection keeps its token.
        """
        try:
            identity = self._authenticator.refresh(
                session.identity, token, self._context.clock.unix_s()
            )
        except UnknownKey:
            if self._fetcher is not None:
                self._fetcher.ask()
            raise
        session.identity = identity
        session.expiring_told = False
        self._watch(session)
        return identity

    def watch_expiries(self) -> None:
        """Warn clients whose token expires soon, and close those whose token has expired."""
        context = self._context
        for sid in context.expiries.take_due(context.clock.unix_s()):
            session = context.sessions.get(sid)
            if session is None or session.identity.expires_at is None:
                continue
            expires_at = session.identity.expires_at
            if not session.expiring_told:
                session.expiring_told = True
                context.transport.reply(
                    sid,
                    ServerEvent.TOKEN_EXPIRING,
                    {
                        "expiresAt": iso_timestamp(expires_at),
                        "timestamp": context.broadcaster.timestamp(),
                    },
                )
                self._watch(session)
            else:
                self.close(sid, AuthenticationError.expired(), reason="token expired")

    def tell_draining(self, session: Session) -> None:
        """Tell a client, once, that the gateway is about to stop."""
        if session.closing_reason is not None:
            return
        session.closing_reason = "draining"
        self._context.transport.reply(
            session.sid,
            ServerEvent.SERVER_DRAINING,
            {
                "reconnectAfter": random.randint(*_RECONNECT_AFTER_MS),  # noqa: S311 - jitter
                "timestamp": self._context.broadcaster.timestamp(),
            },
        )

    def revoke(self, user_id: str, issued_before: float) -> int:
        """Refuse a user's earlier tokens, close their connections, and return their number.

        Args:
            user_id: the user.
            issued_before: tokens with an earlier ``iat`` are refused, Unix s.
        """
        clock = self._context.clock
        self._context.revocations.revoke(
            user_id, issued_before, clock.unix_s(), clock.monotonic_ns()
        )
        return self.close_revoked(user_id)

    def close_revoked(self, user_id: str) -> int:
        """Close the connections of a user whose token is revoked, and return their number."""
        context = self._context
        closed = 0
        for sid in context.user_connections.of(user_id):
            session = context.sessions.get(sid)
            if session is None or session.identity.expires_at is None:  # it came without a token
                continue
            if context.revocations.concern(user_id, session.identity.issued_at):
                self.close(sid, AuthenticationError.failed("revoked"), reason="token revoked")
                closed += 1
        return closed

    def close(self, sid: str, error: WireError, *, reason: str) -> None:
        """Send an error and DISCONNECT to a client and close it. A stock client stays away.

        Args:
            sid: the client.
            error: the error.
            reason: the reason for the log and the metrics.
        """
        context = self._context
        if context.sessions.get(sid) is not None:
            context.transport.reply(
                sid, ServerEvent.ERROR, error.payload(context.broadcaster.timestamp())
            )
            self.kick(sid, reason=reason)

    def kick(self, sid: str, *, reason: str) -> bool:
        """Send DISCONNECT to a client and close it. A stock client stays away.

        Args:
            sid: the client.
            reason: the reason for the log and the metrics.

        Returns:
            Whether the client was connected.
        """
        session = self._context.sessions.get(sid)
        if session is None:
            return False
        session.closing_reason = reason
        self._note_closing(session, reason)
        self._context.transport.kick(sid)
        return True

    def kick_all(self, user_id: str | None, client_id: str | None) -> int:
        """Kick the clients of a user, or one client, and return how many were connected.

        Args:
            user_id: the user, ``None`` where a client is named.
            client_id: the client.
        """
        sids: tuple[str, ...] = (client_id or "",)
        if user_id is not None:
            sids = self._context.user_connections.of(user_id)
        return sum([self.kick(sid, reason="kicked") for sid in sids])

    def drop(self, sid: str, *, reason: str) -> None:
        """Close a client's transport without DISCONNECT. A stock client comes back by itself.

        Args:
            sid: the client.
            reason: the reason for the log and the metrics.
        """
        session = self._context.sessions.get(sid)
        if session is not None:
            session.closing_reason = reason
            self._context.faults.note(
                "client dropped", client=sid, address=session.address, reason=reason
            )
            self._note_closing(session, reason)
            self._context.transport.close_transport(sid, reason)

    def drop_user(self, user_id: str, *, reason: str) -> None:
        """Close a user's clients as ``drop`` does.

        Args:
            user_id: the user.
            reason: the reason for the log and the metrics.
        """
        for sid in self._context.user_connections.of(user_id):
            self.drop(sid, reason=reason)

    def _note_closing(self, session: Session, reason: str) -> None:
        self._context.security.note(
            _CLOSINGS.get(reason, AuditEvent.CLIENT_CLOSED),
            user=session.identity.user_id,
            address=session.address,
            client=session.sid,
            reason=reason,
        )

    def _watch(self, session: Session) -> None:
        expires_at = session.identity.expires_at
        if expires_at is None:
            return
        settings = self._context.settings
        lead_s = (
            settings.token_leeway_seconds
            if session.expiring_told
            else -settings.token_expiring_seconds
        )
        self._context.expiries.schedule(session.sid, expires_at + lead_s)
