"""The virtual user that drops and returns with many others."""

from __future__ import annotations

from loadtests.behaviours.subscriber import Subscriber


class StormMember(Subscriber):
    """Listens to its symbols. Commands disconnect it and let it return."""

    group = "storm"
