"""The fault proxy as a process: ``python -m loadtests.faults HOST:PORT [--seed N]``.

It prints one line when it listens, ``faults on URL control PORT``, and ends on SIGTERM or SIGINT.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys

from loadtests.faults.control import LISTENING, serve_control
from loadtests.faults.proxy import FaultProxy, NotLoopback
from loadtests.health.fine_selector import make_fine_loop
from loadtests.results import ExitCode


async def serve(proxy: FaultProxy) -> None:
    """Run a proxy until SIGTERM or SIGINT."""
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for by in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(by, stopping.set)
    url = await proxy.start()
    control, port = await serve_control(proxy)
    print(f"{LISTENING}{url} control {port}", flush=True)  # noqa: T201 - the answer of a command line
    await stopping.wait()
    control.close()
    await proxy.stop()


def main() -> int:
    """Run the process and return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m loadtests.faults", description=__doc__)
    parser.add_argument(
        "upstream", metavar="HOST:PORT", help="the server to proxy, on the loopback"
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of every random draw")
    options = parser.parse_args()
    host, _, port = options.upstream.rpartition(":")
    try:
        proxy = FaultProxy(host, int(port), seed=options.seed)
    except (NotLoopback, ValueError) as error:
        sys.stderr.write(f"{error}; write the server like 127.0.0.1:3000\n")
        return ExitCode.USAGE
    with asyncio.Runner(loop_factory=make_fine_loop) as runner:
        runner.run(serve(proxy))
    return ExitCode.PASS


if __name__ == "__main__":
    raise SystemExit(main())
