"""The metrics, read by the real promtool and by a real Prometheus."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from blackbox.target import Target, wait_for
from prometheus_server import prometheus, query

from gateway.metrics import METRIC_NAMES

pytestmark = pytest.mark.real_part("prometheus")

CONFIGURATION = """
scrape_configs:
  - job_name: gateway
    scrape_interval: 1s
    static_configs: [{targets: ["%s"]}]
"""


@pytest.mark.real_part("promtool")
def test_promtool_finds_no_fault_in_the_metrics(gateway: Target) -> None:
    page = gateway.get("/metrics").body
    checked = subprocess.run(
        ("promtool", "check", "metrics"), input=page, capture_output=True, check=False
    )
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, b"", b"")


def test_a_real_prometheus_scrapes_every_metric_twice(gateway: Target, tmp_path: Path) -> None:
    configuration = tmp_path / "prometheus.yml"
    configuration.write_text(CONFIGURATION % gateway.url.removeprefix("http://"))
    arguments = (f"--config.file={configuration}", f"--storage.tsdb.path={tmp_path / 'data'}")
    with prometheus(tmp_path, arguments) as url:
        scrapes = "count_over_time(up{job='gateway'}[1m]) >= 2 and up{job='gateway'} == 1"
        wait_for(lambda: query(url, scrapes))
        names = {one["metric"]["__name__"] for one in query(url, "{job='gateway'}")}
        (build,) = query(url, "tidegate_build_info")
    bare = {name.removesuffix(s) for name in names for s in ("_bucket", "_count", "_sum", "")}
    assert bare >= METRIC_NAMES
    assert build["metric"].keys() >= {"version", "python_version"}


def test_a_scraper_that_asks_for_openmetrics_gets_it(gateway: Target) -> None:
    answer = gateway.request(
        "GET", "/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"}
    )
    assert answer.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    assert answer.body.endswith(b"# EOF\n")
