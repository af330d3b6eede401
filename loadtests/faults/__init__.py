"""A fault proxy for the loopback: what a network does to connections, on purpose and counted.

``python -m loadtests.faults`` runs it as a process, ``loadtests.faults.proxy`` in a program.
"""

from __future__ import annotations
