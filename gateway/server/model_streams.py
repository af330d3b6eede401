"""``ModelStreams``: starts, counts and ends the model streams of a gateway."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final

from gateway.contract import LLM_ERROR_EVENT, Channel, ModelProvider, ServerEvent
from gateway.entitlements import require_rooms
from gateway.errors import Draining, SessionExists, TooManyStreams, WireError
from gateway.llm import ChatRequest, parse_cancel, parse_chat, provider_named
from gateway.server.context import Context
from gateway.server.log import get_logger
from gateway.server.model_stream import ModelStream
from gateway.session import Session
from gateway.sources.models.provider import Provider

_STOP_S: Final = 1.0  # for the calls to providers to end

log = get_logger(__name__)


class ModelStreams:
    """The model streams of one gateway. Each belongs to the client that asked.

    Args:
        context: the parts of the gateway.
        providers: the configured providers.
    """

    def __init__(self, context: Context, providers: Mapping[ModelProvider, Provider]) -> None:
        self._context = context
        self._providers = providers
        self._running: dict[tuple[str, str], ModelStream] = {}
        self._of_clients: dict[str, list[ModelStream]] = {}
        self._calls: dict[asyncio.Task[None], str] = {}  # the user of each call to a provider

    def chat(self, session: Session, payload: object) -> tuple[str, dict[str, Any], Any]:
        """Handle an ``llm:chat:stream``.

        Returns:
            The reply's event and payload, and the acknowledgement if that is another one.

        Raises:
            InvalidPayload: the payload is invalid.
            NotAllowed: the client is not entitled to ``llm``.
        """
        request = parse_chat(payload)
        require_rooms(session.identity.entitlements, (Channel.LLM,))
        broadcaster = self._context.broadcaster
        try:
            self._start(session, request)
        except WireError as error:
            return self._refuse(session, request, error)
        answer = {"sessionId": request.session_id, "timestamp": broadcaster.timestamp()}
        return ServerEvent.LLM_ACKNOWLEDGED, answer, None

    def cancel(self, session: Session, payload: object) -> tuple[str, dict[str, Any], Any]:
        """Handle an ``llm:stream:cancel``. A client can cancel its own streams only.

        Returns:
            The reply's event and payload, and ``None``.

        Raises:
            InvalidPayload: the payload is invalid.
        """
        session_id = parse_cancel(payload)
        stream = self._running.get((session.identity.user_id, session_id))
        is_own = stream is not None and stream.sid == session.sid
        if stream is not None and is_own:
            stream.cancel()
        answer = {
            "sessionId": session_id,
            "cancelled": is_own,
            "timestamp": self._context.broadcaster.timestamp(),
        }
        return ServerEvent.LLM_CANCEL_ACKNOWLEDGED, answer, None

    def client_left(self, sid: str) -> None:
        """End the streams of a client that has left."""
        for stream in self._of_clients.pop(sid, ()):
            stream.abandon()

    def end_all(self) -> None:
        """End all streams, because the gateway is about to stop."""
        for stream in list(self._running.values()):
            stream.fail(Draining())

    async def stop(self) -> None:
        """End all streams, and close the connections to the providers."""
        self.end_all()
        if self._calls:
            await asyncio.wait(self._calls, timeout=_STOP_S)
        closing = [
            asyncio.create_task(provider.close(), name=f"close {name}")
            for name, provider in self._providers.items()
        ]
        if not closing:
            return
        done, late = await asyncio.wait(closing, timeout=_STOP_S)
        for task in late:
            task.cancel()
        for task in done:
            if task.exception() is not None:
                log.warning("provider not closed", task=task.get_name())

    def _start(self, session: Session, request: ChatRequest) -> None:
        context, settings = self._context, self._context.settings
        name = provider_named(request.provider, self._providers)
        user_id = session.identity.user_id
        key = (user_id, request.session_id)
        if context.is_draining:
            raise Draining
        if key in self._running:
            raise SessionExists
        if list(self._calls.values()).count(user_id) >= settings.max_streams_per_user:
            raise TooManyStreams(
                f"Too many streams: at most {settings.max_streams_per_user} a user at once"
            )
        if len(self._calls) >= settings.max_streams:
            raise TooManyStreams("Too many streams: this gateway carries no more; try again later")
        stream = ModelStream(context, sid=session.sid, key=key, provider=name, on_end=self._forget)
        self._running[key] = stream
        self._of_clients.setdefault(session.sid, []).append(stream)
        call = stream.start(self._providers[name].answer(request.messages))
        self._calls[call] = user_id
        call.add_done_callback(self._calls.pop)

    def _forget(self, stream: ModelStream) -> None:
        del self._running[stream.key]
        streams = self._of_clients.get(stream.sid)
        if streams is not None:
            streams.remove(stream)
            if not streams:
                del self._of_clients[stream.sid]

    def _refuse(
        self, session: Session, request: ChatRequest, error: WireError
    ) -> tuple[str, dict[str, Any], Any]:
        broadcaster = self._context.broadcaster
        self._context.faults.note(
            "stream refused",
            level="info",
            client=session.sid,
            address=session.address,
            code=error.code,  # the message may quote the client
        )
        payload = {
            "sessionId": request.session_id,
            "provider": request.provider,
            "error": error.message,
            "code": error.code,
            "seq": 1,  # the only event of a stream that does not start
            "ts": broadcaster.ts_us(),
            "timestamp": broadcaster.timestamp(),
        }
        return LLM_ERROR_EVENT, payload, {"error": error.payload(broadcaster.timestamp())}
