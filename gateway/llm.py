"""Requests for model streams: their payloads, and the names of providers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeGuard

from gateway import strict_json
from gateway.contract import Text
from gateway.errors import InvalidPayload, ProviderNotFound

PROVIDERS: Final = ("openai", "claude", "gemini", "deepseek", "scripted")
ALIASES: Final = {"anthropic": "claude", "google": "gemini"}


@dataclass(frozen=True, kw_only=True, slots=True)
class ChatRequest:
    """The valid payload of an ``llm:chat:stream``."""

    session_id: str
    provider: str
    messages: tuple[Mapping[str, str], ...]


def parse_chat(payload: object) -> ChatRequest:
    """Return the request in the payload of an ``llm:chat:stream``.

    Raises:
        InvalidPayload: a field is missing or has the wrong type. The message names them.
    """
    if not isinstance(payload, dict):
        raise InvalidPayload(Text.LLM_FIELDS_REQUIRED)
    session_id = payload.get("sessionId")
    provider = payload.get("provider")
    messages = payload.get("messages")
    if not (
        _is_text(session_id) and _is_text(provider) and isinstance(messages, list) and messages
    ):
        raise InvalidPayload(Text.LLM_FIELDS_REQUIRED)
    for position, message in enumerate(messages):
        if not (
            isinstance(message, dict)
            and _is_text(message.get("role"))
            and strict_json.is_text(message.get("content"))
        ):
            raise InvalidPayload(f"messages[{position}] must be {{role, content}}, both text")
    return ChatRequest(session_id=session_id, provider=provider, messages=tuple(messages))


def parse_cancel(payload: object) -> str:
    """Return the ``sessionId`` of an ``llm:stream:cancel``.

    Raises:
        InvalidPayload: it is missing or not a string.
    """
    session_id = payload.get("sessionId") if isinstance(payload, dict) else None
    if not _is_text(session_id):
        raise InvalidPayload(Text.SESSION_ID_REQUIRED)
    return session_id


def provider_not_found(name: str) -> ProviderNotFound:
    """Return the error for a provider. So far the gateway serves none."""
    provider = ALIASES.get(name, name)
    what = "is not configured on this gateway" if provider in PROVIDERS else "is not known"
    return ProviderNotFound(f"Provider {name[:32]!r} {what}")


def _is_text(value: object) -> TypeGuard[str]:
    return bool(value) and strict_json.is_text(value)
