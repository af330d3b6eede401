"""Fixtures of the black-box suites: a gateway to try, and clients to try it with.

The gateway under test is a process of the suite's own; ``TIDEGATE_CONTRACT_URL`` and
``TIDEGATE_CONTRACT_SECRET`` aim the same tests at any other that speaks the contract.
Tests that need settings of their own are skipped then.
"""

from __future__ import annotations

import contextlib
import gc
import itertools
import os
import shutil
import signal
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from blackbox.client import RawClient
from blackbox.process import ROOT, GatewayProcess
from blackbox.shared import gateways_by_settings, one_gateway
from blackbox.target import Target
from deadlines import TEST_S
from hypothesis import HealthCheck, settings

# No deadline and no check of speed: a property fails for a counterexample, never for a slow host.
settings.register_profile(
    "tidegate", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.load_profile("tidegate")

# A shell starts a background job with SIGINT ignored, and every process below inherits that.
# Tests that interrupt a process would then wait in vain.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

StartGateway = Callable[..., GatewayProcess]
Connect = Callable[..., RawClient]


NODE_PARTS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "node": ("tests/interop", ("socket.io-client", "playwright-core", "axe-core")),
    "page build": ("examples/web", ("react", "vite", "vitest")),
    "node peer": ("tests/benchmarks/transport/servers/node", ("socket.io", "ws")),
}
"""By real part: the folder where npm installs it, and the packages that are needed there."""


LONG = [
    ROOT / "tests" / name
    for name in (
        "nodes/test_faults.py",
        "loadtests/test_workers.py",
        "loadtests/test_cut_runs.py",
        "loadtests/supervision/test_supervisor.py",
        "docs/test_pipelines.py",
        "tidegate/test_wheel.py",
        "loadtests/conducting/test_locust_page_in_browser.py",
        "loadtests/test_ordered_ends.py",
        "loadtests/test_pytest_plugin.py",
        "reports/compare/test_slices.py",
        "loadtests/watching/test_witness.py",
        "reports/test_page_in_browser.py",
        "loadtests/conducting/test_locust_page.py",
        "interop/test_demo_page.py",
        "reports/test_outputs.py",
    )
]
"""Modules with tests of ten seconds and more, the longest first."""


def missing_part(name: str) -> str | None:
    """Say what is missing of a real part, and how to get it; None when it is all there."""
    if name not in NODE_PARTS:
        return None if shutil.which(name) else f"{name} is not on the PATH"
    if shutil.which("node") is None:
        return "node is not on the PATH: install Node.js 20.19 or newer"
    folder, packages = NODE_PARTS[name]
    for package in packages:
        if not (ROOT / folder / "node_modules" / package).is_dir():
            return f"{package} is not installed: cd {folder} && npm ci"
    return None


@pytest.hookimpl(tryfirst=True)  # before pytest-timeout reads it
def pytest_configure(config: pytest.Config) -> None:
    """Give each test the suite's longest wait, unless the command line names another."""
    if config.option.timeout is None:
        config.option.timeout = TEST_S


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart() -> None:
    """Collect tests without the garbage collector: what that makes lives as long as the process."""
    gc.disable()


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    """Run tests with the garbage collector, which does not visit the collected tests again."""
    gc.freeze()
    gc.enable()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Return two workers a core: tests wait for processes and protocols more than they compute."""
    return 2 * (os.cpu_count() or 1)


@pytest.hookimpl(trylast=True)  # after pytest's own order
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin each worker's share with long tests, so that the run does not end with them."""
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    by_module = {path: [one for one in items if one.path == path] for path in LONG}
    hands: list[list[pytest.Item]] = [[] for _ in range(workers)]
    for number, tests in enumerate(by_module.values()):  # a module's tests share fixtures
        hands[number % workers].extend(tests)
    rest = iter([one for one in items if one.path not in by_module])
    left = len(items)
    for number, hand in enumerate(hands):  # --dist worksteal begins with equal shares in order
        share = left // (workers - number)
        left -= share
        hand.extend(itertools.islice(rest, max(0, share - len(hand))))
    items[:] = [*itertools.chain.from_iterable(hands), *rest]


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test whose real part is missing; where CI is set, fail: never pass without it."""
    for marker in item.iter_markers("real_part"):
        missing = missing_part(marker.args[0])
        if missing and os.environ.get("CI") == "true":
            pytest.fail(missing, pytrace=False)
        if missing:
            pytest.skip(missing)


@pytest.fixture(scope="session")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """One gateway in production mode for the whole session, or the one that we are aimed at."""
    with one_gateway(tmp_path_factory) as target:
        yield target


@pytest.fixture
def processes() -> Iterator[list[GatewayProcess]]:
    """Hold the gateways of one test; each must end cleanly when asked to, its clients gone."""
    started: list[GatewayProcess] = []
    try:
        yield started
        for process in started:
            if process.process.poll() is None:
                assert process.stop() == 0, process.log.read_text()
    finally:
        for process in started:
            process.kill()


@pytest.fixture
def start_gateway(processes: list[GatewayProcess], tmp_path: Path) -> StartGateway:
    """Start a gateway with settings of the test's own."""
    if os.environ.get("TIDEGATE_CONTRACT_URL"):
        pytest.skip("needs a gateway with settings of its own")

    def start(**settings: object) -> GatewayProcess:
        log = tmp_path / f"gateway-{len(processes)}.log"
        given = {name: None if value is None else str(value) for name, value in settings.items()}
        processes.append(GatewayProcess(log, given))
        return processes[-1]

    return start


@pytest.fixture(scope="module")
def shared_gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartGateway]:
    """Give the gateway with those settings, started once for the tests of a module.

    An idle gateway soon costs more than a start: its heartbeats are quick.
    """
    with gateways_by_settings(tmp_path_factory) as give:
        yield give


@pytest.fixture
def open_socket(processes: list[GatewayProcess]) -> Iterator[Connect]:
    """Open raw sockets that are closed when the test is over; no CONNECT is sent."""
    with contextlib.ExitStack() as stack:

        def start(target: Target, **options: Any) -> RawClient:
            client = RawClient(target, **options)
            stack.callback(client.close)
            return client

        yield start


@pytest.fixture
def connect(open_socket: Connect, gateway: Target) -> Connect:
    """Connect a client: ``connect()`` with a fresh user, or with ``sub``, ``token``, ``target``."""

    def start(
        sub: str = "", *, target: Target | None = None, token: str | None = None, **options: Any
    ) -> RawClient:
        at = target or gateway
        client = open_socket(at, **options)
        client.connect({"token": token or at.token(sub)})
        return client

    return start
