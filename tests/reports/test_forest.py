from __future__ import annotations

import pytest

from loadtests.results import Verdict
from reports.decisions import Decision
from reports.forest import render_forest
from reports.measures.measurement import Measurement
from reports.run_frames import RunFrames
from reports.verdict import judge
from scenarios.schema import parse_budget


def decision(budget: str, value: float, low: float, high: float, verdict: Verdict) -> Decision:
    return Decision(
        budget=parse_budget(budget, 1),
        measurement=Measurement(value=value, low=low, high=high, n=9),
        verdict=verdict,
        why="",
    )


KEPT = decision("push.p99 <= 10 ms", 5e6, 4e6, 6e6, Verdict.PASS)
BROKEN = decision("ack.p99 <= 10 ms", 20e6, 15e6, 25e6, Verdict.FAIL)
OPEN = decision("connect.p99 <= 1 s", 1e9, 0.8e9, 1.2e9, Verdict.INCONCLUSIVE)


def test_each_budget_has_its_interval_on_its_side_of_the_limit() -> None:
    scale, kept, broken, undecided = render_forest([KEPT, BROKEN, OPEN])
    limit = scale.index("limit") + len("limit") - 1
    assert kept[limit] == broken[limit] == "┊"
    assert undecided[limit] == "◆"
    assert kept.rindex("─") < limit < broken.index("─")
    assert undecided.index("─") < limit < undecided.rindex("─")
    assert kept.index("─") < kept.index("●") < kept.rindex("─")
    assert [line.split()[-2] for line in (kept, broken, undecided)] == ["50", "200", "100"]


def test_the_lines_are_as_long_as_each_other_and_fit_a_comment() -> None:
    lines = render_forest([KEPT, BROKEN, OPEN])[1:]
    assert len({line.rindex("  ") for line in lines}) == 1
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize("low", [0.0, 1.0])
def test_an_end_at_zero_has_a_place_on_the_logarithmic_scale(low: float) -> None:
    tiny = decision("push.p99 <= 10 ms", 5e6, low, 6e6, Verdict.PASS)
    (_, line) = render_forest([tiny])
    assert line.index("─") == len("push.p99 <= 10 ms") + 2


def test_a_floor_has_its_value_on_the_right_of_the_limit() -> None:
    floor = decision("memory.returned >= 0.5", 0.9, 0.8, 0.95, Verdict.PASS)
    scale, line = render_forest([floor])
    assert line.index("●") > scale.index("limit") + len("limit") - 1


def test_counts_have_no_place_and_alone_no_plot(passing_run: RunFrames) -> None:
    decisions = judge(passing_run).decisions
    text = "\n".join(render_forest(decisions))
    assert "push.p99 <= 10 ms" in text
    assert "delivery.lost" not in text
    assert render_forest([one for one in decisions if one.kind == "count"]) == []
