"""Judge a run directory and explain it: verdict, charts, one offline page.

Reads files and opens no socket. ``python -m reports RUN`` judges a run. A notebook calls::

    import reports

    run = reports.read_run("runs/latest")
    reports.judge(run).verdict
    reports.charts.latency_heatmap(run)

Importing the package loads nothing; each name is imported on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_MODULES = {
    "RunFrames": "run_frames",
    "RunVerdict": "verdict",
    "judge": "verdict",
    "measure": "measures.registry",
    "read_run": "run_frames",
    "render_page": "page",
}

__all__ = ["RunFrames", "RunVerdict", "charts", "judge", "measure", "read_run", "render_page"]


def __getattr__(name: str) -> Any:
    if name == "charts":
        return import_module("reports.charts")
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"reports.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
