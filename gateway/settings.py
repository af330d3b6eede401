"""``Settings``: reads the environment and reports every problem at once, without secrets."""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Any, Final, Literal

from gateway.errors import SettingsError
from gateway.exchange_variables import exchange_problems
from gateway.keys import load_public_key, refuse_bad_secret
from gateway.market_variables import market_problems
from gateway.model_settings import ModelSettings, provider_problems
from gateway.node_variables import node_problems
from gateway.security_variables import security_problems
from gateway.values import flag, host, issuer_url, node_name, origins
from gateway.variables import DEFAULT_CLIENT_URL, SETTINGS

ENVIRONMENTS: Final = ("production", "development", "test")
_INJECTED_PREFIXES: Final = ("GATEWAY_SERVICE_", "GATEWAY_PORT_")  # by container platforms
_INJECTED: Final = "GATEWAY_PORT"
_SECRETS: Final = (
    "JWT_SECRET",
    "GATEWAY_METRICS_TOKEN",
    "GATEWAY_AUDIT_KEY",
)  # read as they are, never trimmed
_KINDS_OF_KEY: Final = ("JWT_SECRET", "JWT_PUBLIC_KEY", "JWT_JWKS_URL")
_MAY_BE_EMPTY: Final = ("NODE_ENV", "REDIS_URL")  # templates of other programs leave them so
_NODE_DIGITS: Final = 6


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings(ModelSettings):
    """The settings of a gateway. ``SETTINGS`` describes each."""

    environment: Literal["production", "development", "test"]
    host: str
    port: int
    node: str
    client_urls: tuple[str, ...]
    jwt_secret: str | None = field(repr=False)
    jwt_public_key: str | None
    jwt_jwks_url: str | None
    jwt_algorithms: tuple[str, ...]
    jwt_issuer: str | None
    jwt_audience: str | None
    entitlements: Literal["optional", "required"]
    max_token_hours: float
    token_leeway_seconds: float
    token_expiring_seconds: float
    heartbeat_seconds: float
    connection_count_seconds: float
    rate_limit: int
    rate_window_seconds: float
    user_rate_limit: int
    ping_limit: int
    ping_window_seconds: float
    token_refresh_limit: int
    llm_stream_cancel_limit: int
    max_refused_events: int
    max_connections_per_user: int
    max_connections_per_address: int
    max_connects_per_minute_per_address: int
    address_limit_exempt: tuple[IPv4Network | IPv6Network, ...]
    trusted_proxies: tuple[IPv4Network | IPv6Network, ...]
    max_event_bytes: int
    max_rooms_per_client: int
    max_symbols_per_process: int
    user_retention_seconds: float
    metrics_token: str | None = field(repr=False)
    development_anywhere: bool
    ping_interval_ms: int
    ping_timeout_ms: int
    head_timeout_seconds: float
    keep_alive_seconds: float
    connect_timeout_seconds: float
    max_send_bytes: int
    max_send_seconds: float
    max_queue_bytes: int
    tls_certificate: str | None
    tls_key: str | None
    audit_log: str | None
    audit_key: str | None = field(repr=False)
    anomaly: Literal["off", "log", "close"]
    log_level: str
    log_format: Literal["json", "console"]
    shutdown_seconds: float
    market: str
    market_symbols: tuple[str, ...]
    market_url: str | None
    market_file: str | None
    market_speed: float
    market_loop: bool
    market_record: str | None
    market_seed: int
    market_rate: float
    market_most_per_second: float
    market_release_seconds: float
    exchange: Literal["off", "paper"]
    exchange_balances: tuple[tuple[str, Decimal], ...]
    exchange_fee: Decimal
    exchange_max_open_orders: int
    exchange_requests_per_minute: int
    redis_url: str | None = field(repr=False)
    redis_ca: str | None
    redis_prefix: str
    redis_log_entries: int
    redis_log_seconds: float


RELOADED: Final = ("jwt_secret", "jwt_public_key", "metrics_token")
"""The fields that a running gateway takes anew from their files."""

ReadFile = Callable[[str], str]
"""Returns the text of a file by its path, or raises ValueError without quoting either."""


def _read_no_file(_path: str) -> str:
    raise ValueError("files are not read here; set the variable without _FILE")


def read_settings(
    environ: Mapping[str, str],
    *,
    random_secret: str,
    read_file: ReadFile = _read_no_file,
    host_name: str = "",
) -> Settings:
    """Return the settings of an environment.

    Args:
        environ: the environment.
        random_secret: the secret to use if none is given and none is required.
        read_file: reads the files of ``NAME_FILE`` variables. By default they are refused.
        host_name: the name of this machine, from which an unnamed node gets its name.

    Raises:
        SettingsError: a setting is invalid. It lists every problem, without secrets.
    """
    problems = _unknown_names(environ)
    given = _given(environ, problems)
    in_files = _given_in_files(environ, read_file, problems)
    given |= in_files
    values: dict[str, Any] = {}
    for setting in SETTINGS:
        if setting.parse is not None:
            value = given.get(setting.variable, setting.default)
            values[setting.field] = _note(setting.variable, partial(setting.parse, value), problems)
    problems += node_problems(values.get("redis_url"), values.get("market"), values.get("exchange"))
    problems += exchange_problems(values.get("exchange"), values.get("market"))
    values["environment"] = _environment(given, problems)
    values["scripted"] = _scripted(given, values["environment"], problems)
    problems += provider_problems(values)
    values["client_urls"] = _client_urls(given, values["environment"], problems)
    values |= _keys(given, values["environment"], random_secret, problems)
    problems += market_problems(values, given)
    problems += security_problems(given.keys() | _files_named(environ))
    values["host"] = _host(given, values, problems)
    place = f"{host_name}:{values['port'] or random_secret}"  # a free port is not known yet
    values["node"] = _node(given, place, problems)
    if problems:
        raise SettingsError(_name_files(problem, in_files) for problem in problems)
    return Settings(**values)


def _given(environ: Mapping[str, str], problems: list[str]) -> dict[str, str]:
    """Return the values of the known variables that are not empty, without blanks around them."""
    given = {}
    for name in dict.fromkeys((*(setting.variable for setting in SETTINGS), *_MAY_BE_EMPTY)):
        value = environ.get(name)
        if value is None:
            continue
        if value.strip():
            given[name] = value if name in _SECRETS else value.strip()
        elif name not in _MAY_BE_EMPTY:
            problems.append(f"{name}: is empty; set a value, or unset the variable")
    return given


def _given_in_files(
    environ: Mapping[str, str], read_file: ReadFile, problems: list[str]
) -> dict[str, str]:
    """Return the values that files hold, by the variable that each stands for."""
    found = {}
    for setting in SETTINGS:
        name, path = setting.file_variable, environ.get(setting.file_variable)
        if not setting.has_file or path is None:
            continue
        if setting.variable in environ:
            problems.append(f"{setting.variable}, {name}: set only one of them")
        elif not path.strip():
            problems.append(f"{name}: is empty; set the path of a file, or unset the variable")
        else:
            value = _note(name, partial(read_file, path), problems)
            if value is not None and not value.strip():
                problems.append(f"{name}: the file is empty")
            elif value is not None:
                found[setting.variable] = value if setting.variable in _SECRETS else value.strip()
    return found


def _files_named(environ: Mapping[str, str]) -> set[str]:
    """Return the variables whose value a file should hold, whether or not it could be read."""
    return {one.variable for one in SETTINGS if one.has_file and one.file_variable in environ}


def _name_files(problem: str, in_files: Mapping[str, str]) -> str:
    """Return a problem that names the variables that were given, where those name files."""
    names, colon, told = problem.partition(": ")
    given = [f"{name}_FILE" if name in in_files else name for name in names.split(", ")]
    return f"{', '.join(given)}{colon}{told}"


def _unknown_names(environ: Mapping[str, str]) -> list[str]:
    known = [setting.variable for setting in SETTINGS]
    known += [setting.file_variable for setting in SETTINGS if setting.has_file]
    problems = []
    for name in sorted(environ):
        plain = name.lstrip("\ufeff")  # the first name of a file with a byte-order mark
        is_ours = plain.startswith("GATEWAY_") or plain in known
        if not is_ours or name in known or name == _INJECTED or name.startswith(_INJECTED_PREFIXES):
            continue
        nearest = difflib.get_close_matches(name, known, n=1)
        hint = f"; did you mean {nearest[0]}?" if nearest else ""
        problems.append(f"{ascii(name)[1:-1]}: no such setting{hint}")
    return problems


def _environment(given: Mapping[str, str], problems: list[str]) -> str:
    ours, nodes = given.get("GATEWAY_ENV"), given.get("NODE_ENV")
    name, value = ("NODE_ENV", nodes) if ours is None else ("GATEWAY_ENV", ours)
    if value is None:
        return "production"
    if value not in ENVIRONMENTS:
        problems.append(f"{name}: must be one of {', '.join(ENVIRONMENTS)}")
        return "production"
    if nodes in ENVIRONMENTS and nodes != value:
        problems.append(f"GATEWAY_ENV, NODE_ENV: they say {value} and {nodes}; unset one of them")
    return value


def _scripted(given: Mapping[str, str], environment: str, problems: list[str]) -> bool:
    """Return whether the provider scripted is on. In production nobody gets it unasked."""
    value = given.get("GATEWAY_SCRIPTED", "0" if environment == "production" else "1")
    return bool(_note("GATEWAY_SCRIPTED", partial(flag, value), problems))


def _client_urls(
    given: Mapping[str, str], environment: str, problems: list[str]
) -> tuple[str, ...]:
    value = given.get("CLIENT_URL")
    if value is None:
        if environment == "production" and not _is_told("CLIENT_URL", problems):
            problems.append(
                "CLIENT_URL: required in production; set the origins of your pages, "
                "such as https://app.example.com"
            )
        value = DEFAULT_CLIENT_URL
    try:
        return origins(value)
    except ValueError as error:
        problems.append(f"CLIENT_URL: {error}")
        return ()


def _keys(
    given: Mapping[str, str], environment: str, random_secret: str, problems: list[str]
) -> dict[str, Any]:
    secret, public_key = given.get("JWT_SECRET"), given.get("JWT_PUBLIC_KEY")
    key_set = given.get("JWT_JWKS_URL")
    algorithms: tuple[str, ...] = ("HS256",)
    kinds = [name for name in _KINDS_OF_KEY if name in given]
    if len(kinds) > 1:
        problems.append(f"{', '.join(kinds)}: set only one of them")
    elif not kinds:
        told = any(_is_told(name, problems) for name in _KINDS_OF_KEY)
        if environment == "production" and not told:
            problems.append(
                f"JWT_SECRET: required in production; set one of {', '.join(_KINDS_OF_KEY)}"
            )
        secret = random_secret
    if secret is not None:
        _note("JWT_SECRET", partial(refuse_bad_secret, secret), problems)
    if public_key is not None:
        loaded = _note("JWT_PUBLIC_KEY", partial(load_public_key, public_key), problems)
        algorithms = (loaded[0],) if loaded else ()
    if key_set is not None:
        _note("JWT_JWKS_URL", partial(issuer_url, key_set), problems)
        algorithms = ("RS256", "ES256")
    return {
        "jwt_secret": secret,
        "jwt_public_key": public_key,
        "jwt_jwks_url": key_set,
        "jwt_algorithms": algorithms,
    }


def _is_told(name: str, problems: list[str]) -> bool:
    return any(problem.startswith((f"{name}:", f"{name}_FILE:")) for problem in problems)


def _note(name: str, check: Callable[[], Any], problems: list[str]) -> Any:
    try:
        return check()
    except ValueError as error:
        problems.append(f"{name}: {error}")
        return None


def _host(given: Mapping[str, str], values: Mapping[str, Any], problems: list[str]) -> str:
    development = values["environment"] == "development"
    is_anywhere = values.get("development_anywhere")
    name = given.get("HOST", "127.0.0.1" if development else "0.0.0.0")  # noqa: S104 - documented
    if _note("HOST", partial(host, name), problems) is None:
        return name
    if is_anywhere and not development:
        problems.append(
            "GATEWAY_DEVELOPMENT_ANYWHERE: has no meaning outside development; unset it"
        )
    if development and not is_anywhere and not _is_loopback(name):
        problems.append(
            "HOST: in development no token is needed, so only loopback addresses are allowed; "
            "use 127.0.0.1, or set GATEWAY_DEVELOPMENT_ANYWHERE=1"
        )
    return name


def _node(given: Mapping[str, str], place: str, problems: list[str]) -> str:
    name = given.get("GATEWAY_NODE")
    if name is None:  # it goes into session ids, and no client learns the machine's name
        return hashlib.sha256(place.encode()).hexdigest()[:_NODE_DIGITS]
    _note("GATEWAY_NODE", partial(node_name, name), problems)
    return name


def _is_loopback(name: str) -> bool:
    if name == "localhost":
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False
