"""The virtual user that does nothing."""

from __future__ import annotations

from loadtests.behaviours.users import VirtualUser


class Idle(VirtualUser):
    """Is connected, and does what commands say; without one, nothing at all."""

    group = "idle"
