"""``python tests/benchmarks/rates.py``: the gateway's CPU time for clients with and without a rate.

A gateway publishes to its own clients for some seconds, three times: without clients, with clients
that get every event, and with the same clients in five tiers. Each time it is a new process. CPU
time is that of the gateway's process; the clients are another. It prints, and fails for no time.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import resource
import secrets
import selectors
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Final

import structlog

ROOT: Final = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "support")]

from blackbox.client import RawClient  # noqa: E402 - the paths come first
from blackbox.target import Target  # noqa: E402 - the paths come first

from gateway.contract import MAX_RATES  # noqa: E402 - the paths come first
from gateway.server.app import Gateway  # noqa: E402 - the paths come first
from gateway.settings import read_settings  # noqa: E402 - the paths come first

_SETTLE_S: Final = 1.5  # longer than the longest slot
_RETRY_S: Final = 0.001
_READ_BYTES: Final = 1 << 18


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def symbols(count: int) -> list[str]:
    return [f"SYM{number:03d}/USDT" for number in range(count)]


async def publish(gateway: Gateway, count: int, rate: float, seconds: float) -> int:
    """Publish a price of each symbol so many times a second; return how many were published.

    Where the gateway cannot keep up, it takes longer: nothing is left out.
    """
    began_s = time.monotonic()
    turns = round(seconds * rate)
    for turn in range(turns):
        await asyncio.sleep(max(0.0, began_s + turn / rate - time.monotonic()))
        for symbol in symbols(count):
            while gateway.context.broadcaster.is_full():  # noqa: ASYNC110 - as a publisher that got 503
                await asyncio.sleep(_RETRY_S)
            data = {"symbol": symbol, "price": 100 + turn / 100, "volume": turn, "pad": "x" * 200}
            gateway.broadcast_to_room("market-data", "price:update", data)
    return turns * count


async def serve(count: int, rate: float, seconds: float) -> None:
    """Be the gateway: print its address, wait for a line, publish, print what it took."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    secret = sys.stdin.readline().strip()
    settings = {"GATEWAY_ENV": "test", "JWT_SECRET": secret, "HOST": "127.0.0.1", "PORT": "0"}
    gateway = Gateway(read_settings(settings, random_secret=secret))
    say(json.dumps({"url": await gateway.start()}))
    loop = asyncio.get_running_loop()
    await loop.run_in_executor(None, sys.stdin.readline)
    before_s, began_s = cpu_s(), time.monotonic()
    published = await publish(gateway, count, rate, seconds)
    took_s = time.monotonic() - began_s
    await asyncio.sleep(_SETTLE_S)
    spent_s = cpu_s() - before_s
    body, _ = gateway.context.metrics.expose()
    lines = body.decode().splitlines()
    name = 'tidegate_messages_out_total{kind="market"}'
    sent = next(float(line.split()[-1]) for line in lines if line.startswith(name))
    figures = {"cpu_s": spent_s, "took_s": took_s, "published": published, "sent": sent}
    say(json.dumps(figures))
    await gateway.stop()


def cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def measure(clients: int, rates: tuple[int, ...], options: argparse.Namespace) -> dict[str, Any]:
    """Run one gateway with so many clients, whose rates are given in turn; none: every event."""
    command = [sys.executable, __file__, "--serve"]
    for name in ("symbols", "rate", "seconds"):
        command += [f"--{name}", str(getattr(options, name))]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        secret = secrets.token_urlsafe(48)
        process.stdin.write(f"{secret}\n")
        process.stdin.flush()
        target = Target(read_figures(process)["url"], secret)
        held = [subscribe(target, number, rates, options.symbols) for number in range(clients)]
        process.stdin.write("go\n")
        process.stdin.flush()
        read_all(held, process)
        figures = read_figures(process)
        for client in held:
            client.close()
    return figures


def read_figures(process: subprocess.Popen[str]) -> dict[str, Any]:
    """Return the next line of JSON."""
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("{"):
            figures: dict[str, Any] = json.loads(line)
            return figures
    raise RuntimeError(f"the gateway ended with exit code {process.wait()}")


def subscribe(target: Target, number: int, rates: tuple[int, ...], count: int) -> RawClient:
    client = RawClient(target)
    client.connect({"token": target.token(f"user-{number}")})
    more = {"maxRate": rates[number // count % len(rates)]} if rates else {}
    symbol = symbols(count)[number % count]
    client.call("subscribe", {"channel": "market-data", "symbols": [symbol], **more})
    return client


def read_all(clients: list[RawClient], process: subprocess.Popen[str]) -> None:
    """Read and drop what the clients get, until the gateway prints its figures."""
    with selectors.DefaultSelector() as selector:
        for client in clients:
            client.socket.setblocking(False)
            selector.register(client.socket, selectors.EVENT_READ)
        assert process.stdout is not None
        selector.register(process.stdout, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fileobj is process.stdout:
                    return
                key.fileobj.recv(_READ_BYTES)  # type: ignore[union-attr]  # a socket


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=500)
    parser.add_argument("--symbols", type=int, default=10)
    parser.add_argument("--rate", type=float, default=50.0, help="events a second of each symbol")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        asyncio.run(serve(options.symbols, options.rate, options.seconds))
        return
    say(
        f"{options.clients} clients, one of {options.symbols} symbols each, "
        f"{options.rate:g} events a second of each for {options.seconds:g} s"
    )
    for name, clients, rates in (
        ("no client", 0, ()),
        ("every event", options.clients, ()),
        ("five tiers", options.clients, MAX_RATES),
    ):
        found = measure(clients, rates, options)
        say(
            f"{name:<12} {found['cpu_s']:7.2f} s CPU  {found['published']:>8,} published in "
            f"{found['took_s']:.1f} s  {found['sent']:>11,.0f} sent"
        )


if __name__ == "__main__":
    main()
