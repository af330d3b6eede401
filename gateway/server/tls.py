"""``TlsCertificate``: the certificate of a gateway that terminates TLS itself."""

from __future__ import annotations

import os
import ssl
from typing import Any, Final, Self

from gateway.contract import CLOSE_TIMEOUT_SECONDS
from gateway.errors import SettingsError
from gateway.server.log import get_logger
from gateway.settings import Settings

_PROTOCOLS: Final = ["http/1.1"]
_CERTIFICATE: Final = "GATEWAY_TLS_CERTIFICATE"
_KEY: Final = "GATEWAY_TLS_KEY"
_BOTH: Final = f"{_CERTIFICATE}, {_KEY}"

log = get_logger(__name__)


class TlsCertificate:
    """A certificate with its key, which later handshakes use anew after each ``reload``.

    Args:
        certificate: path of the certificate and its chain, PEM.
        key: path of the certificate's private key, PEM.
        handshake_seconds: a connection that has not finished its handshake by then is closed.

    Raises:
        SettingsError: a file cannot be read, or the two do not belong together.
    """

    def __init__(self, certificate: str, key: str, handshake_seconds: float) -> None:
        self._paths = certificate, key
        self._handshake_s = handshake_seconds
        self._context = _make_context(certificate, key)

    @classmethod
    def of(cls, settings: Settings) -> Self | None:
        """Return the certificate of the settings, ``None`` if they name none.

        Raises:
            SettingsError: as the class does.
        """
        if settings.tls_certificate is None or settings.tls_key is None:
            return None
        return cls(settings.tls_certificate, settings.tls_key, settings.head_timeout_seconds)

    @property
    def listening(self) -> dict[str, Any]:
        """The arguments of ``create_server``."""
        return {
            "ssl": self._context,
            "ssl_handshake_timeout": self._handshake_s,
            "ssl_shutdown_timeout": CLOSE_TIMEOUT_SECONDS,
        }

    def reload(self) -> None:
        """Use what the files hold now. A bad pair changes nothing, and the log says why."""
        try:
            _make_context(*self._paths)  # a bad pair must not replace half of the good one
            _load(self._context, *self._paths)
        except SettingsError as error:
            log.error("SIGHUP: the certificate stays", problems=list(error.problems))
        else:
            log.info("SIGHUP: the certificate was read again")


def _make_context(certificate: str, key: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(_PROTOCOLS)
    _load(context, certificate, key)
    return context


def _load(context: ssl.SSLContext, certificate: str, key: str) -> None:
    for variable, path in ((_CERTIFICATE, certificate), (_KEY, key)):
        try:
            os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC))
        except OSError as error:
            raise SettingsError(
                [f"{variable}: the file cannot be read: {error.strerror}"]
            ) from None
        except ValueError:  # a null character, or a lone surrogate
            raise SettingsError([f"{variable}: must be the path of a file"]) from None
    try:
        context.load_cert_chain(certificate, key, password=_refuse_passphrase)
    except ssl.SSLError as error:
        raise SettingsError([_describe(error)]) from None
    except ValueError:
        raise SettingsError([f"{_KEY}: has a passphrase; use a key without one"]) from None
    except OSError as error:
        raise SettingsError([f"{_BOTH}: cannot be read: {error.strerror}"]) from None


def _describe(error: ssl.SSLError) -> str:
    if error.reason == "KEY_VALUES_MISMATCH":
        return f"{_BOTH}: the key is not the certificate's"
    return f"{_BOTH}: must be a certificate and its private key in PEM"


def _refuse_passphrase() -> str:
    """Keep OpenSSL from asking for a passphrase on the terminal."""
    raise ValueError
