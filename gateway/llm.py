"""Requests for model streams: payloads, the names of providers, and why they fail."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, TypeGuard

from gateway import strict_json
from gateway.contract import (
    MAX_ANSWER_BYTES,
    MAX_SESSION_ID_LENGTH,
    PROVIDER_ALIASES,
    ErrorCode,
    ModelProvider,
    Text,
)
from gateway.errors import InvalidPayload, ProviderNotFound, WireError


class Role(StrEnum):
    """Who wrote a message of a conversation."""

    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"


class Trouble(StrEnum):
    """Why a provider gave no whole answer."""

    CREDENTIALS = "credentials"
    BUSY = "busy"
    REJECTED = "rejected"
    FAILED = "failed"
    UNREACHABLE = "unreachable"
    CUT = "cut"
    MALFORMED = "malformed"
    SILENT = "silent"
    TOO_LONG = "too-long"
    TOO_LARGE = "too-large"


TROUBLES: Final[Mapping[Trouble, str]] = {
    Trouble.CREDENTIALS: "The provider refused the gateway's credentials",
    Trouble.BUSY: "The provider has too many requests; try again later",
    Trouble.REJECTED: "The provider rejected the request",
    Trouble.FAILED: "The provider failed",
    Trouble.UNREACHABLE: "The provider could not be reached",
    Trouble.CUT: "The provider ended the answer before it was complete",
    Trouble.MALFORMED: "The provider's answer could not be read",
    Trouble.SILENT: "The provider sent nothing for too long",
    Trouble.TOO_LONG: "The answer took too long",
    Trouble.TOO_LARGE: f"The answer has more than {MAX_ANSWER_BYTES} bytes",
}
"""What a client is told. Nothing of the provider's own text is passed on, or logged."""


class ProviderFailure(WireError):  # noqa: N818 - named as in gateway.errors
    """A provider gave no whole answer. It holds nothing that the provider sent.

    Args:
        trouble: why.
        status: the HTTP status, where the provider answered with one.
    """

    def __init__(self, trouble: Trouble, status: int | None = None) -> None:
        super().__init__(ErrorCode.PROVIDER_ERROR, TROUBLES[trouble])
        self.trouble = trouble
        self.status = status


def trouble_of_status(status: int) -> Trouble:
    """Return the trouble that an HTTP status stands for. Any status but an error is a failure."""
    if status in (401, 403):
        return Trouble.CREDENTIALS
    if status in (429, 529):  # 529: Anthropic's "overloaded"
        return Trouble.BUSY
    return Trouble.REJECTED if 400 <= status < 500 else Trouble.FAILED


@dataclass(frozen=True, kw_only=True, slots=True)
class ChatMessage:
    """One message of a conversation."""

    role: Role
    content: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ChatRequest:
    """The valid payload of an ``llm:chat:stream``."""

    session_id: str
    provider: str
    messages: tuple[ChatMessage, ...]


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
    if len(session_id) > MAX_SESSION_ID_LENGTH:
        raise InvalidPayload(f"sessionId must have at most {MAX_SESSION_ID_LENGTH} characters")
    return ChatRequest(
        session_id=session_id,
        provider=provider,
        messages=tuple(_message(position, message) for position, message in enumerate(messages)),
    )


def _message(position: int, message: object) -> ChatMessage:
    role, content = (
        (message.get("role"), message.get("content")) if isinstance(message, dict) else (None, None)
    )
    if not (_is_text(role) and strict_json.is_text(content)):
        raise InvalidPayload(f"messages[{position}] must be {{role, content}}, both text")
    if role not in _ROLES:
        raise InvalidPayload(f"messages[{position}].role must be one of {', '.join(Role)}")
    return ChatMessage(role=Role(role), content=content)


_ROLES: Final = frozenset(Role)


def parse_cancel(payload: object) -> str:
    """Return the ``sessionId`` of an ``llm:stream:cancel``.

    Raises:
        InvalidPayload: it is missing or not a string.
    """
    session_id = payload.get("sessionId") if isinstance(payload, dict) else None
    if not _is_text(session_id):
        raise InvalidPayload(Text.SESSION_ID_REQUIRED)
    return session_id


def provider_named(name: str, configured: Collection[ModelProvider]) -> ModelProvider:
    """Return the provider that a client named, by its name or an alias.

    Raises:
        ProviderNotFound: there is none of the name, or the gateway has it not configured.
    """
    provider = PROVIDER_ALIASES.get(name, name)
    if provider not in _PROVIDERS:
        raise ProviderNotFound(f"Provider {name[:32]!r} is not known")
    if provider not in configured:
        raise ProviderNotFound(f"Provider {name[:32]!r} is not configured on this gateway")
    return ModelProvider(provider)


_PROVIDERS: Final = frozenset(ModelProvider)


def _is_text(value: object) -> TypeGuard[str]:
    return bool(value) and strict_json.is_text(value)
