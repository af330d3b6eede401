"""``python -m reports.compare``: judge stored blocks (``reports.compare.comparing``)."""

from __future__ import annotations

import sys

from loadtests.ending import launch

if __name__ == "__main__":
    launch(["reports.compare.comparing", *sys.argv[1:]])
