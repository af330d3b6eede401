"""``python -m tests.benchmarks.anomaly``: false alarms, and the time to notice attacks.

Normal traffic is simulated from the shipped scenarios: each well-behaved group sends what its
behaviour sends, at the group's own times, and each user loses its connection now and then. No
gateway runs: the watch is given signals and times. ``--markdown`` writes the table.
"""

from __future__ import annotations

import argparse
import heapq
import random
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from gateway.anomaly import Anomalies, Anomaly, Signal, SubjectKind
from scenarios.finding import named_scenarios
from scenarios.schema import read_scenario

HOUR_S: Final = 3_600.0
DAY_S: Final = 24 * HOUR_S
_NS_PER_S: Final = 1e9
_FLAPS_A_DAY: Final = 48  # lost connections of a user, as on a train
_PAST_S: Final = 600.0
_USERS_AN_ADDRESS: Final = 10
_TURNS: Final = 300_000
_PACES: Final = ("request_every_s", "stay_s", "lifetime_s", "ask_every_s")

Signals = Iterator[tuple[float, Signal]]


@dataclass(frozen=True)
class Attack:
    """A pattern that the watch must notice."""

    name: str
    kind: SubjectKind
    signal: Signal
    every_s: float


ATTACKS: Final = (
    Attack("tokens guessed from one address, 2 a second", SubjectKind.ADDRESS, Signal.REFUSAL, 0.5),
    Attack("a user reconnects twice a second", SubjectKind.USER, Signal.CONNECT, 0.5),
    Attack("a user tries symbols, 5 a second", SubjectKind.USER, Signal.SUBSCRIPTION, 0.2),
    Attack("a user sends unknown events, 1 a second", SubjectKind.USER, Signal.ERROR, 1.0),
    Attack("a stolen session asks models, 1 a second", SubjectKind.USER, Signal.MODEL, 1.0),
    Attack("forbidden symbols, slowly: one in 4 s", SubjectKind.USER, Signal.REFUSAL, 4.0),
)


def _at_mean(chance: random.Random, mean_s: float, signal: Signal) -> Signals:
    """Yield a signal at random times without end (a Poisson process)."""
    at_s = chance.expovariate(1 / mean_s)
    while True:
        yield at_s, signal
        at_s += chance.expovariate(1 / mean_s)


def _at_pace(chance: random.Random, every_s: float, signals: Sequence[Signal]) -> Signals:
    """Yield signals at even times without end, each up to half a pace early or late."""
    turn = 0
    while True:
        at_s = every_s * (turn + 0.5 + chance.random() / 2)
        for signal in signals:
            yield at_s, signal
        turn += 1


def _flaps(chance: random.Random) -> Signals:
    """Yield the lost connections of a user: one to three attempts, and its subscriptions."""
    at_s = 0.0
    while True:
        for attempt in range(chance.randint(1, 3)):
            yield at_s + attempt, Signal.CONNECT
        for _ in range(chance.randint(1, 5)):
            yield at_s + 3, Signal.SUBSCRIPTION
        at_s += chance.expovariate(_FLAPS_A_DAY / DAY_S) + 10


NORMAL: Final[dict[str, Callable[[Any, random.Random], list[Signals]]]] = {
    "subscriber": lambda group, chance: [],
    "storm": lambda group, chance: [],
    "idle": lambda group, chance: [],
    "slow_reader": lambda group, chance: [],
    "trader": lambda group, chance: [
        _at_mean(chance, group.request_every_s, Signal.SUBSCRIPTION),
        _at_pace(chance, 25.0, [Signal.PING]),
    ],
    "churner": lambda group, chance: [
        _at_pace(chance, 2 * group.stay_s, [Signal.CONNECT, Signal.SUBSCRIPTION])
    ],
    "returner": lambda group, chance: [
        _at_pace(chance, 2 * group.stay_s, [Signal.CONNECT, Signal.SUBSCRIPTION])
    ],
    "expiring": lambda group, chance: [
        _at_pace(chance, max(12.0, group.lifetime_s), [Signal.TOKEN])
    ],
    "model_user": lambda group, chance: [_at_mean(chance, group.ask_every_s, Signal.MODEL)],
}
"""What a user of each well-behaved group sends, beside its lost connections."""


def behave(group: str, settings: Any, seed: str) -> Signals:
    """Return what a user does, in the order of its times."""
    chance = random.Random(seed)  # noqa: S311 - a simulation, repeatable by its seed
    return heapq.merge(_flaps(chance), *NORMAL[group](settings, chance))


def count_alarms(group: str, settings: Any, users: int, span_s: float) -> tuple[int, int]:
    """Return the false alarms and the signals of users, and of the addresses that they share.

    Args:
        group: their behaviour.
        settings: the group of the scenario.
        users: the number of users; ten share an address.
        span_s: the simulated time.
    """
    by_user, by_address = Anomalies(SubjectKind.USER), Anomalies(SubjectKind.ADDRESS)
    alarms = signals = 0
    for first in range(0, users, _USERS_AN_ADDRESS):
        named = range(first, min(users, first + _USERS_AN_ADDRESS))
        together = [_named(group, settings, number) for number in named]
        for at_s, user, signal in heapq.merge(*together):
            if at_s > span_s:
                break
            now_ns = round(at_s * _NS_PER_S)
            signals += 1
            alarms += by_user.note(user, signal, now_ns) is not None
            if signal is Signal.CONNECT:
                alarms += by_address.note(f"address-{first}", signal, now_ns) is not None
    return alarms, signals


def _named(group: str, settings: Any, number: int) -> Iterator[tuple[float, str, Signal]]:
    for at_s, signal in behave(group, settings, f"{group}:{number}"):
        yield at_s, f"user-{number}", signal


def notice(attack: Attack) -> tuple[float, Anomaly] | None:
    """Return the seconds from an attack's beginning to its anomaly, ``None`` after ten minutes."""
    watch = Anomalies(attack.kind)
    settings = read_scenario(named_scenarios()["isolation"]).users.trader
    for at_s, signal in behave("trader", settings, "victim"):
        if at_s > _PAST_S:
            break
        watch.note("subject", signal, round(at_s * _NS_PER_S))
    turn = 0
    while turn * attack.every_s < _PAST_S:
        after_s = turn * attack.every_s
        found = watch.note("subject", attack.signal, round((_PAST_S + after_s) * _NS_PER_S))
        if found is not None:
            return after_s, found
        turn += 1
    return None


def nanoseconds_a_signal() -> float:
    """Return the time of one signal of a known subject, ns."""
    watch, names = Anomalies(SubjectKind.USER), [f"user-{n}" for n in range(1_000)]
    note = watch.note
    began_ns = time.perf_counter_ns()
    for turn in range(_TURNS):
        note(names[turn % 1_000], Signal.SUBSCRIPTION, turn * 1_000_000)
    return (time.perf_counter_ns() - began_ns) / _TURNS


def normal_rows(users: int, span_s: float) -> list[str]:
    """Return a row of the table for each well-behaved group of each shipped scenario."""
    rows: list[str] = []
    seen: set[tuple[str, str]] = set()
    for name, path in named_scenarios().items():
        for group, settings in read_scenario(path).users.named().items():
            pace = {field: getattr(settings, field, None) for field in _PACES}
            if group not in NORMAL or (group, repr(pace)) in seen:
                continue
            seen.add((group, repr(pace)))
            alarms, signals = count_alarms(group, settings, users, span_s)
            a_day = alarms * 1_000 / users * DAY_S / span_s
            rows.append(f"| {name} | {group} | {signals:,} | {alarms} | {a_day:.1f} |")
    return rows


def report(users: int, span_s: float) -> str:
    """Return the tables, as Markdown."""
    lines = [
        "# What the watch for anomalies notices",
        "",
        "`GATEWAY_ANOMALY=log` counts what each user and each address does, in windows of 10 s,",
        "and compares it with the subject's own past (`gateway/anomaly.py`). The tables are from a",
        "simulation: `python -m tests.benchmarks.anomaly --markdown docs/anomaly.md`. Groups that",
        "attack by design (`abuser`, `bad_token`, `dead_peer`, `never_reader`, `entitled`) are",
        "left out of the first table. Users lose their connection 48 times a day. An alarm is",
        "counted once in a minute for each subject and signal.",
        "",
        f"Normal traffic: {users} users of each group, {span_s / HOUR_S:g} simulated hours.",
        "",
        "| scenario | group | signals | false alarms | a day and 1,000 users |",
        "|---|---|---|---|---|",
        *normal_rows(users, span_s),
        "",
        "The traders of `compare` send five requests a second, five times what the limit of events",
        "allows by default. About half of them alarm once, in the first window, without a past.",
        "",
        "| attack, after ten minutes of normal traffic | noticed after | signal | score |",
        "|---|---|---|---|",
    ]
    for attack in ATTACKS:
        found = notice(attack)
        told = ("not", attack.signal.name.lower(), "–")
        if found is not None:
            told = (f"{found[0]:.1f} s", found[1].signal.name.lower(), f"{found[1].score:.2f}")
        lines.append(f"| {attack.name} | {' | '.join(told)} |")
    lines += [
        "",
        f"One signal costs {nanoseconds_a_signal():.0f} ns.",
        "",
        "A gateway under load can be watched too. With `tidegate run scenarios/smoke.toml --set",
        "gateway.GATEWAY_ANOMALY=log` its log told one anomaly in one minute, that of the abuser,",
        "which sends 70 requests at once; the 299 other users had none. `isolation` had none.",
    ]
    return "\n".join(lines) + "\n"


def main() -> int:
    """Print the tables, or write them."""
    parser = argparse.ArgumentParser(description="Measure the watch for anomalies.")
    parser.add_argument("--users", type=int, default=40)
    parser.add_argument("--hours", type=float, default=24.0)
    parser.add_argument("--markdown", type=Path)
    asked = parser.parse_args()
    told = report(asked.users, asked.hours * HOUR_S)
    if asked.markdown is None:
        sys.stdout.write(told)
    else:
        asked.markdown.write_text(told)
    return 0


if __name__ == "__main__":
    sys.exit(main())
