"""A fault proxy for the loopback: it injects network faults into connections and counts them.

``python -m loadtests.faults`` runs it as a process, ``loadtests.faults.proxy`` in a program.
"""

from __future__ import annotations
