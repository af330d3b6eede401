"""Write ``docs/scenarios.md`` from the keys that the scenario reader asks for."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from scenarios import schema
from scenarios.groups import GROUP_CLASSES
from scenarios.reading import Source, Table

_TELLING: Final = ("burst", "send")
"""Choices with which a table accepts all of its optional keys."""
_RECORDS: Final[dict[str, type]] = {
    "phases": schema.Phases,
    "stages": schema.LoadStage,
    "commands": schema.Command,
    "capacity": schema.Capacity,
    "market": schema.Market,
    "publish": schema.Publish,
    "health": schema.Health,
    "policy": schema.Policy,
    **{f"users.{name}": group_class for name, group_class in GROUP_CLASSES.items()},
}
_TOP: Final = {
    "name": "name in run directories and reports",
    "seed": "seed of every random choice: the same file makes the same load",
    "budgets": "limits that decide the verdict: [budgets.md](budgets.md)",
}
_REQUIRED: Final = {
    "burst_size": "required with `burst`",
    "commands.who": "required, except with `terminate` and `restart`",
    "commands.count": "required with `subscribe` and `send`",
}
"""Keys that are required only with some choices."""
_ARRAYS: Final = ("stages", "commands", "publish")
_ORDER: Final = (
    *("phases", "market", *(name for name in _RECORDS if name.startswith("users."))),
    *("publish", "stages", "commands", "capacity", "health", "policy"),
)


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One key that the reader asked for: its allowed values and its default."""

    table: str
    key: str
    values: str
    default: str


class AskingTable(Table):
    """An empty table that records every key the reader asks for.

    Attributes:
        asked: keys of all tables of the file, in the order in which the reader asked.
        optional: for each table's name, whether the table may be left out.
    """

    def __init__(self, path: tuple[str, ...] = (), above: AskingTable | None = None) -> None:
        super().__init__(Source({}), path, {})
        self.name = ".".join(path)
        self.asked: list[Asked] = [] if above is None else above.asked
        self.optional: dict[str, bool] = {} if above is None else above.optional

    def integer(
        self, key: str, low: int, high: int, example: int, default: int | None = None
    ) -> int:
        """Record a whole number."""
        self._note(key, f"whole number, {low:,} to {high:,}, such as `{example}`", default)
        return low

    def number(
        self, key: str, low: float, high: float, example: float, default: float | None = None
    ) -> float:
        """Record a number."""
        told = None if default is None else f"{default:g}"
        self._note(key, f"number, {low:g} to {high:,.0f}, such as `{example:g}`", told)
        return low

    def one_of(self, key: str, allowed: Sequence[int]) -> int | None:
        """Record a choice of several numbers."""
        self._note(key, ", ".join(f"`{number}`" for number in allowed), -1)
        return None

    def boolean(self, key: str, *, default: bool) -> bool:
        """Record a boolean."""
        self._note(key, "`true` or `false`", str(default).lower())
        return default

    def duration_s(
        self, key: str, low_s: float, high_s: float, example: str, default_s: float | None = None
    ) -> float:
        """Record a duration."""
        told = default_s if default_s is None or default_s < 0 else f'"{_span(default_s)}"'
        self._note(key, f'{_span(low_s)} to {_span(high_s)}, such as `"{example}"`', told)
        return low_s

    def size_bytes(
        self, key: str, low: int, high: int, example: str, *, is_required: bool = False
    ) -> int | None:
        """Record a size."""
        told = None if is_required else -1
        self._note(key, f'{low:,} B to {high:,} B, such as `"{example}"`', told)
        return low

    def text(self, key: str, allowed: Sequence[str], default: str | None = None) -> str:
        """Record a choice."""
        told = None if default is None else f'"{default}"'
        self._note(key, ", ".join(f'`"{word}"`' for word in allowed), told)
        return next((word for word in _TELLING if word in allowed), allowed[0])

    def texts(self, key: str, allowed: Sequence[str]) -> tuple[str, ...]:
        """Record a choice of several words."""
        words = ", ".join(f'`"{word}"`' for word in allowed)
        self._note(key, f"list of {words}; default: all of them", -1)
        return tuple(allowed)

    def take(self, key: str, right: str) -> object:
        """Record a value that the reader checks itself."""
        self._note(key, right.removeprefix("write "))
        return None

    def table(self, key: str, *, optional: bool = False) -> Table | None:
        """Record a table."""
        found = AskingTable((*self.name.split("."), key) if self.name else (key,), self)
        self.optional[found.name] = optional
        return found

    def tables(self, key: str) -> Iterable[Table]:
        """Record an array of tables."""
        self.optional[key] = True
        return [AskingTable((key,), self)]

    def _note(self, key: str, values: str, default: object = None) -> None:
        """Record a key. ``default`` is None for a required key, negative for one without any."""
        if default is None:
            told = _REQUIRED.get(f"{self.name}.{key}") or _REQUIRED.get(key, "required")
        else:
            told = "–" if isinstance(default, int | float) and default < 0 else f"`{default}`"
        self.asked.append(Asked(table=self.name, key=key, values=values, default=told))


def _span(seconds: float) -> str:
    return f"{seconds:,g} s" if seconds >= 1 or not seconds else f"{1_000 * seconds:g} ms"


def describe_scenario_file() -> str:
    """Return the reference as Markdown, with a table for each table of the file."""
    top = AskingTable()
    schema.read_tables(top, "")
    lines = [
        "# Scenario files",
        "",
        "A scenario is a TOML file. Its first line is a comment with the question that it answers;",
        "lists, the terminal and the report show this question. A key that is not listed here is",
        "an error, which names the line and the most similar key. All errors are listed together.",
        "Durations and sizes are strings with a unit. Each table under `[users]` adds a group of",
        "virtual users.",
        "",
        *_table_of("", [each for each in top.asked if not each.table]),
    ]
    for name in _ORDER:
        record = _RECORDS[name]
        head = f"[[{name}]]" if name in _ARRAYS else f"[{name}]"
        needed = "" if top.optional[name] else " Required."
        lines += ["", f"## {head}", "", _description(record) + needed, ""]
        lines += _table_of(name, [each for each in top.asked if each.table == name])
    lines += [
        "",
        "## [gateway]",
        "",
        "Settings of the embedded gateway, by their names in [settings.md](settings.md). Secrets",
        "are refused, because each run makes its own.",
    ]
    return "\n".join(lines) + "\n"


def _table_of(name: str, asked: Sequence[Asked]) -> list[str]:
    lines = ["| key | value | default | meaning |", "|---|---|---|---|"]
    for each in asked:
        meaning = _TOP[each.key] if not name else _meaning(_RECORDS[name], each.key)
        lines.append(f"| `{each.key}` | {each.values} | {each.default} | {meaning} |")
    return lines


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


def _attributes(record: type) -> dict[str, str]:
    """Return the entries of the docstrings' ``Attributes:``, by name, each in one line."""
    documents = (each.__doc__ or "" for each in reversed(record.__mro__))
    section = "".join(text.partition("Attributes:")[2] for text in documents)
    entries = re.split(r"(?m)^ {8}(\w+): ", section)[1:]
    names, texts = entries[::2], entries[1::2]
    joined = (" ".join(text.split()).replace("``", "`") for text in texts)
    return dict(zip(names, joined, strict=True))


def _description(record: type) -> str:
    """Return what a record's docstring says before its attributes, a paragraph a line."""
    text = (record.__doc__ or "").partition("Attributes:")[0]
    paragraphs = (" ".join(each.split()).replace("``", "`") for each in text.split("\n\n"))
    return "\n\n".join(each for each in paragraphs if each)
