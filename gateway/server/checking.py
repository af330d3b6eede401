"""``serve --check`` and ``token --check``: what would stop a gateway, or refuse a token."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import aiohttp

from gateway.auth import Authenticator
from gateway.brokers.redis.terms import NO_CLIENT, LogTerms, log_terms
from gateway.contract import iso_timestamp
from gateway.errors import AuthenticationError, SettingsError, SourceFailed
from gateway.server.audit_file import peek
from gateway.server.audit_log import describe
from gateway.server.clock import SystemClock
from gateway.server.key_fetcher import describe_failure, fetch_keys
from gateway.server.node_supervisor import refusals
from gateway.server.process import descriptor_limit
from gateway.server.secret_file import read_secret_file
from gateway.server.tls import TlsCertificate
from gateway.server.tracing import is_wanted, require_packages
from gateway.settings import Settings, read_settings
from gateway.sources.feeds.choice import check_recording, make_feed
from gateway.sources.models.choice import make_providers
from gateway.transport import listen

_FEW_DESCRIPTORS: Final = 4_096


def check_start(environ: Mapping[str, str], processes: int = 1) -> tuple[list[str], list[str]]:
    """Return what a gateway with this environment would do, and what would stop it.

    It binds the address for a moment, fetches the issuer's key set, and asks Redis about itself.

    Args:
        environ: the environment.
        processes: the number of its processes.

    Returns:
        Facts and problems, a line each, without secrets.
    """
    try:
        settings = _settings_of(environ)
    except SettingsError as error:
        return [], list(error.problems)
    facts = [f"settings: {settings.environment}, tokens by {', '.join(settings.jwt_algorithms)}"]
    problems: list[str] = []
    checks = (
        _check_address,
        _check_certificate,
        _check_audit_log,
        _check_issuer,
        _check_market,
        _check_models,
        _check_descriptors,
    )
    for check in checks:
        fact, problem = check(settings)
        facts += [fact] if fact else []
        problems += [problem] if problem else []
    fact, problem = _check_traces(environ)
    facts += [fact] if fact else []
    problems += [problem] if problem else []
    if processes > 1:
        problems += refusals(settings, [f"{settings.node}-{n}" for n in range(processes)])
        facts.append(f"processes: {processes} nodes share the port")
    if settings.redis_url is not None:
        found, wrong = _check_redis(log_terms(settings, settings.redis_url))
        facts, problems = facts + found, problems + wrong
    return facts, problems


def _check_traces(environ: Mapping[str, str]) -> tuple[str, str]:
    if not is_wanted(environ):
        return "", ""
    try:
        require_packages()
    except SettingsError as error:
        return "", "\n".join(error.problems)
    return "traces: exported by OTLP", ""


def _check_redis(terms: LogTerms) -> tuple[list[str], list[str]]:
    try:
        from gateway.brokers.redis.probe import probe

        return asyncio.run(probe(terms))
    except ModuleNotFoundError:  # of the extra
        return [], [NO_CLIENT]
    except SettingsError as error:
        return [], list(error.problems)


def _check_market(settings: Settings) -> tuple[str | None, str | None]:
    if settings.market == "off":
        return None, None
    try:
        feed = make_feed(replace(settings, market_record=None), SystemClock())  # nothing is written
        if settings.market_record is not None:
            check_recording(settings.market_record)
    except SourceFailed as error:
        return None, str(error)
    return f"market: {settings.market}, {0 if feed is None else len(feed.symbols)} symbols", None


def check_token(environ: Mapping[str, str], token: str) -> tuple[list[str], list[str]]:
    """Return what a token allows on a gateway with this environment, or why it is refused.

    Args:
        environ: the environment of the gateway.
        token: the token.

    Returns:
        Facts and problems, a line each. Neither quotes the token.
    """
    try:
        settings = _settings_of(environ)
    except SettingsError as error:
        return [], list(error.problems)
    authenticator = Authenticator(settings)
    if settings.jwt_jwks_url is not None:
        try:
            authenticator.replace_keys(asyncio.run(fetch_keys(settings.jwt_jwks_url)))
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return [], [f"JWT_JWKS_URL: {describe_failure(error)}"]
    try:
        identity = authenticator.verify(token, time.time())
    except AuthenticationError as error:
        return [], [f"refused with {error.code}: {error.reason}"]
    allowed = identity.entitlements
    rooms = "every channel" if allowed is None else ", ".join(sorted(allowed)) or "nothing"
    return [
        f"user: {identity.user_id}",
        f"scopes: {' '.join(sorted(identity.scopes)) or 'none'}",
        f"entitlements: {rooms}",
        f"expires: {iso_timestamp(identity.expires_at or 0)}",
    ], []


def _settings_of(environ: Mapping[str, str]) -> Settings:
    return read_settings(
        environ, random_secret=secrets.token_urlsafe(48), read_file=read_secret_file
    )


def _check_address(settings: Settings) -> tuple[str, str]:
    place = f"{settings.host}:{settings.port}"
    try:
        listen(settings.host, settings.port).close()
    except OSError as error:
        return "", f"HOST, PORT: cannot listen on {place}: {error.strerror or error}"
    return f"address: {place} is free", ""


def _check_certificate(settings: Settings) -> tuple[str, str]:
    try:
        certificate = TlsCertificate.of(settings)
    except SettingsError as error:
        return "", "\n".join(error.problems)
    return ("", "") if certificate is None else ("tls: certificate and key belong together", "")


def _check_audit_log(settings: Settings) -> tuple[str, str]:
    if settings.audit_log is None or settings.audit_log == "-" or settings.audit_key is None:
        return "", ""
    try:
        last = peek(settings.audit_log, settings.audit_key.encode())
    except (OSError, ValueError) as error:
        return "", f"GATEWAY_AUDIT_LOG: {describe(error)}"
    return f"audit log: goes on after line {last}", ""


def _check_issuer(settings: Settings) -> tuple[str, str]:
    if settings.jwt_jwks_url is None:
        return "", ""
    try:
        keys = asyncio.run(fetch_keys(settings.jwt_jwks_url))
    except (aiohttp.ClientError, OSError, ValueError) as error:
        return "", f"JWT_JWKS_URL: {describe_failure(error)}"
    return f"key set: {len(keys)} keys", ""


def _check_descriptors(_settings: Settings) -> tuple[str, str]:
    limit = descriptor_limit()
    if limit is not None and limit < _FEW_DESCRIPTORS:
        return "", (
            f"descriptors: the limit of {limit:,} allows fewer clients; "
            f"raise it to {_FEW_DESCRIPTORS:,} or more (ulimit -n, LimitNOFILE)"
        )
    return f"descriptors: {'no limit' if limit is None else f'{limit:,}'}", ""


def _check_models(settings: Settings) -> tuple[str, str]:
    try:
        providers = make_providers(settings)
    except SettingsError as error:
        return "", "\n".join(error.problems)
    return f"models: {', '.join(providers) or 'none'}", ""
