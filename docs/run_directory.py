"""What ``docs/results.md`` says of a run directory: its files, tables, words and members.

Tables, columns and words come from ``loadtests.results``; the members of the JSON files are
described here, and a test holds them against what a run really leaves.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterable, Iterator, Mapping
from enum import Enum
from typing import Final

from loadtests import results
from loadtests.supervision import livefile
from loadtests.supervision.gatewayorders import EXITS, ORDERS
from loadtests.supervision.profiling import PROFILE

FILES: Final[tuple[tuple[str, str, str], ...]] = (
    (results.MANIFEST, "JSON", "what was run, on what, how far it came; see its members below"),
    (results.SCENARIO, "TOML", "the scenario as it was run"),
    (results.BUDGETS, "TOML", "budgets laid over the scenario's own; absent when there were none"),
    (*("*.parquet", "Parquet"), "the tables below; put together from the segments at the end"),
    (f"{results.SEGMENTS}/*.arrow", "Arrow IPC stream", "TABLE.WRITER.arrow: each table, growing"),
    (results.VERDICT, "JSON", "the verdict: the one source of all other outputs"),
    (results.JUNIT, "XML", "a test case for each budget; inconclusive skipped, invalid an error"),
    (results.SUMMARY, "Markdown", "the verdict for a terminal or a pull request"),
    (results.REPORT, "HTML", "the report: one page, offline"),
    (results.COMPARISON, "JSON", "in the folder of a comparison: head against base"),
    (
        results.CAPACITY,
        "JSON",
        "of a search for capacity: its trials and answer; beside the trial kept last, too",
    ),
    ("notebooks/*.html", "HTML", "pages that `tidegate notebook` made"),
    (f"{results.LOGS}/live.json", "JSON", "the newest second, written anew each second"),
    (f"{results.LOGS}/publisher.json", "JSON", "the publisher's ledger, written each second"),
    (f"{results.LOGS}/supervisor.json", "JSON", "what the supervisor saw of its processes"),
    (f"{results.LOGS}/{ORDERS}", "JSON", "what the run ordered of the embedded gateway, and when"),
    (f"{results.LOGS}/{EXITS}", "JSON", "when and how each of its processes ended"),
    (f"{results.LOGS}/{PROFILE}", "SVG", "flame graph of the gateway, made when a budget breaks"),
    (f"{results.LOGS}/*.log", "text", "what gateway, load, publisher, watch and profiler said"),
)
"""Path in the run directory, format, meaning."""

_SPAN: Final = "integer"
MANIFEST: Final[tuple[tuple[str, str, str, str], ...]] = (
    ("format_version", "integer", "", "readers refuse any other than their own"),
    ("run_id", "text", "", "the directory's name"),
    ("status", "text", "", "see RunStatus"),
    ("scenario", "text", "", "its name"),
    ("seed", "integer", "", "of everything drawn by chance"),
    ("created", "text", "UTC", "ISO 8601, wall clock, for humans"),
    ("versions", "object", "", "Python and the packages that matter; null where not installed"),
    ("git_commit", "text", "", "null outside a repository"),
    ("git_dirty", "boolean", "", "whether files differed from the commit"),
    ("host", "object", "", "kernel, machine, cpu, cores, memory_bytes (B)"),
    ("placement", "object", "", "gateway, load: lists of cores; null where unknown"),
    ("target", "object", "", "url, embedded (ours or not), pid (null when not ours)"),
    ("limits", "object", "", "what the gateway's welcome said that it enforces"),
    ("heartbeat_interval_ms", "integer", "ms", "as the welcome announced it"),
    ("clock", "object", "", "gateway and generator: ids of their clocks; same; offset and error"),
    ("users", "object", "", "virtual users by group"),
    ("spawn_rate", "number", "1/s", "users that come a second"),
    ("load_s", "number", "s", "run time that somebody gave; null when the scenario's phases rule"),
    ("command", "list", "", "the command line"),
    ("files", "object", "", "names of scenario and budgets, as somebody typed them"),
    ("t0_monotonic_ns", _SPAN, "ns", "the run's start on the machine's monotonic clock"),
    ("phases", "list", "", "phase, start_s, end_s (s since the start) of each that began"),
    ("unmeasured", "list", "", "in words: what machine or target did not give"),
    ("workers", "object", "", "names, lost, facts by name; null when one process did it all"),
    ("publisher", "object", "", "status, published, late, missed; null when nothing is published"),
    ("gateway", "object", "", "status, exit_code, exits of the embedded one; null when not ours"),
    ("problems", "list", "", "in words: what went wrong"),
)
_BUDGET: Final = (
    ("budgets[].text", "text", "", "as it was written"),
    ("budgets[].path", "text", "", "the file in which it stands"),
    ("budgets[].line", "integer", "", "its line there"),
    ("budgets[].metric", "text", "", "see budgets.md"),
    ("budgets[].statistic", "text", "", "p50, p99.9, max; null where the metric is one number"),
    ("budgets[].operator", "text", "", "<=, <, >=, > or =="),
    ("budgets[].limit", "number", "metric's", "ns, B, a count or a ratio"),
    ("budgets[].unit", "text", "", "as it was written; the numbers beside it are ns, B or counts"),
    ("budgets[].relative", "boolean", "", "whether the limit is a ratio to a baseline"),
    ("budgets[].floor", "number", "metric's", "below it a relative budget does not matter"),
    ("budgets[].value", "number", "metric's", "measured; null when there are no data"),
    ("budgets[].low", "number", "metric's", "lower end of the 95 % interval"),
    ("budgets[].high", "number", "metric's", "upper end"),
    ("budgets[].n", "integer", "", "values that it comes from"),
    ("budgets[].base", "number", "metric's", "the baseline's value; null without one"),
    ("budgets[].head", "number", "metric's", "the head's value beside it"),
    ("budgets[].base_run", "text", "", "the baseline's run_id"),
    ("budgets[].visible", "number", "ratio", "the smallest change that could be seen"),
    ("budgets[].verdict", "text", "", "see Verdict"),
    ("budgets[].why", "text", "", "a sentence for a human"),
)
VERDICT: Final[tuple[tuple[str, str, str, str], ...]] = (
    ("format_version", "integer", "", "the run's"),
    ("run_id", "text", "", "the run"),
    ("scenario", "text", "", "its scenario"),
    ("verdict", "text", "", "see Verdict"),
    ("exit_code", "integer", "", "0 pass, 1 broken, 3 inconclusive, 4 invalid, 5 gateway died"),
    ("reasons", "list", "", "in words: why it is no PASS"),
    *_BUDGET,
    ("validity[].name", "text", "", "what of the generator or the machine was looked at"),
    ("validity[].value", "number", "ns or %", "found; null when there is no number"),
    ("validity[].limit", "number", "ns or %", "null when there is no number"),
    ("validity[].ok", "boolean", "", "null when it could not be told"),
    ("validity[].why", "text", "", "in words"),
)
COMPARISON: Final[tuple[tuple[str, str, str, str], ...]] = (
    ("format_version", "integer", "", "the runs'"),
    *VERDICT[2:6],
    ("method", "text", "", "how the interval was found"),
    ("pairs", "integer", "", "pairs of blocks that were compared"),
    ("undecided", "boolean", "", "whether more pairs may decide it"),
    ("base", "list", "", "run_id of each block of the base"),
    ("head", "list", "", "of the head"),
    ("excluded[].run_id", "text", "", "a block that was left out"),
    ("excluded[].why", "text", "", "why"),
    ("advice", "text", "", "why it only advises, such as another machine; empty when it judges"),
    *_BUDGET,
    ("budgets[].ratios", "list", "ratio", "head over base of each pair"),
)
CAPACITY: Final[tuple[tuple[str, str, str, str], ...]] = (
    ("format_version", "integer", "", "the trials'"),
    ("scenario", "text", "", "its scenario"),
    ("of", "text", "", "what was scaled: publications or users"),
    ("unit", "text", "", "of every load here, in words"),
    ("low", "number", "unit", "the largest load that was kept; null when none was"),
    ("high", "number", "unit", "the smallest that was not shown to be kept; null without a bound"),
    ("is_confirmed", "boolean", "", "whether a long trial kept low too"),
    ("bound", "text", "", "what bound it: gateway, generator, or asked (nobody asked for more)"),
    ("why", "text", "", "the words of the trial that bound it"),
    ("at_least", "number", "unit", "what was demanded; null where nothing was"),
    ("trials[].load", "number", "unit", "of a trial; they stand in the order they were made"),
    ("trials[].is_long", "boolean", "", "whether it was one to confirm low"),
    ("trials[].verdict", "text", "", "see Verdict"),
    ("trials[].why", "text", "", "its first reason, in words"),
    ("trials[].run", "text", "", "its run directory, from the search's folder"),
)
PUBLISHER: Final[tuple[tuple[str, str, str, str], ...]] = (
    ("published", "integer", "", "items that the gateway accepted"),
    ("late", "integer", "", "of those, sent after they were due"),
    ("missed", "integer", "", "due and never sent"),
    ("failed", "integer", "", "refused by the gateway, or unanswered"),
    ("throttled", "integer", "", "answers that asked to wait"),
    ("streams", "object", "", "last number of each stream"),
    ("counts", "object", "", "publications of each stream"),
)
SUPERVISOR: Final[tuple[tuple[str, str, str, str], ...]] = (
    ("gateway_exit_code", "integer", "", "of the embedded gateway; null while it runs"),
    ("gateway_died", "boolean", "", "whether it ended unasked"),
    ("interrupted", "boolean", "", "whether somebody ended the run"),
    ("cut", "text", "", "why the load was ended early; empty when it was not"),
    ("cut_by", "text", "", "what ended it early, see CutBy; empty when nothing did"),
    ("files", "object", "", "names of scenario and budgets, as somebody typed them"),
    ("problems", "list", "", "in words"),
)
DOCUMENTS: Final[Mapping[str, tuple[tuple[str, str, str, str], ...]]] = {
    results.MANIFEST: MANIFEST,
    results.VERDICT: VERDICT,
    results.COMPARISON: COMPARISON,
    results.CAPACITY: CAPACITY,
    f"{results.LOGS}/live.json": tuple(
        (name, _type, unit, meaning)
        for name, (unit, meaning) in livefile.MEMBERS.items()
        for _type in ("text" if name == "phase" else "list" if name == "strains" else "number",)
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
"""Every list of words that tables and files may hold."""


def describe_run_directory() -> str:
    """Return the document."""
    lines = [
        "# Files of a run directory",
        "",
        f"Format version {results.FORMAT_VERSION}; a reader refuses any other by name. A run is",
        "`runs/<UTC time>_<scenario>_<short id>/`. Spans are integer nanoseconds; only a column",
        "whose meaning says when it is absent may hold nulls, and a null is never a zero. While a",
        f"run goes, its tables grow in `{results.SEGMENTS}/`; what an aborted run left there",
        "`tidegate report` puts together.",
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
        "a lowest value of 1 ns: values up to 2,047 ns stand alone, and each doubling after that",
        "has 1,024 buckets, so a span is known to one part in 1,024. The bucket of 1 ms is",
        f"{results.bucket_of(1_000_000):,}: {first:,} to {last:,} ns. `loadtests.results` has",
        "`bucket_of` and `bucket_range`.",
    ]


def _table(heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> list[str]:
    """Return a Markdown table; a bar inside a cell would end it."""
    escaped = ([cell.replace("|", "\\|") for cell in row] for row in rows)
    return [
        f"| {' | '.join(heads)} |",
        "|" + "---|" * len(heads),
        *(f"| {' | '.join(row)} |" for row in escaped),
    ]


def _first_line(words: type) -> str:
    return " ".join((inspect.getdoc(words) or "").split("\n\n")[0].split())


def _meanings(words: type) -> Iterator[tuple[str, str]]:
    """Yield each word of an enumeration with what its source says of it.

    That is the text below the word, or the comment beside it.
    """
    source = inspect.getsource(words)
    lines = source.splitlines()
    body = ast.parse(source).body[0]
    if not isinstance(body, ast.ClassDef):
        raise TypeError(f"{words.__name__} is no class")
    for node, after in zip(body.body, [*body.body[1:], None], strict=True):
        if not (isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)):
            continue
        told = lines[node.lineno - 1].partition("  # ")[2]
        if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
            told = " ".join(str(after.value.value).split())
        yield f"`{node.value.value!s}`", "" if told.startswith("noqa") else told
