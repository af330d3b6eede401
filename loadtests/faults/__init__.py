"""A fault proxy for the loopback. It delays, slows, stalls and cuts connections, and counts it.

``python -m loadtests.faults`` is the process; ``loadtests.faults.proxy`` is the class.
"""

from __future__ import annotations
