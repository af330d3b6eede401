from __future__ import annotations

import dataclasses
from ipaddress import ip_network

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from gateway import contract
from gateway.errors import SettingsError
from gateway.settings import SETTINGS, Settings, read_settings, settings_table

SECRET = "kS9vT2xQ7mL4pR8wZ1cN6bH3jF5dG0aY"
PRODUCTION = {"CLIENT_URL": "https://app.example.com", "JWT_SECRET": SECRET}
RANDOM = "random-" + SECRET


def read(**environ: str) -> Settings:
    return read_settings(environ, random_secret=RANDOM)


def problems_of(**environ: str) -> tuple[str, ...]:
    with pytest.raises(SettingsError) as caught:
        read(**environ)
    return caught.value.problems


def pem_of(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey) -> str:
    public = key.public_key()
    return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def test_production_is_the_default_and_its_limits_are_the_contracts() -> None:
    settings = read(**PRODUCTION)
    assert settings.environment == "production"
    assert (settings.host, settings.port) == ("0.0.0.0", 3000)
    assert settings.client_urls == ("https://app.example.com",)
    assert settings.jwt_algorithms == ("HS256",)
    assert settings.rate_limit == contract.RATE_LIMIT
    assert settings.heartbeat_seconds == contract.HEARTBEAT_SECONDS
    assert settings.address_limit_exempt == (ip_network("127.0.0.0/8"), ip_network("::1/128"))
    assert settings.trusted_proxies == ()


def test_production_requires_origins_and_a_key_and_says_both_at_once() -> None:
    problems = problems_of()
    assert [problem.partition(":")[0] for problem in problems] == ["CLIENT_URL", "JWT_SECRET"]


def test_development_has_defaults_for_everything() -> None:
    settings = read(NODE_ENV="development")
    assert settings.environment == "development"
    assert settings.host == "127.0.0.1"
    assert settings.client_urls == ("http://localhost:5173",)
    assert settings.jwt_secret == RANDOM


def test_gateway_env_goes_before_node_env() -> None:
    assert read(GATEWAY_ENV="test", NODE_ENV="development").environment == "test"


def test_the_environment_test_has_the_default_origin_and_a_random_secret() -> None:
    settings = read(GATEWAY_ENV="test")
    assert settings.client_urls == ("http://localhost:5173",)
    assert settings.jwt_secret == RANDOM


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "example.com"])
def test_development_listens_on_loopback_alone_unless_told(host: str) -> None:
    (problem,) = problems_of(GATEWAY_ENV="development", HOST=host)
    assert problem.startswith("HOST: ")
    settings = read(GATEWAY_ENV="development", HOST=host, GATEWAY_DEVELOPMENT_ANYWHERE="1")
    assert settings.host == host


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_development_listens_on_any_loopback_address(host: str) -> None:
    assert read(GATEWAY_ENV="development", HOST=host).host == host


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        pytest.param("GATEWAY_ENV", "staging", id="environment"),
        pytest.param("PORT", "65536", id="port too large"),
        pytest.param("PORT", "-1", id="port negative"),
        pytest.param("PORT", "\u0663000", id="port in other digits"),
        pytest.param("GATEWAY_RATE_LIMIT", "0", id="zero events"),
        pytest.param("GATEWAY_RATE_LIMIT", "6.5", id="half an event"),
        pytest.param("GATEWAY_RATE_WINDOW_SECONDS", "0", id="no window"),
        pytest.param("GATEWAY_RATE_WINDOW_SECONDS", "nan", id="nan"),
        pytest.param("GATEWAY_HEARTBEAT_SECONDS", "inf", id="infinity"),
        pytest.param("GATEWAY_TRUSTED_PROXIES", "10.0.0.1/8", id="host bits"),
        pytest.param("GATEWAY_TRUSTED_PROXIES", "proxy.local", id="name for network"),
        pytest.param("GATEWAY_LOG_LEVEL", "LOUD", id="log level"),
        pytest.param("GATEWAY_DEVELOPMENT_ANYWHERE", "yes", id="flag"),
        pytest.param("CLIENT_URL", "*", id="any origin"),
        pytest.param("CLIENT_URL", "null", id="null origin"),
        pytest.param("CLIENT_URL", "https://a.example/path", id="origin with path"),
        pytest.param("CLIENT_URL", "https://a.example,", id="empty origin"),
        pytest.param("CLIENT_URL", "https://a.example:port", id="port that is none"),
        pytest.param("REDIS_URL", "redis://:hunter2@redis", id="scale-out"),
        pytest.param("JWT_SECRET", "short", id="short secret"),
        pytest.param("JWT_SECRET", "a" * 40, id="one character"),
        pytest.param("JWT_SECRET", "abc" * 20, id="three characters"),
        pytest.param("JWT_SECRET", "Change-Me-please-0123456789abcdefgh", id="changeme"),
        pytest.param("JWT_SECRET", "your-secret-key-0123456789-abcdefgh", id="your-secret"),
    ],
)
def test_a_bad_value_is_one_problem_that_names_it_and_does_not_repeat_it(
    variable: str, value: str
) -> None:
    (problem,) = problems_of(**(PRODUCTION | {variable: value}))
    assert problem.startswith(f"{variable}: ")
    assert value not in problem.removeprefix(variable) or value in ("0", "*")


def test_every_problem_is_reported_at_once_and_no_secret_is_printed() -> None:
    with pytest.raises(SettingsError) as caught:
        read(JWT_SECRET="hunter2", PORT="x", REDIS_URL="redis://:pw@r", GATEWAY_RATELIMIT="3")
    text = str(caught.value)
    assert len(caught.value.problems) == 5
    assert "hunter2" not in text
    assert ":pw@" not in text
    assert "GATEWAY_RATELIMIT: no such setting; did you mean GATEWAY_RATE_LIMIT?" in text


def test_the_settings_print_no_secret() -> None:
    shown = repr(read(**PRODUCTION, GATEWAY_METRICS_TOKEN="metrics-token"))
    assert SECRET not in shown
    assert "metrics-token" not in shown


def test_names_that_container_platforms_inject_are_ignored() -> None:
    read(
        **PRODUCTION,
        GATEWAY_PORT="tcp://10.0.0.1:3000",
        GATEWAY_PORT_3000_TCP="tcp://10.0.0.1:3000",
        GATEWAY_SERVICE_HOST="10.0.0.1",
        PATH="/usr/bin",
    )


def test_an_empty_variable_counts_as_unset() -> None:
    assert read(**PRODUCTION, PORT="", REDIS_URL="", GATEWAY_RATE_LIMIT=" ").port == 3000


def test_both_kinds_of_key_are_refused() -> None:
    key = pem_of(ec.generate_private_key(ec.SECP256R1()))
    assert any("only one" in problem for problem in problems_of(**PRODUCTION, JWT_PUBLIC_KEY=key))


def test_a_public_keys_type_chooses_the_algorithm() -> None:
    origin = {"CLIENT_URL": "https://a.example"}
    rsa_key = pem_of(rsa.generate_private_key(public_exponent=65_537, key_size=2_048))
    ec_key = pem_of(ec.generate_private_key(ec.SECP256R1()))
    assert read(**origin, JWT_PUBLIC_KEY=rsa_key).jwt_algorithms == ("RS256",)
    assert read(**origin, JWT_PUBLIC_KEY=ec_key).jwt_algorithms == ("ES256",)
    assert read(**origin, JWT_PUBLIC_KEY=ec_key).jwt_secret is None


@pytest.mark.parametrize(
    "pem",
    [
        pytest.param("not a key", id="text"),
        pytest.param(pem_of(ec.generate_private_key(ec.SECP384R1())), id="another curve"),
        pytest.param(pem_of(ed25519.Ed25519PrivateKey.generate()), id="another kind"),
        pytest.param(
            pem_of(rsa.generate_private_key(public_exponent=65_537, key_size=1_024)),  # noqa: S505 - too small on purpose
            id="1,024 bits",
        ),
    ],
)
def test_other_public_keys_are_refused(pem: str) -> None:
    (problem,) = problems_of(CLIENT_URL="https://a.example", JWT_PUBLIC_KEY=pem)
    assert problem.startswith("JWT_PUBLIC_KEY: must ")


def test_origins_are_written_as_browsers_write_them() -> None:
    urls = "https://App.example.com:443/, http://localhost:5173 ,http://[::1]:80"
    settings = read(**(PRODUCTION | {"CLIENT_URL": urls}))
    assert settings.client_urls == (
        "https://app.example.com",
        "http://localhost:5173",
        "http://[::1]",
    )


def test_the_table_has_a_row_for_every_setting_and_every_field_a_setting() -> None:
    fields = {field.name for field in dataclasses.fields(Settings)}
    assert {setting.field for setting in SETTINGS} == fields - {"jwt_algorithms"}
    rows = settings_table().splitlines()[2:]
    assert [row.split("`")[1] for row in rows] == [setting.variable for setting in SETTINGS]


def test_every_default_is_a_value_that_its_own_reader_takes() -> None:
    for setting in SETTINGS:
        if setting.parse is not None:
            setting.parse(setting.default)
