"""``Scripted``: a provider without a model, for demonstrations, tests and load."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from typing import Final

from gateway.llm import ChatMessage

_LONGEST_WORD: Final = 64
_OF_NOTHING: Final = ("nothing",)


class Scripted:
    """Repeats the words of a conversation's last message until its answer is long enough.

    The same message always has the same answer: the words, one a token, each but the first with
    a blank before it.

    Args:
        tokens: tokens of an answer.
        tokens_per_second: their pace. The first one comes at once.
    """

    def __init__(self, tokens: int, tokens_per_second: float) -> None:
        self._tokens = tokens
        self._tokens_per_second = tokens_per_second

    async def answer(self, messages: Sequence[ChatMessage]) -> AsyncGenerator[str, None]:
        """Return the tokens of the answer to a conversation."""
        words = messages[-1].content.split() or _OF_NOTHING
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        for number in range(self._tokens):
            due_s = began_s + number / self._tokens_per_second
            await asyncio.sleep(max(0.0, due_s - loop.time()))
            word = words[number % len(words)][:_LONGEST_WORD]
            yield f" {word}" if number else word

    async def close(self) -> None:
        """Do nothing: there is no connection."""
