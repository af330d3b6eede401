"""``tidegate watch``: keeps a few real clients on a running gateway and reports what they see."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Annotated, Final

import typer

from gateway.contract import LEAST_SECRET_BYTES, USER_ID_PATTERN
from loadtests.cli.options import need, refuse, seconds

PORT: Final = 9_464
_LEAST: Final = 4
_MOST: Final = 100
_SHORTEST_S: Final = 5.0


def watch(
    url: Annotated[str, typer.Argument(metavar="URL", help="The gateway, http://HOST:PORT.")],
    clients: Annotated[int, typer.Option(min=_LEAST, max=_MOST, help="Clients to keep.")] = 8,
    symbol: Annotated[
        list[str] | None,
        typer.Option(help="A symbol of others to watch too. Can be repeated."),
    ] = None,
    tokens: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A token for each client, instead of JWT_SECRET."),
    ] = None,
    user: Annotated[
        str, typer.Option(help="With JWT_SECRET: the users are USER-0, USER-1 and so on.")
    ] = "witness",
    trading: Annotated[
        bool,
        typer.Option(
            "--trading", help="Publish canary orders to the room trading, for all to see."
        ),
    ] = False,
    limits: Annotated[
        bool,
        typer.Option(
            "--limits",
            help="With JWT_SECRET: a user of its own sends events up to the limits, each 80 s.",
        ),
    ] = False,
    every: Annotated[
        str, typer.Option(metavar="DURATION", help="Length of a round, 5 s or more.")
    ] = "10s",
    batches: Annotated[
        float,
        typer.Option(min=0.1, max=20, help="Batches of canaries a second; six market events each."),
    ] = 1.0,
    duration: Annotated[
        str | None, typer.Option(metavar="DURATION", help="End after this time. Default: never.")
    ] = None,
    token_leeway: Annotated[
        int, typer.Option(min=0, help="The gateway's GATEWAY_TOKEN_LEEWAY_SECONDS.")
    ] = 30,
    host: Annotated[str, typer.Option(help="Address of /metrics and /health.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65_535, help="Their port; 0 picks a free one.")
    ] = PORT,
) -> None:
    """Watch a running gateway with a few real clients, until it is stopped.

    Prints a JSON line for each round and each broken promise. Serves /metrics and /health. Without
    a publisher's token it sends no canaries. Exit codes: 0 nothing found, 1 a broken promise, 2 4.
    """
    need("watch")
    from loadtests.connection.protocol.handshake import parse_target
    from loadtests.errors import InvalidTarget
    from loadtests.given_tokens import GivenTokens, TokensRefused
    from loadtests.processes import child_environment, own_command

    try:
        parse_target(url)
        if tokens is not None and GivenTokens(tokens).count < clients:
            refuse(f"{tokens} has tokens of fewer than {clients} users; see --clients")
    except (InvalidTarget, TokensRefused) as error:
        refuse(str(error))
    every_s = seconds(every.strip()) or 0.0
    if every_s < _SHORTEST_S:
        refuse(f"--every {every} is less than {_SHORTEST_S:g} s")
    if tokens is None:
        _check_secret(user)
    elif limits:
        refuse("--limits needs a user of its own, and so JWT_SECRET in place of --tokens")
    options = {
        "plan": {
            "url": url,
            "clients": clients,
            "symbols": symbol or [],
            "every_s": every_s,
            "batches_per_s": batches,
            "trading": trading,
            "limits": limits,
            "leeway_s": token_leeway,
        },
        "tokens": None if tokens is None else str(tokens),
        "user": user,
        "duration_s": seconds(duration),
        "listen": [host, port],
    }
    os.execve(  # noqa: S606 - becomes the witness, with our own interpreter
        sys.executable,
        own_command("loadtests.watching", json.dumps(options)),
        child_environment(os.environ),
    )


def _check_secret(user: str) -> None:
    secret = os.environ.get("JWT_SECRET", "")
    if len(secret.encode("utf-8", "surrogateescape")) < LEAST_SECRET_BYTES:
        refuse(
            f"JWT_SECRET is missing or has fewer than {LEAST_SECRET_BYTES} bytes; set it to the "
            "gateway's secret, or name a file of tokens with --tokens"
        )
    if not USER_ID_PATTERN.fullmatch(f"{user}-0"):
        refuse(f"--user {user!r} makes no user id: use A-Z a-z 0-9 . _ @ | + = -")
