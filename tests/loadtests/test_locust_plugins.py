"""What Locust's own plug-ins see of pushes: ``--otel`` at a real receiver, and a CSV logger."""

from __future__ import annotations

import csv
import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from blackbox.process import GatewayProcess
from opentelemetry.proto.metrics.v1.metrics_pb2 import HistogramDataPoint, NumberDataPoint
from otlp_receiver import otlp_receiver

RunLocust = Callable[..., "subprocess.CompletedProcess[str]"]

PLUGIN = """
from locust import events
from locust.contrib.csv_request_logger import CsvRequestLogger


@events.init.add_listener
def start(environment, **facts):
    logger = CsvRequestLogger("requests.csv")
    logger.register(environment)
    environment.events.quitting.add_listener(lambda **facts: logger.close())
"""


def name_of(point: NumberDataPoint | HistogramDataPoint) -> str:
    return next(each.value.string_value for each in point.attributes if each.key == "name")


def test_opentelemetry_and_a_csv_logger_see_the_pushes_of_a_run(
    start_gateway: Callable[..., GatewayProcess],
    run_locust: RunLocust,
    locustfile: str,
    small_scenario: Path,
    tmp_path: Path,
) -> None:
    gateway = start_gateway()
    plugin = tmp_path / "plugin.py"
    plugin.write_text(PLUGIN)
    arguments = ["-f", f"{locustfile},{plugin}", "--headless", "--scenario", str(small_scenario)]
    arguments += ["-H", gateway.url, "--run-dir", str(tmp_path / "run"), "--no-report"]
    with otlp_receiver() as receiver:
        environment = {
            "JWT_SECRET": gateway.secret,
            "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url,
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        }
        done = run_locust(*arguments, "--csv", "table", "--otel", environment=environment)
    assert done.returncode == 0, done.stderr + done.stdout
    with (tmp_path / "table_stats.csv").open() as file:
        table = {row["Name"]: row for row in csv.DictReader(file) if row["Type"] == "PUSH"}
    pushes = {name: int(row["Request Count"]) for name, row in table.items()}
    with (tmp_path / "requests.csv").open() as file:
        samples = Counter(row["name"] for row in csv.DictReader(file))
    counted = receiver.metrics["tidegate.pushes"].sum.data_points
    assert {name_of(each): each.as_int for each in counted} == pushes
    timed = receiver.metrics["locust.client.duration"].histogram.data_points
    assert {name_of(each): each.count for each in timed} == samples
    assert pushes.keys() == {"price:update", "order:created"} <= samples.keys()
    for name, count in pushes.items():
        assert 0 < samples[name] <= count
    for each in timed:
        if name_of(each) in pushes:
            slowest_ms = float(table[name_of(each)]["Max Response Time"])
            assert each.max * 1_000 <= slowest_ms + 1
