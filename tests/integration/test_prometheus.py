"""The metrics, read by the real promtool and by a real Prometheus."""

from __future__ import annotations

import json
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from blackbox.target import Target, wait_for

from gateway.metrics import METRIC_NAMES
from loadtests.endpoints import unused_port

pytestmark = pytest.mark.real_part("prometheus")

CONFIGURATION = """
scrape_configs:
  - job_name: gateway
    scrape_interval: 1s
    static_configs: [{targets: ["%s"]}]
"""


@contextmanager
def prometheus(folder: Path, target: str) -> Iterator[str]:
    """Run a Prometheus that scrapes one target each second, and yield its URL."""
    (folder / "prometheus.yml").write_text(CONFIGURATION % target)
    address = f"127.0.0.1:{unused_port()}"
    arguments = (
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address={address}",
    )
    with (
        (folder / "prometheus.log").open("wb") as log,
        subprocess.Popen(("prometheus", *arguments), stdout=log, stderr=log) as process,
    ):
        try:
            yield f"http://{address}"
        finally:
            process.terminate()


def query(url: str, expression: str) -> list[dict[str, Any]]:
    """Return the result of an instant query; empty while Prometheus is starting."""
    address = f"{url}/api/v1/query?{urllib.parse.urlencode({'query': expression})}"
    try:
        with urllib.request.urlopen(address, timeout=5) as answer:  # noqa: S310 - our Prometheus
            found: list[dict[str, Any]] = json.loads(answer.read())["data"]["result"]
    except OSError:
        return []
    return found


@pytest.mark.real_part("promtool")
def test_promtool_finds_no_fault_in_the_metrics(gateway: Target) -> None:
    page = gateway.get("/metrics").body
    checked = subprocess.run(
        ("promtool", "check", "metrics"), input=page, capture_output=True, check=False
    )
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, b"", b"")


def test_a_real_prometheus_scrapes_every_metric_twice(gateway: Target, tmp_path: Path) -> None:
    with prometheus(tmp_path, gateway.url.removeprefix("http://")) as url:
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
