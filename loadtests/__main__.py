"""``python -m loadtests`` is ``tidegate``."""

from __future__ import annotations

from loadtests.cli.commands import main

if __name__ == "__main__":
    main()
