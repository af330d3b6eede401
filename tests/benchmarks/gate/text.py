"""Two parts of ``docs/gate.md``: how the gate decides, and what it said of real programs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from loadtests.results import Verdict
from reports import quantities

HEAD: Final = """# How reliable is `tidegate compare`?

A single run is judged by the 95 % interval of each time, from a moving-block bootstrap over
one-second histograms: inside the limit it is a PASS, outside a FAIL, else INCONCLUSIVE. A p99
needs 299 values and a p99.9 needs 2,995; with fewer it is INCONCLUSIVE.

`tidegate compare --scenario FILE --base X --head Y` compares two gateways in pairs. In a pair a
fresh base and a fresh head run at the same time on one core, and the load alternates between them
every 230 ms: A B B A in even seconds, B A A B in odd ones. What the machine does to a second, it
does to both sides. A second begins with a pause of 80 ms, in which both gateways are read and both
load generators write, so that this work delays no push.

- **p50 to p95**: the ratio head/base of each second; the pair's ratio is their median.
- **p99 and above**: the ratio of the quantiles over all slices of a pair. A freeze of the load's
  cores meets the slice of one side alone, so a second in which both load generators were late by
  20 ms, and neither gateway was, does not count.
- **Cost**: CPU time per message over all slices of a pair, in ns from `schedstat`; instructions
  too, where the machine counts them.
- **What cannot alternate** (memory, connects, storms, any scenario with commands or load stages)
  runs in blocks: one side after the other, A B B A, and two neighbours are a pair.

The estimate over pairs is Hodges and Lehmann's, its interval exact (Wilcoxon's signed ranks). A
comparison is judged at looks, by default after 8 and 10 pairs, and ends when a budget has failed or
none is undecided. The looks share an error of 5 % by the function of Lan and DeMets (1983) that
approximates O'Brien and Fleming (1979). So the intervals of all looks together hold the true ratio
with a probability of at least 95 %.

- **FAIL**: the whole interval breaks the limit.
- **PASS**: the interval, widened by 1.43, keeps it, and is no longer than the way to the limit from
  1, or from a better estimate.
- **INCONCLUSIVE**: anything else, with the smallest visible change.
- **INVALID**: fewer than six pairs are left. A run whose generator or publisher was late is left
  out with its pair. In slices, host steal and waits for a core do not count: both sides had them.
  CPU time counts in every whole pair: it is the kernel's own account.
- **Never PASS**: a run on either side was cut, interrupted or incomplete, or lacks a table; the
  runs differ in load or gateway settings, whatever their names; or no ratio has a value on both
  sides. The comparison says which, and no policy makes its exit code 0.

**The smallest visible change** FAILs in 80 % of comparisons by the last look. It follows from the
deviation between pairs and from the looks, by simulation of normal pairs.

A comparison without ratio budgets of its own has these: `push.p50`, `push.p90`, cost and memory
`<= 1.10`, `ack.p50 <= 1.15`, `push.p99 <= 1.25`. A p99 of ten pairs spreads too much for less. On a
host with many stalls no number of pairs decides it, so while it is undecided it is only told, and
the other ratios decide. It FAILs when its whole interval breaks the limit. In your own budget, an
undecided p99 makes the comparison INCONCLUSIVE.

The goals, for a limit of 1.10: an unchanged head passes in 95 % of comparisons (push p50, push p90,
cost) and 80 % (push p99), with at most 2 % false alarms; +20 % fails in 95 %, and 10 % over the
limit in 90 %; +20 % never passes.

`make proof` writes this document. A limit of 1.00 is strictest: any slowdown is a change.
"""

_SHOWN: Final = ("push.p50", "push.p90", "cost.per_message")
"""The figures whose ratios the section "Real history" shows."""


def name_budget(budget: Mapping[str, Any]) -> str:
    """Return the figure of a budget in ``compare.json``, as Markdown."""
    return f"`{_figure_of(budget)}`"


def render_history(history: Mapping[str, Any]) -> str:
    """Return the section "Real history" as Markdown.

    Args:
        history: what ``python -m tests.benchmarks.gate.real_history`` wrote.
    """
    made = history["made"]
    versions = " and ".join(f"{name} {version}" for name, version in made["versions"].items())
    lines = [
        f"Each comparison ran once with `{made['scenario']}`; {_days(history)}, {made['machine']}.",
        "python-socketio and this transport serve one application,",
        "`tests/benchmarks/gate/socketio_app.py`; the class of the server alone differs.",
        f"Versions: {versions}. A ratio is head/base with its 95 % interval over all looks.",
        "",
        f"| base | head | verdict | pairs | left out | s | {_titles()} |",
        "|---|---|---|--:|--:|--:|" + "--:|" * len(_SHOWN),
    ]
    for one in history["comparisons"]:
        cells = (
            *(one[name].replace("|", "\\|") for name in ("base", "head")),
            _verdict_of(one),
            *(str(one[name]) for name in ("pairs", "excluded", "seconds")),
            *_ratios_of(one["budgets"]),
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _days(history: Mapping[str, Any]) -> str:
    """Return the day of the comparisons, or the first and the last one."""
    days = sorted(one["when"] for one in history["comparisons"])
    return days[0] if days[0] == days[-1] else f"{days[0]} to {days[-1]}"


def _figure_of(budget: Mapping[str, Any]) -> str:
    statistic = budget["statistic"]
    return f"{budget['metric']}{'.' + statistic if statistic else ''}"


def _titles() -> str:
    return " | ".join(f"`{figure}`" for figure in _SHOWN)


def _verdict_of(one: Mapping[str, Any]) -> str:
    """Return the verdict, with the figures that led to it unless all budgets are kept."""
    verdict = str(one["verdict"])
    if verdict == Verdict.PASS:
        return verdict
    named = [name_budget(each) for each in one["budgets"] if each["verdict"] == verdict]
    return f"{verdict} ({', '.join(named)})" if named else verdict


def _ratios_of(budgets: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    found = {_figure_of(budget): budget for budget in budgets}
    for figure in _SHOWN:
        budget = found.get(figure)
        if budget is None or budget["value"] is None:
            yield quantities.ABSENT
        elif budget["low"] is None or budget["high"] is None:
            yield f"{budget['value']:.3f}"
        else:
            yield f"{budget['value']:.3f} ({budget['low']:.3f}–{budget['high']:.3f})"
