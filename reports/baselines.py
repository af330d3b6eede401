"""The baseline that a run was started with, found again when it is judged later."""

from __future__ import annotations

from pathlib import Path

from reports.errors import ReportError
from reports.run_frames import RunFrames, read_run


def find_baseline(run: RunFrames) -> RunFrames | None:
    """Return the baseline that the manifest names; None when it names none, or it is gone.

    A baseline that is gone leaves relative budgets INCONCLUSIVE, which says what is missing.
    """
    named = run.manifest.part("files").get("baseline")
    if not named:
        return None
    try:
        return read_run(Path(str(named)))
    except ReportError:
        return None
