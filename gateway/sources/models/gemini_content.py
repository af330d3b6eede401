"""``GeminiContent``: Google's ``streamGenerateContent``."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any, Final

from google.genai import Client, types
from httpx2 import AsyncClient, TransportError

from gateway.llm import ChatMessage, ProviderFailure, Role, Trouble
from gateway.model_settings import ModelSettings, ProviderAccess
from gateway.sources.models.provider import SdkProvider

_ROLES: Final = {Role.USER: "user", Role.ASSISTANT: "model"}


class GeminiContent(SdkProvider):
    """The provider gemini.

    Args:
        access: how to call it.
        settings: the limits of an answer.
    """

    losses = (TransportError,)

    def __init__(self, access: ProviderAccess, settings: ModelSettings) -> None:
        # With its default client the SDK repeats a call whose connection fails.
        self._http = AsyncClient(timeout=settings.model_total_seconds)
        self._client = Client(
            vertexai=False,
            api_key=access.api_key,
            http_options=types.HttpOptions(
                base_url=access.base_url,
                httpx_async_client=self._http,
                retry_options=types.HttpRetryOptions(attempts=1),
            ),
        )
        self._model = access.model
        self._max_tokens = settings.model_max_tokens

    async def pieces(self, messages: Sequence[ChatMessage]) -> AsyncGenerator[str, None]:
        """Return the pieces of the answer to a conversation.

        Raises:
            ProviderFailure: the answer ended without a reason, or the prompt was blocked.
        """
        is_whole = False
        chunks: Any = await self._client.aio.models.generate_content_stream(
            model=self._model, contents=_contents(messages), config=self._config(messages)
        )
        async with aclosing(chunks):
            async for chunk in chunks:
                if chunk.prompt_feedback is not None and chunk.prompt_feedback.block_reason:
                    raise ProviderFailure(Trouble.REJECTED)
                for candidate in (chunk.candidates or ())[:1]:
                    for part in (candidate.content and candidate.content.parts) or ():
                        if part.text is not None and not part.thought:
                            yield part.text
                    is_whole = is_whole or candidate.finish_reason is not None
        if not is_whole:
            raise ProviderFailure(Trouble.CUT)

    def _config(self, messages: Sequence[ChatMessage]) -> types.GenerateContentConfig:
        instructions = [each.content for each in messages if each.role is Role.SYSTEM]
        return types.GenerateContentConfig(
            max_output_tokens=self._max_tokens,
            system_instruction="\n\n".join(instructions) or None,
            automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
        )

    async def close(self) -> None:
        """Close the connections to the provider."""
        await self._client.aio.aclose()
        await self._http.aclose()
        self._client.close()


def _contents(messages: Sequence[ChatMessage]) -> Any:
    return [
        types.Content(role=_ROLES[each.role], parts=[types.Part(text=each.content)])
        for each in messages
        if each.role in _ROLES
    ]
