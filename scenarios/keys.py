"""The keys of a scenario file, as the reader itself asks for them.

An empty table records each question of the reader: key, kind, range, default. So the JSON Schema,
``--set`` and ``docs/scenarios.md`` know the same keys as the reader, and no list is kept beside it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from types import MappingProxyType
from typing import Final, Literal

from scenarios import capacity_table, model, schema
from scenarios.groups import GROUP_CLASSES
from scenarios.reading import Source, Table

KeyKind = Literal[
    "integer", "one of", "number", "boolean", "duration", "size", "text", "texts", "raw"
]

RECORDS: Final[Mapping[str, type]] = {
    "phases": model.Phases,
    "stages": model.LoadStage,
    "commands": model.Command,
    "capacity": capacity_table.Capacity,
    "market": model.Market,
    "publish": model.Publish,
    "health": model.Health,
    "policy": model.Policy,
    **{f"users.{name}": group_class for name, group_class in GROUP_CLASSES.items()},
}
"""The record of each table, whose docstring describes its keys."""
_TOP: Final = {
    "name": "name in run directories and reports",
    "seed": "seed of every random choice: the same file makes the same load",
    "nodes": "how many gateways a run starts; several share a `redis-server`, which it starts too: "
    "[nodes.md](nodes.md)",
    "budgets": "limits that decide the verdict: [budgets.md](budgets.md)",
}
_NOTHING: Final[Mapping[tuple[str, str], str]] = MappingProxyType({})


@dataclass(frozen=True, kw_only=True, slots=True)
class ScenarioKey:
    """One key that the reader asks for.

    Attributes:
        table: dotted name of its table; empty at the top.
        name: of the key.
        kind: of its value. The reader checks a ``raw`` value itself.
        low: the least value: a number, s, or B.
        high: the largest value.
        allowed: the texts to choose from.
        numbers: the whole numbers to choose from.
        default: without the key; None where nothing stands for it.
        is_required: whether the key must be there, where ``when`` allows it.
        right: what to write, in words or as an example.
        meaning: one line.
        when: a key of the same table and its values with which this key is read; None for always.
    """

    table: str
    name: str
    kind: KeyKind
    low: float | None = None
    high: float | None = None
    allowed: tuple[str, ...] = ()
    numbers: tuple[int, ...] = ()
    default: float | str | bool | None = None
    is_required: bool = True
    right: str = ""
    meaning: str = ""
    when: tuple[str, tuple[str, ...]] | None = None

    @property
    def dotted(self) -> str:
        """The name with its table, such as ``phases.steady``."""
        return f"{self.table}.{self.name}" if self.table else self.name


@dataclass(frozen=True, kw_only=True, slots=True)
class ScenarioKeys:
    """All keys of a scenario file.

    Attributes:
        keys: in the order in which the reader asks.
        optional: for each table's dotted name, whether the table may be left out.
        arrays: names of the arrays of tables.
    """

    keys: tuple[ScenarioKey, ...]
    optional: Mapping[str, bool]
    arrays: frozenset[str]

    def of(self, table: str) -> list[ScenarioKey]:
        """Return the keys of a table; empty name for those at the top."""
        return [key for key in self.keys if key.table == table]


class _AskingTable(Table):
    """An empty table that records every key the reader asks for.

    Args:
        path: of the table.
        above: the table around it.
        answers: what to answer for the choice of a table and key; else the first allowed text.
    """

    def __init__(
        self,
        path: tuple[str, ...] = (),
        above: _AskingTable | None = None,
        answers: Mapping[tuple[str, str], str] = _NOTHING,
    ) -> None:
        super().__init__(Source({}), path, {})
        self.name = ".".join(path)
        self.asked: list[ScenarioKey] = [] if above is None else above.asked
        self.optional: dict[str, bool] = {} if above is None else above.optional
        self.arrays: set[str] = set() if above is None else above.arrays
        self.answers: Mapping[tuple[str, str], str] = answers if above is None else above.answers

    def integer(
        self, key: str, low: int, high: int, example: int, default: int | None = None
    ) -> int:
        """Record a whole number."""
        self._note(key, "integer", low, high, right=f"{example}", default=default)
        return low

    def number(
        self, key: str, low: float, high: float, example: float, default: float | None = None
    ) -> float:
        """Record a number."""
        self._note(key, "number", low, high, right=f"{example:g}", default=default)
        return low

    def one_of(self, key: str, allowed: Sequence[int]) -> int | None:
        """Record a choice of whole numbers."""
        self._note(key, "one of", numbers=tuple(allowed), is_required=False)
        return None

    def boolean(self, key: str, *, default: bool) -> bool:
        """Record a boolean."""
        self._note(key, "boolean", default=default)
        return default

    def duration_s(
        self, key: str, low_s: float, high_s: float, example: str, default_s: float | None = None
    ) -> float:
        """Record a duration."""
        self._note(key, "duration", low_s, high_s, right=example, default=default_s)
        return low_s

    def size_bytes(
        self, key: str, low: int, high: int, example: str, *, is_required: bool = False
    ) -> int | None:
        """Record a size."""
        self._note(key, "size", low, high, right=example, is_required=is_required)
        return low

    def text(self, key: str, allowed: Sequence[str], default: str | None = None) -> str:
        """Record a choice."""
        self._note(key, "text", allowed=tuple(allowed), default=default)
        return self.answers.get((self.name, key), allowed[0])

    def texts(self, key: str, allowed: Sequence[str]) -> tuple[str, ...]:
        """Record a choice of several texts."""
        self._note(key, "texts", allowed=tuple(allowed), is_required=False)
        return tuple(allowed)

    def take(self, key: str, right: str) -> object:
        """Record a value that the reader checks itself."""
        self._note(key, "raw", right=right.removeprefix("write "))
        return None

    def table(self, key: str, *, optional: bool = False) -> Table | None:
        """Record a table."""
        found = _AskingTable((*self.name.split("."), key) if self.name else (key,), self)
        self.optional[found.name] = optional
        return found

    def tables(self, key: str) -> Iterable[Table]:
        """Record an array of tables."""
        self.optional[key] = True
        self.arrays.add(key)
        return [_AskingTable((key,), self)]

    def _note(
        self,
        key: str,
        kind: KeyKind,
        low: float | None = None,
        high: float | None = None,
        *,
        right: str = "",
        default: float | str | bool | None = None,
        allowed: tuple[str, ...] = (),
        numbers: tuple[int, ...] = (),
        is_required: bool = True,
    ) -> None:
        found = ScenarioKey(
            table=self.name,
            name=key,
            kind=kind,
            low=low,
            high=high,
            allowed=allowed,
            numbers=numbers,
            default=default,
            is_required=is_required and default is None,
            right=right,
            meaning=_TOP[key] if not self.name else _meaning(RECORDS[self.name], key),
        )
        self.asked.append(found)


@cache
def scenario_keys() -> ScenarioKeys:
    """Return every key that the reader asks for, with whatever choice makes it ask."""
    first = _ask(_NOTHING)
    answers: dict[tuple[str, str], str] = {}
    when: dict[tuple[str, str], tuple[str, tuple[str, ...]]] = {}
    for choice in (key for key in first.asked if len(key.allowed) > 1 and key.kind == "text"):
        place = (choice.table, choice.name)
        asked = {
            word: [key.name for key in _ask({place: word}).asked if key.table == choice.table]
            for word in choice.allowed
        }
        answers[place] = max(choice.allowed, key=lambda word: len(asked[word]))
        for name in asked[answers[place]]:
            words = tuple(word for word in choice.allowed if name in asked[word])
            if len(words) < len(choice.allowed):
                when[choice.table, name] = (choice.name, words)
    every = _ask(answers)
    keys = tuple(replace(key, when=when.get((key.table, key.name))) for key in every.asked)
    return ScenarioKeys(keys=keys, optional=every.optional, arrays=frozenset(every.arrays))


def _ask(answers: Mapping[tuple[str, str], str]) -> _AskingTable:
    top = _AskingTable(answers=answers)
    schema.read_tables(top, "")
    return top


def _meaning(record: type, key: str) -> str:
    """Return the record's description of a key. The attribute's name may end with a unit."""
    if key == "burst_size":
        return "how many arrive at once"
    found = [words for name, words in _attributes(record).items() if _is_named(name, key)]
    if len(found) != 1:
        raise LookupError(f"{record.__name__} describes {key!r} with {found or 'nothing'}")
    return found[0].removesuffix(".")


def _is_named(attribute: str, key: str) -> bool:
    return re.fullmatch(rf"{key}(_s|_ms|_bytes)?", attribute) is not None


@cache
def _attributes(record: type) -> dict[str, str]:
    """Return the entries of the docstrings' ``Attributes:``, by name, each in one line."""
    documents = (each.__doc__ or "" for each in reversed(record.__mro__))
    section = "".join(text.partition("Attributes:")[2] for text in documents)
    entries = re.split(r"(?m)^ {8}(\w+): ", section)[1:]
    names, texts = entries[::2], entries[1::2]
    joined = (" ".join(text.split()).replace("``", "`") for text in texts)
    return dict(zip(names, joined, strict=True))
