"""Whether a broken limit stays broken where the host cannot have broken it.

A host that takes a core away for longer than a limit breaks the limit by itself, and in less
time than taints a second: 70 ms are 3.5 % of a second of two cores, and seven times a limit of
10 ms. So what FAILs has to FAIL in the other seconds, too: where the host took no longer than
the limit, neither then nor in the second before, whose delay is read in the next. A gateway that
is slow is slow in these as well; where they do not show it, nobody knows whose doing it was.
"""

from __future__ import annotations

from loadtests.results import Verdict
from reports import quantities
from reports.frames import RunFrames
from reports.measures import latency
from reports.measures.measurement import Measurement
from reports.taint import stolen_seconds
from scenarios.schema import Budget


def disturbed_seconds(run: RunFrames, budget: Budget) -> frozenset[int]:
    """Return the seconds in which the host may have broken an upper limit by itself.

    None for what cannot spare single seconds: only times that came all through a phase can.
    """
    if budget.metric not in latency.QUANTILES or budget.operator not in ("<=", "<"):
        return frozenset()
    _, phases = latency.SOURCES[budget.metric]
    return stolen_seconds(run, phases, budget.limit)


def measure_undisturbed(run: RunFrames, budget: Budget) -> Measurement:
    """Measure a budget's metric without the disturbed seconds, too."""
    besides = disturbed_seconds(run, budget)
    return latency.measure_stream(run, budget.metric, budget.statistic or "", besides=besides)


def weigh_disturbance(run: RunFrames, budget: Budget, undisturbed: Verdict) -> tuple[Verdict, str]:
    """Return what a broken limit comes to that is not broken without the disturbed seconds.

    Args:
        run: the run.
        budget: an upper limit of a time, broken by all that was measured.
        undisturbed: what :func:`measure_undisturbed` comes to.
    """
    seconds = quantities.counted(len(disturbed_seconds(run, budget)), "second")
    without = (
        f"without the {seconds} in which the host may have done it: it took more than "
        f"{quantities.limit_span(budget.limit)} of the machine then or just before"
    )
    if undisturbed is Verdict.PASS:
        return Verdict.INVALID, f"broken, but kept {without}"
    return Verdict.INCONCLUSIVE, f"broken, but too little is left to tell {without}"
