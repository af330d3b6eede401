"""The text of a TOML file, and its content with the line of each key."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from scenarios.locate import KeyPath, locate_keys
from scenarios.problems import Problem, ScenarioError

MOST_BYTES: Final = 262_144
_LONGEST: Final = 4_096
"""Characters of a line. Python reads no number of more than 4,300 digits."""
_SYNTAX_LINE: Final = re.compile(r"\s*\(at (?:line (?P<line>\d+), column \d+|end of document)\)")


def read_text(path: Path, right: str) -> str:
    """Return a file's text without its byte-order mark.

    Args:
        path: the file.
        right: what to name instead of a file that cannot be read.

    Raises:
        ScenarioError: the file cannot be read, is no UTF-8, or is too large.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
        if len(content) <= MOST_BYTES:
            return content.decode("utf-8-sig").replace("\r\n", "\n")
        words = f"is larger than {MOST_BYTES:,} B; name {right}"
    except OSError as error:
        words = f"cannot be read: {error.strerror}; name {right}"
    except UnicodeDecodeError:
        words = "is not UTF-8 text"
    raise ScenarioError(str(path), [Problem(1, words)])


def parse_toml(text: str, path: str) -> tuple[dict[str, Any], Mapping[KeyPath, int]]:
    """Return the content of a TOML text and the line of each key.

    Raises:
        ScenarioError: the text is no TOML; ``path`` names it.
    """
    lines = text.split("\n")
    long = next((place for place, line in enumerate(lines, 1) if len(line) > _LONGEST), None)
    if long is not None:
        words = f"has more than {_LONGEST:,} characters in a line"
        raise ScenarioError(path, [Problem(long, words)])
    try:
        return tomllib.loads(text), locate_keys(text)
    except tomllib.TOMLDecodeError as error:
        problem = _syntax_problem(str(error), text)
    except RecursionError:
        problem = Problem(1, "is nested too deeply; a scenario needs three levels at most")
    raise ScenarioError(path, [problem]) from None


def _syntax_problem(message: str, text: str) -> Problem:
    match = _SYNTAX_LINE.search(message)
    last = text.count("\n") + 1
    line = int(match["line"]) if match and match["line"] else last
    return Problem(line, f"is not valid TOML: {_SYNTAX_LINE.sub('', message)[:200]}")
