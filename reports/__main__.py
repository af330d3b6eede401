"""``python -m reports RUN``: judge a run and write its report (``reports.reporting``)."""

from __future__ import annotations

import sys

from loadtests.ending import launch

if __name__ == "__main__":
    launch(["reports.reporting", *sys.argv[1:]])
