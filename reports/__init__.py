"""Read a run directory and say what it came to: verdict, charts, one offline page.

Reads files, talks to nothing. ``python -m reports RUN`` judges a run; a notebook asks::

    import reports

    run = reports.read_run("runs/latest")
    reports.judge(run).verdict
    reports.charts.latency_heatmap(run)

Importing the package imports nothing; each name resolves on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reports import charts as charts
    from reports.metrics import measure as measure
    from reports.page import render_page as render_page
    from reports.run_frames import RunFrames as RunFrames
    from reports.run_frames import read_run as read_run
    from reports.verdict import RunVerdict as RunVerdict
    from reports.verdict import judge as judge

_HOMES = {
    "RunFrames": "run_frames",
    "RunVerdict": "verdict",
    "judge": "verdict",
    "measure": "metrics",
    "read_run": "run_frames",
    "render_page": "page",
}
_MODULES = frozenset({"charts"})

__all__ = ["RunFrames", "RunVerdict", "charts", "judge", "measure", "read_run", "render_page"]


def __getattr__(name: str) -> object:
    if name in _MODULES:
        return import_module(f"reports.{name}")
    if name in _HOMES:
        return getattr(import_module(f"reports.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
