"""Which scenario must find which fault, and the result of a trial. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Self

from tests.proof.steps import value_of

TRIALS: Final[Mapping[str, tuple[str, ...]]] = {
    "limits": ("limit-59", "limit-61", "window-59", "window-61"),
    "users": ("limit-reset",),
    "heartbeats": (
        "heartbeat-dropped",
        "heartbeat-slow",
        "heartbeat-doubled",
        "heartbeat-burst",
    ),
    "deliveries": (
        "delivery-lost",
        "delivery-doubled",
        "delivery-swapped",
        "conflation-claimed",
        "digit-changed",
        "side-changed",
        "answer-other",
        "welcome-other",
        "first-lost",
        "foreign-order",
        "private-field",
        "room-kept",
    ),
    "market": ("tick-changed", "snapshot-old", "snapshot-changed"),
    "returns": ("replay-lost", "replay-doubled"),
    "rates": ("slot-lost", "slot-old", "rate-ignored"),
    "late": ("broadcast-late",),
    "memory": ("memory-leaked",),
    "tokens": ("token-overstays", "token-unchecked", "left-open"),
    "entitlements": ("entitlement-kept", "entitlement-ignored", "revoked-served"),
    "slow": ("slow-blocks",),
    "peers": ("peer-unnoticed",),
    "drain": ("drain-silent", "drain-for-good"),
    "figures": ("figures-old",),
    "cost": ("encoded-for-each",),
    "loop": ("loop-held",),
    "models": ("token-lost", "token-doubled", "token-foreign", "token-altered"),
    "orders": ("fill-early", "profit-wrong", "fee-forgotten", "public-price"),
    "nodes": ("node-swapped", "node-renumbered", "node-skipped"),
}
"""The faults that each scenario must find. Every scenario also has a clean run."""

EXPECTED: Final[Mapping[str, tuple[str, ...]]] = {
    "limit-59": ("rate_limit.false_refusals",),
    "limit-61": ("rate_limit.false_accepts", "rate_limit.largest_window"),
    "window-59": ("rate_limit.false_accepts", "rate_limit.retry_error"),
    "window-61": ("rate_limit.false_refusals", "rate_limit.retry_error"),
    "limit-reset": ("rate_limit.false_accepts",),
    "heartbeat-dropped": ("heartbeat.missed",),
    "heartbeat-slow": ("heartbeat.error",),
    "heartbeat-doubled": ("heartbeat.extra",),
    "heartbeat-burst": ("heartbeat.extra",),
    "delivery-lost": ("delivery.lost",),
    "delivery-doubled": ("delivery.duplicate",),
    "delivery-swapped": ("delivery.reordered",),
    "conflation-claimed": ("delivery.false_conflations",),
    "digit-changed": ("delivery.altered",),
    "tick-changed": ("delivery.altered",),
    "snapshot-old": ("snapshot.wrong",),
    "snapshot-changed": ("snapshot.wrong",),
    "side-changed": ("delivery.altered",),
    "answer-other": ("answers.mismatched",),
    "welcome-other": ("answers.mismatched",),
    "first-lost": ("delivery.lost",),
    "foreign-order": ("isolation.foreign",),
    "private-field": ("isolation.private_fields",),
    "room-kept": ("isolation.unsubscribed", "delivery.leaked"),
    "replay-lost": ("return.lost",),
    "replay-doubled": ("return.doubled",),
    "slot-lost": ("delivery.lost",),
    "slot-old": ("delivery.lost",),
    "rate-ignored": ("delivery.over_rate",),
    "broadcast-late": ("push",),
    "memory-leaked": ("memory.per_cycle",),
    "token-overstays": ("auth.overstayed",),
    "token-unchecked": ("auth.false_accepts",),
    "entitlement-kept": ("isolation.unentitled",),
    "entitlement-ignored": ("isolation.unentitled",),
    "revoked-served": ("isolation.unentitled",),
    "slow-blocks": ("push",),
    "peer-unnoticed": ("dead_peer.late",),
    "drain-silent": ("drain.unannounced",),
    "drain-for-good": ("disconnect.stranded",),
    "left-open": ("disconnect.left_open",),
    "figures-old": ("gauges.age",),
    "encoded-for-each": ("cost.per_message",),
    "loop-held": ("loop_lag", "push"),
    "token-lost": ("llm.integrity",),
    "token-doubled": ("llm.integrity",),
    "token-foreign": ("llm.integrity",),
    "token-altered": ("llm.integrity",),
    "fill-early": ("orders.illegal",),
    "profit-wrong": ("orders.money",),
    "fee-forgotten": ("orders.money",),
    "public-price": ("orders.forms",),
    "node-swapped": ("delivery.reordered",),
    "node-renumbered": ("delivery.altered",),
    "node-skipped": ("delivery.lost",),
}
"""The metrics that show a fault. A fault is killed when a budget on one of them is broken."""


UNSEEN: Final[Mapping[str, str]] = {
    "A room is kept after its last member.": "No client sees it, and a room is smaller than what "
    "the gateway may keep of each user for 15 minutes. `tests/gateway/transport/"
    "test_participants.py` looks into the table.",
    "`prevSeq` claims a conflation to a client that reads slowly.": "Only the gateway knows what "
    "it replaced for that client. For all other clients, and for streams without conflation, "
    "`delivery.false_conflations` counts it.",
    "`/health/websocket/stats` is old.": "A run reads `/metrics` alone, and `gauges.age` tells "
    "its age. `tests/contract/test_http.py` checks the statistics.",
    "Every copy of another publisher's event is changed alike.": "Only the laboratory's publisher "
    "writes checksums. Of other market events `delivery.altered` compares the copies.",
    "A snapshot never comes, and the stream goes on.": "A later event may take the place of a "
    "snapshot that a client has not read. `snapshot.wrong` counts it where nothing later comes.",
}
"""Faults that a run does not find, with the reason."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Trial:
    """One run of a scenario against one gateway.

    Attributes:
        scenario: its name under ``tests/faults/scenarios``.
        fault: a name of the catalogue; ``none`` for a clean run.
        broken: budgets that failed, each with its measured value.
        undecided: budgets without a decision.
        verdict: the run's verdict; empty when it has none.
        seconds: duration of the trial.
        metrics: metrics of the budgets that failed.
    """

    scenario: str
    fault: str
    broken: tuple[str, ...]
    undecided: tuple[str, ...]
    verdict: str
    seconds: float
    metrics: tuple[str, ...]

    @property
    def is_clean(self) -> bool:
        """Whether no fault was seeded."""
        return self.fault == "none"

    @property
    def is_killed(self) -> bool:
        """Whether a metric that shows the fault has found it."""
        return not self.is_clean and bool(set(self.metrics) & set(EXPECTED[self.fault]))

    @property
    def is_false_alarm(self) -> bool:
        """Whether a clean run broke a budget."""
        return self.is_clean and bool(self.broken)

    def as_json(self) -> dict[str, Any]:
        """Return the trial as JSON, to be stored."""
        return asdict(self)

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        """Return the trial that ``as_json`` stored."""
        several = ("broken", "undecided", "metrics")
        return cls(**{**stored, **{name: tuple(stored[name]) for name in several}})


def read_trial(
    scenario: str, fault: str, verdict: Mapping[str, Any] | None, seconds: float
) -> Trial:
    """Return the trial that a run's ``verdict.json`` describes."""
    budgets: Sequence[Mapping[str, Any]] = [] if verdict is None else verdict["budgets"]
    failed = [budget for budget in budgets if budget["verdict"] == "FAIL"]
    return Trial(
        scenario=scenario,
        fault=fault,
        broken=tuple(f"{budget['text']}: {value_of(budget)}" for budget in failed),
        undecided=tuple(
            f"{budget['text']}: {budget['why']}"
            for budget in budgets
            if budget["verdict"] in ("INCONCLUSIVE", "INVALID")
        ),
        verdict="" if verdict is None else str(verdict["verdict"]),
        seconds=seconds,
        metrics=tuple(str(budget["metric"]) for budget in failed),
    )


def table(trials: Sequence[Trial], meanings: Mapping[str, str]) -> list[str]:
    """Return the trials as lines of Markdown: faults, clean runs, totals."""
    lines = [
        "# Faults that the laboratory must find",
        "",
        "Each fault is seeded into a gateway by wrapping one of its ports (`tests/faults/`). With",
        "the fault, its scenario must break a budget that shows it. Without a fault, the scenario",
        "must break none. `python -m tests.faults` makes this table.",
        "",
        "| fault | | found by | |",
        "|---|---|---|---|",
    ]
    for trial in trials:
        if not trial.is_clean:
            mark = "killed" if trial.is_killed else "**alive**"
            told = "; ".join(trial.broken) or "; ".join(trial.undecided) or "nothing"
            lines.append(f"| `{trial.fault}` | {meanings[trial.fault]} | {_cell(told)} | {mark} |")
    clean = [trial for trial in trials if trial.is_clean]
    lines += ["", "| clean run | false alarms | undecided |", "|---|---|---|"]
    lines += [
        f"| {trial.scenario} | {_cell('; '.join(trial.broken)) or 'none'} "
        f"| {_cell('; '.join(trial.undecided)) or '–'} |"
        for trial in clean
    ]
    lines += ["", summary(trials), "", "## Faults that no run finds", ""]
    return [*lines, *(f"- {fault} {why}" for fault, why in UNSEEN.items())]


def summary(trials: Sequence[Trial]) -> str:
    """Return the totals in one line."""
    seeded = [trial for trial in trials if not trial.is_clean]
    killed = sum(trial.is_killed for trial in seeded)
    clean = [trial for trial in trials if trial.is_clean]
    alarms = sum(trial.is_false_alarm for trial in clean)
    return (
        f"{killed} of {len(seeded)} faults killed; {alarms} false alarms in {len(clean)} clean runs"
    )


def _cell(text: str) -> str:
    return text.replace("|", r"\|")
