from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from synthetic_run import SMOKE, make_run, span_rows

from loadtests.results import LOGS, PROFILE, Phase, Series, Verdict
from reports.explanation import BreachExplanation, Profiles, explain_time
from reports.page import render_page
from reports.places import TimePlace, parts_of
from reports.run_frames import RunFrames, read_run
from reports.slow_seconds import RunnableTime
from reports.stack_counts import grown, parse_stacks
from reports.summary import render_summary
from reports.verdict import judge

MS = 1_000_000
SECOND = 1_000_000_000
SCENARIO = SMOKE.read_text().replace("push.p99 <= 10 ms", "push.p99 <= 20 ms")
MADE = (Series.PUSH, Series.PUSH_SERVICE, Series.ACCEPT, Series.KERNEL, Series.GENERATOR_SHARE)
SLOW_ONE_IN = 20
PUSHES = 200

MakeRun = Callable[..., RunFrames]


def reshape(
    stages_ms: tuple[float, float, float],
    slow_ms: float = 0.0,
    fanout_ms: float = 1.0,
    **server: int,
) -> Callable[[dict[str, Any]], None]:
    """Return a change of a run's tables: stages of a push, and a tail of one push in twenty.

    Args:
        stages_ms: accept, gateway to kernel, read.
        slow_ms: what the slow pushes take longer, at accept.
        fanout_ms: the gateway's mean fan-out.
        server: columns of each second of ``server``; ``ran_ns`` is CPU time in the second.
    """

    def change(tables: dict[str, Any]) -> None:
        rows = [row for row in tables["hist"] if row["series"] not in {str(s) for s in MADE}]
        accept, sent, read = (round(ms * MS) for ms in stages_ms)
        slow = round(slow_ms * MS)
        for second in (row["t_s"] for row in tables["timeline"] if row["worker"] == "local"):
            phase = next(r["phase"] for r in tables["timeline"] if r["t_s"] == second)
            if phase != Phase.STEADY:
                continue
            late = [slow if not n % SLOW_ONE_IN else 0 for n in range(PUSHES)]
            spans = {
                Series.PUSH: [accept + sent + read + more for more in late],
                Series.PUSH_SERVICE: [sent + read] * PUSHES,
                Series.ACCEPT: [accept + more for more in late],
                Series.KERNEL: [sent] * 10,
                Series.GENERATOR_SHARE: [read] * 10,
                Series.GATEWAY_FANOUT: [round(fanout_ms * MS)],
            }
            for series, values in spans.items():
                rows += span_rows(series, second, values)
        tables["hist"] = rows
        ran_ns = server.get("ran_ns", 100 * MS)
        for number, row in enumerate(tables["server"]):
            columns = {name: value for name, value in server.items() if name != "ran_ns"}
            row.update({"loop_lag_ns": MS, "cpu_ns": number * ran_ns, **columns})

    return change


@pytest.fixture
def make(tmp_path: Path) -> MakeRun:
    def make(name: str = "head", profile: str = "", **shape: Any) -> RunFrames:
        directory = make_run(tmp_path / name, scenario=SCENARIO, change=reshape(**shape))
        if profile:
            (directory / LOGS).mkdir(exist_ok=True)
            (directory / LOGS / PROFILE).write_text(profile)
        return read_run(directory)

    return make


def explain(run: RunFrames, baseline: RunFrames | None = None) -> BreachExplanation:
    budget = next(one for one in run.scenario.budgets if one.metric == "push")
    found = explain_time(run, budget, baseline)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("place", "shape"),
    [
        (TimePlace.ACCEPT, {"stages_ms": (40, 1, 1)}),
        (TimePlace.FANOUT, {"stages_ms": (1, 40, 1), "fanout_ms": 39}),
        (TimePlace.KERNEL, {"stages_ms": (1, 40, 1), "fanout_ms": 1}),
        (TimePlace.READ, {"stages_ms": (1, 1, 40)}),
        (
            TimePlace.COLLECTIONS,
            {
                "stages_ms": (1, 1, 1),
                "slow_ms": 60,
                "gc_pause_max_ns": 60 * MS,
                "loop_lag_ns": 60 * MS,
            },
        ),
        (TimePlace.LOOP, {"stages_ms": (1, 1, 1), "slow_ms": 60, "loop_lag_ns": 60 * MS}),
        (
            TimePlace.HOST,
            {"stages_ms": (25, 25, 1), "fanout_ms": 25, "core_wait_ns": 90 * MS, "ran_ns": 10 * MS},
        ),
    ],
    ids=lambda value: str(value) if isinstance(value, TimePlace) else "",
)
def test_the_place_of_a_slowdown_is_named_first(
    place: TimePlace, shape: dict[str, Any], make: MakeRun
) -> None:
    found = explain(make(**shape))
    assert found.shares[0][0] is place
    assert found.shares[0][1] > 0.5
    assert sum(share for _, share in found.shares) == pytest.approx(1)
    assert found.words.startswith("push p99 is ")
    assert f"over its budget; that time went to: {place}" in found.words


def test_the_parts_of_a_quantile_sum_to_it(make: MakeRun) -> None:
    run = make(stages_ms=(5, 7, 2), slow_ms=30, loop_lag_ns=20 * MS, core_wait_ns=30 * MS)
    for fraction, whole_ms in ((0.5, 14), (0.99, 44)):
        parts = parts_of(run, "push", fraction)
        assert parts is not None
        assert sum(parts.places().values()) == pytest.approx(whole_ms * MS, rel=0.002)
        assert min(parts.places().values()) >= 0


def test_what_the_base_took_as_well_is_no_excess(make: MakeRun) -> None:
    base = make("base", stages_ms=(10, 2, 1))
    head = make("head", stages_ms=(10, 32, 1), fanout_ms=31)
    found = explain(head, base)
    assert found.base_run == base.manifest.run_id
    assert found.excess_ns == pytest.approx(30 * MS, rel=0.01)
    assert found.shares[0][0] is TimePlace.FANOUT
    assert found.shares[0][1] > 0.9


def test_a_host_that_is_as_busy_as_in_the_base_is_not_named(make: MakeRun) -> None:
    busy = {"core_wait_ns": 60 * MS, "ran_ns": 20 * MS}
    base = make("base", stages_ms=(10, 2, 1), **busy)
    head = make("head", stages_ms=(50, 2, 1), **busy)
    ((first, share), *_) = explain(head, base).shares
    assert first is TimePlace.ACCEPT
    assert share > 0.99


def test_waits_of_more_work_belong_to_the_work(make: MakeRun) -> None:
    """A gateway that runs nine times as long waits longer beside the same neighbours."""
    base = make("base", stages_ms=(10, 2, 1), core_wait_ns=20 * MS, ran_ns=40 * MS)
    head = make("head", stages_ms=(10, 82, 1), fanout_ms=81, core_wait_ns=640 * MS, ran_ns=360 * MS)
    ((first, share), (second, _), *_) = explain(head, base).shares
    assert (first, second) == (TimePlace.FANOUT, TimePlace.HOST)
    assert share > 0.6


def test_a_host_that_got_busy_is_named_although_the_base_waited_too(make: MakeRun) -> None:
    base = make("base", stages_ms=(10, 2, 1), core_wait_ns=20 * MS, ran_ns=40 * MS)
    head = make("head", stages_ms=(60, 2, 1), core_wait_ns=500 * MS, ran_ns=50 * MS)
    ((first, share), *_) = explain(head, base).shares
    assert first is TimePlace.HOST
    assert share > 0.85


@pytest.mark.parametrize(
    ("base", "head", "share"),
    [
        ((50, 10), (50, 10), 0.0),
        ((50, 10), (50, 110), 1.0),
        ((50, 10), (40, 110), 1.0),
        ((50, 50), (100, 100), 0.0),
        ((50, 50), (100, 50), 0.0),
        ((100, 0), (200, 200), 0.5),
        ((0, 0), (0, 0), 0.0),
    ],
    ids=["same", "only waits", "less work", "waits as work", "less waits", "both", "unread"],
)
def test_runnable_time_grew_by_work_and_by_waits(
    base: tuple[int, int], head: tuple[int, int], share: float
) -> None:
    assert RunnableTime(*head).share_of_host(RunnableTime(*base)) == pytest.approx(share)


def stacks(accept: int, fanout: int, loop: int) -> str:
    return (
        f"run (uvloop/__init__.py:38);Routes.publish (gateway/server/routes.py:135) {accept}\n"
        f"run (uvloop/__init__.py:38);FanOut._turn (gateway/transport/fan_out.py:90) {fanout}\n"
        f"run (uvloop/__init__.py:38);Ticks._sweep (gateway/server/ticks.py:85) {loop}\n"
    )


def test_profiles_decide_who_kept_the_loop_busy(make: MakeRun) -> None:
    """Pushes waited before they were numbered, but the fan-out is what kept the loop busy."""
    base = make("base", profile=stacks(100, 100, 50), stages_ms=(2, 2, 1))
    head = make("head", profile=stacks(110, 700, 50), stages_ms=(60, 2, 1))
    found = explain(head, base)
    assert found.shares[0][0] is TimePlace.FANOUT
    assert found.shares[0][1] > 0.9


def test_collections_that_hold_every_push_are_told_from_other_work(make: MakeRun) -> None:
    """Half the pushes wait for a collection, which a profile shows as a timer's work."""
    shape = {"stages_ms": (80, 2, 1), "slow_ms": 60}
    base = make("base", profile=stacks(100, 100, 50), stages_ms=(2, 2, 1))
    lag = {"loop_lag_ns": 100 * MS}
    head = make("head", profile=stacks(110, 100, 700), gc_pause_max_ns=96 * MS, **lag, **shape)
    found = explain(head, base)
    assert found.shares[0][0] is TimePlace.COLLECTIONS
    assert found.shares[0][1] > 0.9
    other = make("other", profile=stacks(110, 100, 700), gc_pause_max_ns=5 * MS, **lag, **shape)
    assert explain(other, base).shares[0][0] is TimePlace.LOOP


def test_profiles_that_hardly_differ_decide_nothing(make: MakeRun) -> None:
    base = make("base", profile=stacks(100, 100, 50), stages_ms=(2, 2, 1))
    head = make("head", profile=stacks(101, 105, 50), stages_ms=(60, 2, 1))
    assert explain(head, base).shares[0][0] is TimePlace.ACCEPT


def test_a_run_without_a_breach_has_no_explanation(passing_run: RunFrames) -> None:
    found = judge(passing_run)
    assert found.explanation is None
    assert found.as_json()["explanation"] is None
    assert 'id="breach"' not in render_page(passing_run, found)


def test_the_report_and_the_summary_tell_the_explanation(make: MakeRun) -> None:
    base = make("base", profile=stacks(100, 100, 50), stages_ms=(2, 2, 1))
    head = make("head", profile=stacks(100, 800, 50), stages_ms=(2, 60, 1), fanout_ms=60)
    found = judge(head, baseline=base)
    assert found.verdict is Verdict.FAIL
    page = render_page(head, found, base)
    assert 'id="breach"' in page
    for key in ("places-of-excess", "what-changed", "flame-graph"):
        assert f'<figure id="{key}">' in page
    assert "FanOut._turn (gateway/transport/fan_out.py) has 800 of 950 samples" in page
    assert "Where the time went: push p99 is" in render_summary(head, found)
    assert found.as_json()["explanation"]["shares"]["fan-out"] > 0.9


def test_without_profiles_the_report_says_so(make: MakeRun) -> None:
    head = make(stages_ms=(60, 2, 1))
    page = render_page(head, judge(head))
    assert "No profile: the gateway was not profiled" in page
    assert Profiles.of(head, None).grown() == []


def test_stacks_are_read_without_lines_and_other_text_is_left_out() -> None:
    found = parse_stacks("a (x.py:1);b (y.py:2) 3\na (x.py:9);b (y.py:4) 4\nnonsense\n\n b c\n")
    assert dict(found.stacks) == {("a (x.py)", "b (y.py)"): 7}
    assert found.total == 7


def test_a_recursive_function_counts_once_a_sample() -> None:
    assert parse_stacks("a (x.py:1);a (x.py:1);a (x.py:1) 5").by_function()["a (x.py)"] == 5


def test_only_growth_beyond_chance_is_listed_most_first() -> None:
    base = parse_stacks(
        "r (r.py:1);a (a.py:1) 500\nr (r.py:1);b (b.py:1) 490\nr (r.py:1);c (c.py:1) 10"
    )
    head = parse_stacks(
        "r (r.py:1);a (a.py:1) 510\nr (r.py:1);b (b.py:1) 290\nr (r.py:1);c (c.py:1) 200"
    )
    (growth,) = grown(base, head)
    assert (growth.function, growth.base, growth.head) == ("c (c.py)", 10, 200)
    assert growth.by == pytest.approx(0.19)
