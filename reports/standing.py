"""Whether a broken limit stays broken where the host cannot have broken it.

A host that takes a core away for longer than a limit breaks the limit by itself, and in less
time than taints a second: 70 ms are 3.5 % of a second of two cores, and seven times a limit of
10 ms. So what FAILs has to FAIL in the other seconds, too: those that are not tainted, and where
the host took no longer than the limit, neither then nor in the second before, whose delay is read
in the next. A gateway that is slow is slow in these as well; where they do not show it, nobody
knows whose doing it was. Where they do, it is a FAIL, however much the host took in the others.
"""

from __future__ import annotations

from loadtests.results import Verdict
from reports import quantities
from reports.measures import heartbeat, latency
from reports.measures.latency import measure_stream
from reports.measures.measurement import Measurement
from reports.run_frames import RunFrames
from reports.taint import stolen_seconds, tainted_seconds
from scenarios.schema import Budget


def can_stand(budget: Budget) -> bool:
    """Return whether a budget can be judged without some seconds.

    An upper limit of times that came all through a phase can; the others have too few values, or
    the wrong ones, in what is left.
    """
    is_stream = budget.metric in latency.QUANTILES or budget.metric in heartbeat.QUANTILES
    return is_stream and budget.is_upper_limit and not budget.is_relative


def disturbed_seconds(run: RunFrames, budget: Budget) -> frozenset[int]:
    """Return the seconds in which the host may have broken a limit by itself, tainted or not."""
    _, phases = latency.SOURCES[budget.metric]
    tainted = frozenset(tainted_seconds(run)["t_s"].tolist())
    return stolen_seconds(run, phases, budget.limit) | tainted


def measure_undisturbed(run: RunFrames, budget: Budget) -> Measurement:
    """Measure a budget's metric without the disturbed seconds, however many they are."""
    besides = disturbed_seconds(run, budget)
    measured = heartbeat.measure_gaps if budget.metric in heartbeat.QUANTILES else measure_stream
    return measured(run, budget.metric, budget.statistic or "", besides=besides)


def weigh_disturbance(run: RunFrames, budget: Budget, undisturbed: Verdict) -> tuple[Verdict, str]:
    """Return what a broken limit comes to that is not broken without the disturbed seconds.

    Args:
        run: the run.
        budget: an upper limit of a time, broken by all that was measured.
        undisturbed: what :func:`measure_undisturbed` comes to.
    """
    seconds = quantities.counted(len(disturbed_seconds(run, budget)), "second")
    without = (
        f"without the {seconds} that are tainted, or in which or just before which the host took "
        f"more than {quantities.limit_span(budget.limit)} of the machine"
    )
    if undisturbed is Verdict.PASS:
        return Verdict.INVALID, f"broken, but kept {without}"
    return Verdict.INCONCLUSIVE, f"broken, but too little is left to tell {without}"
