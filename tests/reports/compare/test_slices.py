"""Pairs whose load alternated: their seconds are the same, and so is what the machine does."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence, Set
from functools import cache
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from blocks import COMPARE, block_scenario
from synthetic_run import Tables, make_run, span_rows

from loadtests.results import MANIFEST, Phase, Series, Verdict, bucket_of
from reports.compare.blocks import Block, Fields, read_blocks
from reports.compare.outcome import Comparison, compare_blocks
from reports.compare.slices import ratio_in_slices
from scenarios.schema import Budget, parse_budget

MS = 1_000_000
STEADY = range(8, 38)
Speed = Callable[[int], float]


def budget(text: str) -> Budget:
    return parse_budget(text, 1)


def make_side(
    folder: Path,
    pair: int,
    place: str,
    speed: Speed,
    *,
    late_s: int = 0,
    budgets: Sequence[str] = ("push.p50 ratio <= 1.10",),
    steal: bool = False,
    late: Set[int] = frozenset(),
    held: Set[int] = frozenset(),
) -> Path:
    """Write one side of a pair and return its directory.

    Args:
        folder: takes the run directories of the side.
        pair: number of the pair.
        place: first or second.
        speed: second of the monotonic clock → factor on pushes of 2 ms and more.
        late_s: how many seconds after second 100 of the clock the run begins.
        budgets: of the scenario.
        steal: whether the host takes half of every second.
        late: seconds of the run in which the load generator has no core for 150 ms.
        held: seconds of the run in which the gateway's loop is held for 150 ms.
    """

    def change(tables: Tables) -> None:
        tables["hist"] = [row for row in tables["hist"] if row["series"] != Series.PUSH]
        for second in STEADY:
            factor = speed(100 + late_s + second)
            values = [round(factor * 2 * MS * (1 + step / 100)) for step in range(60)]
            tables["hist"] += span_rows(Series.PUSH, second, values)
        for row in tables["server"]:
            factor = speed(0) if row["phase"] == Phase.STEADY else 1.0
            row["cpu_ns"] = round(row["t_s"] * 400 * MS * factor)
            row["instructions"] = round(row["t_s"] * 900_000_000 * factor)
            row["messages_out"] = row["t_s"] * 1_000
        for table, column, seconds in (
            ("generator", "loop_lag_max_ns", late),
            ("server", "loop_lag_ns", held),
        ):
            for row in tables[table]:
                row[column] = 150 * MS if row["t_s"] in seconds else MS
        if steal:
            for row in tables["generator"]:
                row["steal_ns"] = 1_000 * MS

    turns = {"place": place, "meeting": f"pair-{pair:02d}"}
    facts = {
        "created": f"2026-11-29T10:{pair:02d}:0{late_s}.000Z",
        "run_id": f"{pair:02d}-{place}",
        "turns": turns,
        "t0_monotonic_ns": (100 + late_s) * 10**9,
    }
    text = block_scenario(*budgets, file=COMPARE)
    return make_run(folder / f"{pair:02d}", scenario=text, manifest=facts, change=change)


def read_pair(tmp_path: Path, base: Speed, head: Speed, **options: int) -> tuple[Block, Block]:
    make_side(tmp_path / "base", 1, "first", base)
    make_side(tmp_path / "head", 1, "second", head, **options)  # type: ignore[arg-type]  # late_s
    return read_blocks([tmp_path / "base"])[0], read_blocks([tmp_path / "head"])[0]


def stormy(second: int) -> float:
    """A machine that is ten times slower in some seconds, whoever runs."""
    return 10.0 if second % 3 == 0 else 1.0 + second % 5


def test_what_the_machine_does_to_a_second_cancels_out(tmp_path: Path) -> None:
    pair = read_pair(tmp_path, stormy, lambda second: 1.2 * stormy(second))
    for name in ("push.p50", "push.p90", "push.p95", "push.p99", "push.max"):
        found = ratio_in_slices(*pair, budget(f"{name} ratio <= 1.10"))
        assert found == pytest.approx(1.2, rel=0.002), name


def test_seconds_are_those_of_the_clock_and_not_of_the_run(tmp_path: Path) -> None:
    pair = read_pair(tmp_path, stormy, lambda second: 1.2 * stormy(second), late_s=2)
    found = ratio_in_slices(*pair, budget("push.p50 ratio <= 1.10"))
    assert found == pytest.approx(1.2, rel=0.002)


def test_a_burst_on_one_side_alone_moves_no_median(tmp_path: Path) -> None:
    pair = read_pair(tmp_path, lambda _: 1.0, lambda second: 50.0 if second % 4 == 0 else 1.0)
    found = ratio_in_slices(*pair, budget("push.p50 ratio <= 1.10"))
    assert found == pytest.approx(1.0, rel=0.002)
    pooled = ratio_in_slices(*pair, budget("push.p99 ratio <= 1.10"))
    assert pooled is not None
    assert pooled > 10  # a p99 is of all slices, and the burst is part of them


BURST = frozenset({20, 24})


@pytest.mark.parametrize(
    ("late", "held", "is_left_out"),
    [
        (("base", "head"), (), True),
        (("head",), (), False),
        (("base", "head"), ("head",), False),
    ],
    ids=["both generators were late", "one was late", "a gateway was late too"],
)
def test_a_freeze_of_the_load_s_cores_makes_no_p99(
    tmp_path: Path, late: Sequence[str], held: Sequence[str], is_left_out: bool
) -> None:
    blocks: list[Block] = []
    for side, place in (("base", "first"), ("head", "second")):
        bursts = BURST if side == "head" else frozenset()
        make_side(
            tmp_path / side,
            1,
            place,
            lambda second, bursts=bursts: 50.0 if second - 100 in bursts else 1.0,  # type: ignore[misc]  # bound now
            late=BURST if side in late else frozenset(),
            held=BURST if side in held else frozenset(),
        )
        blocks += read_blocks([tmp_path / side])
    found = ratio_in_slices(blocks[0], blocks[1], budget("push.p99 ratio <= 1.10"))
    assert found is not None
    assert (found < 1.01) is is_left_out


@pytest.mark.parametrize("metric", ["cost.per_message", "cost.instructions"])
def test_cost_is_cpu_time_over_messages_of_all_slices(tmp_path: Path, metric: str) -> None:
    pair = read_pair(tmp_path, lambda _: 1.0, lambda _: 1.3)
    found = ratio_in_slices(*pair, budget(f"{metric} ratio <= 1.10"))
    assert found == pytest.approx(1.3, rel=0.001)


def test_too_few_values_give_no_ratio(tmp_path: Path) -> None:
    pair = read_pair(tmp_path, lambda _: 1.0, lambda _: 1.0)
    assert ratio_in_slices(*pair, budget("push.p99.9 ratio <= 1.10")) is None
    assert ratio_in_slices(*pair, budget("kernel.p99.9 ratio <= 1.10")) is None


def copy_run(source: Path, target: Path, pair: int) -> None:
    """Copy a run as one of another pair."""
    shutil.copytree(source, target)
    path = target / MANIFEST
    told = json.loads(path.read_text())
    turns = {**told["turns"], "meeting": f"pair-{pair:02d}"}
    created = f"2026-11-29T10:{pair:02d}:00.000Z"
    path.write_text(json.dumps({**told, "run_id": target.name, "created": created, "turns": turns}))


Make = Callable[[float, Sequence[str], bool], Path]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Make:
    """Return a function that gives one run of a base and of two heads each, to read only."""

    @cache
    def make(slower: float, budgets: Sequence[str], steal: bool) -> Path:
        folder = tmp_path_factory.mktemp("made")
        speeds = {"base": 1.0, "fast": 0.99 * slower, "slow": 1.01 * slower}
        for name, factor in speeds.items():
            place = "first" if name == "base" else "second"
            make_side(
                folder / name, 1, place, lambda at, f=factor: f * stormy(at),  # type: ignore[misc]  # bound now
                budgets=budgets, steal=steal,
            )  # fmt: skip
        return folder

    return make


@pytest.fixture
def compared(tmp_path: Path, made: Make) -> Callable[..., Comparison]:
    """Return a function that compares eight pairs of a base and a head of some speed."""

    def compare(
        slower: float, *budgets: str, steal: bool = False, planned: Sequence[int] = ()
    ) -> Comparison:
        demanded = budgets or ("push.p50 ratio <= 1.10",)
        folder = made(slower, demanded, steal)
        for pair in range(1, 9):
            head = "fast" if pair % 3 else "slow"
            for side, name in (("base", "base"), ("head", head)):
                copy_run(folder / name / "01", tmp_path / side / f"{pair:02d}-{side}", pair)
        base, head_blocks = (read_blocks([tmp_path / side]) for side in ("base", "head"))
        return compare_blocks(base, head_blocks, (), planned)

    return compare


def test_an_unchanged_head_passes_and_a_fifth_more_fails(
    compared: Callable[..., Comparison],
) -> None:
    same = compared(1.0)
    assert (same.verdict, same.method, same.pairs) == (Verdict.PASS, "slices", 8)


def test_a_fifth_more_fails(compared: Callable[..., Comparison]) -> None:
    found = compared(1.2)
    assert found.verdict is Verdict.FAIL
    assert found.decisions[0].measurement.value == pytest.approx(1.2, rel=0.02)


def test_what_the_host_takes_from_both_sides_leaves_no_pair_out(
    compared: Callable[..., Comparison],
) -> None:
    found = compared(1.2, steal=True)
    assert (found.verdict, found.excluded) == (Verdict.FAIL, ())


def test_an_early_look_has_a_wider_interval(
    compared: Callable[..., Comparison], tmp_path: Path
) -> None:
    (early,) = compared(1.0, planned=(8, 10)).decisions
    base, head = read_blocks([tmp_path / "base"]), read_blocks([tmp_path / "head"])
    (last,) = compare_blocks(base, head, (), (6, 8)).decisions
    ends = [(one.measurement.low or 0.0, one.measurement.high or 0.0) for one in (early, last)]
    (low, high), (inner_low, inner_high) = ends
    assert 0 < low <= inner_low < inner_high <= high
    assert high - low > inner_high - inner_low


def test_a_late_generator_spoils_times_and_not_cpu_time(
    compared: Callable[..., Comparison], tmp_path: Path
) -> None:
    compared(1.0, "push.p50 ratio <= 1.10", "cost.per_message ratio <= 1.10")
    for run in (tmp_path / "head").iterdir():
        path = run / "hist.parquet"
        rows = pq.read_table(path)
        pushes = rows.filter(pc.equal(rows["series"], Series.PUSH))
        late = {"series": str(Series.GENERATOR_SHARE), "bucket": bucket_of(900 * MS)}
        shares = pa.table(
            {
                name: pa.repeat(pa.scalar(late[name], pushes[name].type), len(pushes))
                if name in late
                else pushes[name]
                for name in pushes.column_names
            }
        )
        others = rows.filter(pc.not_equal(rows["series"], Series.GENERATOR_SHARE))
        pq.write_table(pa.concat_tables([others, shares]), path)
    base, head = read_blocks([tmp_path / "base"]), read_blocks([tmp_path / "head"])
    found = compare_blocks(base, head)
    push, cost = found.decisions
    assert (push.measurement.value, cost.measurement.n) == (None, 8)
    assert cost.verdict is Verdict.PASS
    assert found.verdict is Verdict.INVALID
    assert len(found.excluded) == 8


def test_what_slices_do_not_measure_is_undecided_and_says_why(
    compared: Callable[..., Comparison],
) -> None:
    found = compared(1.0, "push.p50 ratio <= 1.10", "connect.p50 ratio <= 1.10")
    push, connect = found.decisions
    assert push.verdict is Verdict.PASS
    assert connect.verdict is Verdict.INCONCLUSIVE
    assert connect.why == "no data: slices do not measure it; blocks that follow each other do"


def test_pairs_are_those_that_met(tmp_path: Path) -> None:
    for pair in (1, 2):
        make_side(tmp_path / "base", pair, "first", lambda _: 1.0)
    for pair in (2, 3):
        make_side(tmp_path / "head", pair, "second", lambda _: 1.0)
    fields = Fields.of(read_blocks([tmp_path / "base"]), read_blocks([tmp_path / "head"]), ())
    assert [block.meeting for block in fields.main.base] == ["pair-02"]
    assert [block.meeting for block in fields.main.head] == ["pair-02"]
