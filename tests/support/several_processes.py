"""``python several_processes.py …``: ``python -m gateway …`` without the need for ``REDIS_URL``.

For tests of what processes on one port do for connections, each with a log of its own.
"""

from __future__ import annotations

import sys

from gateway import __main__
from gateway.server import node_supervisor

if __name__ == "__main__":
    node_supervisor.has_shared_log = lambda settings: settings is not None
    sys.exit(__main__.main(sys.argv[1:]))
