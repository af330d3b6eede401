"""The virtual user that does nothing."""

from __future__ import annotations

from loadtests.behaviours.virtual_user import VirtualUser


class Idle(VirtualUser):
    """Stays connected, and does only what commands say."""

    group = "idle"
