"""``Handlers``: handles the events of clients, and answers their errors."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from gateway.audit import AuditEvent
from gateway.channels import SubscriptionRequest, parse_subscription, subscriptions_of
from gateway.contract import MAX_LLM_EVENT_BYTES, ClientEvent, ServerEvent, iso_timestamp
from gateway.entitlements import refused_rooms, require_rooms
from gateway.errors import (
    InternalError,
    InvalidPayload,
    RateLimited,
    UnknownEvent,
    WireError,
)
from gateway.limits.event_limiter import EventRefusal
from gateway.server.connections import Connections
from gateway.server.context import Context
from gateway.server.flows import LANES
from gateway.server.log import get_logger
from gateway.server.model_streams import ModelStreams
from gateway.server.snapshots import Snapshots
from gateway.session import Session
from gateway.transport import Lane

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Reply:
    """The reply to an event, and its acknowledgement if that is not the reply's payload."""

    event: str
    payload: dict[str, Any]
    acknowledgement: dict[str, Any] | None = None
    joined: tuple[str, ...] = ()
    """The rooms that the client newly holds. The snapshots of their symbols follow the reply."""
    lane: Lane | None = None
    """The lane that the reply must not overtake: it names numbers of that lane's streams."""


_Handler = Callable[[Session, Any], _Reply]
_Answer = dict[str, Any] | None

_ROOMS_NOTED: Final = 10
_LARGE_EVENTS: Final = frozenset({ClientEvent.LLM_CHAT_STREAM, ClientEvent.LLM_STREAM_REQUEST})


class Handlers:
    """Handles client events. Errors are answered; they never disconnect the client.

    Args:
        context: the parts of the gateway.
        connections: closes clients that exceed a limit, and refreshes tokens.
        models: the model streams.
    """

    def __init__(self, context: Context, connections: Connections, models: ModelStreams) -> None:
        self._context = context
        self._connections = connections
        self._models = models
        self._snapshots = Snapshots(context.broker, context.transport)
        self._handlers: dict[str, _Handler] = {
            ClientEvent.SUBSCRIBE: self._subscribe,
            ClientEvent.UNSUBSCRIBE: self._unsubscribe,
            ClientEvent.GET_SUBSCRIPTIONS: self._get_subscriptions,
            ClientEvent.PING: self._ping,
            ClientEvent.TOKEN_REFRESH: self._token_refresh,
            ClientEvent.LLM_CHAT_STREAM: self._llm_chat,
            ClientEvent.LLM_STREAM_REQUEST: self._llm_chat,
            ClientEvent.LLM_STREAM_CANCEL: self._llm_cancel,
        }

    def handle(
        self, sid: str, name: object, arguments: tuple[object, ...], size: int
    ) -> _Answer | Awaitable[_Answer]:
        """Handle one event; the transport's ``on_event``.

        Args:
            sid: the client.
            name: the event's name, of any JSON type.
            arguments: the event's arguments. The first is the payload.
            size: the bytes of the packet.

        Returns:
            The acknowledgement: the reply's payload, or ``{"error": …}``. It is an awaitable
            if the reply is queued in a lane.
        """
        context = self._context
        session = context.sessions.get(sid)
        if session is None:
            return None
        now_ns = context.clock.monotonic_ns()
        context.user_connections.touch(sid, now_ns)
        known = name if isinstance(name, str) and name in self._handlers else None
        context.metrics.message_in(known or "unknown")
        refusal = session.limiter.admit(known or "", now_ns)
        watch = context.security.watch
        if watch is not None:
            watch.received(session.identity.user_id, known, now_ns)
        if refusal is not None:
            return self._refuse(session, refusal)
        try:
            return self._perform(session, known, name, arguments, size, now_ns)
        except WireError as error:
            return self._answer_error(session, error)
        except Exception:
            log.exception("handler failed", client=sid, event_name=known)
            context.metrics.handler_failed()
            return self._answer_error(session, InternalError())

    def _perform(
        self,
        session: Session,
        known: str | None,
        name: object,
        arguments: tuple[object, ...],
        size: int,
        now_ns: int,
    ) -> _Answer | Awaitable[_Answer]:
        if known is None:
            raise UnknownEvent(name if isinstance(name, str) else repr(name))
        largest = (
            MAX_LLM_EVENT_BYTES
            if known in _LARGE_EVENTS
            else self._context.settings.max_event_bytes
        )
        if size > largest:
            raise InvalidPayload(f"Event of {size} bytes; at most {largest} are allowed")
        payload = arguments[0] if arguments else None
        if known == ClientEvent.PING:
            payload = now_ns
        reply = self._handlers[known](session, payload)
        acknowledgement = reply.payload if reply.acknowledgement is None else reply.acknowledgement
        transport = self._context.transport
        if reply.lane is None:
            transport.reply(session.sid, reply.event, reply.payload)
            return acknowledgement
        sent: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        is_sent = transport.reply_behind(
            session.sid,
            reply.event,
            reply.payload,
            reply.lane,
            partial(_note_sent, sent),
        )
        self._snapshots.send(session.sid, reply.joined, reply.lane)
        return acknowledgement if is_sent else _acknowledge_after(sent, acknowledgement)

    def _refuse(self, session: Session, refusal: EventRefusal) -> dict[str, Any]:
        context = self._context
        context.metrics.limit_violated(refusal.limit)
        error = RateLimited(refusal.retry_after_ms, refusal.limit)
        payload = error.payload(context.broadcaster.timestamp())
        if refusal.first_of_breach:
            context.transport.reply(session.sid, ServerEvent.ERROR, payload)
            context.faults.note(
                "rate limit exceeded",
                level="info",
                client=session.sid,
                address=session.address,
                limit=refusal.limit,
            )
            self._note(AuditEvent.LIMIT_EXCEEDED, session, limit=refusal.limit.value)
        if refusal.close:
            # In the next turn: what has been read is answered before.
            asyncio.get_running_loop().call_soon(
                partial(self._connections.drop, session.sid, reason="too many refused events")
            )
        return {"error": payload}

    def _answer_error(self, session: Session, error: WireError) -> dict[str, Any]:
        payload = error.payload(self._context.broadcaster.timestamp())
        self._context.transport.reply(session.sid, ServerEvent.ERROR, payload)
        self._context.security.failed(session.identity.user_id, session.address)
        self._context.faults.note(
            "event refused",
            level="info",
            client=session.sid,
            address=session.address,
            code=error.code,  # the message may quote the client
        )
        return {"error": payload}

    def _subscribe(self, session: Session, payload: object) -> _Reply:
        request = parse_subscription(payload)
        context = self._context
        refused = refused_rooms(session.identity.entitlements, request.rooms)
        if refused:
            self._note_rooms(AuditEvent.ENTITLEMENT_REFUSED, session, refused)
        require_rooms(session.identity.entitlements, refused)
        held = context.subscriptions.of(session.sid)
        joined = context.subscriptions.join(session.sid, request.rooms)
        context.streams.hold(joined)
        marks = context.rates.subscribe(session.sid, request, held)
        return self._subscription_reply(ServerEvent.SUBSCRIBED, request, marks, joined)

    def _unsubscribe(self, session: Session, payload: object) -> _Reply:
        return self._leave(session, parse_subscription(payload))

    def _leave(self, session: Session, request: SubscriptionRequest) -> _Reply:
        context = self._context
        held = context.subscriptions.of(session.sid)
        left = context.subscriptions.leave(session.sid, request.rooms)
        context.streams.release(left, context.clock.monotonic_ns())
        marks = context.rates.unsubscribe(session.sid, request, held)
        return self._subscription_reply(ServerEvent.UNSUBSCRIBED, request, marks)

    def _subscription_reply(
        self,
        event: ServerEvent,
        request: SubscriptionRequest,
        marks: dict[str, int],
        joined: tuple[str, ...] = (),
    ) -> _Reply:
        """Return the answer to a subscription, to be sent after the events that it names.

        ``marks`` are the last numbers that the client has, where they are not the streams' last.
        """
        context = self._context
        payload: dict[str, Any] = {"channel": request.channel}
        if request.symbols:
            payload["symbols"] = list(request.symbols)
        else:
            payload["room"] = request.rooms[0]
        payload["rooms"] = list(request.rooms)
        if request.max_rate is not None and event == ServerEvent.SUBSCRIBED:
            payload["maxRate"] = request.max_rate
        payload["at"] = context.streams.marks(request) | marks
        payload["timestamp"] = context.broadcaster.timestamp()
        return _Reply(event, payload, joined=joined, lane=LANES[request.channel])

    def _get_subscriptions(self, session: Session, _payload: object) -> _Reply:
        context = self._context
        rooms = list(context.subscriptions.of(session.sid))
        payload: dict[str, Any] = {"subscriptions": rooms, "count": len(rooms)}
        rates = context.rates.tiers.of(session.sid)
        if rates:
            payload["maxRate"] = rates
        payload["timestamp"] = context.broadcaster.timestamp()
        return _Reply(ServerEvent.SUBSCRIPTIONS, payload)

    def _ping(self, _session: Session, received_ns: int) -> _Reply:
        context = self._context
        return _Reply(
            ServerEvent.PONG,
            {
                "timestamp": context.broadcaster.timestamp(),
                "received": received_ns // 1_000,
                "sent": context.broadcaster.ts_us(),
            },
        )

    def _token_refresh(self, session: Session, payload: object) -> _Reply:
        token = payload.get("token") if isinstance(payload, dict) else None
        if not isinstance(token, str) or not token:
            raise InvalidPayload("token is required")
        try:
            identity = self._connections.refresh(session, token)
        except WireError as error:
            self._note(AuditEvent.TOKEN_REFUSED, session, code=error.code.value)
            raise
        self._note(AuditEvent.TOKEN_REFRESHED, session)
        self._leave_refused_rooms(session)
        return _Reply(
            ServerEvent.TOKEN_REFRESHED,
            {
                "expiresAt": iso_timestamp(identity.expires_at or 0),
                "timestamp": self._context.broadcaster.timestamp(),
            },
        )

    def _leave_refused_rooms(self, session: Session) -> None:
        """Remove a client from the rooms that its new token does not allow, and tell it."""
        context = self._context
        held = context.subscriptions.of(session.sid)
        refused = refused_rooms(session.identity.entitlements, held)
        if refused:
            self._note_rooms(AuditEvent.ENTITLEMENT_WITHDRAWN, session, refused)
        for request in subscriptions_of(refused):
            reply = self._leave(session, request)
            context.transport.reply_behind(
                session.sid,
                reply.event,
                {**reply.payload, "reason": "entitlement"},
                LANES[request.channel],
                _ignore,
            )

    def _note_rooms(self, event: AuditEvent, session: Session, rooms: tuple[str, ...]) -> None:
        self._note(event, session, rooms=list(rooms[:_ROOMS_NOTED]), count=len(rooms))

    def _note(self, event: AuditEvent, session: Session, **facts: object) -> None:
        self._context.security.note(
            event,
            user=session.identity.user_id,
            address=session.address,
            client=session.sid,
            **facts,
        )

    def _llm_chat(self, session: Session, payload: object) -> _Reply:
        return _Reply(*self._models.chat(session, payload))

    def _llm_cancel(self, session: Session, payload: object) -> _Reply:
        return _Reply(*self._models.cancel(session, payload))


async def _acknowledge_after(sent: asyncio.Future[None], acknowledgement: _Answer) -> _Answer:
    await sent
    return acknowledgement


def _ignore() -> None:
    """Ignore that a reply has been sent: it has no acknowledgement."""


def _note_sent(sent: asyncio.Future[None]) -> None:
    if not sent.done():  # the awaiting task may have been cancelled
        sent.set_result(None)
