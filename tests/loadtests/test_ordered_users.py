"""Commands to users in whole runs: two workers carry out what one process does."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from blackbox.process import GatewayProcess

from loadtests.endpoints import unused_port
from loadtests.record.finisher import finish_run

STORM = """# Do two workers carry out what one process does?
name = "ordered-users"
seed = 7
budgets = ["errors == 0"]

[phases]
spawn_rate = 60.0
warm_up = "200 ms"
steady = "7 s"
drain = "2 s"

[market]
symbols = 5
zipf = 1.0

[users.storm]
count = 9
symbols = 2

[users.idle]
count = 4

[users.dead_peer]
count = 3
dies_after = "0 s"

[[commands]]
at = "500 ms"
do = "drop"
who = "storm"
within = "500 ms"

[[commands]]
at = "4 s"
do = "return"
who = "storm"

[[commands]]
at = "4 s"
do = "send"
who = "idle"
count = 3
"""


@pytest.mark.parametrize("workers", [pytest.param(1, marks=pytest.mark.proof), 2])
def test_every_user_of_a_group_obeys_once_however_many_processes_there_are(
    start_gateway: Callable[..., GatewayProcess],
    run_locust: Callable[..., object],
    locustfile: str,
    tmp_path: Path,
    workers: int,
) -> None:
    scenario, run, gateway = tmp_path / "ordered.toml", tmp_path / "run", start_gateway()
    scenario.write_text(STORM)
    arguments = ["-f", locustfile, "--headless", "--only-summary", "--scenario", str(scenario)]
    arguments += ["-H", gateway.url, "--run-dir", str(run), "--no-report"]
    if workers > 1:
        port = str(unused_port())
        arguments += ["--processes", str(workers), "--master-port", port]
        arguments += ["--master-bind-port", port]
    done = run_locust(*arguments, environment={"JWT_SECRET": gateway.secret})
    assert done.returncode == 0, done.stderr + done.stdout  # type: ignore[attr-defined]  # a completed process
    assert finish_run(run) == []
    events = pq.read_table(run / "events.parquet").to_pylist()
    seen = Counter((row["event"], row["outcome"]) for row in events)
    assert [seen["command", deed] for deed in ("drop", "return", "send")] == [1, 1, 1]
    assert seen["disconnect", "dropped"] == seen["attempt", "welcome"] == 9
    assert seen["error", ""] == sum(n for (event, _), n in seen.items() if event == "error") == 0
    hist = pq.read_table(run / "hist.parquet").to_pylist()
    totals = Counter[str]()
    for row in hist:
        totals[row["series"]] += row["count"]
    assert totals["storm_back"] == 9
    assert totals["ack"] == 9 * 2 + 4 * 3
