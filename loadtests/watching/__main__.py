"""The witness's process: ``python -m loadtests.watching PLAN``, which ``tidegate watch`` becomes.

``JWT_SECRET`` or a file of tokens gives the users their tokens. Its requests wait in gevent's
hub, so the process is patched before anything else is imported.
"""

from __future__ import annotations

import sys


def main() -> int:
    """Run the process and return its exit code."""
    from gevent import monkey

    monkey.patch_all()
    from loadtests.watching.program import run_witness

    return run_witness(sys.argv[1])


if __name__ == "__main__":
    from loadtests.ending import guard_streams, run_command

    guard_streams()
    sys.exit(run_command("tidegate watch", main))
