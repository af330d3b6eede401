"""What Locust's own plug-ins see of pushes: ``--otel`` at a real receiver, and a CSV logger."""

from __future__ import annotations

import csv
import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
from blackbox.process import GatewayProcess
from opentelemetry.proto.metrics.v1.metrics_pb2 import HistogramDataPoint, NumberDataPoint
from otlp_receiver import otlp_receiver

from loadtests.results import Series

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
    return next(str(each.value.string_value) for each in point.attributes if each.key == "name")


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
        done = run_locust(*arguments, "--otel", environment=environment)
    assert done.returncode == 0, done.stderr + done.stdout
    with (tmp_path / "requests.csv").open() as file:
        samples = Counter(row["name"] for row in csv.DictReader(file))
    timed = receiver.metrics["locust.client.duration"].histogram.data_points
    assert {name_of(each): each.count for each in timed} == samples
    counted = receiver.metrics["tidegate.pushes"].sum.data_points
    pushes = {name_of(each): each.as_int for each in counted}
    assert pushes.keys() == {"price:update", "order:created"}
    for name, count in pushes.items():
        assert 0 < samples[name] <= count
    with pa.OSFile(str(tmp_path / "run" / "segments" / "hist.locust.arrow")) as segment:
        recorded = pa.ipc.open_stream(segment).read_all().to_pylist()
    assert sum(pushes.values()) == sum(r["count"] for r in recorded if r["series"] == Series.PUSH)
