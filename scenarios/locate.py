"""The line of each key in a TOML text, and the place of its value.

The standard library's reader gives values without lines. This walks a text that the reader has
accepted, so it can trust the syntax and only has to skip strings and comments correctly.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

KeyPath = tuple[str | int, ...]

_DEEPEST: Final = 32
_BARE: Final = re.compile(r"[A-Za-z0-9_-]+")
_SCALAR: Final = re.compile(r"[^,\]\}\n#]+")
_STRINGS: Final = (
    re.compile(r'"""(?:[^\\]|\\.)*?"""+', re.DOTALL),
    re.compile(r"'''.*?'''+", re.DOTALL),
    re.compile(r'"(?:[^"\\\n]|\\.)*"'),
    re.compile(r"'[^'\n]*'"),
)
_SPACE: Final = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_BLANK: Final = re.compile(r"[ \t]*")


def locate_keys(text: str) -> dict[KeyPath, int]:
    """Return the line (from 1) of each table, key and array element of a valid TOML text.

    Paths are as in the parsed document: ``("publish", 0, "rate")``, ``("budgets", 3)``.

    Raises:
        RecursionError: the text is nested too deeply.
    """
    return _Walker(text).walk()


@dataclass(frozen=True, kw_only=True, slots=True)
class TextPlaces:
    """Where the parts of a TOML text are, as offsets.

    Attributes:
        values: begin and end of the value of each key and array element.
        bodies: of each table with a header, where its first key may stand: after the header's line.
        known: every path of the text.
    """

    values: Mapping[KeyPath, tuple[int, int]]
    bodies: Mapping[KeyPath, int]
    known: Collection[KeyPath]


def locate_parts(text: str) -> TextPlaces:
    """Return where the parts of a valid TOML text are.

    Raises:
        RecursionError: the text is nested too deeply.
    """
    walker = _Walker(text)
    known = walker.walk()
    return TextPlaces(values=walker.values, bodies=walker.bodies, known=known)


class _Walker:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.lines: dict[KeyPath, int] = {}
        self.counts: dict[KeyPath, int] = {}
        self.values: dict[KeyPath, tuple[int, int]] = {}
        self.bodies: dict[KeyPath, int] = {}

    def walk(self) -> dict[KeyPath, int]:
        table: KeyPath = ()
        while self._skip(_SPACE) < len(self.text):
            if self._take("[["):
                table = self._array_table(self._resolve(self._dotted()))
                self._take("]]")
                self._open(table)
            elif self._take("["):
                table = self._resolve(self._dotted())
                self._mark(table)
                self._take("]")
                self._open(table)
            else:
                self._pair(table)
        return self.lines

    def _open(self, table: KeyPath) -> None:
        end = self.text.find("\n", self.at)
        self.bodies[table] = len(self.text) if end < 0 else end + 1

    def _array_table(self, path: KeyPath) -> KeyPath:
        index = self.counts.get(path, 0)
        self.counts[path] = index + 1
        self._mark(path)
        self._mark((*path, index))
        return (*path, index)

    def _resolve(self, keys: list[str]) -> KeyPath:
        """Return a header's path through the last element of each array of tables."""
        path: KeyPath = ()
        for place, key in enumerate(keys):
            path = (*path, key)
            if path in self.counts and place < len(keys) - 1:
                path = (*path, self.counts[path] - 1)
        return path

    def _pair(self, table: KeyPath) -> None:
        path = table
        start = self.at
        for key in self._dotted():
            path = (*path, key)
            self._mark(path, start)
        self._take("=")
        begin = self._skip(_BLANK)
        self._value(path)
        self.values[path] = begin, self._end_of_value(begin)

    def _end_of_value(self, begin: int) -> int:
        return begin + len(self.text[begin : self.at].rstrip())

    def _dotted(self) -> list[str]:
        keys = []
        while True:
            self._skip(_BLANK)
            quoted = self._string()
            keys.append(self._run(_BARE) if quoted is None else quoted[1:-1])
            self._skip(_BLANK)
            if not self._take("."):
                return keys
            if len(keys) >= _DEEPEST:
                raise RecursionError("a key has too many parts")

    def _value(self, path: KeyPath) -> None:
        self._skip(_BLANK)
        if self._take("["):
            self._elements(path)
        elif self._take("{"):
            while self._skip(_SPACE) < len(self.text) and not self._take("}"):
                self._pair(path)
                self._skip(_SPACE)
                self._take(",")
        elif self._string() is None:
            self._run(_SCALAR)

    def _elements(self, path: KeyPath) -> None:
        index = 0
        while self._skip(_SPACE) < len(self.text) and not self._take("]"):
            self._mark((*path, index))
            begin = self.at
            self._value((*path, index))
            self.values[*path, index] = begin, self._end_of_value(begin)
            index += 1
            self._skip(_SPACE)
            self._take(",")

    def _mark(self, path: KeyPath, at: int | None = None) -> None:
        line = self.text.count("\n", 0, self.at if at is None else at) + 1
        self.lines.setdefault(path, line)

    def _string(self) -> str | None:
        for pattern in _STRINGS:
            match = pattern.match(self.text, self.at)
            if match is not None:
                self.at = match.end()
                return match[0]
        return None

    def _run(self, pattern: re.Pattern[str]) -> str:
        match = pattern.match(self.text, self.at)
        # An unexpected character is skipped, so that the walk always ends.
        self.at = match.end() if match is not None else self.at + 1
        return match[0] if match is not None else ""

    def _skip(self, pattern: re.Pattern[str]) -> int:
        match = pattern.match(self.text, self.at)
        self.at = match.end() if match is not None else self.at
        return self.at

    def _take(self, mark: str) -> bool:
        if not self.text.startswith(mark, self.at):
            return False
        self.at += len(mark)
        return True
