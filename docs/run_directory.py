"""Write ``docs/results.md``: the files, tables, words and members of a run directory.

Tables, columns and words come from ``loadtests.results``. The members of the JSON files are
described here, and a test compares them with the files of a real run.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterable, Iterator, Mapping
from enum import Enum
from typing import Final

from loadtests import results
from loadtests.health import live_file
from loadtests.record.gateway_orders import EXITS, ORDERS

FILES: Final[tuple[tuple[str, str, str], ...]] = (
    (results.MANIFEST, "JSON", "scenario, machine, status and facts of the run; members below"),
    (results.SCENARIO, "TOML", "the scenario as it was run"),
    (results.BUDGETS, "TOML", "the budgets given with `--budgets`; absent without that option"),
    (*("*.parquet", "Parquet"), "the tables below, written from the segments at the end"),
    (f"{results.SEGMENTS}/*.arrow", "Arrow IPC stream", "TABLE.WRITER.arrow: a table as it grows"),
    (results.VERDICT, "JSON", "the verdict; every other output is made from it"),
    (
        results.JUNIT,
        "XML",
        "a test case for each budget; inconclusive is skipped, invalid an error",
    ),
    (results.SUMMARY, "Markdown", "the verdict for a terminal or a pull request"),
    (results.REPORT, "HTML", "the report: one page, offline"),
    (results.COMPARISON, "JSON", "in the folder of a comparison: head compared with base"),
    (
        results.CAPACITY,
        "JSON",
        "trials and result of a capacity search; also in the directory of its last passing trial",
    ),
    ("notebooks/*.html", "HTML", "pages from `tidegate notebook`"),
    (f"{results.LOGS}/live.json", "JSON", "the newest second, rewritten every second"),
    (f"{results.LOGS}/publisher.json", "JSON", "the publisher's ledger, rewritten every second"),
    (f"{results.LOGS}/supervisor.json", "JSON", "what the supervisor observed of its processes"),
    (f"{results.LOGS}/{ORDERS}", "JSON", "commands of the run to the embedded gateway, with times"),
    (f"{results.LOGS}/{EXITS}", "JSON", "when and how each gateway process ended"),
    (
        f"{results.LOGS}/{results.PROFILE}",
        "text",
        "py-spy's stacks of the gateway with their samples, made in a breach or by `--profile`",
    ),
    (f"{results.LOGS}/node-*/*", "", "with several nodes: these files of each gateway"),
    (f"{results.LOGS}/*.log", "text", "output of gateway, load, publisher, watch and profiler"),
)
"""Path in the run directory, format, meaning."""

_SPAN: Final = "integer"
MANIFEST: Final[tuple[tuple[str, str, str, str], ...]] = (
    ("format_version", "integer", "", "readers refuse every version but their own"),
    ("run_id", "text", "", "the directory's name"),
    ("status", "text", "", "see RunStatus"),
    ("scenario", "text", "", "the scenario's name"),
    ("seed", "integer", "", "seed of every random choice"),
    ("created", "text", "UTC", "ISO 8601, wall clock, for humans"),
    ("versions", "object", "", "Python and the packages that matter; null where not installed"),
    ("git_commit", "text", "", "null outside a repository"),
    ("git_dirty", "boolean", "", "whether files differed from the commit"),
    ("host", "object", "", "kernel, machine, cpu, cores, memory_bytes (B)"),
    ("placement", "object", "", "gateway, load: lists of cores; null where unknown"),
    (
        "target",
        "object",
        "",
        "url (URL,URL of several nodes), embedded (boolean), pid (null for an external gateway)",
    ),
    ("nodes", "list", "", "name, url, pid of each of several nodes; empty with one gateway"),
    ("limits", "object", "", "limits that the gateway announces in its welcome"),
    ("heartbeat_interval_ms", "integer", "ms", "as announced in the welcome"),
    ("clock", "object", "", "gateway and generator: ids of their clocks; same; offset and error"),
    ("users", "object", "", "virtual users by group"),
    ("spawn_rate", "number", "1/s", "users that arrive per second"),
    ("load_s", "number", "s", "run time from the command line; null when the phases decide"),
    ("command", "list", "", "the command line"),
    ("files", "object", "", "paths of scenario and budgets as typed on the command line"),
    (
        "turns",
        "object",
        "",
        "place (first, second), meeting: the run that this one takes turns with",
    ),
    ("t0_monotonic_ns", _SPAN, "ns", "the run's start on the machine's monotonic clock"),
    ("phases", "list", "", "phase, start_s, end_s (s since the start) of each that began"),
    ("unmeasured", "list", "", "text: what the machine or the target could not provide"),
    ("workers", "object", "", "names, lost, facts by name; null without workers"),
    ("publisher", "object", "", "status, published, late, missed; null when nothing is published"),
    ("gateway", "object", "", "status, exit_code, exits; null for an external gateway"),
    ("problems", "list", "", "text: what went wrong"),
)
_BUDGET: Final = (
    ("budgets[].text", "text", "", "the budget as written"),
    ("budgets[].path", "text", "", "its file"),
    ("budgets[].line", "integer", "", "its line in that file"),
    ("budgets[].metric", "text", "", "see budgets.md"),
    ("budgets[].statistic", "text", "", "p50, p99.9, max; null when the metric is one number"),
    ("budgets[].operator", "text", "", "<=, <, >=, > or =="),
    ("budgets[].limit", "number", "metric's", "ns, B, a count or a ratio"),
    ("budgets[].unit", "text", "", "the unit as written; numbers here are ns, B, counts or ratios"),
    ("budgets[].relative", "boolean", "", "whether the limit is a ratio to a baseline"),
    (
        "budgets[].floor",
        "number",
        "metric's",
        "a relative budget passes if the interval's upper end is at most this",
    ),
    ("budgets[].value", "number", "metric's", "measured value; null without data"),
    ("budgets[].low", "number", "metric's", "lower end of the 95 % interval"),
    ("budgets[].high", "number", "metric's", "upper end of the 95 % interval"),
    ("budgets[].n", "integer", "", "number of values behind it"),
    ("budgets[].base", "number", "metric's", "the baseline's value; null without one"),
    ("budgets[].head", "number", "metric's", "the head's value; null without a baseline"),
    ("budgets[].base_run", "text", "", "the baseline's run_id"),
    ("budgets[].visible", "number", "ratio", "the smallest change that would be detected"),
    ("budgets[].verdict", "text", "", "see Verdict"),
    ("budgets[].why", "text", "", "a sentence for a human"),
)
VERDICT: Final[tuple[tuple[str, str, str, str], ...]] = (
    ("format_version", "integer", "", "format version of the run"),
    ("run_id", "text", "", "the run"),
    ("scenario", "text", "", "the scenario's name"),
    ("verdict", "text", "", "see Verdict"),
    ("exit_code", "integer", "", "0 pass, 1 broken, 3 inconclusive, 4 invalid, 5 gateway died"),
    ("reasons", "list", "", "text: why the verdict is not PASS"),
    *_BUDGET,
    (
        "explanation",
        "object",
        "",
        "where the time of a broken push budget went, by place; null without one",
    ),
    ("validity[].name", "text", "", "the check of the generator or the machine"),
    ("validity[].value", "number", "ns or %", "measured value; null when there is no number"),
    ("validity[].limit", "number", "ns or %", "null when there is no number"),
    ("validity[].ok", "boolean", "", "whether the check passed; null when unknown"),
    ("validity[].why", "text", "", "text: the reason"),
)
COMPARISON: Final[tuple[tuple[str, str, str, str], ...]] = (
    ("format_version", "integer", "", "format version of the runs"),
    *VERDICT[2:6],
    ("method", "text", "", "how the interval was computed: slices, pairs, samples or single"),
    ("pairs", "integer", "", "pairs that were compared"),
    ("undecided", "boolean", "", "whether more pairs may decide an open budget"),
    ("base", "list", "", "run_id of each block of the base"),
    ("head", "list", "", "run_id of each block of the head"),
    ("excluded[].run_id", "text", "", "a block that does not count"),
    ("excluded[].why", "text", "", "why it does not count"),
    ("advice", "text", "", "why it only advises, such as another machine; empty when it judges"),
    *_BUDGET,
    ("budgets[].ratios", "list", "ratio", "head divided by base, for each pair"),
)
CAPACITY: Final[tuple[tuple[str, str, str, str], ...]] = (
    ("format_version", "integer", "", "format version of the trials"),
    ("scenario", "text", "", "the scenario's name"),
    ("of", "text", "", "the scaled load: publications or users"),
    ("unit", "text", "", "unit of every load in this file"),
    ("low", "number", "unit", "the highest load that passed; null when none passed"),
    ("high", "number", "unit", "the lowest load that did not pass; null without a bound"),
    ("is_confirmed", "boolean", "", "whether a long trial at low passed too"),
    (
        "bound",
        "text",
        "",
        "what limits the load: gateway, generator, or asked (the scenario asks for no more)",
    ),
    ("why", "text", "", "reason given by the trial at that limit"),
    ("at_least", "number", "unit", "the capacity demanded; null without a demand"),
    ("trials[].load", "number", "unit", "load of a trial; trials are in the order of their runs"),
    ("trials[].is_long", "boolean", "", "whether it is a long trial, which confirms low"),
    ("trials[].verdict", "text", "", "see Verdict"),
    ("trials[].why", "text", "", "text: its first reason"),
    ("trials[].run", "text", "", "its run directory, relative to the search's folder"),
)
PUBLISHER: Final[tuple[tuple[str, str, str, str], ...]] = (
    ("published", "integer", "", "items that the gateway accepted"),
    ("late", "integer", "", "of these, items sent after they were due"),
    ("missed", "integer", "", "items due and never sent"),
    ("failed", "integer", "", "items refused by the gateway, or unanswered"),
    ("throttled", "integer", "", "answers that told the publisher to wait"),
    ("streams", "object", "", "last number of each stream"),
    ("counts", "object", "", "publications of each stream"),
)
SUPERVISOR: Final[tuple[tuple[str, str, str, str], ...]] = (
    ("gateway_exit_code", "integer", "", "exit code of the embedded gateway; null while it runs"),
    ("gateway_died", "boolean", "", "whether the gateway ended on its own"),
    ("interrupted", "boolean", "", "whether a person or a signal ended the run"),
    ("cut", "text", "", "why the load ended early; empty when it did not"),
    ("cut_by", "text", "", "what ended it early, see CutBy; empty when nothing did"),
    ("files", "object", "", "paths of scenario and budgets as typed on the command line"),
    ("problems", "list", "", "text: what went wrong"),
)
DOCUMENTS: Final[Mapping[str, tuple[tuple[str, str, str, str], ...]]] = {
    results.MANIFEST: MANIFEST,
    results.VERDICT: VERDICT,
    results.COMPARISON: COMPARISON,
    results.CAPACITY: CAPACITY,
    f"{results.LOGS}/live.json": tuple(
        (name, _type, unit, meaning)
        for name, (unit, meaning) in live_file.MEMBERS.items()
        for _type in (
            "text" if name == "phase" else "list" if name in ("strains", "nodes") else "number",
        )
    ),
    f"{results.LOGS}/publisher.json": PUBLISHER,
    f"{results.LOGS}/supervisor.json": SUPERVISOR,
}
"""Members of each JSON file: name, type, unit, meaning."""
WORDS: Final = tuple(
    one
    for one in vars(results).values()
    if isinstance(one, type) and issubclass(one, Enum) and one.__module__ == results.__name__
)
"""Every enumeration whose words tables and files may hold."""


def describe_run_directory() -> str:
    """Return the reference of a run directory, as Markdown."""
    lines = [
        "# Files of a run directory",
        "",
        f"This is format version {results.FORMAT_VERSION}; a reader refuses every other version.",
        "A run is `runs/<UTC time>_<scenario>_<short id>/`. Durations are integer nanoseconds. A",
        "column whose meaning says when it is absent may hold nulls, and a null is never a zero.",
        f"During a run, its tables grow in `{results.SEGMENTS}/`. After an aborted run,",
        "`tidegate report` writes the tables from there.",
        "",
        *_table(("file", "format", "meaning"), ((f"`{a}`", b, c) for a, b, c in FILES)),
    ]
    for name, columns in results.TABLES.items():
        lines += ["", f"## {name}.parquet", ""]
        rows = ((f"`{one.name}`", one.kind, one.unit or "–", one.meaning) for one in columns)
        lines += _table(("column", "type", "unit", "meaning"), rows)
    lines += ["", "## Buckets", "", *_buckets()]
    for name, members in DOCUMENTS.items():
        lines += ["", f"## {name}", ""]
        shown = ((f"`{a}`", b, c or "–", d) for a, b, c, d in members)
        lines += _table(("member", "type", "unit", "meaning"), shown)
    for words in WORDS:
        lines += ["", f"## {words.__name__}", "", _first_line(words), ""]
        lines += _table(("word", "meaning"), _meanings(words))
    return "\n".join(lines) + "\n"


def _buckets() -> list[str]:
    first, last = results.bucket_range(results.bucket_of(1_000_000))
    return [
        "`hist.bucket` is an index in the layout of HdrHistogram at three significant digits and",
        "a lowest value of 1 ns. Each value up to 2,047 ns has a bucket of its own. Every doubling",
        "after that has 1,024 buckets, so a duration is known to one part in 1,024. The bucket of",
        f"1 ms is {results.bucket_of(1_000_000):,}, which holds {first:,} to {last:,} ns.",
        "`bucket_of` and `bucket_range` in `loadtests.results` convert both ways.",
    ]


def _table(heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> list[str]:
    """Return a Markdown table. A bar inside a cell is escaped, because it would end the cell."""
    escaped = ([cell.replace("|", "\\|") for cell in row] for row in rows)
    return [
        f"| {' | '.join(heads)} |",
        "|" + "---|" * len(heads),
        *(f"| {' | '.join(row)} |" for row in escaped),
    ]


def _first_line(words: type) -> str:
    return " ".join((inspect.getdoc(words) or "").split("\n\n")[0].split())


def _meanings(words: type) -> Iterator[tuple[str, str]]:
    """Yield each word of an enumeration with its meaning.

    The meaning is the text below the word in the source, or the comment beside it.
    """
    source = inspect.getsource(words)
    lines = source.splitlines()
    body = ast.parse(source).body[0]
    if not isinstance(body, ast.ClassDef):
        raise TypeError(f"{words.__name__} is not a class")
    for node, after in zip(body.body, [*body.body[1:], None], strict=True):
        if not (isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)):
            continue
        told = lines[node.lineno - 1].partition("  # ")[2]
        if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
            told = " ".join(str(after.value.value).split())
        yield f"`{node.value.value!s}`", "" if told.startswith("noqa") else told
