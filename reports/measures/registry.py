"""Measure any metric of the catalogue (``scenarios.catalogue.METRICS``).

Each module of this folder is a family of metrics. Its ``MEASURES`` maps a metric's name to the
function that measures it, its ``QUANTILES`` those that take a statistic such as ``p99``. Every
module of the folder is asked, so a new metric or family needs no entry here. A test compares the
names found with the catalogue.

- Times are judged over the steady phase without its dirty seconds
  (``reports.believability``).
- Counts are exact and cover all phases: a message lost during the ramp is lost.
- An unmeasured metric has no value and a reason, never a zero.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Final

from reports.measures.measurement import Measure, Measurement, MeasureQuantile
from reports.remembering import once_a_run
from reports.run_frames import RunFrames
from scenarios.catalogue import METRICS

_FAMILIES: Final = [
    import_module(f"reports.measures.{file.stem}")
    for file in sorted(Path(__file__).parent.glob("*.py"))
    if file.stem not in ("__init__", "registry")
]
MEASURES: Final[dict[str, Measure]] = {
    name: function
    for family in _FAMILIES
    for name, function in getattr(family, "MEASURES", {}).items()
}
"""The function of each metric that is one number."""
QUANTILES: Final[dict[str, MeasureQuantile]] = {
    name: function
    for family in _FAMILIES
    for name, function in getattr(family, "QUANTILES", {}).items()
}
"""The function of each metric that is a distribution of times."""


@once_a_run
def measure(run: RunFrames, metric: str, statistic: str | None = None) -> Measurement:
    """Measure one metric of a run.

    Args:
        run: the run.
        metric: a name of ``METRICS``.
        statistic: ``p50`` to ``p99.99`` or ``max`` of a quantile metric; None for any other.

    Raises:
        KeyError: ``METRICS`` has no such name.
        ValueError: a quantile metric needs a statistic.
    """
    if METRICS[metric].kind != "quantiles":
        return MEASURES[metric](run)
    if statistic is None:
        raise ValueError(f"{metric} needs a statistic, such as {metric}.p99")
    return QUANTILES[metric](run, statistic)
