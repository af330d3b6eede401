"""Rules of Prometheus: their fields, and how they are written as YAML."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

RUNBOOK: Final = "docs/operations.md"
Severity = Literal["page", "ticket"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A recording rule.

    Attributes:
        name: of the new series.
        expression: PromQL.
        labels: added to the new series.
    """

    name: str
    expression: str
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """An alert rule.

    Attributes:
        name: in CamelCase.
        expression: PromQL; the alert is on while it has a result.
        lasts: how long it must hold, such as ``2m``; ``0m`` for at once.
        severity: ``page`` wakes somebody, ``ticket`` waits for the morning.
        summary: one line for whoever is called; may use ``{{ $labels.instance }}``.
        section: the heading in ``RUNBOOK`` that says what to do.
        labels: added to the alert.
    """

    name: str
    expression: str
    lasts: str
    severity: Severity
    summary: str
    section: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RuleGroup:
    """Rules that Prometheus evaluates one after the other."""

    name: str
    rules: Sequence[Record | Alert]


def rules_file(groups: Iterable[RuleGroup], comments: Sequence[str] = ()) -> str:
    """Return a rule file of Prometheus.

    Args:
        groups: its groups.
        comments: lines at its head, without ``#``.
    """
    lines = [f"# {comment}".rstrip() for comment in comments]
    groups = [group for group in groups if group.rules]
    lines.append("groups:" if groups else "groups: []")
    for group in groups:
        lines += [f"  - name: {_text(group.name)}", "    rules:"]
        for rule in group.rules:
            lines += _record(rule) if isinstance(rule, Record) else _alert(rule)
    return "\n".join(lines) + "\n"


def anchor(section: str) -> str:
    """Return the anchor of a heading, as GitHub makes it."""
    kept = "".join(letter for letter in section.lower() if letter.isalnum() or letter in " -_")
    return kept.replace(" ", "-")


def _record(rule: Record) -> list[str]:
    lines = [f"      - record: {rule.name}", f"        expr: {_text(rule.expression)}"]
    return lines + _mapping("labels", rule.labels)


def _alert(rule: Alert) -> list[str]:
    runbook = f"{RUNBOOK}#{anchor(rule.section or rule.name)}"
    return [
        f"      - alert: {rule.name}",
        f"        expr: {_text(rule.expression)}",
        f"        for: {rule.lasts}",
        *_mapping("labels", {"severity": rule.severity, **rule.labels}),
        *_mapping("annotations", {"summary": rule.summary, "runbook": runbook}),
    ]


def _mapping(name: str, values: Mapping[str, str]) -> list[str]:
    if not values:
        return []
    return [
        f"        {name}:",
        *(f"          {key}: {_text(text)}" for key, text in values.items()),
    ]


def _text(text: str) -> str:
    """Return a text of one line in YAML's single quotes, which need no escape for ``"``."""
    return "'" + text.replace("'", "''") + "'"
