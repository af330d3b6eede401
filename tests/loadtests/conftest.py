"""Fixtures of the load laboratory's tests."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from deadlines import RUN_S

ROOT = Path(__file__).resolve().parents[2]

# Locust patches the whole process when it is imported; a test process must stay as it is.
with pytest.MonkeyPatch.context() as _patch:
    _patch.setenv("LOCUST_SKIP_MONKEY_PATCH", "1")
    import locust  # noqa: F401 - imported here so that nobody imports it patched

RunLocust = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def run_locust(tmp_path: Path) -> RunLocust:
    """Run ``locust`` to its end in a folder of its own; ``environment`` is added to ours."""

    def run(
        *arguments: str,
        environment: Mapping[str, str] | None = None,
        cwd: Path = tmp_path,
    ) -> subprocess.CompletedProcess[str]:
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("LOCUST_", "JWT_"))}
        return subprocess.run(
            [str(Path(sys.executable).with_name("locust")), *arguments],
            cwd=cwd,
            env={**inherited, **(environment or {})},
            capture_output=True,
            text=True,
            timeout=RUN_S,
            check=False,
        )

    return run


@pytest.fixture
def locustfile() -> str:
    return str(ROOT / "loadtests" / "locustfile.py")


SMALL_SCENARIO = """# Does a small run account for everything?
name = "small"
seed = 7
budgets = ["errors == 0"]

[phases]
spawn_rate = 60.0
warm_up = "500 ms"
steady = "4 s"
drain = "2 s"

[gateway]
GATEWAY_HEARTBEAT_SECONDS = 0.2

[market]
symbols = 5
zipf = 1.0

[users.subscriber]
count = 8
symbols = 2

[users.trader]
count = 5
symbols = 1
request_every = "1500 ms"

[users.abuser]
count = 1
burst = 65

[[publish]]
event = "price:update"
rate = 20.0

[[publish]]
event = "order:created"
rate = 10.0

[health]
generator_share_p99 = "500 ms"
publisher_delay_p99 = "500 ms"
second_lost_percent = 100
dirty_seconds_percent = 100

[policy]
inconclusive = "fail"
"""


@pytest.fixture
def small_scenario(tmp_path: Path) -> Path:
    path = tmp_path / "small.toml"
    path.write_text(SMALL_SCENARIO)
    return path
