"""What a user owes and is owed of one answer of the provider ``scripted``. Pure.

The provider repeats the words of the request until the answer has its number of tokens. So the
user knows the whole answer beforehand, and every token event must continue it. A token that is
lost, repeated, out of order or of another answer does not, because no two words are the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from gateway.contract import (
    LLM_CANCELLED_EVENT,
    LLM_DONE_EVENT,
    LLM_ERROR_EVENT,
    LLM_START_EVENT,
    LLM_TOKEN_EVENT,
)

STREAM_EVENTS: Final = frozenset(
    [LLM_START_EVENT, LLM_TOKEN_EVENT, LLM_DONE_EVENT, LLM_CANCELLED_EVENT, LLM_ERROR_EVENT]
)
ENDS: Final = frozenset([LLM_DONE_EVENT, LLM_CANCELLED_EVENT, LLM_ERROR_EVENT])


class ModelAnswerOracle:
    """Judges the events of one answer.

    Args:
        session_id: the user's name for it.
        tokens: how many tokens the answer has.

    Attributes:
        prompt: the message to send: as many different words as the answer has tokens.
        mistake: the first thing that was wrong; empty while nothing is.
        end: the event that ended the answer; empty before it.
        tokens_seen: token events so far.
        is_cancelled: whether the user has asked for the end.
    """

    def __init__(self, session_id: str, tokens: int) -> None:
        words = [f"{session_id}.{number}" for number in range(tokens)]
        self.session_id = session_id
        self.prompt = " ".join(words)
        self.mistake = ""
        self.end = ""
        self.tokens_seen = 0
        self.is_cancelled = False
        self._tokens = tokens
        self._received = 0  # characters of the answer
        self._last = 0

    def take(self, name: str, payload: Mapping[str, Any]) -> None:
        """Take an event of the answer, or of one that the user does not know."""
        found = self._mistake_in(name, payload)
        self.mistake = self.mistake or found

    def _mistake_in(self, name: str, payload: Mapping[str, Any]) -> str:
        if payload.get("sessionId") != self.session_id:
            return f"{name} of {payload.get('sessionId')}, which this user did not ask for"
        if self.end:
            return f"{name} after {self.end}"
        number, self._last = payload.get("seq"), self._last + 1
        if number != self._last:
            return f"{name} with seq {number} in place of {self._last}"
        if (name == LLM_START_EVENT) != (number == 1):
            return f"{name} with seq {number}"
        if name == LLM_TOKEN_EVENT:
            return self._mistake_in_token(payload.get("token"))
        if name in ENDS:
            self.end = name
            return self._mistake_in_end(name, payload)
        return ""

    def _mistake_in_token(self, token: object) -> str:
        self.tokens_seen += 1
        if not isinstance(token, str) or not token:
            return f"a token is {token!r}"
        begin, self._received = self._received, self._received + len(token)
        expected = self.prompt[begin : self._received]
        return "" if token == expected else f"a token is {token!r} in place of {expected!r}"

    def _mistake_in_end(self, name: str, payload: Mapping[str, Any]) -> str:
        if name == LLM_ERROR_EVENT:
            return f"the answer ended with {payload.get('code')}"
        if name == LLM_CANCELLED_EVENT:
            return "" if self.is_cancelled else "the answer was cancelled, and nobody asked for it"
        if self._received != len(self.prompt):
            missing = len(self.prompt) - self._received
            return f"the answer is done, and {missing} characters of it are missing"
        if payload.get("fullResponse") != self.prompt:
            return "fullResponse is not what the tokens are together"
        if payload.get("tokenCount") != self._tokens:
            return f"tokenCount is {payload.get('tokenCount')} in place of {self._tokens}"
        return ""
