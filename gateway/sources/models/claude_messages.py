"""``ClaudeMessages``: Anthropic's Messages."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import Any

from anthropic import APIConnectionError, AsyncAnthropic
from httpx2 import TransportError

from gateway.llm import ChatMessage, ProviderFailure, Role, Trouble
from gateway.model_settings import ModelSettings, ProviderAccess
from gateway.sources.models.provider import SdkProvider


class ClaudeMessages(SdkProvider):
    """The provider claude.

    Args:
        access: how to call it.
        settings: the limits of an answer.
    """

    losses = (APIConnectionError, TransportError)

    def __init__(self, access: ProviderAccess, settings: ModelSettings) -> None:
        self._client = AsyncAnthropic(
            api_key=access.api_key,
            base_url=access.base_url,
            max_retries=0,
            timeout=settings.model_total_seconds,
            open_telemetry=False,
        )
        self._create: Any = self._client.messages.create  # loads its modules now
        self._options = {
            "model": access.model,
            "max_tokens": settings.model_max_tokens,
            "stream": True,
        }

    async def pieces(self, messages: Sequence[ChatMessage]) -> AsyncGenerator[str, None]:
        """Return the pieces of the answer to a conversation.

        Raises:
            ProviderFailure: the answer ended before its last event.
        """
        is_whole = False
        options = dict(self._options)
        instructions = [each.content for each in messages if each.role is Role.SYSTEM]
        if instructions:
            options["system"] = "\n\n".join(instructions)
        conversation = [
            {"role": each.role, "content": each.content}
            for each in messages
            if each.role is not Role.SYSTEM
        ]
        async with await self._create(messages=conversation, **options) as events:
            async for event in events:
                if event.type == "content_block_delta" and event.delta.type == "text_delta":
                    yield event.delta.text
                is_whole = is_whole or event.type == "message_stop"
        if not is_whole:
            raise ProviderFailure(Trouble.CUT)

    async def close(self) -> None:
        """Close the connections to the provider."""
        await self._client.close()
