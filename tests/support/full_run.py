"""A synthetic run for the report with data for every chart, so that nothing is «absent».

1,500 clients arrive in five steps, the host steals two seconds, a storm drops and returns, and
the gateway receives SIGTERM. Abusers, dead peers, bad and expiring tokens are present all along.
In the run of ``make_cycles_run``, a group leaves and returns twelve times. The module is long
because the rows of each table must agree with those of the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from synthetic_run import Rows, Tables, event_row, ledger_row, limit_row, make_run

from loadtests.results import (
    AuthOutcome,
    DeadPeerOutcome,
    Event,
    LimitOutcome,
    Phase,
    Series,
    bucket_of,
)

PHASES: Final = (
    (Phase.RAMP, 0, 5),
    (Phase.WARM_UP, 5, 10),
    (Phase.STEADY, 10, 110),
    (Phase.DRAIN, 110, 112),
)
STEPS: Final = ((0, 300), (20, 600), (30, 900), (40, 1_200), (50, 1_500))
"""First second of each step, and the number of clients from then on."""
DROP_S: Final = 70
TERMINATE_S: Final = 104
MEMBERS: Final = 200
STOLEN_S: Final = (33, 34)
BYTES_PER_CLIENT: Final = 6_000
BYTES_PER_CYCLE: Final = 40
"""Memory that stays for each client and cycle in the run of cycles."""
CYCLES: Final = 12
_MS: Final = 1_000_000
_S: Final = 1_000_000_000

SCENARIO: Final = """# Does the report show all that a run can tell, with 1,500 clients in steps?

name = "everything"
seed = 20
budgets = [
    "push.p99 <= 25 ms",
    "ack.p99 <= 50 ms",
    "fanout.skew.p99 <= 20 ms",
    "heartbeat.error.p99 <= 100 ms",
    "heartbeat.missed == 0",
    "rate_limit.false_accepts == 0",
    "memory.per_client <= 6 KB",
    "storm.back.p99 <= 5 s",
    "delivery.lost == 0",
    "delivery.leaked == 0",
]

[phases]
spawn_rate = 60.0
warm_up = "5 s"
steady = "100 s"
drain = "5 s"

[gateway]
GATEWAY_HEARTBEAT_SECONDS = 5

[market]
symbols = 150
zipf = 0.3

[users.subscriber]
count = 20
symbols = 2

[users.trader]
count = 20
symbols = 1
request_every = "1.25 s"

[users.storm]
count = 200
symbols = 2

[users.dead_peer]
count = 30
kinds = ["mute", "no-pong", "stalled"]
dies_after = "1 s"

[users.bad_token]
count = 10
every = "1 s"

[users.expiring]
count = 10
lifetime = "20 s"
refreshing = 0.5

[users.abuser]
count = 10
burst = 70

[[stages]]
at = "10 s"
users = 600
spawn_rate = 300.0

[[stages]]
at = "20 s"
users = 900
spawn_rate = 300.0

[[stages]]
at = "30 s"
users = 1200
spawn_rate = 300.0

[[stages]]
at = "40 s"
users = 1500
spawn_rate = 300.0

[[commands]]
at = "60 s"
do = "drop"
who = "storm"

[[commands]]
at = "62 s"
do = "return"
who = "storm"

[[commands]]
at = "94 s"
do = "terminate"

[[publish]]
event = "price:update"
rate = 30.0

[[publish]]
event = "ticker:update"
rate = 10.0

[[publish]]
event = "order:created"
rate = 1.0

[policy]
inconclusive = "fail"
"""


def make_full_run(directory: Path, *, seed: int = 7, slower: float = 1.0) -> Path:
    """Write the run and return it; ``slower`` stretches every push."""

    def change(tables: Tables) -> None:
        for name, rows in _tables(np.random.default_rng(seed), slower).items():
            tables[name] = rows

    return make_run(directory, scenario=SCENARIO, manifest=_manifest(), change=change)


def make_cycles_run(directory: Path, *, cycles: int = CYCLES) -> Path:
    """Write a run in which 200 clients leave and return again and again; return it."""
    period_s = 8
    end_s = 12 + cycles * period_s
    commands = "".join(
        f'[[commands]]\nat = "{2 + cycle * period_s + late} s"\ndo = "{deed}"\nwho = "idle"\n\n'
        for cycle in range(cycles)
        for deed, late in (("drop", 0), ("return", 4))
    )
    scenario = SCENARIO.replace('name = "everything"', 'name = "cycles"')
    scenario = (
        scenario[: scenario.index("[users.storm]")] + "[users.idle]\ncount = 200\n\n" + commands
    )
    head, rest = scenario.split("budgets = [", 1)
    scenario = f'{head}budgets = ["memory.per_cycle <= 100 B"]{rest.split("]", 1)[1]}'
    scenario += '[policy]\ninconclusive = "fail"\n'
    scenario = scenario.replace("100 s", f"{end_s - 10} s")

    def change(tables: Tables) -> None:
        for name in tables:
            tables[name] = []
        tables["events"] = [
            event_row(int((12 + cycle * period_s + late) * _S), Event.COMMAND, deed, group="idle")
            for cycle in range(cycles)
            for deed, late in (("drop", 0), ("return", 4))
        ]
        noise = np.random.default_rng(3)
        for second in range(end_s):
            place = (second - 12) % period_s if second >= 12 else period_s
            gone = second >= 12 and place < 4
            cycle = max(0, (second - 12) // period_s + 1)
            row = _server_row(second, 40 if gone else 240, 0, noise)
            row["pss_anon_bytes"] += cycle * 200 * BYTES_PER_CYCLE
            row["phase"] = str(_phase(second, end_s))
            tables["server"].append(row)

    phases = ((Phase.RAMP, 0, 5), (Phase.WARM_UP, 5, 10), (Phase.STEADY, 10, end_s))
    manifest = {"phases": _phase_rows(phases), "users": {"idle": 200, "trader": 20}}
    return make_run(directory, scenario=scenario, manifest=manifest, change=change)


def _phase(second: int, steady_end_s: int = 110) -> Phase:
    if second < 10:
        return Phase.RAMP if second < 5 else Phase.WARM_UP
    return Phase.STEADY if second < steady_end_s else Phase.DRAIN


def _phase_rows(phases: Sequence[tuple[Phase, int, int]]) -> list[dict[str, Any]]:
    return [
        {"phase": str(phase), "start_s": float(start), "end_s": float(end)}
        for phase, start, end in phases
    ]


def clients_at(second: int) -> int:
    """Return the number of connected clients in a second."""
    if second >= TERMINATE_S + 2:
        return 0
    most = max(clients for start, clients in STEPS if start <= second)
    coming = min(most, 60 * (second + 1)) if second < 5 else most
    return coming - MEMBERS if DROP_S <= second < DROP_S + 2 else coming


def rows_of(
    series: Series,
    second: int,
    values_ns: Sequence[float],
    *,
    family: str = "",
    worker: str = "local",
) -> Rows:
    """Return the rows of ``hist`` for durations measured in one second of this run."""
    buckets, counts = np.unique([bucket_of(int(each)) for each in values_ns], return_counts=True)
    head = {"t_s": second, "phase": str(_phase(second)), "worker": worker}
    return [
        {
            **head,
            "series": str(series),
            "family": family,
            "bucket": int(bucket),
            "count": int(count),
        }
        for bucket, count in zip(buckets, counts, strict=True)
    ]


def _tables(noise: np.random.Generator, slower: float) -> Tables:
    tables: Tables = {
        "hist": [], "timeline": [], "server": [], "nodes": [], "generator": [], "sample": [],
        "ledger": _ledger(), "clients": _clients(noise), "events": _events(noise),
    }  # fmt: skip
    cpu_ns = 0
    for second in range(PHASES[-1][2]):
        cpu_ns += int(noise.normal(150 + clients_at(second) / 4, 15) * _MS)
        tables["hist"] += _hist(second, noise, slower)
        tables["timeline"] += _timeline(second)
        if second < TERMINATE_S + 2:
            tables["server"].append(_server_row(second, clients_at(second), cpu_ns, noise))
        tables["generator"].append(_generator_row(second, noise))
    tables["hist"] += _storm_and_drain(noise)
    return tables


def _hist(second: int, noise: np.random.Generator, slower: float) -> Rows:
    def around(median_ms: float, spread: float, size: int) -> list[float]:
        return list(noise.lognormal(np.log(median_ms * _MS), spread, size))

    rows = rows_of(Series.LOOP_LAG, second, around(0.5, 0.8, 100))
    if second < 5:
        rows += rows_of(Series.CONNECT, second, around(14, 0.4, 60))
    if not 5 <= second < TERMINATE_S:
        return rows
    busy = 1.0 + clients_at(second) / 800 + 3 * (second in STOLEN_S)
    for family, share, size in (("price", 1.0, 900), ("ticker", 1.2, 300), ("trading", 1.5, 60),
                                ("user", 0.8, 20)):  # fmt: skip
        spans = np.array(around(1.6 * busy * share * slower, 0.45, size))
        spans[noise.random(size) < 0.01] *= 5
        rows += rows_of(Series.PUSH, second, list(spans), family=family)
        rows += rows_of(Series.PUSH_SERVICE, second, list(spans * 0.7), family=family)
    rows += rows_of(Series.ACCEPT, second, around(0.5, 0.4, 40))
    rows += rows_of(Series.KERNEL, second, around(0.9 * busy * slower, 0.5, 40))
    rows += rows_of(Series.GENERATOR_SHARE, second, around(0.25, 0.4, 40))
    rows += rows_of(Series.FANOUT_SKEW, second, around(1.1 * busy, 0.6, 40))
    rows += rows_of(Series.STALENESS, second, around(900, 0.9, 60))
    rows += rows_of(Series.ACK, second, around(2.4 * busy, 0.5, 16))
    rows += rows_of(Series.ACK_SERVICE, second, around(1.6 * busy, 0.4, 16))
    rows += rows_of(Series.SCHEDULE_DELAY, second, around(0.5, 0.5, 16))
    rows += rows_of(Series.PUBLISH_DELAY, second, around(0.6, 0.5, 55), worker="publisher")
    if second % 5 == 1:
        errors = np.abs(noise.normal(0, 1.2 * _MS, clients_at(second)))
        rows += rows_of(Series.HEARTBEAT_ERROR, second, list(errors))
        rows += rows_of(Series.HEARTBEAT_GAP, second, list(5_000 * _MS + errors))
    return rows


def _storm_and_drain(noise: np.random.Generator) -> Rows:
    back = 2_000 * _MS + noise.gamma(2.0, 350 * _MS, MEMBERS)
    rows = rows_of(Series.STORM_BACK, DROP_S + 3, list(back))
    rows += rows_of(
        Series.STORM_FRESH, DROP_S + 4, list(back + noise.gamma(1.5, 300 * _MS, MEMBERS))
    )
    notice = noise.gamma(2.0, 4 * _MS, 1_400)
    rows += rows_of(Series.DRAIN_NOTICE, TERMINATE_S, list(notice))
    return rows + rows_of(
        Series.DRAIN_CLOSE, TERMINATE_S + 1, list(notice + noise.uniform(0, 1.5 * _S, 1_400))
    )


def _timeline(second: int) -> Rows:
    is_open = 5 <= second < TERMINATE_S
    common = {"t_s": second, "phase": str(_phase(second))}
    clients = clients_at(second)
    late = 3 if second in STOLEN_S else 0
    return [
        {
            **common, "worker": "local", "clients": clients, "offered": 16 * is_open,
            "sent": 16 * is_open, "received": 3 * clients * is_open, "errors": 0, "missed": 0,
            "bytes_received": 900 * clients * is_open,
        },
        {
            **common, "worker": "publisher", "clients": 0, "offered": 41 * is_open,
            "sent": (41 - late) * is_open, "received": 0, "bytes_received": 0, "errors": 0,
            "missed": late,
        },
    ]  # fmt: skip


def _server_row(
    second: int, clients: int, cpu_ns: int, noise: np.random.Generator
) -> dict[str, Any]:
    memory = (60 << 20) + clients * BYTES_PER_CLIENT + int(noise.normal(0, 6_000))
    return {
        "t_s": second, "phase": str(_phase(second)), "clients": clients, "cpu_ns": cpu_ns,
        "rss_bytes": memory + (12 << 20), "pss_anon_bytes": memory, "fds": 20 + clients,
        "messages_out": 700 * second, "loop_lag_ns": int(noise.lognormal(np.log(2 * _MS), 0.4)),
        "sessions": clients, "queue_bytes": 0, "tasks": 12, "gc_pause_max_ns": 400_000,
        "kernel_bytes": 4_096 * (100 + 2 * clients),
    }  # fmt: skip


def _generator_row(second: int, noise: np.random.Generator) -> dict[str, Any]:
    return {
        "t_s": second, "phase": str(_phase(second)), "worker": "local",
        "cpu_ns": int(noise.normal(310 + clients_at(second) / 6, 30) * _MS),
        "run_queue_ns": int(noise.lognormal(np.log(6 * _MS), 0.5)),
        "steal_ns": 450 * _MS if second in STOLEN_S else 1 * _MS,
        "loop_lag_max_ns": int(noise.lognormal(np.log(4 * _MS), 0.5)),
        "schedule_delay_max_ns": 2 * _MS, "share_max_ns": 1 * _MS, "gc_pause_ns": 900_000,
        "gc_pause_max_ns": 700_000,
    }  # fmt: skip


def _ledger() -> Rows:
    rows = [
        ledger_row(f"{family}:SYM{index:03d}/USDT", group, owed // (index + 1))
        for family, owed in (("price", 48_000), ("ticker", 12_000))
        for group in ("subscriber", "storm", "slow_reader")
        for index in range(50)
    ]
    for row in rows:
        if row["group"] == "slow_reader":
            row["conflated"] = row["owed"] // 3
            row["received"] = row["owed"] - row["conflated"]
    return [*rows, ledger_row("trading", "trader", 9_900), ledger_row("user", "trader", 1_650)]


def _clients(noise: np.random.Generator) -> Rows:
    return [
        {
            "worker": "local", "user": f"vu-{place}", "group": "subscriber", "place": place,
            "welcome_ns": place * 16 * _MS, "connects": 1, "pushes": 400,
            "push_sum_ns": int(400 * noise.normal(3.0 + 0.0004 * place, 0.2) * _MS),
            "push_max_ns": 20 * _MS,
        }
        for place in range(1_400)
    ]  # fmt: skip


def _events(noise: np.random.Generator) -> Rows:
    rows = [event_row(start * _S, Event.PHASE, str(phase)) for phase, start, _ in PHASES]
    for deed, group, at_s in (
        ("drop", "storm", 70),
        ("return", "storm", 72),
        ("terminate", "", 104),
    ):
        rows.append(event_row(at_s * _S, Event.COMMAND, deed, group=group))
    rows += _limit_rows() + _dead_peer_rows(noise) + _auth_rows()
    for member in range(MEMBERS):
        who = {"user": f"vu-storm-{member}", "group": "storm"}
        rows.append(event_row(4 * _S, Event.CONNECT, **who))
        rows.append(event_row(DROP_S * _S, Event.DISCONNECT, "command", **who))
        refused = member % 4 == 0
        if refused:
            rows.append(event_row(72 * _S + member, Event.ATTEMPT, "HTTP 503", **who))
        rows.append(event_row(73 * _S + member, Event.ATTEMPT, "welcome", **who))
        rows.append(event_row(73 * _S + member, Event.RECONNECT, **who))
    return rows


def _limit_rows() -> Rows:
    sent = [10 * _S + index * _MS // 10 for index in range(70)]
    sent += [(11 + index) * _S for index in range(90)]
    accepted: list[int] = []
    rows = []
    for at_ns in sent:
        held = [each for each in accepted if each > at_ns - 60 * _S]
        if len(held) < 60:
            accepted.append(at_ns)
            rows.append(limit_row(at_ns, LimitOutcome.ACCEPTED))
        else:
            wait_ms = (held[0] + 60 * _S - at_ns) // _MS
            rows.append(limit_row(at_ns, LimitOutcome.REFUSED, wait_ms))
    return rows


def _dead_peer_rows(noise: np.random.Generator) -> Rows:
    rows = []
    for kind, low_s, high_s in (("mute", 25, 45), ("no-pong", 20, 45), ("stalled", 5, 12)):
        for index in range(10):
            span_s = float(noise.uniform(low_s, high_s))
            is_late = kind == "stalled" and index == 0
            outcome = DeadPeerOutcome.LATE if is_late else DeadPeerOutcome.IN_BAND
            span_s = high_s + 6.0 if is_late else span_s
            rows.append(
                event_row(
                    (12 + high_s) * _S, Event.DEAD_PEER_BAND, group="dead_peer", sent_ns=12 * _S,
                    user=f"vu-dead-{kind}-{index}", value_ns=low_s * _S, detail=kind,
                )
            )  # fmt: skip
            rows.append(
                event_row(
                    int((12 + span_s) * _S), Event.DEAD_PEER, str(outcome), group="dead_peer",
                    user=f"vu-dead-{kind}-{index}", value_ns=int(span_s * _S), detail=kind,
                )
            )  # fmt: skip
    return rows


def _auth_rows() -> Rows:
    cases = [
        (AuthOutcome.ACCEPTED, "good, in the handshake"),
        (AuthOutcome.ACCEPTED, "good, in the query"),
        (AuthOutcome.REFUSED, "missing"), (AuthOutcome.REFUSED, "garbage"),
        (AuthOutcome.REFUSED, "bad signature"), (AuthOutcome.REFUSED, "algorithm none"),
        (AuthOutcome.REFUSED, "expired"), (AuthOutcome.REFUSED, "no exp"),
        (AuthOutcome.EXPIRED, "expiring"),
    ]  # fmt: skip
    rows = [
        event_row((11 + turn) * _S, Event.AUTH, str(outcome), group="bad_token", detail=case)
        for turn in range(20)
        for outcome, case in cases
    ]
    wrong = event_row(60 * _S, Event.AUTH, str(AuthOutcome.WRONG_CODE), group="bad_token",
                      detail="no exp")  # fmt: skip
    return [*rows, wrong]


def _manifest() -> dict[str, Any]:
    return {
        "phases": _phase_rows(PHASES),
        "users": {"subscriber": 1_220, "trader": 20, "storm": 200, "dead_peer": 30, "abuser": 10},
        "gateway": {
            "status": "ok", "exit_code": 0,
            "exits": [{"asked_s": 104.0, "exited_s": 105.9, "exit_code": 0}],
        },
        "scenario": "everything",
        "unmeasured": [],
    }  # fmt: skip
