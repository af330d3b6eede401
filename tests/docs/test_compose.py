"""The services of the Compose file, run as it says; each test is of one stack of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, closing

import pytest
from blackbox.client import RawClient
from compose_services import Stack, mounts, stack
from deadlines import RUN_S, until
from prometheus_server import ask, query

pytestmark = [pytest.mark.real_part(name) for name in ("redis-server", "nginx", "prometheus")]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with stack(tmp_path_factory.mktemp("compose")) as started:
        yield started


def charts() -> dict[str, str]:
    """Return the queries of the dashboards that Grafana shows, with the title of their charts."""
    found = {}
    for file in mounts("grafana")["/var/lib/grafana/dashboards"].glob("*.json"):
        for panel in json.loads(file.read_text())["panels"]:
            for target in panel.get("targets", ()):
                found[target["expr"].replace("$instance", ".*")] = panel["title"]
    return found


def test_a_publication_through_nginx_reaches_clients_of_both_nodes(running: Stack) -> None:
    front = running.front
    with ExitStack() as held:
        clients: dict[str, RawClient] = {}
        for _ in range(20):  # nginx gives a connection to the node with the fewest
            client = held.enter_context(closing(RawClient(front)))
            welcome = client.connect({"token": front.token()})
            client.call("subscribe", {"channel": "trading"})
            clients[welcome["clientId"].partition(".")[0]] = client
            if len(clients) == len(running.nodes):
                break
        front.publish({"room": "trading", "event": "news", "data": {"n": 1}})
        assert {node: client.expect("news")["n"] for node, client in clients.items()} == {
            "a": 1,
            "b": 1,
        }


def test_prometheus_scrapes_both_nodes_and_the_witness_and_evaluates_every_rule(
    running: Stack,
) -> None:
    url = running.prometheus
    up = {f"127.0.0.1:{node.port}": "tidegate" for node in running.nodes.values()}
    until(lambda: len(query(url, "up == 1")) == len(up) + 1, "three scrapes", RUN_S)
    jobs = {one["metric"]["instance"]: one["metric"]["job"] for one in query(url, "up")}
    assert jobs.items() >= up.items()
    assert sorted(jobs.values()) == ["tidegate", "tidegate", "tidegate-witness"]

    def states() -> set[str]:
        groups = (ask(url, "rules") or {"groups": []})["groups"]
        return {rule["health"] for group in groups for rule in group["rules"]}

    until(lambda: states() == {"ok"}, "every rule is evaluated", RUN_S)
    files = {group["file"].rpartition("/")[2] for group in ask(url, "rules")["groups"]}
    assert files == {
        path.name for path in mounts("prometheus")["/etc/prometheus/rules"].glob("*.yml")
    }


def test_every_chart_of_the_dashboard_shows_a_series(running: Stack) -> None:
    found = charts()
    assert len(found) > 20
    missing = dict(found)

    def ask_again() -> bool:
        for expression in list(missing):
            # A comparison drops what is not above its limit: nothing broken, or too little load.
            if query(running.prometheus, expression.removesuffix(" > 0")):
                del missing[expression]
        return not missing

    try:
        until(ask_again, "", RUN_S)
    except AssertionError:
        pytest.fail(f"charts without data: {missing}")
