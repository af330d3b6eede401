"""Write ``docs/scenarios.md`` from the keys that the scenario reader asks for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from scenarios.keys import RECORDS, ScenarioKey, scenario_keys

_ORDER: Final = (
    *("phases", "market", *(name for name in RECORDS if name.startswith("users."))),
    *("publish", "stages", "commands", "capacity", "health", "policy"),
)


def describe_scenario_file() -> str:
    """Return the reference as Markdown, with a table for each table of the file."""
    asked = scenario_keys()
    lines = [
        "# Scenario files",
        "",
        "A scenario is a TOML file. Its first line is a comment with the question that it answers;",
        "lists, the terminal and the report show this question. A key that is not listed here is",
        "an error, which names the line and the most similar key. All errors are listed together.",
        "Durations and sizes are strings with a unit. Each table under `[users]` adds a group of",
        "virtual users.",
        "",
        *_EDITOR,
        *_table_of(asked.of("")),
    ]
    for name in _ORDER:
        head = f"[[{name}]]" if name in asked.arrays else f"[{name}]"
        needed = "" if asked.optional[name] else " Required."
        lines += ["", f"## {head}", "", _description(RECORDS[name]) + needed, ""]
        lines += _table_of(asked.of(name))
    lines += [
        "",
        "## [gateway]",
        "",
        "Settings of the embedded gateway, by their names in [settings.md](settings.md). Secrets",
        "are refused, because each run makes its own.",
    ]
    return "\n".join(lines) + "\n"


_EDITOR: Final = (
    "`tidegate run smoke` runs a scenario that comes with Tidegate; `tidegate scenarios` lists",
    "them. `--set` changes any key for one run: `--set phases.steady=60s`,",
    "`--set users.subscriber.count=500`, `--set publish.0.rate=80`,",
    "`--set 'budgets=[\"errors == 0\"]'`.",
    "",
    "`tidegate scenarios --schema > scenario.schema.json` writes a JSON Schema for editors. In",
    "VS Code, install *Even Better TOML* and put this line below the question of a scenario:",
    "",
    "```toml",
    "#:schema ./scenario.schema.json",
    "```",
    "",
    "The editor then completes keys, shows their meanings, and underlines what the schema does not",
    "allow. Limits of durations and sizes, and whether the parts fit together, only the reader",
    "checks.",
    "",
)


def _table_of(keys: Sequence[ScenarioKey]) -> list[str]:
    lines = ["| key | value | default | meaning |", "|---|---|---|---|"]
    lines += [
        f"| `{key.name}` | {_values(key)} | {_default(key)} | {key.meaning} |" for key in keys
    ]
    return lines


def _values(key: ScenarioKey) -> str:
    low, high = key.low or 0, key.high or 0
    words = ", ".join(f'`"{word}"`' for word in key.allowed)
    return {
        "integer": f"whole number, {low:,} to {high:,}, such as `{key.right}`",
        "one of": ", ".join(f"`{number}`" for number in key.numbers),
        "number": f"number, {low:g} to {high:,.0f}, such as `{key.right}`",
        "boolean": "`true` or `false`",
        "duration": f'{_span(low)} to {_span(high)}, such as `"{key.right}"`',
        "size": f'{low:,} B to {high:,} B, such as `"{key.right}"`',
        "text": words,
        "texts": f"list of {words}; default: all of them",
        "raw": key.right,
    }[key.kind]


def _default(key: ScenarioKey) -> str:
    default = key.default
    if key.is_required:
        return _required(key)
    if default is None:
        return "–"
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    if isinstance(default, str):
        return f'`"{default}"`'
    return f'`"{_span(default)}"`' if key.kind == "duration" else f"`{default:g}`"


def _required(key: ScenarioKey) -> str:
    """Return when a key is required: the shorter of the lists of choices with it and without."""
    if key.when is None:
        return "required"
    choice, words = key.when
    (allowed,) = (one.allowed for one in scenario_keys().of(key.table) if one.name == choice)
    others = [word for word in allowed if word not in words]
    if len(words) <= len(others):
        return f"required with {_listed(words)}"
    return f"required, except with {_listed(others)}"


def _listed(words: Sequence[str]) -> str:
    return " and ".join(f"`{word}`" for word in words)


def _span(seconds: float) -> str:
    return f"{seconds:,g} s" if seconds >= 1 or not seconds else f"{1_000 * seconds:g} ms"


def _description(record: type) -> str:
    """Return what a record's docstring says before its attributes, a paragraph a line."""
    text = (record.__doc__ or "").partition("Attributes:")[0]
    paragraphs = (" ".join(each.split()).replace("``", "`") for each in text.split("\n\n"))
    return "\n\n".join(each for each in paragraphs if each)
