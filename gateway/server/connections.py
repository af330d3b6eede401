"""Connections: from the handshake to the last table that a client is taken out of."""

from __future__ import annotations

from collections.abc import Callable

from socketio.exceptions import ConnectionRefusedError as Refused

from gateway.auth import Authenticator, Identity, authenticate
from gateway.contract import ErrorCode, ServerEvent, Text, iso_timestamp, user_room
from gateway.errors import AuthenticationError, ClientError, TooManyConnections
from gateway.server.log import get_logger
from gateway.server.tables import Tables
from gateway.server.welcome import welcome_payload
from gateway.session import Session
from gateway.transport import RequestEnviron

log = get_logger(__name__)


class Connections:
    """Opens, greets, watches over and closes the clients.

    Args:
        tables: the gateway's state.
        authenticator: verifies tokens.
        address_of: where a request came from.
    """

    def __init__(
        self,
        tables: Tables,
        authenticator: Authenticator,
        address_of: Callable[[RequestEnviron], str],
    ) -> None:
        self._tables = tables
        self._authenticator = authenticator
        self._address_of = address_of

    def connect(self, sid: str, environ: RequestEnviron, auth: object) -> None:
        """Authenticate a CONNECT; the transport's connect handler.

        Raises:
            Refused: becomes a CONNECT_ERROR packet; no table has heard of the client.
        """
        tables = self._tables
        now_ns = tables.clock.monotonic_ns()
        try:
            identity = authenticate(
                self._authenticator,
                auth,
                environ.head.parameter("token"),
                tables.clock.unix_s(),
                development=tables.settings.environment == "development",
            )
        except AuthenticationError as error:
            tables.metrics.authentication_failed(error.code)
            log.warning("authentication refused", client=sid, code=error.code, reason=error.reason)
            raise Refused(error.message, {"code": error.code}) from None
        except Exception:
            log.exception("connect handler failed", client=sid)
            raise Refused(Text.AUTH_FAILED, {"code": ErrorCode.AUTH_FAILED}) from None
        limiter = tables.limiter_for(identity.user_id)
        tables.sessions.add(
            Session(
                sid=sid,
                identity=identity,
                address=self._address_of(environ),
                connected_at_ns=now_ns,
                limiter=limiter,
            )
        )
        tables.streams.hold(identity.user_id)

    def welcome(self, sid: str) -> None:
        """Greet a client that has its CONNECT, and let it into its user's room."""
        tables = self._tables
        session = tables.sessions.get(sid)
        if session is None:
            return
        user_id = session.identity.user_id
        now_ns = tables.clock.monotonic_ns()
        surplus = tables.user_connections.add(user_id, sid, now_ns)
        tables.transport.reply(sid, ServerEvent.CONNECTED, welcome_payload(tables, session))
        tables.transport.enter_rooms(sid, (user_room(user_id),))
        tables.metrics.client_connected()
        tables.count_changed = True
        self._watch(session)
        log.info("client connected", client=sid, user=user_id)
        if surplus is not None:
            self.close(
                surplus,
                TooManyConnections(tables.settings.max_connections_per_user),
                reason="too many connections",
            )

    def disconnect(self, sid: str, reason: str) -> None:
        """Take a client out of every table; the transport's disconnect handler."""
        tables = self._tables
        session = tables.sessions.remove(sid)
        if session is None:
            return
        now_ns = tables.clock.monotonic_ns()
        user_id = session.identity.user_id
        tables.expiries.cancel(sid)
        tables.subscriptions.drop(sid)
        tables.user_connections.remove(sid)
        tables.user_limiters.release(user_id, now_ns)
        tables.streams.release(user_id, now_ns)
        tables.metrics.client_closed(
            session.closing_reason or reason, (now_ns - session.connected_at_ns) / 1e9
        )
        tables.metrics.set_subscriptions(tables.subscriptions.counts())
        tables.count_changed = True
        log.info("client closed", client=sid, user=user_id, reason=session.closing_reason or reason)

    def refresh(self, session: Session, token: str) -> Identity:
        """Put a new token of the same user in place of a connection's.

        Raises:
            ClientError: AUTH_FAILED or NOT_ALLOWED; nothing has changed.
        """
        identity = self._authenticator.refresh(session.identity, token, self._tables.clock.unix_s())
        session.identity = identity
        session.expiring_told = False
        self._watch(session)
        return identity

    def watch_expiries(self) -> None:
        """Tell clients whose token is about to expire; close those whose token did."""
        tables = self._tables
        for sid in tables.expiries.take_due(tables.clock.unix_s()):
            session = tables.sessions.get(sid)
            if session is None or session.identity.expires_at is None:
                continue
            expires_at = session.identity.expires_at
            if not session.expiring_told:
                session.expiring_told = True
                tables.transport.reply(
                    sid,
                    ServerEvent.TOKEN_EXPIRING,
                    {
                        "expiresAt": iso_timestamp(expires_at),
                        "timestamp": tables.broadcaster.timestamp(),
                    },
                )
                self._watch(session)
            else:
                self.close(sid, AuthenticationError.expired(), reason="token expired")

    def close(self, sid: str, error: ClientError | None, *, reason: str) -> None:
        """Close a client, the error first; the reason goes to log and metrics."""
        tables = self._tables
        session = tables.sessions.get(sid)
        if session is None:
            return
        session.closing_reason = reason
        if error is not None:
            tables.transport.reply(
                sid, ServerEvent.ERROR, error.payload(tables.broadcaster.timestamp())
            )
        tables.transport.kick(sid)

    def _watch(self, session: Session) -> None:
        expires_at = session.identity.expires_at
        if expires_at is None:
            return
        settings = self._tables.settings
        lead_s = (
            settings.token_leeway_seconds
            if session.expiring_told
            else -settings.token_expiring_seconds
        )
        self._tables.expiries.schedule(session.sid, expires_at + lead_s)
