"""``python -m gateway``: serve, with the settings of the environment."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import sys

from gateway.contract import LISTENING_LINE
from gateway.errors import SettingsError
from gateway.settings import Settings, read_settings


def main() -> int:
    """Read the settings, and serve until SIGTERM or SIGINT.

    Returns:
        The exit code: 0 after a signal, 2 for invalid settings or an unusable address.
    """
    try:
        settings = read_settings(os.environ, random_secret=secrets.token_urlsafe(48))
    except SettingsError as error:
        print(error, file=sys.stderr)  # noqa: T201 - a command line speaks
        return 2
    import uvloop

    from gateway.server.log import configure_logs

    configure_logs(settings.log_level, settings.log_format)
    try:
        uvloop.run(_serve(settings))
    except OSError as error:
        print(  # noqa: T201
            f"cannot listen on {settings.host}:{settings.port}: {error.strerror or error}; "
            "set HOST and PORT (0 picks a free port)",
            file=sys.stderr,
        )
        return 2
    return 0


async def _serve(settings: Settings) -> None:
    from gateway.server.app import Gateway, run

    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signal_number, stopping.set)
    await run(Gateway(settings), stopping, _announce)


def _announce(url: str) -> None:
    print(f"{LISTENING_LINE}{url}", flush=True)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
