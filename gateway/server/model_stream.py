"""``ModelStream``: one answer of a model, on its way to the client that asked and to its watchers.

A watcher is another client of the same user that has subscribed to ``llm``. A client gets its
next event only when it has taken all that was sent to it. Until then the pieces wait in the
answer, and are joined.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from typing import Any, Final, NamedTuple

from gateway.contract import (
    LLM_CANCELLED_EVENT,
    LLM_CHUNK_EVENT,
    LLM_DONE_EVENT,
    LLM_ERROR_EVENT,
    LLM_START_EVENT,
    LLM_TOKEN_EVENT,
    Channel,
    ModelProvider,
)
from gateway.errors import InternalError, WireError
from gateway.llm import TROUBLES, ProviderFailure, Trouble
from gateway.model_answer import ModelAnswer
from gateway.model_metrics import StreamEnd
from gateway.server.context import Context
from gateway.server.log import get_logger

_LOOK_AGAIN_S: Final = 0.02
"""The time until the next look at a client that has not taken its last event."""

log = get_logger(__name__)


class _End(NamedTuple):
    """The end of a stream: its outcome, the asker's last event, and the watchers' last fields."""

    outcome: StreamEnd
    event: str
    fields: Mapping[str, Any]
    told: Mapping[str, Any]


_CANCELLED: Final = _End(StreamEnd.CANCELLED, LLM_CANCELLED_EVENT, {}, {"cancelled": True})
_LEFT: Final = _CANCELLED._replace(outcome=StreamEnd.LEFT)


class ModelStream:
    """One running stream.

    Args:
        context: the parts of the gateway.
        sid: the client that asked.
        key: its user, and its name for the stream.
        provider: the provider that answers.
        on_end: called once, as soon as the stream has ended.
    """

    def __init__(
        self,
        context: Context,
        *,
        sid: str,
        key: tuple[str, str],
        provider: ModelProvider,
        on_end: Callable[[ModelStream], None],
    ) -> None:
        self.key = key
        self.sid = sid
        self._context = context
        self._on_end = on_end
        self._head = {"sessionId": key[1], "provider": provider.value}
        self._asked_ns = context.clock.monotonic_ns()
        self._answer = ModelAnswer()
        self._has_ended = False
        self._is_whole = False
        self._all_sent = asyncio.Event()
        self._events = 0  # events sent to the asker
        self._sent = 0  # pieces sent to the asker
        self._watchers: dict[str, int] = {}  # pieces sent to each watcher
        self._shown = 0  # pieces that there were at the last look
        self._told: Mapping[str, Any] | None = None  # fields of the watchers' last event
        self._give_up_s = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self, pieces: AsyncGenerator[str, None]) -> asyncio.Task[None]:
        """Start to relay the pieces of an answer, and return the task that does."""
        # In the next turn: the acknowledgement goes first.
        asyncio.get_running_loop().call_soon(self._tell, LLM_START_EVENT, {})
        self._context.metrics.models.started(ModelProvider(self._head["provider"]))
        self._task = asyncio.create_task(self._run(pieces), name="model stream")
        return self._task

    def cancel(self) -> None:
        """End the stream because its client asked for that, and the call to the provider."""
        self._stop(_CANCELLED)

    def abandon(self) -> None:
        """End the stream of a client that has left, and the call to the provider."""
        self._stop(_LEFT)

    def fail(self, error: WireError) -> None:
        """End the stream with an error, and the call to the provider."""
        self._stop(_failed(error))

    async def _run(self, pieces: AsyncGenerator[str, None]) -> None:
        try:
            async with asyncio.timeout(self._context.settings.model_total_seconds):
                async with aclosing(pieces):
                    await self._read(pieces)
                self._is_whole = True
                self._deliver()
                await self._all_sent.wait()
        except TimeoutError:
            self._end(self._note(ProviderFailure(Trouble.TOO_LONG)))
        except ProviderFailure as failure:
            self._end(self._note(failure))
        except Exception:
            log.exception("model stream failed", client=self.sid)
            self._context.metrics.handler_failed()
            self._end(_failed(InternalError()))
        else:
            whole = {"fullResponse": self._answer.text, "tokenCount": len(self._answer)}
            self._end(_End(StreamEnd.DONE, LLM_DONE_EVENT, whole, {}))

    async def _read(self, pieces: AsyncGenerator[str, None]) -> None:
        context = self._context
        while True:
            try:
                async with asyncio.timeout(context.settings.model_silence_seconds):
                    piece = await anext(pieces, None)
            except TimeoutError:
                raise ProviderFailure(Trouble.SILENT) from None
            if piece is None:
                return
            if not len(self._answer):
                waited_ns = context.clock.monotonic_ns() - self._asked_ns
                context.metrics.models.first_token(waited_ns / 1e9)
            self._answer.add(piece)
            self._deliver()

    def _note(self, failure: ProviderFailure) -> _End:
        self._context.faults.note(
            "model provider failed",
            client=self.sid,
            provider=self._head["provider"],
            trouble=failure.trouble,
            status=failure.status,
        )
        return _failed(failure)

    # Sending

    def _deliver(self) -> None:
        """Send each client its next event, and look again soon if one is behind."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        is_asker_served = self._serve_asker()
        if not self._serve_watchers() or not is_asker_served:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(_LOOK_AGAIN_S, self._deliver)

    def _serve_asker(self) -> bool:
        """Send the asker what is due to it; return whether nothing is left."""
        if self._has_ended or (self._sent == len(self._answer) and not self._is_whole):
            return True
        if self._context.transport.is_behind(self.sid):
            return False
        joined = self._answer.after(self._sent)
        if joined is not None:
            self._sent = joined.last
            self._tell(LLM_TOKEN_EVENT, {"token": joined.text})
        if self._sent < len(self._answer) or (self._is_whole and joined is not None):
            return False
        if self._is_whole:
            self._all_sent.set()
        return True

    def _serve_watchers(self) -> bool:
        """Send the watchers what is due to them; return whether nothing is left."""
        self._look_for_watchers()
        if self._told is not None and asyncio.get_running_loop().time() > self._give_up_s:
            self._close_watchers({"error": TROUBLES[Trouble.TOO_LONG]})
        ready: dict[int, list[str]] = {}
        is_open = self._told is None
        for sid, sent in self._watchers.items():
            if sent == len(self._answer) and is_open:
                continue
            if not self._context.transport.is_behind(sid):
                ready.setdefault(sent, []).append(sid)
        for sent, sids in ready.items():
            self._show(sids, sent)
        return all(is_open and sent == len(self._answer) for sent in self._watchers.values())

    def _show(self, sids: list[str], sent: int) -> None:
        """Send the next pieces to watchers that have been sent equally many, encoded once."""
        joined = self._answer.after(sent)
        if joined is None:
            self._tell_watchers(sids, len(self._answer) + 1, None, self._told or {})
            for sid in sids:
                del self._watchers[sid]
            return
        # As for market data: a client is told if numbers between were joined for it.
        previous = {} if joined.first == joined.last else {"prevSeq": sent}
        self._tell_watchers(sids, joined.last, joined.text, previous)
        for sid in sids:
            self._watchers[sid] = joined.last

    def _look_for_watchers(self) -> None:
        context = self._context
        sids = [
            sid
            for sid in context.user_connections.of(self.key[0])
            if sid != self.sid and Channel.LLM in context.subscriptions.of(sid)
        ]
        if self._told is None:
            self._watchers = {sid: self._watchers.get(sid, self._shown) for sid in sids}
            self._shown = len(self._answer)
        else:  # one that comes after the end gets nothing
            self._watchers = {sid: self._watchers[sid] for sid in sids if sid in self._watchers}

    def _tell(self, event: str, fields: Mapping[str, Any]) -> None:
        self._events += 1
        payload = {**self._head, **fields, "seq": self._events}
        self._context.broadcaster.to_clients([self.sid], event, payload)

    def _tell_watchers(
        self, sids: list[str], number: int, chunk: str | None, more: Mapping[str, Any]
    ) -> None:
        payload = {**self._head, "chunk": chunk, "done": chunk is None, **more, "seq": number}
        self._context.broadcaster.to_clients(sids, LLM_CHUNK_EVENT, payload)

    # The end

    def _stop(self, end: _End) -> None:
        if self._has_ended:
            return
        self._has_ended = True
        self._on_end(self)
        if self._task is not None:
            self._task.cancel()
        # In the next turn: the acknowledgement of a cancel goes first.
        asyncio.get_running_loop().call_soon(self._finish, end)

    def _end(self, end: _End) -> None:
        if not self._has_ended:
            self._has_ended = True
            self._on_end(self)
            self._finish(end)

    def _finish(self, end: _End) -> None:
        settings, metrics = self._context.settings, self._context.metrics
        metrics.models.ended(end.outcome)
        if end.outcome is not StreamEnd.LEFT:
            self._tell(end.event, end.fields)
        self._look_for_watchers()
        self._told = end.told
        if end.outcome is StreamEnd.DONE:
            self._give_up_s = asyncio.get_running_loop().time() + settings.model_total_seconds
            self._deliver()
        else:
            self._close_watchers(end.told)
            if self._timer is not None:
                self._timer.cancel()

    def _close_watchers(self, told: Mapping[str, Any]) -> None:
        if self._watchers:
            self._tell_watchers(list(self._watchers), len(self._answer) + 1, None, told)
        self._watchers.clear()


def _failed(error: WireError) -> _End:
    fields = {"error": error.message, "code": error.code}
    return _End(StreamEnd.ERROR, LLM_ERROR_EVENT, fields, {"error": error.message})
