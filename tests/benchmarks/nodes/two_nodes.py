"""Two nodes on two cores against one: CPU of the node processes for each delivered message."""

from __future__ import annotations

import contextlib
from typing import Final

from tests.benchmarks.nodes.ground import Cell, Ground
from tests.benchmarks.transport import cells
from tests.benchmarks.transport.crowd import Crowd
from tests.benchmarks.transport.rows import OURS

_CLIENTS_A_NODE: Final = 2_500
_TICKS_PER_S: Final = 8.0
_COUNTS: Final = (1, 2)


def measure(ground: Ground) -> None:
    """Deliver the same ticks by one node and by two, each with as many clients, in turn.

    A core is what bounds a node. With ``c`` CPU seconds a delivered message, one node delivers
    ``1 / c₁`` a second on its core and two nodes together ``2 / c₂`` on two.

    Args:
        ground: takes the figures.

    Raises:
        PeerFailed: a node failed its clients.
    """
    count = max(1, _CLIENTS_A_NODE // ground.lengths.shrink)
    order = _COUNTS if ground.pair % 2 else tuple(reversed(_COUNTS))
    with contextlib.ExitStack() as stack:
        sides = {}
        for nodes in order:
            ground.report(f"{count:,} clients a node arrive: {nodes} of a log")
            group = stack.enter_context(ground.group(nodes))
            more_ports = [node.port for node in group.nodes[1:]]
            crowd = Crowd(group.port, group.tokens(nodes * count), more_ports)
            stack.callback(crowd.close)
            cells.populate(crowd, group, nodes * count)
            sides[nodes] = Cell(crowd, group)
        costs_us = {}
        for nodes in order:
            ground.report(f"two: {nodes} of a log")
            costs_us[nodes] = ground.stream(sides[nodes], f"two_{nodes}", _TICKS_PER_S).cpu_us
    one, two = costs_us[1], costs_us[2]
    ratio = 2 * one / two if one and two else None
    ground.keep(OURS, {"cpu_one_us": one, "cpu_two_us": two, "two_nodes": ratio})
