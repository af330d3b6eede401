"""The virtual user that drops and returns with many others."""

from __future__ import annotations

from loadtests.behaviours.subscriber import Subscriber


class StormMember(Subscriber):
    """Listens to its symbols until a command drops it, and comes back when one says so."""

    group = "storm"
