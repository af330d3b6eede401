"""``python -m tests.faults.gateway FAULT``: the gateway with one fault.

FAULT may also be a slowdown of ``tests.faults.slowdowns``, or what ``tests.faults.nodes`` calls
harmless. The gateway takes the same environment as without it, and prints the same line when it
listens.
``python -m tests.faults.gateway none`` is the gateway without a fault, started the same way.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

from gateway import __main__ as program
from gateway.server import app
from gateway.server.app import Gateway
from tests.faults.catalogue import FAULTS
from tests.faults.nodes import HARMLESS
from tests.faults.slowdowns import SLOWDOWNS

_SEEDS = {**{name: fault.seed for name, fault in FAULTS.items()}, **SLOWDOWNS, **HARMLESS}


def build(name: str) -> Callable[..., Gateway]:
    """Return a function that makes a gateway with the fault of that name."""

    def make(*arguments: object, **named: object) -> Gateway:
        gateway = Gateway(*arguments, **named)  # type: ignore[arg-type]  # handed on as they came
        _SEEDS[name](gateway)
        return gateway

    return make


def main(arguments: list[str]) -> int:
    """Serve with the fault named in the arguments; return the exit code."""
    if len(arguments) != 1 or arguments[0] not in _SEEDS:
        print(f"name one fault: {', '.join(_SEEDS)}", file=sys.stderr)  # noqa: T201
        return 2
    app.Gateway = build(arguments[0])  # type: ignore[misc, assignment]  # the port of the test
    return program.main()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
