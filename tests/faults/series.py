"""``python -m tests.faults.series``: real runs over commits, of which one makes messages dearer.

Each commit is one run of ``scenarios/series.toml``. From the 13th on the gateway encodes an event
once for each of its recipients. The runs are added to ``--history``, by default the stored
``series.jsonl``, in which ``test_series.py`` looks for that commit.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from reports.history import keeping
from tests.faults.__main__ import CLEAN
from tests.faults.places import run

STORED: Final = Path(__file__).with_name("series.jsonl")
BEFORE: Final = 12
AFTER: Final = 10
DEARER: Final = "Encode an event for each recipient"
SUBJECTS: Final = (
    *(f"Change {number}" for number in range(1, BEFORE + 1)),
    DEARER,
    *(f"Change {number}" for number in range(BEFORE + 2, BEFORE + AFTER + 1)),
)
"""The subject of each commit, oldest first."""
_SEED: Final = "encoded-for-each"
_FIRST_S: Final = 1_767_225_600
_EACH_S: Final = 3_600


def make_commits(folder: Path) -> list[str]:
    """Make a repository with a commit for each subject; return their ids, always the same."""
    names = ("GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL")
    environment = {**os.environ, **dict.fromkeys(names, "series")}

    def git(*words: str) -> str:
        command = ["git", "-c", "commit.gpgsign=false", *words]
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    git("init", "--object-format=sha1")
    commits = []
    for number, subject in enumerate(SUBJECTS):
        moment = f"{_FIRST_S + number * _EACH_S} +0000"
        environment |= {"GIT_AUTHOR_DATE": moment, "GIT_COMMITTER_DATE": moment}
        git("commit", "--allow-empty", "-m", subject)
        commits.append(git("rev-parse", "HEAD"))
    return commits


def main() -> int:
    """Run each commit and add it to the history; return 0."""
    parser = argparse.ArgumentParser(description="Record a series of real runs with one step.")
    parser.add_argument("--history", type=Path, default=STORED)
    parser.add_argument("--runs", type=Path, default=Path("runs/series"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        commits = make_commits(Path(folder))
    for place, commit in enumerate(commits):
        fault = CLEAN if place < BEFORE else _SEED
        done = run("series", fault, options.runs / f"{place:02}")
        keeping.main(["add", str(done), "--history", str(options.history), "--commit", commit])
    return 0


if __name__ == "__main__":
    sys.exit(main())
