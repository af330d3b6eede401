"""A strict reader of one TOML table: it reads known keys and reports all others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import cast

from scenarios.locate import KeyPath
from scenarios.problems import Problem, shown, suggest
from scenarios.units import (
    BYTE_UNITS,
    NANOSECONDS_PER_SECOND,
    parse_duration_ns,
    split_quantity,
)

_LONGEST_KEY = 120


class Source:
    """The lines of a file's keys and the problems found, shared by its tables."""

    def __init__(self, lines: Mapping[KeyPath, int]) -> None:
        self.lines = lines
        self.problems: list[Problem] = []

    def line(self, path: KeyPath) -> int:
        """Return the line of a path, or of the nearest enclosing path with a line."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)

    def report(self, path: KeyPath, message: str) -> None:
        """Add a problem at a path."""
        self.problems.append(Problem(self.line(path), message))


class Table:
    """One table. After a problem, each reading method returns a harmless value."""

    def __init__(self, source: Source, path: KeyPath, content: Mapping[str, object]) -> None:
        self.source = source
        self.path = path
        self.content = content
        self._known: list[str] = []

    def finish(self, removed: Mapping[str, str] = MappingProxyType({})) -> None:
        """Report each key that no reader asked for, with the nearest one that is known.

        ``removed`` holds keys of earlier versions, each with what to do instead.
        """
        for key in self.content:
            if key in removed:
                self.report(key, f"{self._named(key)} is no longer read; {removed[key]}")
            elif key not in self._known:
                hint = suggest(key, self._known)
                self.report(key, f"unknown key {self._named(key)[:_LONGEST_KEY]}; {hint}")

    def report(self, key: str, message: str) -> None:
        """Add a problem at a key of this table."""
        self.source.report((*self.path, key), message)

    def integer(
        self, key: str, low: int, high: int, example: int, default: int | None = None
    ) -> int:
        """Return a whole number from ``low`` to ``high``.

        Args:
            key: of the value.
            low: the least value.
            high: the largest value.
            example: for the message.
            default: without it the key is required.
        """
        right = f"write a whole number from {low:,} to {high:,}, such as {example}"
        value = self._get(key, right, optional=default is not None)
        if isinstance(value, int) and not isinstance(value, bool) and low <= value <= high:
            return value
        if value is not None:
            self.report(key, f"{self._named(key)} = {shown(value)}; {right}")
        return low if default is None else default

    def one_of(self, key: str, allowed: Sequence[int]) -> int | None:
        """Return one of the allowed numbers; None without the key."""
        value = self._get(key, "", optional=True)
        if value is None:
            return None
        if isinstance(value, int) and not isinstance(value, bool) and value in allowed:
            return value
        right = f"write one of {', '.join(map(str, allowed))}"
        self.report(key, f"{self._named(key)} = {shown(value)}; {right}")
        return None

    def boolean(self, key: str, *, default: bool) -> bool:
        """Return true or false."""
        value = self._get(key, "", optional=True)
        if isinstance(value, bool):
            return value
        if value is not None:
            self.report(key, f"{self._named(key)} = {shown(value)}; write true or false")
        return default

    def number(
        self, key: str, low: float, high: float, example: float, default: float | None = None
    ) -> float:
        """Return a number from ``low`` to ``high``.

        Args:
            key: of the value.
            low: the least value.
            high: the largest value.
            example: for the message.
            default: without it the key is required.
        """
        right = f"write a number from {low:g} to {high:,g}, such as {example:g}"
        value = self._get(key, right, optional=default is not None)
        if value is None:
            return low if default is None else default
        if isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high:
            return float(value)
        self.report(key, f"{self._named(key)} = {shown(value)}; {right}")
        return low

    def duration_s(
        self, key: str, low_s: float, high_s: float, example: str, default_s: float | None = None
    ) -> float:
        """Return a duration, written with its unit, in seconds.

        Args:
            key: of the value.
            low_s: the least value, s.
            high_s: the largest value, s.
            example: for the message.
            default_s: without it the key is required, s.
        """
        right = f'write a duration from {low_s:g} s to {high_s:g} s, such as "{example}"'
        value = self._get(key, right, optional=default_s is not None)
        if value is None:
            return low_s if default_s is None else default_s
        try:
            found_s = parse_duration_ns(str(value)) / NANOSECONDS_PER_SECOND
        except ValueError:
            found_s = -1.0
        if isinstance(value, str) and low_s <= found_s <= high_s:
            return found_s
        self.report(key, f"{self._named(key)} = {shown(value)}; {right}")
        return low_s

    def size_bytes(
        self, key: str, low: int, high: int, example: str, *, is_required: bool = False
    ) -> int | None:
        """Return a size, written with its unit, in bytes; None without the key.

        Args:
            key: of the value.
            low: the least value, B.
            high: the largest value, B.
            example: for the message.
            is_required: whether the key must be there.
        """
        right = f'write a size from {low:,} B to {high:,} B, such as "{example}"'
        value = self._get(key, right, optional=not is_required)
        if value is None:
            return None
        found = split_quantity(value) if isinstance(value, str) else None
        size = found[0] * BYTE_UNITS[found[1]] if found and found[1] in BYTE_UNITS else -1.0
        if low <= size <= high and size == int(size):
            return int(size)
        self.report(key, f"{self._named(key)} = {shown(value)}; {right}")
        return None

    def text(self, key: str, allowed: Sequence[str], default: str | None = None) -> str:
        """Return one of the allowed texts.

        Args:
            key: of the value.
            allowed: the texts.
            default: without it the key is required.
        """
        right = f"write one of {', '.join(allowed)}"
        value = self._get(key, right, optional=default is not None)
        if value is None:
            return allowed[0] if default is None else default
        if value not in allowed:
            self.report(key, f"{self._named(key)} = {shown(value)}; {suggest(str(value), allowed)}")
            return allowed[0]
        return cast(str, value)

    def texts(self, key: str, allowed: Sequence[str]) -> tuple[str, ...]:
        """Return one or more of the allowed texts, each once; all of them without the key."""
        value = self._get(key, "", optional=True)
        if value is None:
            return tuple(allowed)
        right = f"write a list of {', '.join(allowed)}"
        if not isinstance(value, list) or not value:
            self.report(key, f"{self._named(key)} = {shown(value)}; {right}")
            return tuple(allowed)
        for item in value:
            if item not in allowed:
                words = suggest(str(item), allowed)
                self.report(key, f"{self._named(key)} names {shown(item)}; {words}")
            elif value.count(item) > 1:
                self.report(key, f"{self._named(key)} names {shown(item)} twice; {right}")
        return tuple(cast(list[str], value))

    def take(self, key: str, right: str) -> object:
        """Return a key's raw value; None after reporting that it is missing."""
        return self._get(key, right)

    def table(self, key: str, *, optional: bool = False) -> Table | None:
        """Return a table inside this one; None when it is missing or not a table."""
        value = self._get(key, f"add a table [{self._named(key)}]", optional=optional)
        if isinstance(value, dict):
            return Table(self.source, (*self.path, key), cast(Mapping[str, object], value))
        if value is not None:
            self.report(key, f"{self._named(key)} is not a table; write [{self._named(key)}]")
        return None

    def tables(self, key: str) -> Iterable[Table]:
        """Return the elements of an array of tables; none without the key."""
        value = self._get(key, "", optional=True)
        if value is None:
            return []
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            self.report(
                key, f"{self._named(key)} is not a list of tables; write [[{key}]] above each"
            )
            return []
        return [
            Table(self.source, (*self.path, key, index), cast(Mapping[str, object], item))
            for index, item in enumerate(value)
        ]

    def _get(self, key: str, right: str, *, optional: bool = False) -> object:
        self._known.append(key)
        value = self.content.get(key)
        if value is None and not optional:
            self.report(key, f"{self._named(key)} is missing; {right}")
        return value

    def _named(self, key: str) -> str:
        names = [part for part in self.path if isinstance(part, str)]
        return ".".join([*names, key])
