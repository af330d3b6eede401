"""The model providers that the settings name."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from importlib import import_module
from typing import Final

from gateway.contract import ModelProvider
from gateway.errors import SettingsError
from gateway.model_settings import ModelSettings, ProviderAccess
from gateway.sources.models.provider import Provider
from gateway.sources.models.scripted import Scripted

_PACKAGES: Final[Mapping[ModelProvider, tuple[str, str]]] = {
    ModelProvider.OPENAI: ("openai", "openai"),
    ModelProvider.CLAUDE: ("anthropic", "anthropic"),
    ModelProvider.GEMINI: ("google.genai", "google-genai"),
    ModelProvider.DEEPSEEK: ("openai", "openai"),
}
"""The module and the distribution of each provider's SDK."""
_LOGGERS: Final = ("openai", "anthropic", "google_genai", "httpx2", "httpcore2")


def make_providers(settings: ModelSettings) -> dict[ModelProvider, Provider]:
    """Return the configured providers by name. An SDK is imported only for its own provider.

    Raises:
        SettingsError: an SDK is not installed.
    """
    accesses = settings.accesses()
    problems = [problem for name in accesses if (problem := _missing(name)) is not None]
    if problems:
        raise SettingsError(problems)
    providers: dict[ModelProvider, Provider] = {
        name: _make(name, access, settings) for name, access in accesses.items()
    }
    if settings.scripted:
        providers[ModelProvider.SCRIPTED] = Scripted(
            settings.scripted_tokens, settings.scripted_tokens_per_second
        )
    if accesses:
        for logger in _LOGGERS:  # at lower levels they log prompts and addresses
            logging.getLogger(logger).setLevel(logging.WARNING)
    return providers


def _missing(name: ModelProvider) -> str | None:
    """Return what is wrong if a provider's SDK cannot be imported."""
    module, distribution = _PACKAGES[name]
    try:
        import_module(module)
    except ModuleNotFoundError as error:
        return (
            f"GATEWAY_{name.upper()}_API_KEY: needs the package {distribution}, and the module "
            f"{error.name} is missing; install the extra: pip install 'tidegate[models]'"
        )
    return None


def _make(name: ModelProvider, access: ProviderAccess, settings: ModelSettings) -> Provider:
    if name is ModelProvider.CLAUDE:
        from gateway.sources.models.claude_messages import ClaudeMessages

        return ClaudeMessages(access, settings)
    if name is ModelProvider.GEMINI:
        from gateway.sources.models.gemini_content import GeminiContent

        return GeminiContent(access, settings)
    from gateway.sources.models.openai_chat import OpenAIChat

    return OpenAIChat(access, settings, name)
