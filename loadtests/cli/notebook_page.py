"""From a run to a notebook's page: the reports' own command, in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

PAGE_S: Final = 600.0
FOLDER: Final = "notebooks"
"""Where in a run directory its pages lie, when nobody says where."""


def make_page(
    name: str,
    run: Path,
    environment: Mapping[str, str],
    *,
    base: Path | None = None,
    out: Path | None = None,
) -> Path | None:
    """Execute a notebook on a run.

    Args:
        name: of the notebook.
        run: a run directory.
        environment: the process's environment (``children.child_environment``).
        base: a second one, where the notebook compares two.
        out: the page; ``notebooks/NAME.html`` in the run when not given.

    Returns:
        The page; None when there is none, which the process has explained on standard error.
    """
    page = (run / FOLDER / f"{name}.html") if out is None else out
    command = [sys.executable, "-m", "reports.notebook", name, str(run), "--out", str(page)]
    if base is not None:
        command += ["--base", str(base)]
    try:
        done = subprocess.run(command, env=dict(environment), timeout=PAGE_S, check=False)  # noqa: S603 - the project's own command
    except subprocess.TimeoutExpired:
        print(f"tidegate notebook: {name} did not end within {PAGE_S:g} s", file=sys.stderr)  # noqa: T201 - the command's answer
        return None
    return None if done.returncode else page
