"""Changes of single keys of a scenario, such as ``phases.steady=60s`` of ``--set``.

    change = name "=" value
    name   = table "." key                "phases.steady"
           | array "." index "." key      "publish.0.rate"; the index counts from 0
           | "budgets" [ "." index ]
           | "gateway." SETTING
    value  = as in the file, or without its quotes

The text of the scenario is changed in place, so that every budget keeps its line. The reader then
checks the whole scenario.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Sequence
from typing import Any, Final

from scenarios.keys import ScenarioKey, ScenarioKeys, scenario_keys
from scenarios.locate import KeyPath, TextPlaces, locate_parts
from scenarios.model import Scenario
from scenarios.problems import suggest
from scenarios.schema import parse_scenario

_PLAIN: Final = ("integer", "one of", "number", "boolean")
_GATEWAY: Final = "gateway"


class UnknownKeyError(ValueError):
    """A change names no key of a scenario; the message has the nearest one."""


def change_scenario(scenario: Scenario, changes: Sequence[str], *, path: str) -> Scenario:
    """Return a scenario with other values of some keys, also in its source text.

    Args:
        scenario: the scenario.
        changes: ``NAME=VALUE`` of each, in order; a later one wins.
        path: names the result in messages.

    Raises:
        UnknownKeyError: a change names no key, or no place of the file.
        ScenarioError: the result is not valid; it lists every problem.
    """
    text = scenario.source
    for change in changes:
        name, equals, value = change.partition("=")
        if not equals:
            raise UnknownKeyError(f"{change} is no change; write NAME=VALUE, such as seed=7")
        text = _changed(text, name.strip(), value.strip())
    return parse_scenario(text, path=path) if changes else scenario


def _changed(text: str, name: str, value: str) -> str:
    places = locate_parts(text)
    path = tuple(int(word) if word.isdecimal() else word for word in name.split("."))
    written = _written(_find_key(name, path, places), path, value)
    span = places.values.get(path)
    if span is not None:
        return f"{text[: span[0]]}{written}{text[span[1] :]}"
    table, key = path[:-1], path[-1]
    body = places.bodies.get(table)
    if not table or (body is None and table in places.known) or _is_held(text, path):
        words = (
            f"write {key} in a table [{'.'.join(map(str, table))}]" if table else f"write {key} ="
        )
        raise UnknownKeyError(f"{name} cannot be set as the file is written; {words}")
    line = f"{key} = {written}\n"
    if body is not None:
        gap = "" if text[:body].endswith("\n") else "\n"
        return f"{text[:body]}{gap}{line}{text[body:]}"
    if not table or table in places.known:
        head = ".".join(map(str, table)) or name
        raise UnknownKeyError(
            f"{name} cannot be set as the file is written; write a table [{head}]"
        )
    return f"{text.rstrip()}\n\n[{'.'.join(map(str, table))}]\n{line}"


def _is_held(text: str, path: KeyPath) -> bool:
    """Return whether a TOML text holds a key, though its name may be written with escapes."""
    held: Any = tomllib.loads(text)
    for word in path:
        try:
            held = held[word]
        except (KeyError, IndexError, TypeError):
            return False
    return True


def _find_key(name: str, path: KeyPath, places: TextPlaces) -> ScenarioKey | None:
    """Return the key that a change names; None for a setting of the gateway.

    Raises:
        UnknownKeyError: there is none.
    """
    keys = scenario_keys()
    table = ".".join(word for word in path[:-1] if isinstance(word, str))
    indices = [place for place, word in enumerate(path) if isinstance(word, int)]
    if table == _GATEWAY and not indices:
        return None
    if path[0] == "budgets" and len(path) == 1 + len(indices):
        _check_index(name, path, places, indices)
        return next(key for key in keys.of("") if key.name == "budgets")
    found = [key for key in keys.of(table) if key.name == path[-1]]
    if not found:
        raise UnknownKeyError(f"unknown key {name[:120]}; {_nearest(path, table, keys)}")
    if table in keys.arrays:
        if indices != [1]:
            raise UnknownKeyError(f"{table} is a list; write {table}.0.{path[-1]} for its first")
        _check_index(name, path, places, indices)
    elif indices:
        raise UnknownKeyError(f"{table or name} is no list; write {found[0].dotted}")
    return found[0]


def _check_index(name: str, path: KeyPath, places: TextPlaces, indices: Sequence[int]) -> None:
    """Raise UnknownKeyError where the file has no element of that index."""
    if indices and path[:2] not in places.known:
        array = path[0]
        count = sum(1 for one in places.known if len(one) == 2 and one[0] == array)
        words = f"its elements are {array}.0 to {array}.{count - 1}" if count else "it has none"
        raise UnknownKeyError(f"{name}: the file's {array} has no element {path[1]}; {words}")


def _nearest(path: KeyPath, table: str, keys: ScenarioKeys) -> str:
    """Return a hint: the nearest key of the table, else the nearest of all, else the tables."""
    own = [key.dotted for key in keys.of(table)]
    name = f"{table}.{path[-1]}" if table else str(path[-1])
    if own:
        return suggest(name, own)
    every = [key.dotted for key in keys.keys]
    hint = suggest(name, every)
    return hint if "did you mean" in hint else suggest(table, keys.optional)


def _written(key: ScenarioKey | None, path: KeyPath, value: str) -> str:
    """Return a value as TOML of the key's kind. A wrong one stays as it is, for the reader."""
    read = _read(value)
    if key is None or key.kind in _PLAIN:
        return value if isinstance(read, bool | int | float | str) else _quoted(value)
    if key.kind == "texts" or (key.name == "budgets" and path == ("budgets",)):
        return (
            value if isinstance(read, list) else f"[{value if _is_text(read) else _quoted(value)}]"
        )
    return value if _is_text(read) else _quoted(value)


def _read(value: str) -> Any:
    """Return the value that a TOML text stands for; None when it is no TOML."""
    try:
        found = tomllib.loads(f"value = {value}")
    except (tomllib.TOMLDecodeError, RecursionError):
        return None
    return found["value"] if len(found) == 1 else None


def _is_text(read: object) -> bool:
    return isinstance(read, str)


def _quoted(value: str) -> str:
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
