"""``EmbeddedNodes``: the gateways that a run starts, and the Redis that several of them share."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from loadtests.plan.nodes import folder_of, node_name
from loadtests.supervision.children import Child
from loadtests.supervision.embedded import EmbeddedGateway
from loadtests.supervision.embedded_redis import EmbeddedRedis


class EmbeddedNodes:
    """One gateway, or several nodes with a log in a Redis of their own.

    Args:
        command: starts a gateway.
        environment: of each gateway.
        logs: the run's folder of logs. Each of several nodes has a folder in it.
        cores: the cores that gateways and Redis may use; None allows all.
        count: how many gateways there are.

    Attributes:
        gateways: each gateway, in the order of the nodes.

    Raises:
        ChildFailed: Redis did not start.
    """

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        logs: Path,
        cores: frozenset[int] | None,
        count: int,
    ) -> None:
        self.gateways: list[EmbeddedGateway] = []
        self._redis = EmbeddedRedis(logs, cores) if count > 1 else None
        try:
            for place in range(count):
                own, folder, name = dict(environment), folder_of(logs, place, count), "gateway"
                if self._redis is not None:
                    name = f"gateway {node_name(place)}"
                    own |= {"REDIS_URL": self._redis.url, "GATEWAY_NODE": node_name(place)}
                    folder.mkdir()
                self.gateways.append(EmbeddedGateway(command, own, folder, cores, name=name))
        except BaseException:
            self.end_group()
            raise

    @property
    def exit_code(self) -> int | None:
        """The first exit code that is not 0, of all gateways; None while one runs."""
        codes = [gateway.exit_code for gateway in self.gateways]
        return None if None in codes else next(filter(None, codes), 0)

    @property
    def has_died(self) -> bool:
        """Whether one of its processes ended without an order."""
        return self._dead() is not None

    @property
    def is_ordered(self) -> bool:
        """Whether the end of a gateway was ordered and has not happened yet."""
        return any(gateway.is_ordered for gateway in self.gateways)

    def await_addresses(self, timeout_s: float) -> str:
        """Return ``URL,URL`` of the gateways once all listen.

        Raises:
            ChildFailed: one ended or timed out before.
        """
        until_s = time.monotonic() + timeout_s
        return ",".join(
            gateway.await_address(max(0.0, until_s - time.monotonic())) for gateway in self.gateways
        )

    def describe_death(self) -> tuple[int | None, str]:
        """Return the exit code of the process that died, and words with the end of its log."""
        dead = self._dead()
        if dead is None:
            return None, "no process died"
        return (
            dead.exit_code,
            f"the {dead.name} died with exit code {dead.exit_code}:\n{dead.last_lines()}",
        )

    def tend(self) -> None:
        """Follow each gateway through an ordered end."""
        for gateway in self.gateways:
            gateway.tend()

    def stop(self, timeout_s: float) -> bool:
        """Stop all, Redis last; return whether SIGTERM ended every gateway."""
        for gateway in self.gateways:
            gateway.ask_to_stop()
        until_s = time.monotonic() + timeout_s
        in_order = [
            gateway.finish(max(0.0, until_s - time.monotonic())) for gateway in self.gateways
        ]
        if self._redis is not None:
            self._redis.stop()
        return all(in_order)

    def end_group(self) -> None:
        """Kill what any of its processes left behind."""
        for gateway in self.gateways:
            gateway.end_group()
        if self._redis is not None:
            self._redis.stop()

    def _dead(self) -> EmbeddedGateway | Child | None:
        if self._redis is not None and self._redis.child.exit_code is not None:
            return self._redis.child
        return next((gateway for gateway in self.gateways if gateway.has_died), None)
