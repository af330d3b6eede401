"""``tidegate record``: records the market events of a running gateway for a replay."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Final

import typer

from loadtests.cli.options import need, refuse, seconds

_USER: Final = "recorder"
_LIFETIME_S: Final = 600
"""The gateway closes a connection when its token expires, so it lasts so much longer."""


def record(
    url: Annotated[str, typer.Argument(metavar="URL", help="The gateway, http://HOST:PORT.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="The Parquet file, a new one.")
    ],
    duration: Annotated[
        str, typer.Option("--seconds", metavar="DURATION", help="How long, such as 60 or 10m.")
    ] = "60",
    symbol: Annotated[
        list[str] | None,
        typer.Option(help="A symbol to record. Can be repeated. Default: every market event."),
    ] = None,
) -> None:
    """Record the market events of a running gateway, for GATEWAY_MARKET=replay.

    The token is TIDEGATE_TOKEN, or is signed with JWT_SECRET; a gateway in development needs none.
    Exit codes: 0 recorded, 1 nothing came or the connection ended early, 2.
    """
    need("record")
    from loadtests.connection.protocol.handshake import parse_target
    from loadtests.errors import InvalidTarget
    from loadtests.processes import child_environment, own_command
    from loadtests.tokens import USER_LIFETIME_S, mint

    try:
        parse_target(url)
    except InvalidTarget as error:
        refuse(str(error))
    length_s = seconds(duration.strip()) or 0.0
    if not 0 < length_s <= USER_LIFETIME_S - _LIFETIME_S:
        refuse(f"--seconds {duration} must be more than 0 and at most 22h")
    environment = child_environment(os.environ)
    if "TIDEGATE_TOKEN" not in environment and environment.get("JWT_SECRET"):
        lifetime_s = int(length_s) + _LIFETIME_S
        environment["TIDEGATE_TOKEN"] = mint(
            environment["JWT_SECRET"], _USER, lifetime_s=lifetime_s
        )
    words = ["--record", str(length_s), str(output), url, *(symbol or ())]
    os.execve(  # noqa: S606 - becomes the recorder, with our own interpreter
        sys.executable, [*own_command("gateway"), *words], environment
    )
