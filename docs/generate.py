"""Write the documents that are generated from code, or check that they are up to date.

``python docs/generate.py`` writes them. With ``--check`` it compares them, names those that
differ and exits with 1.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

from gateway.contract import (
    CHANNELS,
    EVENTS,
    MAX_PUBLISH_ID_LENGTH,
    MAX_RATES,
    MAX_REPLAY_BYTES,
    MAX_REPLAY_EVENTS,
    MAX_REPLAYS_BYTES,
    MAX_VALUES_BYTES,
    PUBLISH_ID_SECONDS,
    RESYNC_REASONS,
    USER_RETENTION_SECONDS,
    ChannelRow,
    Direction,
    EventRow,
)

DOCS = Path(__file__).resolve().parent
VERBS = (
    "serve", "demo", "run", "calibrate", "report", "notebook", "gate", "compare", "scenarios",
    "token", "rules", "watch", "record", "history", "history add", "history show", "history check",
    "audit verify",
)  # fmt: skip


def settings() -> str:
    """Return the table of the gateway's settings."""
    from gateway.variables import settings_table

    return (
        "# Settings of the gateway\n\n"
        "The gateway reads its settings from the environment. It does not start with an unknown\n"
        "`GATEWAY_` name or an invalid value, and lists every problem. An empty value is invalid.\n"
        "`NAME_FILE` names a file that holds the value of `NAME`, in place of it.\n"
        "[operations.md](operations.md) has more about the process.\n\n" + settings_table()
    )


def metrics() -> str:
    """Return the lists of the metrics of the gateway and of the witness."""
    from gateway.metrics import metrics_table
    from loadtests.watching.figures import witness_table

    return (
        "# Metrics of the gateway\n\n"
        "`GET /metrics` returns these in Prometheus' text format. The list is complete: at run\n"
        "time, the gateway adds no name and no label with a user, symbol, client or address.\n\n"
        + metrics_table()
        + "\n## Metrics of the witness\n\n"
        "`tidegate watch` serves these. [operations.md](operations.md#watch-a-running-gateway)\n"
        "explains the command.\n\n" + witness_table()
    )


def events() -> str:
    """Return the tables of the contract's channels, events and subjects."""
    to_client = [row for row in EVENTS.values() if row.direction is Direction.TO_CLIENT]
    subjects = {row.subject.key: row.subject for row in to_client if row.subject is not None}
    lines = [
        "# Events",
        "",
        "From `CHANNELS` and `EVENTS` in `gateway/contract.py`. [extending.md](extending.md) tells",
        "how to add a row. A publisher may also use a name of its own: such an event goes to one",
        "room, one user or one client. It is numbered in the room's or the user's stream.",
        "",
        f"An item to publish may have an `id`, a text of 1 to {MAX_PUBLISH_ID_LENGTH} characters.",
        f"Within {PUBLISH_ID_SECONDS:g} s, an item with the same `id` is not published again, and",
        "its receipt is that of the first.",
        "",
        "An event published to one `clientId` has no number, whatever its name. An LLM event",
        "published to a user or to the room `llm` is numbered in the stream of its `sessionId`.",
        "",
        "## Channels",
        "",
        "| channel | symbols | lane | events |",
        "|---|---|---|---|",
        *(_row(*_channel(row)) for row in CHANNELS.values()),
        "",
        "## Client → gateway",
        "",
        *(f"- `{name}`" for name, row in EVENTS.items() if row.direction is Direction.TO_GATEWAY),
        "",
        "## Gateway → client",
        "",
        "A client that reads slowly gets only the newest event for each value of *newest of*.",
        "",
        "| event | family | to | stream | lane | newest of | published | about |",
        "|---|---|---|---|---|---|---|---|",
        *(_row(*_event(row)) for row in to_client),
        "",
        *_SNAPSHOTS,
        *_rates(),
        *_returning(),
        "## What events are about",
        "",
        "The public form of an event has the public fields alone, and a keyed hash for `id`.",
        "",
        "| about | public fields | private fields |",
        "|---|---|---|",
        *(
            _row(f"`{key}`", _names(subject.public), _names(subject.private))
            for key, subject in subjects.items()
            if subject.private
        ),
    ]
    return "\n".join(lines) + "\n"


_SNAPSHOTS = (
    "## Snapshots",
    "",
    "After `subscribed`, each symbol that the client did not hold before gets the last event of",
    "each of its streams, if there is one: with `snapshot: true`, its own `seq` and `ts`, and no",
    "`prevSeq`. Its `seq` is the number in `at`, and the next event follows it. The whole channel",
    f"has no snapshots. The gateway holds {MAX_VALUES_BYTES >> 20} MiB of last events; above it,",
    "the streams that were silent longest have none.",
    "",
)


def _rates() -> list[str]:
    rates = ", ".join(map(str, MAX_RATES[:-1])) + f" or {MAX_RATES[-1]}"
    return [
        "## A client's own rate",
        "",
        f"`subscribe` to market data takes `maxRate`: {rates} events a second, for each event",
        "of each symbol. Slots are at even distances. At the end of a slot the client gets the",
        "newest event of the slot, so it always gets the last one when a symbol falls silent.",
        "`prevSeq` is the number that it got before. `at` names the number from which it goes on.",
        "`subscribed` shows `maxRate`, and `subscriptions` has it by room.",
        "",
        "- A client that subscribes again with another rate, or none, moves to it. What it lacks",
        "  comes before the answer. It never gets a number twice, or a smaller one.",
        "- A symbol's own subscription goes before that of the whole channel: a client with both",
        "  gets the symbol at the rate of the first. `unsubscribe` brings the other rate back.",
        "- Events of a publisher's own, such as a halt in the room of a symbol, are not limited.",
        "",
    ]


def _returning() -> list[str]:
    minutes = f"{USER_RETENTION_SECONDS / 60:g}"
    kib, mib = MAX_REPLAY_BYTES >> 10, MAX_REPLAYS_BYTES >> 20
    return [
        "## Returning clients",
        "",
        "A client that returns sends `auth: {token, lastUserSeq, epoch}`: the last `userSeq`",
        "that it has, and the `epoch` of its last `connected`. The private events that it missed",
        "follow the new `connected`, in order, with `replayed: true`. When they cannot all be",
        "sent, none is, and `resync` says why. The client then reads its state anew and goes on",
        "from `userSeq`: [examples/returning_client.mjs](../examples/returning_client.mjs).",
        "",
        f"The gateway holds the last {MAX_REPLAY_EVENTS} private events of a user, at most {kib}",
        f"KiB, until {minutes} minutes after the last connection, and {mib} MiB for all users.",
        "Above it, those whose events were used least recently go first.",
        "",
        "| `reason` of `resync` | meaning |",
        "|---|---|",
        *(_row(f"`{reason}`", meaning) for reason, meaning in RESYNC_REASONS.items()),
        "",
    ]


def _channel(channel: ChannelRow) -> tuple[str, ...]:
    names = [name for name, row in EVENTS.items() if row.channel == channel.name]
    symbols = "yes" if channel.takes_symbols else ""
    return f"`{channel.name}`", symbols, channel.lane.lower(), _names(names)


def _event(row: EventRow) -> tuple[str, ...]:
    stream = f"{row.stream.kind}:{row.stream.by}".rstrip(":")
    return (
        f"`{row.name}`",
        row.family,
        f"{row.audience} (`{row.channel}`)" if row.channel else row.audience,
        f"`{stream}`" if stream else "",
        row.lane.lower(),
        "" if row.conflated_by is None else _names(row.conflated_by or ("event",)),
        "yes" if row.publishable else "",
        f"`{row.subject.key}`" if row.subject is not None else "",
    )


def _names(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def results() -> str:
    """Return the reference of a run directory: files, tables, members and words."""
    from run_directory import describe_run_directory

    return describe_run_directory()


def scenario_file() -> str:
    """Return the reference of a scenario file: its tables and keys."""
    from scenario_file import describe_scenario_file

    return describe_scenario_file()


def scenarios() -> str:
    """Return the grammar of budgets, and the metrics that they may name."""
    import scenarios.budgets
    import scenarios.overlay
    from loadtests.supervision import breach
    from reports import places
    from scenarios.schema import METRICS

    grammar, examples = (
        (scenarios.budgets.__doc__ or "").split("\n\n", 1)[1].split("A relative budget", 1)
    )
    lines = [
        "# Budgets",
        "",
        "```",
        *(line.removeprefix("    ") for line in grammar.strip("\n").splitlines()),
        "```",
        "",
        f"A relative budget{examples}".replace("``", "`").strip(),
        "",
        "A budget without data never passes. [gate.md](gate.md) explains how a budget is decided.",
        "",
        "## Separate budget files",
        "",
        (scenarios.overlay.__doc__ or "").replace("``", "`").strip(),
        "",
        "    tidegate run scenarios/smoke.toml --budgets ci.toml --baseline RUN",
        "    tidegate gate RUN --budgets ci.toml --baseline RUN",
        "",
        "## Early ends",
        "",
        (breach.__doc__ or "").split("Pure. ", 1)[1].replace("``", "`").strip(),
        "",
        "`--max-duration` ends the load early too. A run that ends early says so and never passes.",
        "When a breach becomes visible, py-spy profiles the gateway for ten seconds into",
        "`logs/gateway-profile.txt`, if it is installed and permitted. Otherwise the manifest's",
        "problems say why there is no profile. `--profile` profiles the first ten steady seconds",
        "of any run, and so does `--baseline RUN` when that run has a profile.",
        "",
        "## A breach explained",
        "",
        (places.__doc__ or "").replace("``", "`").strip(),
        "",
        "The report shows this for the worst broken push time: as shares of the excess over the",
        "baseline where there is one, else over the budget. With the profiles of both runs it also",
        "draws a differential flame graph and lists the functions whose share of the samples grew",
        "beyond what sampling explains.",
        "",
        "## Metrics",
        "",
        "| metric | kind | meaning |",
        "|---|---|---|",
    ]
    lines += [f"| `{one.name}` | {one.kind} | {one.meaning} |" for one in METRICS.values()]
    return "\n".join(lines) + "\n"


def commands() -> str:
    """Return the help of every command."""
    parts = ["# The command line\n", _exit_codes()]
    environ = {**os.environ, "NO_COLOR": "1", "TERM": "dumb", "COLUMNS": "88"}
    for verb in ("", *VERBS):
        words = verb.split()
        answer = subprocess.run(  # noqa: S603 - the project's own command
            [sys.executable, "-m", "loadtests", *words, "--help"],
            capture_output=True,
            text=True,
            check=True,
            env=environ,
        )
        body = "\n".join(line.rstrip() for line in answer.stdout.strip().splitlines())
        parts.append(f"## tidegate {verb}".rstrip() + f"\n\n```\n{body}\n```\n")
    return "\n".join([*parts, _tokens()])


def _tokens() -> str:
    """Return the format of files of tokens, and how they are renewed."""
    from loadtests import given_tokens
    from loadtests.supervision import token_file

    words = [str(module.__doc__).split("ValueError\n")[0] for module in (given_tokens, token_file)]
    text = "\n\n".join(each.strip().replace("``", "`") for each in words)
    return (
        f"## Users' tokens\n\n{text}\n\n"
        "`{users}` in the command becomes the number of users. The command runs without a shell,\n"
        "in the caller's folder and environment. Each time, it must print the same users in the\n"
        "same order. Keep secrets out of its arguments, which others on the machine can see.\n"
        "Groups that sign tokens (`bad_token`, `expiring`, `entitled`) need `JWT_SECRET` instead.\n"
        "A Locust file takes `--tokens` and `--metrics-token` too; each worker on another machine\n"
        "needs its own copy of the file.\n"
    )


def _exit_codes() -> str:
    """Return the table of exit codes, and how a verdict becomes an exit code."""
    from loadtests.results import EXIT_CODES

    rows = "\n".join(f"| {code.value} | {meaning} |" for code, meaning in EXIT_CODES.items())
    return (
        f"## Exit codes\n\n| code | meaning |\n|--:|---|\n{rows}\n\n"
        "The worst verdict decides: FAIL, then INVALID, then INCONCLUSIVE. `make` exits with 2\n"
        "after every failure, so call `tidegate run` in a pipeline.\n"
    )


def transport() -> str:
    """Return the comparison of the transport with python-socketio's interface."""
    from compatibility import compatibility

    return compatibility()


def nodes() -> str:
    """Return the document of nodes, with the table of what faults did to them."""
    from node_faults import with_table

    return with_table((DOCS / "nodes.md").read_text("utf-8"), DOCS / "nodes-faults.json")


def alerting(name: str) -> str:
    """Return a file of ``tidegate rules steady``, which ``deploy/compose.yaml`` mounts."""
    from loadtests.alerting.files import rule_files
    from scenarios.finding import named_scenarios
    from scenarios.schema import read_scenario

    return rule_files(read_scenario(named_scenarios()["steady"]))[name]


RULES = ("standing.yml", "budgets-steady.yml", "dashboard-steady.json")
DOCUMENTS: dict[str, Callable[[], str]] = {
    "settings.md": settings,
    "metrics.md": metrics,
    "events.md": events,
    "results.md": results,
    "scenarios.md": scenario_file,
    "budgets.md": scenarios,
    "commands.md": commands,
    "nodes.md": nodes,
    "transport.md": transport,
    **{f"deploy/rules/{name}": partial(alerting, name) for name in RULES},
}


def main() -> int:
    """Write or check every document.

    Returns:
        The exit code: 1 when ``--check`` found a document that is out of date.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    check = parser.parse_args().check
    stale = []
    for name, make in DOCUMENTS.items():
        path = DOCS / name
        text = make()
        if check and (not path.exists() or path.read_text("utf-8") != text):
            stale.append(name)
        elif not check:
            path.write_text(text, "utf-8")
    if stale:
        print(f"out of date: {', '.join(stale)}; run make docs", file=sys.stderr)  # noqa: T201
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
