from __future__ import annotations

import contextlib
import dataclasses
from decimal import Decimal
from ipaddress import ip_network

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from gateway import contract
from gateway.errors import SettingsError
from gateway.settings import Settings, read_settings
from gateway.variables import SETTINGS, settings_table

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


PUBLIC_PEM = pem_of(ec.generate_private_key(ec.SECP256R1()))


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


@pytest.mark.parametrize(
    ("ours", "nodes"), [("development", "production"), ("test", "development")]
)
def test_two_environments_that_contradict_each_other_are_refused(ours: str, nodes: str) -> None:
    (problem,) = problems_of(**PRODUCTION, GATEWAY_ENV=ours, NODE_ENV=nodes)
    assert problem.startswith("GATEWAY_ENV, NODE_ENV: ")


@pytest.mark.parametrize("nodes", ["test", "staging", ""])
def test_gateway_env_is_taken_beside_a_node_env_that_does_not_contradict_it(nodes: str) -> None:
    assert read(GATEWAY_ENV="test", NODE_ENV=nodes).environment == "test"


@pytest.mark.parametrize("environment", ["production", "test"])
def test_a_setting_of_development_is_refused_elsewhere(environment: str) -> None:
    given = PRODUCTION | {"GATEWAY_ENV": environment, "GATEWAY_DEVELOPMENT_ANYWHERE": "1"}
    (problem,) = problems_of(**given)
    assert problem.startswith("GATEWAY_DEVELOPMENT_ANYWHERE: ")


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
        pytest.param("GATEWAY_HEARTBEAT_SECONDS", "\u0661", id="seconds in other digits"),
        pytest.param("GATEWAY_HEARTBEAT_SECONDS", "1_0", id="underscore in a number"),
        pytest.param("GATEWAY_HEARTBEAT_SECONDS", "1e3", id="exponent"),
        pytest.param("GATEWAY_HEARTBEAT_SECONDS", "0.001", id="a thousand heartbeats a second"),
        pytest.param("GATEWAY_CONNECTION_COUNT_SECONDS", "0.001", id="a thousand counts a second"),
        pytest.param("GATEWAY_PING_INTERVAL_MS", "7", id="a ping each few milliseconds"),
        pytest.param("GATEWAY_PING_TIMEOUT_MS", "7", id="a pong within a few milliseconds"),
        pytest.param("GATEWAY_TOKEN_LEEWAY_SECONDS", "86400", id="a day of leeway"),
        pytest.param("GATEWAY_RATE_LIMIT", "9" * 5_000, id="thousands of digits"),
        pytest.param("GATEWAY_METRICS_TOKEN", " metrics-token", id="blank before a token"),
        pytest.param("GATEWAY_METRICS_TOKEN", "\ufeffmetrics-token", id="mark before a token"),
        pytest.param("GATEWAY_METRICS_TOKEN", "metrics token", id="blank in a token"),
        pytest.param("HOST", "[::1]", id="address in brackets"),
        pytest.param("HOST", "a" * 300, id="host too long"),
        pytest.param("HOST", "\udcff", id="host that is no text"),
        pytest.param("GATEWAY_TRUSTED_PROXIES", "10.0.0.1/8", id="host bits"),
        pytest.param("GATEWAY_TRUSTED_PROXIES", "proxy.local", id="name for network"),
        pytest.param("GATEWAY_LOG_LEVEL", "LOUD", id="log level"),
        pytest.param("GATEWAY_DEVELOPMENT_ANYWHERE", "yes", id="flag"),
        pytest.param("CLIENT_URL", "*", id="any origin"),
        pytest.param("CLIENT_URL", "null", id="null origin"),
        pytest.param("CLIENT_URL", "https://a.example/path", id="origin with path"),
        pytest.param("CLIENT_URL", ",,", id="no origin"),
        pytest.param("CLIENT_URL", "file://a.example:80/x", id="file with path"),
        pytest.param("CLIENT_URL", "https:///", id="origin without host"),
        pytest.param("CLIENT_URL", "https://a b.example", id="blank in a host"),
        pytest.param("CLIENT_URL", "https://a.example\n.evil", id="line end in a host"),
        pytest.param("CLIENT_URL", "https://\u2603.example", id="no international name"),
        pytest.param("CLIENT_URL", "https://\udcff.example", id="host in no encoding"),
        pytest.param("CLIENT_URL", "https://[::g]", id="no address"),
        pytest.param("CLIENT_URL", "https://a.example:0", id="port zero of an origin"),
        pytest.param("CLIENT_URL", "https://a.example:65536", id="port of an origin too large"),
        pytest.param("CLIENT_URL", "https://u:p@a.example", id="origin with a user"),
        pytest.param("CLIENT_URL", "https://a.example:port", id="port that is none"),
        pytest.param("GATEWAY_EXCHANGE", "real", id="exchange"),
        pytest.param("GATEWAY_EXCHANGE_BALANCES", "EUR", id="funds without an amount"),
        pytest.param("GATEWAY_EXCHANGE_BALANCES", "USDT=1,USDT=2", id="funds of a currency twice"),
        pytest.param("GATEWAY_EXCHANGE_BALANCES", "USDT=-1", id="funds below zero"),
        pytest.param("GATEWAY_EXCHANGE_FEE_PERCENT", "100", id="a fee of everything"),
        pytest.param("GATEWAY_EXCHANGE_FEE_PERCENT", "0.00001", id="a fee with many decimals"),
        pytest.param("REDIS_URL", "http://:hunter2@redis", id="Redis by another protocol"),
        pytest.param("REDIS_URL", "redis://:hunter2@", id="Redis on no host"),
        pytest.param("REDIS_URL", "redis://:hunter2@redis:6379/users", id="no number of a base"),
        pytest.param("REDIS_URL", "rediss://:hunter2@r?ssl_cert_reqs=none", id="Redis unverified"),
        pytest.param("GATEWAY_NODE", "a node", id="node with a blank"),
        pytest.param("GATEWAY_REDIS_PREFIX", "{x}", id="prefix with braces"),
        pytest.param("JWT_SECRET", "short", id="short secret"),
        pytest.param("JWT_SECRET", f"{SECRET} ", id="blank behind a secret"),
        pytest.param("JWT_SECRET", f"{SECRET}\n", id="line end behind a secret"),
        pytest.param("JWT_SECRET", f"\ufeff{SECRET}", id="mark before a secret"),
        pytest.param("JWT_SECRET", f"{SECRET}\udcff", id="secret that is no text"),
        pytest.param("JWT_SECRET", PUBLIC_PEM, id="public key for a secret"),
        pytest.param("JWT_SECRET", f"ssh-rsa {SECRET}", id="another key for a secret"),
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
        read(JWT_SECRET="hunter2", PORT="x", REDIS_URL="http://:pw@r", GATEWAY_RATELIMIT="3")
    text = str(caught.value)
    assert len(caught.value.problems) == 5
    assert "hunter2" not in text
    assert ":pw@" not in text
    assert "GATEWAY_RATELIMIT: no such setting; did you mean GATEWAY_RATE_LIMIT?" in text


@given(
    name=st.sampled_from([setting.variable for setting in SETTINGS]),
    value=st.text(st.characters(exclude_categories=()), min_size=12),
)
def test_whatever_a_variable_holds_is_taken_or_told_without_its_text(name: str, value: str) -> None:
    with contextlib.suppress(SettingsError):
        read(**(PRODUCTION | {name: value}))
        return
    for problem in problems_of(**(PRODUCTION | {name: value})):
        assert len(problem.splitlines()) == 1
        assert value not in problem or value.isdecimal()  # a bound may have the same digits


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


@pytest.mark.parametrize(
    "name", [setting.variable for setting in SETTINGS if setting.variable != "REDIS_URL"]
)
def test_an_empty_variable_is_told(name: str) -> None:
    (problem,) = problems_of(**(PRODUCTION | {name: " "}))
    assert problem.startswith(f"{name}: is empty")


def test_an_empty_variable_of_other_programs_counts_as_unset() -> None:
    assert read(**PRODUCTION, REDIS_URL="", NODE_ENV=" ").environment == "production"


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("GATEWAY_RATE_LIMT", "GATEWAY_RATE_LIMT"),
        ("\ufeffGATEWAY_RATE_LIMIT", "\\ufeffGATEWAY_RATE_LIMIT"),
        ("\ufeffPORT", "\\ufeffPORT"),
    ],
)
@pytest.mark.parametrize("value", ["", "5"])
def test_an_unknown_name_is_told_whatever_its_value(name: str, told: str, value: str) -> None:
    (problem,) = problems_of(**PRODUCTION, **{name: value})
    assert problem.startswith(f"{told}: no such setting; did you mean ")


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


@pytest.mark.parametrize(
    ("url", "sent"),
    [
        ("capacitor://localhost", "capacitor://localhost"),
        ("ionic://localhost", "ionic://localhost"),
        ("tauri://localhost/", "tauri://localhost"),
        ("wss://Gateway.example.com", "wss://gateway.example.com"),
        ("wss://gateway.example.com:443", "wss://gateway.example.com:443"),
        ("ws://gateway.example.com:8080", "ws://gateway.example.com:8080"),
        ("app://-", "app://-"),
        ("chrome-extension://abcdefghijklmnop", "chrome-extension://abcdefghijklmnop"),
        ("file://", "file://"),
        ("https://m\u00fcnchen.example", "https://xn--mnchen-3ya.example"),
        ("https://M\u00dcNCHEN.example:8443", "https://xn--mnchen-3ya.example:8443"),
        ("https://stra\u00dfe.example", "https://xn--strae-oqa.example"),
        ("https://xn--mnchen-3ya.example", "https://xn--mnchen-3ya.example"),
        ("https://my_app.example", "https://my_app.example"),
        ("http://[0:0:0:0:0:0:0:1]:5173", "http://[::1]:5173"),
        ("https://a.example,", "https://a.example"),
        (",https://a.example, ,", "https://a.example"),
    ],
)
def test_an_origin_is_taken_in_the_form_that_pages_and_apps_send(url: str, sent: str) -> None:
    assert read(**(PRODUCTION | {"CLIENT_URL": url})).client_urls == (sent,)


def test_a_last_comma_ends_a_list_of_networks() -> None:
    proxies = read(**PRODUCTION, GATEWAY_TRUSTED_PROXIES="10.0.0.0/8,").trusted_proxies
    assert proxies == (ip_network("10.0.0.0/8"),)


def test_zero_turns_the_connection_count_off() -> None:
    assert read(**PRODUCTION, GATEWAY_CONNECTION_COUNT_SECONDS="0").connection_count_seconds == 0


def test_the_table_has_a_row_for_every_setting_and_every_field_a_setting() -> None:
    fields = {field.name for field in dataclasses.fields(Settings)}
    assert {setting.field for setting in SETTINGS} == fields - {"jwt_algorithms"}
    rows = settings_table().splitlines()[2:]
    assert [row.split("`")[1] for row in rows] == [setting.variable for setting in SETTINGS]


def test_every_default_is_a_value_that_its_own_reader_takes() -> None:
    for setting in SETTINGS:
        if setting.parse is not None:
            setting.parse(setting.default)


def test_a_paper_exchange_needs_a_market_source() -> None:
    (problem,) = problems_of(**PRODUCTION, GATEWAY_EXCHANGE="paper")
    assert problem.startswith("GATEWAY_EXCHANGE: a paper exchange fills orders from a market")
    assert read(**PRODUCTION, GATEWAY_EXCHANGE="paper", GATEWAY_MARKET="simulated")


def test_the_starting_funds_are_exact_and_keep_their_order() -> None:
    settings = read(**PRODUCTION, GATEWAY_EXCHANGE_BALANCES="EUR=0.10, BTC=2")
    assert settings.exchange_balances == (("EUR", Decimal("0.10")), ("BTC", Decimal(2)))


def test_a_fee_is_a_share_of_the_value() -> None:
    assert read(**PRODUCTION, GATEWAY_EXCHANGE_FEE_PERCENT="0.25").exchange_fee == Decimal("0.0025")
