"""``tidegate audit verify``: checks the files of an audit log with its key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from gateway.audit import AuditEvent
from gateway.audit_check import AuditCheck
from gateway.errors import SettingsError
from gateway.server.secret_file import read_secret_file

_KEY: Final = "GATEWAY_AUDIT_KEY"
_STREAM: Final = "--stream"
_LAST: Final = "--last="


def verify_audit(
    environ: Mapping[str, str], arguments: Sequence[str]
) -> tuple[list[str], list[str]]:
    """Return what the files of an audit log hold, and what is wrong with them.

    Args:
        environ: the environment, for the key.
        arguments: ``--stream``, ``--last=NUMBER``, and the files, the oldest first.

    Returns:
        Facts and problems, a line each.

    Raises:
        SettingsError: the key is missing, a file cannot be read, or the number is none.
    """
    paths = [one for one in arguments if one != _STREAM and not one.startswith(_LAST)]
    least = [_number(one) for one in arguments if one.startswith(_LAST)]
    check = AuditCheck(_read_key(environ).encode(), is_stream=_STREAM in arguments)
    for path in paths:
        try:
            with Path(path).open("rb") as file:
                for number, line in enumerate(file, start=1):
                    check.take(line, f"{path}:{number}")
        except OSError as error:
            raise SettingsError([f"{path}: cannot be read: {error.strerror}"]) from None
    for number in least:
        check.reaches(number)
    return _facts(check), _problems(check)


def _number(argument: str) -> int:
    digits = argument.removeprefix(_LAST)
    if not digits.isascii() or not digits.isdecimal():
        raise SettingsError([f"{argument}: must be {_LAST}NUMBER, such as {_LAST}120"])
    return int(digits)


def _read_key(environ: Mapping[str, str]) -> str:
    path = environ.get(f"{_KEY}_FILE")
    if path is None:
        key = environ.get(_KEY, "")
    else:
        try:
            key = read_secret_file(path)
        except ValueError as error:
            raise SettingsError([f"{_KEY}_FILE: {error}"]) from None
    if not key:
        raise SettingsError([f"{_KEY}: is missing; set it, or {_KEY}_FILE, to the gateway's key"])
    return key


def _facts(check: AuditCheck) -> list[str]:
    if check.last is None:
        return ["no line of an audit log"]
    facts = [*check.notes, f"{check.lines} lines, the last is number {check.last.link.number}"]
    facts[-1] += f" of {check.last.fields.get('time')}"
    if check.lost:
        facts.append(f"{check.lost} events were lost, as the log itself tells")
    if check.last.event != AuditEvent.LOG_CLOSED:
        facts.append("the log is not closed: its gateway runs, or ended without closing it")
    return facts


def _problems(check: AuditCheck) -> list[str]:
    problems = list(check.problems)
    if check.last is None:
        problems.append("the files hold no line of an audit log")
    if check.more_problems:
        problems.append(f"and {check.more_problems} more problems")
    return problems
