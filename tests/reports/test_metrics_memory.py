"""Memory: known bytes in, the same bytes out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from staged_run import STEADY_AT_S, Told, make_staged_run
from synthetic_run import client_row, event_row

from loadtests.results import Event
from reports.measures.memory import memory_levels, memory_points
from reports.measures.registry import measure
from reports.run_frames import RunFrames, read_run

IDLE = "[users.idle]\ncount = 100"
SUBSCRIBERS = "[users.subscriber]\ncount = 100\nsymbols = 1"
STORM = "[users.storm]\ncount = 100\nsymbols = 1"
EMPTY = 50 << 20
EACH = 6_000
KERNEL = 3_000
STAGES = [(10 * step, 100 * (step + 1), 50.0) for step in range(1, 5)]


def climbing(second: int) -> int:
    """Return the clients of a second: 100, and 100 more in 2 s from each tenth second on."""
    at_s = second - STEADY_AT_S
    stages = [min(100, max(0, 50 * (at_s - 10 * step + 1))) for step in range(1, 5)]
    return min(100, 20 * second) + sum(stages)


def trembling(second: int) -> int:
    """Return a small, known noise without a trend."""
    return (second * 7_919 % 13 - 6) * 100


def stairs(second: int) -> dict[str, Any]:
    clients = climbing(second)
    memory = EMPTY + EACH * clients + trembling(second)
    return {
        "clients": clients,
        "pss_anon_bytes": memory,
        "rss_bytes": memory + (10 << 20),
        "kernel_bytes": (1 << 20) + KERNEL * clients,
    }


def test_a_staircase_gives_each_level_and_the_slope_between_them(tmp_path: Path) -> None:
    run = read_run(make_staged_run(tmp_path / "run", IDLE, stages=STAGES, server=stairs))
    levels = memory_levels(run)
    assert levels["clients"].tolist() == [100, 200, 300, 400, 500]
    assert levels["memory_bytes"].diff().dropna().tolist() == pytest.approx([600_000] * 4, rel=0.01)
    found = measure(run, "memory.per_client")
    assert found.value == pytest.approx(EACH, rel=0.005)
    assert found.low is not None
    assert found.high is not None
    assert found.low < EACH < found.high
    assert found.n == 5
    assert found.why.startswith(
        "levels of a staircase, private anonymous memory (PSS); Theil–Sen gives 5.8"
    )


def test_the_kernels_memory_has_a_slope_of_its_own(tmp_path: Path) -> None:
    run = read_run(make_staged_run(tmp_path / "run", IDLE, stages=STAGES, server=stairs))
    assert measure(run, "memory.kernel_per_client").value == pytest.approx(KERNEL, rel=0.01)


def test_what_a_command_adds_is_no_step_of_the_stairs(tmp_path: Path) -> None:
    told = [Told(at_s=39, do="send", who="idle", count=3)]

    def server(second: int) -> dict[str, Any]:
        row = stairs(second)
        row["pss_anon_bytes"] += (40 << 20) * (second >= told[0].start_s)
        return row

    run = read_run(
        make_staged_run(tmp_path / "run", IDLE, stages=STAGES, commands=told, server=server)
    )
    assert memory_levels(run)["clients"].tolist() == [100, 200, 300, 400]
    assert measure(run, "memory.per_client").value == pytest.approx(EACH, rel=0.01)


def test_a_stage_that_sends_users_away_ends_the_climb(tmp_path: Path) -> None:
    stages = [*STAGES[:2], (30, 50, 50.0)]
    run = read_run(make_staged_run(tmp_path / "run", IDLE, stages=stages, server=stairs))
    assert memory_levels(run)["clients"].tolist() == [100, 200, 300]


def test_without_enough_levels_the_ramp_serves(tmp_path: Path) -> None:
    run = read_run(make_staged_run(tmp_path / "run", IDLE, stages=STAGES[:1], server=stairs))
    found = memory_points(run)
    points = found.frame
    assert found.label == "private anonymous memory (PSS)"
    assert points["clients"].tolist() == [0, 20, 40, 60, 80, 100]


def stepping(told: list[Told], step_bytes: int) -> Callable[[int], dict[str, Any]]:
    def server(second: int) -> dict[str, Any]:
        done = sum(second >= command.start_s + command.within_s for command in told)
        memory = EMPTY + trembling(second) + done * step_bytes
        return {"clients": 100, "pss_anon_bytes": memory, "rss_bytes": memory}

    return server


@pytest.mark.parametrize(
    ("metric", "do", "count", "each"),
    [
        ("memory.per_subscription", "subscribe", 10, 100 * 10),
        ("memory.per_message", "send", 40, 100 * 40),
        ("memory.per_backlog", "pause", 0, 100),
    ],
)
def test_a_step_of_memory_is_divided_by_what_was_done(
    tmp_path: Path, metric: str, do: str, count: int, each: int
) -> None:
    told = [Told(at_s=20, do=do, who="idle", count=count, within_s=2)]
    server = stepping(told, step_bytes=4_000_000)
    run = read_run(make_staged_run(tmp_path / "run", IDLE, commands=told, server=server))
    found = measure(run, metric)
    assert found.value == pytest.approx(4_000_000 / each, rel=0.001)
    assert found.low is not None
    assert found.high is not None
    assert found.low < 4_000_000 / each < found.high
    assert f"over {each:,} of them" in found.why


def test_two_commands_of_a_kind_are_added_up(tmp_path: Path) -> None:
    told = [Told(at_s=at_s, do="subscribe", who="idle", count=5) for at_s in (15, 35)]
    server = stepping(told, step_bytes=1_000_000)
    run = read_run(make_staged_run(tmp_path / "run", IDLE, commands=told, server=server))
    assert measure(run, "memory.per_subscription").value == pytest.approx(2_000, rel=0.01)


def test_users_that_came_count_and_not_those_planned(tmp_path: Path) -> None:
    told = [Told(at_s=20, do="send", who="idle", count=10)]
    clients = [client_row(place, 1, group="idle") for place in range(80)]
    server = stepping(told, step_bytes=800_000)
    run = read_run(
        make_staged_run(tmp_path / "run", IDLE, commands=told, server=server, clients=clients)
    )
    assert measure(run, "memory.per_message").value == pytest.approx(1_000, rel=0.01)


def test_a_command_that_nobody_carried_out_measures_nothing(tmp_path: Path) -> None:
    told = [Told(at_s=20, do="send", who="idle", count=10)]
    server = stepping(told, step_bytes=800_000)
    run = read_run(
        make_staged_run(tmp_path / "run", IDLE, commands=told, carried_out=[], server=server)
    )
    found = measure(run, "memory.per_message")
    assert (found.value, found.why) == (None, "no send was carried out")


def test_a_level_that_is_too_short_is_no_level(tmp_path: Path) -> None:
    told = [
        Told(at_s=20, do="send", who="idle", count=10),
        Told(at_s=23, do="pause", who="idle"),
    ]
    server = stepping(told, step_bytes=800_000)
    run = read_run(make_staged_run(tmp_path / "run", IDLE, commands=told, server=server))
    assert "memory was not level for long enough" in measure(run, "memory.per_message").why


def leaving(kept_bytes: int, told: list[Told]) -> Callable[[int], dict[str, Any]]:
    """Clients go at a drop and come at a return; ``kept_bytes`` stay for each after it went."""

    def server(second: int) -> dict[str, Any]:
        drops = sum(second >= each.start_s for each in told if each.do == "drop")
        returns = sum(second >= each.start_s for each in told if each.do == "return")
        clients = 0 if second < 2 else 100 * (1 - drops + returns)
        leak = drops * 100 * kept_bytes
        memory = EMPTY + trembling(second) // 10 + EACH * clients + leak
        return {
            "clients": clients,
            "pss_anon_bytes": memory,
            "rss_bytes": memory,
            "sessions": clients + 2 * drops,
            "fds": 20 + clients,
        }

    return server


def cycles(number: int, every_s: int = 8) -> list[Told]:
    halves = [("drop", 0), ("return", every_s // 2)]
    return [
        Told(at_s=10 + every_s * cycle + later_s, do=do, who="storm")
        for cycle in range(number)
        for do, later_s in halves
    ]


def cycled(tmp_path: Path, number: int, kept_bytes: int, every_s: int = 8) -> RunFrames:
    told = cycles(number, every_s)
    server = leaving(kept_bytes, told)
    return read_run(
        make_staged_run(tmp_path / "run", STORM, commands=told, steady_s=110, server=server)
    )


@pytest.mark.parametrize(("kept_bytes", "share"), [(0, 1.0), (1_500, 0.75), (EACH, 0.0)])
def test_the_share_given_back_is_what_came_back(
    tmp_path: Path, kept_bytes: int, share: float
) -> None:
    found = measure(cycled(tmp_path, 1, kept_bytes, every_s=20), "memory.returned")
    assert found.value == pytest.approx(share, abs=0.01)


@pytest.mark.parametrize("kept_bytes", [0, 400])
def test_ten_cycles_show_what_each_client_leaves_behind(tmp_path: Path, kept_bytes: int) -> None:
    found = measure(cycled(tmp_path, 10, kept_bytes), "memory.per_cycle")
    assert found.value == pytest.approx(kept_bytes, abs=1)
    assert found.low is not None
    assert found.high is not None
    assert found.low <= kept_bytes <= found.high
    assert found.n == 10


def test_nine_cycles_are_too_few(tmp_path: Path) -> None:
    found = measure(cycled(tmp_path, 9, 400), "memory.per_cycle")
    assert found.value is None
    assert found.why == ("9 cycles with a level after the drop; a slope needs 10")


def test_what_is_left_after_the_last_drop_is_counted_exactly(tmp_path: Path) -> None:
    run = cycled(tmp_path, 4, 0)
    assert measure(run, "memory.left_sessions").value == 2 * 3
    assert measure(run, "memory.left_fds").value == 0


def test_one_cycle_compares_everybody_back_with_everybody_before(tmp_path: Path) -> None:
    run = cycled(tmp_path, 1, 0)
    assert measure(run, "memory.left_sessions").value == 2
    assert measure(run, "memory.left_fds").value == 0


def test_churn_is_held_against_the_returns(tmp_path: Path) -> None:
    groups = '[users.churner]\ncount = 10\nsymbols = 1\nstay = "2 s"'
    returns_at = [STEADY_AT_S + 60 * index / 200 for index in range(200)]
    events = [
        event_row(int(at_s * 1e9), Event.RECONNECT, user=f"vu-{index % 10}", group="churner")
        for index, at_s in enumerate(returns_at)
    ]

    def server(second: int) -> dict[str, Any]:
        done = sum(at_s < second for at_s in returns_at)
        memory = EMPTY + 3_000 * done + trembling(second) // 10
        row = {"clients": 10, "pss_anon_bytes": memory, "rss_bytes": memory}
        return {**row, "sessions": 10 + done // 100, "fds": 30}

    run = read_run(make_staged_run(tmp_path / "run", groups, server=server, events=events))
    assert measure(run, "memory.per_cycle").value == pytest.approx(3_000, rel=0.01)
    assert measure(run, "memory.left_sessions").value == 1
    assert measure(run, "memory.left_fds").value == 0


@pytest.mark.parametrize(
    ("from_s", "over_s", "why"),
    [
        (0.0, STEADY_AT_S, "0 returns of 10 churners; a slope needs 10 each"),
        (STEADY_AT_S, 1.0, "the churners returned too unevenly for a slope"),
    ],
    ids=["before the steady phase", "all at once"],
)
def test_returns_that_make_no_slope_are_told(
    tmp_path: Path, from_s: float, over_s: float, why: str
) -> None:
    groups = '[users.churner]\ncount = 10\nsymbols = 1\nstay = "2 s"'
    events = [
        event_row(
            int((from_s + over_s * index / 200) * 1e9),
            Event.RECONNECT,
            user=f"vu-{index % 10}",
            group="churner",
        )
        for index in range(200)
    ]
    run = read_run(make_staged_run(tmp_path / "run", groups, server=stairs, events=events))
    assert measure(run, "memory.per_cycle").why == why


def test_nobody_left_is_no_zero(tmp_path: Path) -> None:
    run = read_run(make_staged_run(tmp_path / "run", SUBSCRIBERS, server=stairs))
    assert measure(run, "memory.returned").why == "no command and no stage made users leave"
    assert "0 cycles" in measure(run, "memory.per_cycle").why
    assert "is unknown" in measure(run, "memory.left_sessions").why


@pytest.mark.parametrize("stages", [(), STAGES], ids=["ramp", "staircase"])
@pytest.mark.parametrize("kept", [(), ("clients",), ("rss_bytes", "kernel_bytes")], ids=str)
def test_a_target_that_hides_its_metrics_has_no_figure_and_no_error(
    tmp_path: Path, kept: tuple[str, ...], stages: list[tuple[int, int, float]]
) -> None:
    def hidden(second: int) -> dict[str, Any]:
        return {name: value if name in kept else None for name, value in stairs(second).items()}

    run = read_run(make_staged_run(tmp_path / "run", IDLE, stages=stages, server=hidden))
    for metric in ("memory.per_client", "memory.kernel_per_client"):
        assert measure(run, metric).value is None
