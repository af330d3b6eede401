from __future__ import annotations

import secrets
import sys

import pytest

from gateway.contract import ModelProvider
from gateway.errors import SettingsError
from gateway.settings import Settings, read_settings
from gateway.sources.models.choice import make_providers

SECRET = secrets.token_hex(32)
CLAUDE = {"GATEWAY_CLAUDE_API_KEY": "k", "GATEWAY_CLAUDE_MODEL": "m"}


def settings(**environ: str) -> Settings:
    return read_settings({"GATEWAY_ENV": "test", **environ}, random_secret=SECRET)


@pytest.mark.parametrize(
    ("environment", "names"),
    [("production", []), ("test", [ModelProvider.SCRIPTED]), ("development", ["scripted"])],
)
def test_without_a_key_there_is_at_most_the_scripted_provider(
    environment: str, names: list[str]
) -> None:
    given = {"GATEWAY_ENV": environment, "CLIENT_URL": "https://a.example.com"}
    found = make_providers(read_settings({**given, "JWT_SECRET": SECRET}, random_secret=""))
    assert list(found) == names


@pytest.mark.parametrize(
    ("name", "module", "distribution"),
    [
        ("OPENAI", "openai", "openai"),
        ("DEEPSEEK", "openai", "openai"),
        ("CLAUDE", "anthropic", "anthropic"),
        ("GEMINI", "google.genai", "google-genai"),
    ],
)
def test_a_missing_sdk_is_an_error_of_the_settings_that_names_the_extra(
    monkeypatch: pytest.MonkeyPatch, name: str, module: str, distribution: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    given = settings(**{f"GATEWAY_{name}_API_KEY": "k", f"GATEWAY_{name}_MODEL": "m"})
    with pytest.raises(SettingsError) as caught:
        make_providers(given)
    (problem,) = caught.value.problems
    assert problem.startswith(f"GATEWAY_{name}_API_KEY: needs the package {distribution},")
    assert "tidegate[models]" in problem


@pytest.mark.parametrize(
    ("environ", "problem"),
    [
        (
            {"GATEWAY_CLAUDE_API_KEY": "k"},
            "GATEWAY_CLAUDE_MODEL: required with GATEWAY_CLAUDE_API_KEY",
        ),
        (
            {"GATEWAY_CLAUDE_MODEL": "m"},
            "GATEWAY_CLAUDE_MODEL: has no meaning without GATEWAY_CLAUDE_API_KEY",
        ),
        (
            CLAUDE | {"GATEWAY_CLAUDE_BASE_URL": "http://api.example.com"},
            "GATEWAY_CLAUDE_BASE_URL: must be an https URL",
        ),
        (CLAUDE | {"GATEWAY_CLAUDE_API_KEY": "a b"}, "GATEWAY_CLAUDE_API_KEY: must be visible"),
    ],
    ids=["no-model", "no-key", "plain-http", "blank-in-key"],
)
def test_half_of_a_provider_is_an_error_of_the_settings(
    environ: dict[str, str], problem: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        settings(**environ)
    assert any(found.startswith(problem) for found in caught.value.problems)
    assert "a b" not in str(caught.value)


def test_a_key_is_not_in_the_repr_of_the_settings() -> None:
    given = settings(**CLAUDE | {"GATEWAY_CLAUDE_API_KEY": "the-secret-key"})
    assert "the-secret-key" not in repr(given)
    assert "the-secret-key" not in repr(given.accesses())
