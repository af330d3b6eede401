"""``ModelSettings``: the settings of model providers and of their streams."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from gateway import contract
from gateway.contract import ModelProvider
from gateway.setting_kinds import Setting, count, seconds
from gateway.values import api_url, bearer, decimal, text, whole

SDK_PROVIDERS: Final[Mapping[ModelProvider, str]] = {
    ModelProvider.OPENAI: "https://api.openai.com/v1",
    ModelProvider.CLAUDE: "https://api.anthropic.com",
    ModelProvider.GEMINI: "https://generativelanguage.googleapis.com",
    ModelProvider.DEEPSEEK: "https://api.deepseek.com",
}
"""The providers that are called by an SDK, each with the address of its API."""


@dataclass(frozen=True, slots=True)
class ProviderAccess:
    """How to call a provider.

    Attributes:
        api_key: the key of the gateway.
        base_url: the address of the API.
        model: the name of the model.
    """

    api_key: str = field(repr=False)
    base_url: str
    model: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelSettings:
    """The part of the settings that is about models. ``MODEL_SETTINGS`` describes each."""

    openai_api_key: str | None = field(repr=False)
    openai_base_url: str
    openai_model: str | None
    claude_api_key: str | None = field(repr=False)
    claude_base_url: str
    claude_model: str | None
    gemini_api_key: str | None = field(repr=False)
    gemini_base_url: str
    gemini_model: str | None
    deepseek_api_key: str | None = field(repr=False)
    deepseek_base_url: str
    deepseek_model: str | None
    scripted: bool
    scripted_tokens: int
    scripted_tokens_per_second: float
    model_max_tokens: int
    model_silence_seconds: float
    model_total_seconds: float
    max_streams: int
    max_streams_per_user: int

    def accesses(self) -> dict[ModelProvider, ProviderAccess]:
        """Return how to call each provider that has a key, by its name."""
        found = {}
        for name in SDK_PROVIDERS:
            key, base_url, model = (
                getattr(self, f"{name}_{part}") for part in ("api_key", "base_url", "model")
            )
            if key is not None:
                found[name] = ProviderAccess(key, base_url, model)
        return found


def _of_provider(name: str, base_url: str) -> Iterator[Setting]:
    prefix = f"GATEWAY_{name.upper()}"
    yield Setting(
        f"{prefix}_API_KEY",
        f"{name}_api_key",
        "",
        "text",
        f"turns the provider {name} on; needs the extra models",
        bearer,
        has_file=True,
    )
    yield Setting(
        f"{prefix}_BASE_URL",
        f"{name}_base_url",
        base_url,
        "URL",
        f"address of the API of {name}; https, or http on loopback",
        api_url,
    )
    yield Setting(
        f"{prefix}_MODEL",
        f"{name}_model",
        "",
        "text",
        f"name of the model; required with {prefix}_API_KEY",
        text,
    )


MODEL_SETTINGS: Final[tuple[Setting, ...]] = (
    *(setting for name, url in SDK_PROVIDERS.items() for setting in _of_provider(name, url)),
    Setting(
        "GATEWAY_SCRIPTED",
        "scripted",
        "0 in production, else 1",
        "0 or 1",
        "1 turns on the provider scripted, which repeats the words of the last message",
    ),
    count("SCRIPTED_TOKENS", contract.SCRIPTED_TOKENS, "tokens of an answer of scripted"),
    Setting(
        "GATEWAY_SCRIPTED_TOKENS_PER_SECOND",
        "scripted_tokens_per_second",
        "100",
        "tokens/s",
        "pace of scripted",
        decimal(0.1, 100_000),
    ),
    Setting(
        "GATEWAY_MODEL_MAX_TOKENS",
        "model_max_tokens",
        "4096",
        "tokens",
        "longest answer that a provider is asked for",
        whole(1, 1_000_000),
    ),
    seconds(
        "MODEL_SILENCE_SECONDS",
        contract.MODEL_SILENCE_SECONDS,
        "a stream ends with PROVIDER_ERROR if its first token, or a later one, takes longer",
    ),
    seconds(
        "MODEL_TOTAL_SECONDS",
        contract.MODEL_TOTAL_SECONDS,
        "a stream that takes longer ends with PROVIDER_ERROR",
    ),
    count(
        "MAX_STREAMS",
        contract.MAX_STREAMS,
        "model streams at once; one more is refused with TOO_MANY_STREAMS",
    ),
    count(
        "MAX_STREAMS_PER_USER",
        contract.MAX_STREAMS_PER_USER,
        "model streams of a user at once; one more is refused with TOO_MANY_STREAMS",
    ),
)


def provider_problems(values: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with providers that have a key without a model, or the reverse.

    Args:
        values: the parsed settings, by field. An invalid one is ``None``.
    """
    problems = []
    for name in SDK_PROVIDERS:
        prefix = f"GATEWAY_{name.upper()}"
        has_key, has_model = (values[f"{name}_{part}"] is not None for part in ("api_key", "model"))
        if has_key and not has_model:
            problems.append(
                f"{prefix}_MODEL: required with {prefix}_API_KEY; name a model of the provider"
            )
        elif has_model and not has_key:
            problems.append(
                f"{prefix}_MODEL: has no meaning without {prefix}_API_KEY; set the key, or unset it"
            )
    return problems
