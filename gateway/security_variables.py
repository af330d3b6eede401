"""The settings of TLS, of the audit log and of the watch for anomalies."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from gateway.keys import refuse_bad_secret
from gateway.setting_kinds import Setting
from gateway.values import one_of, text


def _audit_key(value: str) -> str | None:
    if value:
        refuse_bad_secret(value)
    return value or None


SECURITY_SETTINGS: Final[tuple[Setting, ...]] = (
    Setting(
        "GATEWAY_TLS_CERTIFICATE",
        "tls_certificate",
        "",
        "path",
        "PEM file with the certificate and the chain to its root; with it the gateway serves "
        "https and wss (TLS 1.2 and newer), and plain HTTP no more",
        text,
    ),
    Setting(
        "GATEWAY_TLS_KEY",
        "tls_key",
        "",
        "path",
        "PEM file with the certificate's private key, without a passphrase",
        text,
    ),
    Setting(
        "GATEWAY_AUDIT_LOG",
        "audit_log",
        "",
        "path",
        "file of the audit log, one line a security event; - writes it to standard error",
        text,
    ),
    Setting(
        "GATEWAY_AUDIT_KEY",
        "audit_key",
        "",
        "≥ 32 bytes",
        "chains the lines of the audit log; tidegate audit verify needs it too",
        _audit_key,
        has_file=True,
    ),
    Setting(
        "GATEWAY_ANOMALY",
        "anomaly",
        "off",
        "name",
        "watches the behaviour of users and addresses against their own past: off, log (metrics, "
        "log and audit log tell an anomaly) or close (the user's clients are closed, too)",
        one_of("off", "log", "close"),
    ),
)


_PAIRS: Final = (
    ("GATEWAY_TLS_CERTIFICATE", "GATEWAY_TLS_KEY"),
    ("GATEWAY_AUDIT_LOG", "GATEWAY_AUDIT_KEY"),
)


def security_problems(given: Iterable[str]) -> list[str]:
    """Return what is wrong with settings that need each other.

    Args:
        given: the variables that have a value, or a file with one.
    """
    names, problems = set(given), []
    for pair in _PAIRS:
        for missing, there in (pair, pair[::-1]):
            if missing not in names and there in names:
                problems.append(f"{missing}: is missing; {there} needs it")
    return problems
