"""``python -m gateway``: serve, with the settings of the environment.

``--processes N`` serves with N processes on one port, and ``--node`` is the command of one of
them, which only their supervisor gives. ``--check`` checks what would stop it, ``--check-token`` a
token on standard input, and ``--verify-audit FILE...`` an audit log. ``--record SECONDS FILE URL
SYMBOL...`` records what a running gateway delivers.
"""

from __future__ import annotations

import asyncio
import gc
import os
import secrets
import signal
import socket
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from gateway.contract import LISTENING_LINE
from gateway.errors import SettingsError, SourceFailed
from gateway.server.lines import LineWriter
from gateway.server.process import die_with, open_standard_streams, raise_descriptor_limit
from gateway.server.secret_file import read_secret_file
from gateway.settings import Settings, read_settings
from gateway.values import whole

if TYPE_CHECKING:
    from gateway.server.app import Gateway
    from gateway.transport import Siblings

_MOST_PROCESSES: Final = 64
_BAD_COUNT: Final = f"--processes: must be a whole number from 1 to {_MOST_PROCESSES}"
_STANDARD_OUTPUT: Final = 1
_STANDARD_ERROR: Final = 2
_STOPPING: Final = (signal.SIGTERM, signal.SIGINT)
_ECHO_S: Final = 0.5  # `timeout` and terminals signal a process and its group: that is one signal


def main(arguments: Sequence[str] = ()) -> int:
    """Read the settings, and serve until SIGTERM or SIGINT; or only check.

    Args:
        arguments: none, ``--processes N``, ``--check [--processes N]``, ``--check-token``,
            ``--verify-audit`` with its files, or ``--record`` with its arguments.

    Returns:
        The exit code: 0 after a signal or a good check, 1 for an audit log with problems or a cut
        recording, 2 for invalid settings, an unusable address or a refused token.
    """
    processes, place = 1, None
    if list(arguments[:1]) == ["--node"]:
        place = list(arguments[1:])
    elif list(arguments[:1]) == ["--processes"]:
        count = _processes(arguments[1:])
        if count is None:
            return _refuse(_BAD_COUNT)
        processes = count
    elif arguments:
        return _check(arguments)
    # Until the loop has its handlers: Ctrl-C ends without a traceback, and a hangup not at all.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    open_standard_streams()
    raise_descriptor_limit()
    random_secret = secrets.token_urlsafe(48)
    try:
        settings = _read_settings(random_secret)
    except SettingsError as error:
        return _refuse(str(error))
    import uvloop

    from gateway.server.log import configure_logs

    log_lines = configure_logs(
        settings.log_level,
        settings.log_format,
        node=settings.node,
        shares_stream=processes > 1 or place is not None,
    )
    try:
        if processes > 1:
            return asyncio.run(_supervise(settings, processes, random_secret))
        siblings = None if place is None else _join(settings, place)
        return uvloop.run(_serve(settings, log_lines, random_secret, siblings))
    except (SettingsError, SourceFailed) as error:
        return _refuse(str(error))


def _check(arguments: Sequence[str]) -> int:
    from gateway.server.audit_verify import verify_audit
    from gateway.server.checking import check_start, check_token

    bad = 2
    if arguments[0] == "--check":
        processes = (
            _processes(arguments[2:] or "1") if arguments[1:2] in ([], ["--processes"]) else None
        )
        if processes is None:
            return _refuse(_BAD_COUNT)
        facts, problems = check_start(os.environ, processes)
    elif list(arguments) == ["--check-token"]:
        facts, problems = check_token(os.environ, sys.stdin.readline().strip())
    elif arguments[0] == "--verify-audit":
        bad = 1
        try:
            facts, problems = verify_audit(os.environ, arguments[1:])
        except SettingsError as error:
            return _refuse(str(error))
    elif arguments[0] == "--record":
        bad = 1
        try:
            facts, problems = asyncio.run(_record(*arguments[1:]))
        except SourceFailed as error:
            return _refuse(str(error))
    else:
        return _refuse(
            f"unknown: {' '.join(arguments)}; --processes N, --check, --check-token, "
            "--verify-audit and --record are known"
        )
    told = LineWriter(_STANDARD_OUTPUT)
    told.write("".join(f"{fact}\n" for fact in facts).encode())
    told.close()
    return _refuse("\n".join(problems), bad) if problems else 0


async def _record(seconds: str, file: str, url: str, *symbols: str) -> tuple[list[str], list[str]]:
    """Record a session with the token in ``TIDEGATE_TOKEN``; return its facts and its problems."""
    from gateway.server.session_recorder import record_session

    stop = asyncio.Event()
    for signal_number in _STOPPING:
        asyncio.get_running_loop().add_signal_handler(signal_number, stop.set)
    token = os.environ.get("TIDEGATE_TOKEN")
    done = await record_session(url, token, symbols, Path(file), float(seconds), stop)
    problems = [f"ended early: {done.ended}"] if done.ended else []
    if not done.records:
        return [], [*problems, f"nothing came, so {file} was not written; name other symbols?"]
    fact = f"{file}: {done.records:,} records of {len(done.symbols):,} symbols"
    for count, what in ((done.conflated, "conflated"), (done.skipped, "not recordable")):
        fact += f", {count:,} events {what}" if count else ""
    return [fact], problems


def _read_settings(random_secret: str) -> Settings:
    return read_settings(
        os.environ,
        random_secret=random_secret,
        read_file=read_secret_file,
        host_name=socket.gethostname(),
    )


def _processes(arguments: Sequence[str]) -> int | None:
    """Return the number of processes, ``None`` if it is no such number."""
    try:
        return whole(1, _MOST_PROCESSES)(" ".join(arguments))
    except ValueError:
        return None


def _join(settings: Settings, arguments: list[str]) -> Siblings:
    """Return the processes on this one's port."""
    from gateway.server.node_process import NodePlace
    from gateway.transport import Siblings

    place = NodePlace.of(arguments)
    die_with(place.supervisor)
    base = settings.node.removesuffix(f"-{place.number}")
    names = [f"{base}-{number}" for number in range(place.count)]
    return Siblings(place.folder, names, place.number)


async def _supervise(settings: Settings, processes: int, random_secret: str) -> int:
    from gateway.server.node_supervisor import NodeSupervisor

    def tell(url: str) -> None:
        LineWriter(_STANDARD_OUTPUT).write(f"{LISTENING_LINE}{url}\n".encode())

    try:
        supervisor = NodeSupervisor(
            settings,
            os.environ,
            processes,
            random_secret=random_secret,
            read_again=partial(_read_settings, random_secret),
            tell=tell,
        )
    except OSError as error:
        return _cannot_listen(settings, error)
    return await supervisor.run()


async def _serve(
    settings: Settings, log_lines: LineWriter, random_secret: str, siblings: Siblings | None
) -> int:
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
    gateway = Gateway(
        settings,
        tracing=make_tracing(os.environ),
        siblings=siblings,
        standard_error=log_lines,
    )
    if siblings is not None:
        loop.add_signal_handler(signal.SIGUSR1, gateway.refuse)
    # By default it ends the process.
    loop.add_signal_handler(signal.SIGHUP, partial(_reload, gateway, random_secret))
    gateway.context.metrics.watch_log(lambda: log_lines.dropped)
    try:
        url = await gateway.start()
    except OSError as error:
        return _cannot_listen(settings, error)
    log.info("listening", url=url)
    # Nobody may read standard output, or it may be closed: the log has the address too.
    LineWriter(_STANDARD_OUTPUT).write(f"{LISTENING_LINE}{url}\n".encode())
    if not await stop_when(gateway, stopping, hurrying):
        # To end thousands of clients would take seconds more. The kernel closes their sockets.
        gateway.close_audit()
        log_lines.close()
        os._exit(0)
    # The loop takes its handlers with it: one more signal must not spoil the exit code.
    signal.pthread_sigmask(signal.SIG_BLOCK, (*_STOPPING, signal.SIGHUP))
    # The interpreter's last collections would take longer than the rest of its end.
    gc.freeze()
    return 0


def _reload(gateway: Gateway, random_secret: str) -> None:
    from gateway.server.log import get_logger

    log = get_logger("gateway")
    gateway.reopen_audit()  # a rotation does not depend on good files
    try:
        renewed = _read_settings(random_secret)
    except SettingsError as error:
        log.error("SIGHUP: nothing changed", problems=list(error.problems))
    else:
        log.info("SIGHUP: files read again", changed=gateway.reload(renewed))


def _cannot_listen(settings: Settings, error: OSError) -> int:
    return _refuse(
        f"cannot listen on {settings.host}:{settings.port}: {error.strerror or error}; "
        "set HOST and PORT (0 picks a free port)"
    )


def _refuse(why: str, code: int = 2) -> int:
    """Say why the gateway does not start, or what a check found, and return the exit code."""
    errors = LineWriter(_STANDARD_ERROR)
    errors.write(f"{why}\n".encode(errors="backslashreplace"))
    errors.close()
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
