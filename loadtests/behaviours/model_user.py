"""The virtual user that asks a model."""

from __future__ import annotations

import math
import random
import time
from typing import Any, Final

import gevent
from gevent.event import Event as Signal
from locust.env import Environment

from gateway.contract import (
    LLM_CANCELLED_EVENT,
    LLM_TOKEN_EVENT,
    SCRIPTED_TOKENS,
    ClientEvent,
    ModelProvider,
)
from loadtests.behaviours.judged_user import refusal_of
from loadtests.behaviours.planned_user import PlannedUser
from loadtests.oracles.model_answers import STREAM_EVENTS, ModelAnswerOracle
from loadtests.results import Event, ModelOutcome, Series
from scenarios.groups import ModelUserGroup

_UNREAD_S: Final = 2.0
"""How long a slow user reads nothing in each answer."""
_LONGEST_S: Final = 30.0
"""An answer without an end for this long is recorded as unended."""
_CANCELLED_AFTER: Final = 3  # token events


class ModelUser(PlannedUser):
    """Asks the provider ``scripted`` at intended times, and checks every token of each answer.

    A share of the answers is cancelled after three token events. A share of the users stops
    reading for two seconds in each answer: its times are not recorded, and its text must be
    whole. A request that is due while an answer runs is sent after it.
    """

    group = "model_user"
    has_fixed_count = True
    _oracle: ModelAnswerOracle | None = None
    _intended_ns = 0
    _token_ns = 0
    _cancelled_ns = 0

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        scenario = self.run_context.scenario
        self._settings = scenario.users.of(ModelUserGroup)
        self.every_s = self._settings.ask_every_s
        self._tokens = int(
            self.run_context.gateway_setting("GATEWAY_SCRIPTED_TOKENS", SCRIPTED_TOKENS)
        )
        self._ended_answer = Signal()

    @property
    def is_slow(self) -> bool:
        """Whether it belongs to the share that reads slowly, spread evenly over the places."""
        return _is_among(self.index, self._settings.slow)

    def received(self, stamp_ns: int, name: str, payload: Any) -> None:
        """Take the events of answers, and leave the others to the account.

        Args:
            stamp_ns: read stamp, monotonic.
            name: of the event.
            payload: its first argument.
        """
        if name not in STREAM_EVENTS:
            super().received(stamp_ns, name, payload)
            return
        oracle = self._oracle
        if oracle is None:
            self._note_stream(ModelOutcome.BROKEN, f"{name} without a request", stamp_ns)
            return
        oracle.take(name, payload if isinstance(payload, dict) else {})
        if name == LLM_TOKEN_EVENT and not self.is_slow:
            self._time_token(oracle, stamp_ns)
        elif name == LLM_CANCELLED_EVENT and self._cancelled_ns and not self.is_slow:
            self._recorder.span(Series.LLM_CANCEL, stamp_ns - self._cancelled_ns, stamp_ns)
        if oracle.end or oracle.mistake or oracle.tokens_seen == _CANCELLED_AFTER:
            self._ended_answer.set()

    def lost(self, stamp_ns: int, error: Exception) -> None:
        """Record the loss of a connection; an answer that was running has no end."""
        self._ended_answer.set()
        super().lost(stamp_ns, error)

    def send(self, intended_ns: int) -> None:
        """Ask, and wait until the answer has ended."""
        number = self._sent - 1
        oracle = ModelAnswerOracle(f"{self.user_id}-{self.connects}-{number}", self._tokens)
        self._oracle, self._intended_ns = oracle, intended_ns
        self._token_ns = self._cancelled_ns = 0
        self._ended_answer.clear()
        message = {"role": "user", "content": oracle.prompt}
        request = {
            "sessionId": oracle.session_id,
            "provider": ModelProvider.SCRIPTED,
            "messages": [message],
        }
        self._recorder.count("offered")
        reply = self.call(ClientEvent.LLM_CHAT_STREAM, request, intended_ns=intended_ns)
        self._recorder.count("sent")
        refusal = refusal_of(reply)
        if refusal is not None:
            self._oracle = None
            self.note_error(str(refusal.get("code")), str(refusal.get("message")))
            return
        if self.is_slow:
            self._read_late()
        self._follow(oracle, number)
        self._close_answer(oracle)

    def _read_late(self) -> None:
        client = self._require()
        client.pause()
        gevent.sleep(_UNREAD_S)
        client.resume()

    def _follow(self, oracle: ModelAnswerOracle, number: int) -> None:
        """Wait for the answer's end, and cancel it on the way where the seed says so."""
        draw = random.Random(f"{self.run_context.scenario.seed}:{self.user_id}:{number}")  # noqa: S311 - repeatable by its seed
        may_cancel = draw.random() < self._settings.cancelling
        deadline_s = time.monotonic() + _LONGEST_S
        while not (oracle.end or oracle.mistake or self.ended.ready()):
            if not self._ended_answer.wait(deadline_s - time.monotonic()):
                return
            self._ended_answer.clear()
            if may_cancel and not oracle.end and not oracle.mistake:
                may_cancel, oracle.is_cancelled = False, True
                self._cancelled_ns = time.monotonic_ns()
                self.call(ClientEvent.LLM_STREAM_CANCEL, {"sessionId": oracle.session_id})

    def _close_answer(self, oracle: ModelAnswerOracle) -> None:
        now_ns = time.monotonic_ns()
        self._oracle = None
        if oracle.mistake:
            self._note_stream(ModelOutcome.BROKEN, oracle.mistake, now_ns)
        elif not oracle.end:
            self._note_stream(ModelOutcome.UNENDED, oracle.session_id, now_ns)
        elif oracle.end == LLM_CANCELLED_EVENT:
            self._note_stream(ModelOutcome.CANCELLED, oracle.session_id, now_ns)
        else:
            self._note_stream(ModelOutcome.DONE, oracle.session_id, now_ns)

    def _time_token(self, oracle: ModelAnswerOracle, stamp_ns: int) -> None:
        if oracle.tokens_seen == 1:
            self._recorder.span(Series.LLM_FIRST_TOKEN, stamp_ns - self._intended_ns, stamp_ns)
        else:
            self._recorder.span(Series.LLM_GAP, stamp_ns - self._token_ns, stamp_ns)
        self._token_ns = stamp_ns

    def _note_stream(self, outcome: ModelOutcome, words: str, at_ns: int) -> None:
        self.note(Event.MODEL_STREAM, at_ns, outcome, detail=words)


def _is_among(index: int, share: float) -> bool:
    return math.floor((index + 1) * share) > math.floor(index * share)
