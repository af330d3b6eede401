"""The virtual user that subscribes and never reads."""

from __future__ import annotations

from locust.env import Environment

from loadtests.behaviours.subscriber import Subscriber
from scenarios.groups import NeverReaderGroup


class NeverReader(Subscriber):
    """Subscribes and reads nothing from then on, so pings go unanswered.

    After the gateway has closed its connection, it reconnects and stops reading again.
    """

    group = "never_reader"
    is_well_behaved = False
    has_fixed_count = True

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        settings = self.run_context.scenario.users.of(NeverReaderGroup)
        self.receive_buffer_bytes = settings.receive_buffer_bytes

    def behave(self) -> bool:
        """Stop reading."""
        self.pause()
        return super().behave()
