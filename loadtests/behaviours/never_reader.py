"""The virtual user that subscribes and never reads."""

from __future__ import annotations

from locust.env import Environment

from loadtests.behaviours.subscriber import Subscriber


class NeverReader(Subscriber):
    """Subscribes, and reads nothing from then on; pings that it cannot see go unanswered.

    When the gateway has closed it, it comes back and does so again.
    """

    group = "never_reader"
    is_well_behaved = False

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        settings = self.stage.scenario.users.never_reader
        if settings is not None:
            self.receive_buffer_bytes = settings.receive_buffer_bytes

    def behave(self) -> bool:
        """Stop reading."""
        self.pause()
        return super().behave()
