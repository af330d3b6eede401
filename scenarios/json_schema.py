"""The JSON Schema of a scenario file, for editors; made from the keys that the reader asks for.

It allows whatever the reader accepts. What JSON Schema cannot say, only the reader checks: the
limits of durations and sizes, and whether the parts of a scenario fit together.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from scenarios.budgets import LONGEST, OPERATORS, STATISTICS
from scenarios.catalogue import METRICS, Kind
from scenarios.keys import RECORDS, ScenarioKey, scenario_keys
from scenarios.schema import GATEWAY_SETTING, SCENARIO_NAME, SECRET_ENDINGS
from scenarios.units import BYTE_UNITS, NUMBER, TIME_UNITS

DRAFT: Final = "http://json-schema.org/draft-07/schema#"
"""Taplo and Even Better TOML read draft 7."""
_MICROSECONDS: Final = ("µs", "μs")
"""The micro sign and the Greek letter mu look the same; both mean ``us``."""
_BUDGET: Final = "a budget such as push.p99 <= 10 ms; docs/budgets.md lists the metrics"
_TIME: Final = "|".join((*TIME_UNITS, *_MICROSECONDS))
_BYTES: Final = "|".join(BYTE_UNITS)


def scenario_schema() -> dict[str, Any]:
    """Return the JSON Schema of a scenario file."""
    keys = scenario_keys()
    top = _table(keys.of(""))
    for name, optional in keys.optional.items():
        *above, last = name.split(".")
        holder = top
        for each in above:
            holder = holder["properties"][each]
        table = _gateway() if name == "gateway" else _table(keys.of(name))
        if name in RECORDS:
            table["description"] = _first_paragraph(RECORDS[name])
        holder["properties"][last] = (
            {"type": "array", "items": table} if name in keys.arrays else table
        )
        if not optional:
            holder.setdefault("required", []).append(last)
    return {"$schema": DRAFT, "title": "A scenario of Tidegate", **top}


def budget_pattern() -> str:
    """Return the regular expression of a budget, as ECMAScript and Python read it."""
    forms = []
    for kind, unit in _LIMITS.items():
        names = "|".join(re.escape(one.name) for one in METRICS.values() if one.kind == kind)
        statistic = rf"\.({'|'.join(map(re.escape, STATISTICS))})" if kind == "quantiles" else ""
        limit = rf"{NUMBER}\s*({unit})" if unit else NUMBER
        forms.append(rf"({names}){statistic}\s*({'|'.join(OPERATORS)})\s*{limit}")
        if kind not in ("count", "ratio"):
            ratio = rf"({'|'.join(one for one in OPERATORS if one != '==')})\s*{NUMBER}"
            above = rf"(\s+above\s+{limit})?"
            forms.append(rf"({names}){statistic}\s+ratio\s*{ratio}{above}")
    return rf"^\s*({'|'.join(forms)})\s*$"


_LIMITS: Final[Mapping[Kind, str]] = {
    "quantiles": _TIME,
    "span": _TIME,
    "bytes": _BYTES,
    "number": "",
    "count": "",
    "ratio": "",
}


def _table(keys: Sequence[ScenarioKey]) -> dict[str, Any]:
    found: dict[str, Any] = {
        "type": "object",
        "additionalProperties": False,
        "properties": {key.name: _value(key) for key in keys},
    }
    required = [key.name for key in keys if key.is_required and key.when is None]
    if required:
        found["required"] = required
    conditions = [_condition(key, keys) for key in keys if key.when is not None]
    if conditions:
        found["allOf"] = conditions
    return found


def _condition(key: ScenarioKey, keys: Sequence[ScenarioKey]) -> dict[str, Any]:
    """Return that a key may be there, or must be, with some values of another key only."""
    if key.when is None:
        raise ValueError(f"{key.dotted} is always read")
    name, words = key.when
    (choice,) = (one for one in keys if one.name == name)
    met: dict[str, Any] = {"properties": {name: {"enum": list(words)}}}
    if choice.default not in words:
        met["required"] = [name]
    then = {"required": [key.name]} if key.is_required else {}
    return {"if": met, "then": then, "else": {"properties": {key.name: False}}}


def _value(key: ScenarioKey) -> dict[str, Any]:
    found: dict[str, Any] = {"description": key.meaning, **_kind(key)}
    if key.kind in ("duration", "size"):
        found["examples"] = [key.right]
    if key.default is not None and key.kind != "duration":
        found["default"] = key.default
    return found


def _kind(key: ScenarioKey) -> dict[str, Any]:
    match key.kind:
        case "integer" | "number":
            return {"type": key.kind, "minimum": key.low, "maximum": key.high}
        case "one of":
            return {"type": "integer", "enum": list(key.numbers)}
        case "boolean":
            return {"type": "boolean"}
        case "duration":
            return {"type": "string", "pattern": _quantity(_TIME)}
        case "size":
            return {"type": "string", "pattern": _quantity(_BYTES)}
        case "text":
            return {"type": "string", "enum": list(key.allowed)}
        case "texts":
            words = {"type": "string", "enum": list(key.allowed)}
            return {"type": "array", "items": words, "minItems": 1, "uniqueItems": True}
        case "raw":
            return _raw(key.name)


def _raw(name: str) -> dict[str, Any]:
    """Return the schema of a key whose value the reader takes as it is."""
    schemas: dict[str, dict[str, Any]] = {
        "name": {"type": "string", "pattern": f"^{SCENARIO_NAME.pattern}$"},
        "budgets": {
            "type": "array",
            "items": _budget(),
            "minItems": 1,
            "uniqueItems": True,
            "examples": [["push.p99 <= 10 ms", "delivery.lost == 0", "errors == 0"]],
        },
    }
    return schemas[name]


def _budget() -> dict[str, Any]:
    """Return the schema of a budget. An editor shows ``else`` in place of the long pattern."""
    is_budget = {"pattern": budget_pattern(), "maxLength": LONGEST}
    return {"type": "string", "if": is_budget, "else": {"const": _BUDGET}}


def _gateway() -> dict[str, Any]:
    endings = "|".join(SECRET_ENDINGS)
    return {
        "type": "object",
        "description": "Settings of the embedded gateway, by their environment names.",
        "additionalProperties": False,
        "patternProperties": {
            rf"^(?!.*({endings})$){GATEWAY_SETTING.pattern}$": {
                "type": ["string", "number", "boolean"]
            }
        },
    }


def _quantity(units: str) -> str:
    return rf"^\s*{NUMBER}\s*({units})\s*$"


def _first_paragraph(record: type) -> str:
    return " ".join((record.__doc__ or "").split("\n\n", maxsplit=1)[0].split()).replace("``", "`")
