"""``python -m gateway``: serve, with the settings of the environment.

``--check`` checks what would stop it, and ``--check-token`` a token on standard input.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import sys
from collections.abc import Sequence
from typing import Final

from gateway.contract import LISTENING_LINE
from gateway.errors import SettingsError, SourceFailed
from gateway.server.lines import LineWriter
from gateway.server.process import open_standard_streams, raise_descriptor_limit
from gateway.server.secret_file import read_secret_file
from gateway.settings import Settings, read_settings

_STANDARD_OUTPUT: Final = 1
_STANDARD_ERROR: Final = 2
_STOPPING: Final = (signal.SIGTERM, signal.SIGINT)
_ECHO_S: Final = 0.5  # `timeout` and terminals signal a process and its group: that is one signal


def main(arguments: Sequence[str] = ()) -> int:
    """Read the settings, and serve until SIGTERM or SIGINT; or only check.

    Args:
        arguments: none, ``--check`` or ``--check-token``.

    Returns:
        The exit code: 0 after a signal or a good check, 2 for invalid settings, an unusable
        address or a refused token.
    """
    if arguments:
        return _check(arguments)
    # Until the loop has its handlers: Ctrl-C ends without a traceback, and a hangup not at all.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    open_standard_streams()
    raise_descriptor_limit()
    random_secret = secrets.token_urlsafe(48)
    try:
        settings = _read_settings(random_secret)
    except SettingsError as error:
        return _refuse(str(error))
    import uvloop

    from gateway.server.log import configure_logs

    log_lines = configure_logs(settings.log_level, settings.log_format)
    try:
        return uvloop.run(_serve(settings, log_lines, random_secret))
    except (SettingsError, SourceFailed) as error:
        return _refuse(str(error))


def _check(arguments: Sequence[str]) -> int:
    from gateway.server.checking import check_start, check_token

    if list(arguments) == ["--check"]:
        facts, problems = check_start(os.environ)
    elif list(arguments) == ["--check-token"]:
        facts, problems = check_token(os.environ, sys.stdin.readline().strip())
    else:
        return _refuse(f"unknown: {' '.join(arguments)}; --check and --check-token are known")
    told = LineWriter(_STANDARD_OUTPUT)
    told.write("".join(f"{fact}\n" for fact in facts).encode())
    told.close()
    return _refuse("\n".join(problems)) if problems else 0


def _read_settings(random_secret: str) -> Settings:
    return read_settings(os.environ, random_secret=random_secret, read_file=read_secret_file)


async def _serve(settings: Settings, log_lines: LineWriter, random_secret: str) -> int:
    from gateway.server.app import Gateway, stop_when
    from gateway.server.log import get_logger
    from gateway.server.tracing import make_tracing

    log = get_logger("gateway")
    stopping, hurrying = asyncio.Event(), asyncio.Event()

    loop = asyncio.get_running_loop()
    hurry_from_s = 0.0

    def stop() -> None:
        nonlocal hurry_from_s
        if not stopping.is_set():
            stopping.set()
            hurry_from_s = loop.time() + _ECHO_S
        elif loop.time() >= hurry_from_s:
            hurrying.set()

    for signal_number in _STOPPING:
        loop.add_signal_handler(signal_number, stop)
    gateway = Gateway(settings, None, make_tracing(os.environ))

    def reload() -> None:
        try:
            renewed = _read_settings(random_secret)
        except SettingsError as error:
            log.error("SIGHUP: nothing changed", problems=list(error.problems))
        else:
            log.info("SIGHUP: files read again", changed=gateway.reload(renewed))

    loop.add_signal_handler(signal.SIGHUP, reload)  # by default it ends the process
    gateway.context.metrics.watch_log(lambda: log_lines.dropped)
    try:
        url = await gateway.start()
    except OSError as error:
        return _refuse(
            f"cannot listen on {settings.host}:{settings.port}: {error.strerror or error}; "
            "set HOST and PORT (0 picks a free port)"
        )
    log.info("listening", url=url)
    # Nobody may read standard output, or it may be closed: the log has the address too.
    LineWriter(_STANDARD_OUTPUT).write(f"{LISTENING_LINE}{url}\n".encode())
    if not await stop_when(gateway, stopping, hurrying):
        # To end thousands of clients would take seconds more. The kernel closes their sockets.
        log_lines.close()
        os._exit(0)
    # The loop takes its handlers with it: one more signal must not spoil the exit code.
    signal.pthread_sigmask(signal.SIG_BLOCK, (*_STOPPING, signal.SIGHUP))
    return 0


def _refuse(why: str) -> int:
    """Say why the gateway does not start, and return the exit code."""
    errors = LineWriter(_STANDARD_ERROR)
    errors.write(f"{why}\n".encode(errors="backslashreplace"))
    errors.close()
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
