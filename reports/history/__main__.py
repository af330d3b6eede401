"""``python -m reports.history``: the file of past runs (``reports.history.keeping``)."""

from __future__ import annotations

import sys

from loadtests.ending import launch

if __name__ == "__main__":
    launch(["reports.history.keeping", *sys.argv[1:]])
