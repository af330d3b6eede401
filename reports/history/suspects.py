"""The commits between two runs, as git tells them."""

from __future__ import annotations

import re
import subprocess
from typing import Final

from reports.history.rows import Row

MOST: Final = 20
_COMMIT: Final = re.compile(r"[0-9a-f]{7,64}")
_GIT_S: Final = 10.0


def suspects_between(before: Row, after: Row) -> list[str]:
    """Return what may have caused a change: commits, newest first, or why none is known.

    Git is asked in the current folder.

    Args:
        before: the last run before the change.
        after: the first run after it.
    """
    ends = (before.commit, after.commit)
    local = ["local changes that are in no commit"] if before.dirty or after.dirty else []
    if not all(_COMMIT.fullmatch(commit) for commit in ends):
        return [*local, "the commit of one of the two runs is unknown"]
    if ends[0] == ends[1]:
        return local or [f"no commit: both runs are of {ends[0][:12]}, so look at the machine"]
    between = f"{ends[0][:12]}..{ends[1][:12]}"
    listed = _commits(f"{ends[0]}..{ends[1]}")
    if not listed:
        return [*local, between]
    more = [f"older ones: git log {between}"] if len(listed) > MOST else []
    return [*local, *listed[:MOST], *more]


def _commits(between: str) -> list[str]:
    """Return a line for each commit of a range; none where git does not know it."""
    command = ["git", "log", f"--max-count={MOST + 1}", "--format=%h %s", between, "--"]
    try:
        done = subprocess.run(  # noqa: S603 - both ends are hexadecimal
            command, capture_output=True, text=True, errors="replace", timeout=_GIT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return []
    return done.stdout.splitlines() if done.returncode == 0 else []
