"""The files that commands write: a run's own in one step, a user's in place.

ValueError
└── OutputRefused    an output cannot be written; nothing was started
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from loadtests.ending import print_result

STANDARD_OUTPUT: Final = frozenset({"-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"})
EXPORTS: Final = ("bencher", "customSmallerIsBetter", "openmetrics")
"""Formats of other tools that a run's figures are written in (``reports.exports``)."""
_STANDARD_ERROR: Final = frozenset({"/dev/stderr", "/dev/fd/2", "/proc/self/fd/2"})
_ENCODING: Final = {"encoding": "utf-8", "errors": "backslashreplace"}
"""A file name that is no UTF-8 comes as lone surrogates: in JSON, ``\\udc80`` is an escape."""


class OutputRefused(ValueError):  # noqa: N818 - the command's answer
    """An output that cannot be written; the message names its option."""


def check_outputs(named: Mapping[str, Path | None]) -> None:
    """Check that outputs can be written, and make their folders.

    Args:
        named: path by the option that names it; None where the option is not given.

    Raises:
        OutputRefused: one cannot be written, or two of them are one file.
    """
    held: dict[str, str] = {}
    for option, path in named.items():
        if path is None:
            continue
        place = "-" if is_standard_output(path) else os.path.realpath(path)
        if place in held and (place == "-" or not _is_special(path)):
            raise OutputRefused(f"{held[place]} and {option} name one output; name two")
        held[place] = option
        if place != "-" and str(path) not in _STANDARD_ERROR:
            _check_file(option, path)


def parse_exports(words: Sequence[str]) -> dict[str, Path]:
    """Return the file of each format that ``--export FORMAT=FILE`` names, by format.

    Raises:
        OutputRefused: a format is unknown or named twice, or has no file.
    """
    found: dict[str, Path] = {}
    for word in words:
        name, _, path = word.partition("=")
        if name not in EXPORTS or not path:
            known = ", ".join(f"{one}=FILE" for one in EXPORTS)
            raise OutputRefused(f"--export {word} is none of {known}")
        if name in found:
            raise OutputRefused(f"--export {name} is named twice; a format has one file")
        found[name] = Path(path)
    return found


def check_exports(words: Sequence[str]) -> dict[str, Path]:
    """Return the files of ``--export`` by format, once it is certain that they can be written.

    Raises:
        OutputRefused: see ``parse_exports`` and ``check_outputs``.
    """
    found = parse_exports(words)
    check_outputs({f"--export {name}": path for name, path in found.items()})
    return found


def check_folder(option: str, folder: Path) -> None:
    """Check that files can be made in a folder, which is made when it is missing.

    Raises:
        OutputRefused: they cannot.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputRefused(f"{option} {folder}: {error.strerror}") from None
    if not os.access(folder, os.W_OK | os.X_OK):
        raise OutputRefused(f"{option} {folder}: the folder is not writable")


def is_standard_output(path: Path | None) -> bool:
    """Return whether an output is standard output, so that nothing else may be printed there."""
    return str(path) in STANDARD_OUTPUT


def write_output(path: Path, text: str) -> None:
    """Write a user's output in place: a device, a pipe or a link is written to, not replaced.

    Raises:
        OSError: it cannot be written.
    """
    if is_standard_output(path):
        print_result(text)
    elif str(path) in _STANDARD_ERROR:
        sys.stderr.write(text)
    else:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, **_ENCODING)


def write_together(texts: Mapping[Path, str]) -> None:
    """Replace files in one step each, after all of them were written beside their places.

    Raises:
        OSError: one cannot be written; then none is replaced.
    """
    drafts = {path: path.with_name(f".{path.name}.{os.getpid()}.part") for path in texts}
    try:
        for path, text in texts.items():
            drafts[path].write_text(text, **_ENCODING)
        for path, draft in drafts.items():
            draft.replace(path)
    finally:
        for draft in drafts.values():
            draft.unlink(missing_ok=True)


def _check_file(option: str, path: Path) -> None:
    try:
        if path.is_dir():
            raise OutputRefused(f"{option} {path}: is a folder; name a file in it")
        if path.exists():
            if not os.access(path, os.W_OK):
                raise OutputRefused(f"{option} {path}: the file is not writable")
            return
    except OSError as error:
        raise OutputRefused(f"{option} {path}: {error.strerror}") from None
    check_folder(option, Path(os.path.realpath(path)).parent)


def _is_special(path: Path) -> bool:
    return path.exists() and not path.is_file()
