"""A fault proxy for the loopback: it injects network faults into connections and counts them.

``python -m loadtests.faults`` is the process; ``loadtests.faults.proxy`` is the class.
"""

from __future__ import annotations
