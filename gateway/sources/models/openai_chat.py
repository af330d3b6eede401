"""``OpenAIChat``: OpenAI's Chat Completions, and DeepSeek's, which have the same form."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import Any

from openai import APIConnectionError, AsyncOpenAI

from gateway.contract import ModelProvider
from gateway.llm import ChatMessage, ProviderFailure, Trouble
from gateway.model_settings import ModelSettings, ProviderAccess
from gateway.sources.models.provider import SdkProvider


class OpenAIChat(SdkProvider):
    """A provider that speaks OpenAI's Chat Completions.

    Args:
        access: how to call it.
        settings: the limits of an answer.
        provider: its name.
    """

    losses = (APIConnectionError,)

    def __init__(
        self, access: ProviderAccess, settings: ModelSettings, provider: ModelProvider
    ) -> None:
        self._client = AsyncOpenAI(
            api_key=access.api_key,
            base_url=access.base_url,
            max_retries=0,
            timeout=settings.model_total_seconds,
        )
        # The SDK takes these from its own variables of the environment.
        self._client.organization = self._client.project = None
        self._create: Any = self._client.chat.completions.create  # loads its modules now
        limit = "max_tokens" if provider is ModelProvider.DEEPSEEK else "max_completion_tokens"
        self._options = {"model": access.model, limit: settings.model_max_tokens, "stream": True}

    async def pieces(self, messages: Sequence[ChatMessage]) -> AsyncGenerator[str, None]:
        """Return the pieces of the answer to a conversation.

        Raises:
            ProviderFailure: the answer ended without a reason.
        """
        is_whole = False
        conversation = [{"role": each.role, "content": each.content} for each in messages]
        async with await self._create(messages=conversation, **self._options) as chunks:
            async for chunk in chunks:
                for choice in chunk.choices:  # one, or none in a chunk about usage
                    if choice.delta.content is not None:
                        yield choice.delta.content
                    is_whole = is_whole or choice.finish_reason is not None
        if not is_whole:
            raise ProviderFailure(Trouble.CUT)

    async def close(self) -> None:
        """Close the connections to the provider."""
        await self._client.close()
