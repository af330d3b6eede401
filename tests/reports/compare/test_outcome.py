from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from functools import cache
from io import StringIO
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from blocks import block_scenario, make_sides
from rich.console import Console
from synthetic_run import ledger_row, write_table

from loadtests.results import COMPARISON_FIELDS, MANIFEST, SCENARIO, ExitCode, Verdict
from reports.comment import MARK
from reports.compare.blocks import Block, find_runs, pair_up, read_blocks
from reports.compare.comparing import main
from reports.compare.outcome import Comparison, compare_blocks
from reports.compare.screen import print_comparison, render_comparison
from reports.report_errors import NotARunError
from scenarios.schema import parse_budget

BASE = (1.00, 1.02, 0.99, 1.01, 1.00, 0.98)
RATIO = block_scenario("push.p99 ratio <= 1.10", "delivery.lost == 0")
PASS, FAIL, INCONCLUSIVE, INVALID = (
    Verdict.PASS,
    Verdict.FAIL,
    Verdict.INCONCLUSIVE,
    Verdict.INVALID,
)
Sides = tuple[Path, Path]


@pytest.fixture(scope="module")
def same(tmp_path_factory: pytest.TempPathFactory) -> Sides:
    """Six pairs of one gateway; nobody may write into them."""
    folder = tmp_path_factory.mktemp("same")
    return make_sides(folder, BASE, BASE[::-1], scenario=RATIO)


@pytest.fixture(scope="module")
def slower(tmp_path_factory: pytest.TempPathFactory) -> Sides:
    """Six pairs with a head that takes half as long again."""
    folder = tmp_path_factory.mktemp("slower")
    return make_sides(folder, BASE, [1.5 * speed for speed in BASE], scenario=RATIO)


@cache
def blocks_of(side: Path) -> tuple[Block, ...]:
    """Return the blocks of a side, read once: nobody writes into a side that was compared."""
    return read_blocks([side])


def compared(sides: Sides) -> Comparison:
    return compare_blocks(blocks_of(sides[0]), blocks_of(sides[1]))


@pytest.fixture(scope="module")
def outcome(slower: Sides) -> Comparison:
    """What the slower head came to."""
    return compared(slower)


def edited(side: Path, folder: Path, **members: object) -> Path:
    """Copy a side's blocks and replace members of their manifests."""
    shutil.copytree(side, folder)
    for place, run in enumerate(find_runs([folder])):
        path = run / MANIFEST
        named = {name: make(place) if callable(make) else make for name, make in members.items()}
        path.write_text(json.dumps({**json.loads(path.read_text()), **named}))
    return folder


def test_six_pairs_of_one_gateway_pass(same: Sides) -> None:
    found = compared(same)
    assert (found.verdict, found.exit_code, found.method, found.pairs) == (PASS, 0, "pairs", 6)
    assert [one.verdict for one in found.decisions] == [PASS, PASS]


def test_a_head_half_as_slow_again_fails_with_its_ratio(outcome: Comparison) -> None:
    assert (outcome.verdict, outcome.exit_code) == (FAIL, ExitCode.BUDGET_BROKEN)
    ratio = next(one for one in outcome.decisions if one.budget.is_relative)
    assert ratio.measurement.value == pytest.approx(1.5, rel=0.01)
    assert outcome.ratios["push.p99 ratio <= 1.10"] == pytest.approx([1.5] * 6, rel=0.01)
    assert "+50 %" in outcome.reasons[0]


def test_what_the_file_holds_is_what_the_contract_says(outcome: Comparison) -> None:
    content = outcome.as_json()
    assert list(content) == [column.name for column in COMPARISON_FIELDS]
    assert json.loads(json.dumps(content)) == content


def test_blocks_that_did_not_alternate_are_two_samples(same: Sides, tmp_path: Path) -> None:
    head = edited(
        same[1], tmp_path / "head", created=lambda place: f"2026-11-23T11:{place:02d}:00.000Z"
    )
    found = compared((same[0], head))
    assert (found.method, found.verdict) == ("samples", PASS)


def test_one_run_a_side_is_judged_by_the_runs_own_intervals(same: Sides) -> None:
    base, head = (find_runs([side])[:1] for side in same)
    found = compare_blocks(read_blocks(base), read_blocks(head))
    assert found.method == "single"
    assert found.decisions[-1].compared is not None


def test_a_loss_in_one_block_of_the_head_fails(same: Sides, tmp_path: Path) -> None:
    folder = tmp_path / "head"
    shutil.copytree(same[1], folder)
    victim = find_runs([folder])[0]
    rows = [ledger_row("price:A", "subscriber", 10, lost=1)]
    write_table(victim, "ledger", rows)
    found = compared((same[0], folder))
    assert found.exit_code == ExitCode.BUDGET_BROKEN
    assert found.reasons == ("delivery.lost == 0: 1 · in 1 of 6 blocks",)


def test_a_base_from_another_machine_only_advises(slower: Sides, tmp_path: Path) -> None:
    host = {"cpu": "Another CPU", "cores": 64, "machine": "x86_64"}
    found = compared((edited(slower[0], tmp_path / "base", host=host), slower[1]))
    ratio = next(one for one in found.decisions if one.budget.is_relative)
    assert ratio.verdict is INCONCLUSIVE
    assert ratio.why.startswith("advisory, would be FAIL: the baseline is from another machine")


def test_a_value_under_the_floor_passes_whatever_the_ratio(slower: Sides) -> None:
    over = [parse_budget("push.p99 ratio <= 1.10 above 10 ms", 1)]
    found = compare_blocks(blocks_of(slower[0]), blocks_of(slower[1]), over)
    ratio = next(one for one in found.decisions if one.budget.is_relative)
    assert (ratio.verdict, ratio.why) == (
        PASS,
        "not above 10 ms, where the ratio does not matter",
    )


def test_without_ratios_the_usual_ones_are_judged_as_far_as_there_are_data(
    same: Sides, tmp_path: Path
) -> None:
    head = edited(same[1], tmp_path / "head")
    for run in find_runs([head]):
        (run / SCENARIO).write_text(block_scenario("errors == 0"), encoding="utf-8")
    found = compared((same[0], head))
    judged = [one.budget.text for one in found.decisions]
    assert "push.p50 ratio <= 1.10" in judged
    assert "errors == 0" in judged
    assert all(one.measurement.value is not None for one in found.decisions)


@pytest.mark.parametrize(
    ("speeds", "demanded", "verdicts"),
    [
        ([1.0, 1.6, 1.0, 1.6, 1.0, 1.6], None, (PASS, INCONCLUSIVE, PASS)),
        ([1.6] * 6, None, (PASS, FAIL, FAIL)),
        ([1.0] * 6, None, (PASS, PASS, PASS)),
        ([1.0, 1.6, 1.0, 1.6, 1.0, 1.6], "push.p99 ratio <= 1.25", (INCONCLUSIVE, INCONCLUSIVE)),
    ],
    ids=["undecided", "broken", "kept", "undecided on demand"],
)
def test_an_undecided_p99_counts_only_on_demand(
    speeds: list[float],
    demanded: str | None,
    verdicts: tuple[Verdict, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    usual = ("push.p50 ratio <= 3.00", "push.p99 ratio <= 1.25")
    monkeypatch.setattr("reports.compare.outcome.DEFAULTS", usual)
    scenario = block_scenario(demanded or "errors == 0")
    found = compared(make_sides(tmp_path, [1.0] * 6, speeds, scenario=scenario))
    ratios = [one for one in found.decisions if one.budget.is_relative]
    assert (*(one.verdict for one in ratios), found.verdict) == verdicts
    is_told = "does not count while it is undecided" in ratios[-1].why
    assert is_told == (verdicts == (PASS, INCONCLUSIVE, PASS))
    assert found.may_be_extended == (found.verdict is INCONCLUSIVE)


def test_no_further_pair_is_needed_after_a_fail(tmp_path: Path) -> None:
    speeds = [1.0, 1.6, 1.0, 1.6, 1.0, 1.6]
    broken, open_one = "push.p50 ratio <= 0.50", "push.p99 ratio <= 1.25"
    found = compared(
        make_sides(tmp_path, [1.0] * 6, speeds, scenario=block_scenario(broken, open_one))
    )
    assert [one.verdict for one in found.decisions if one.budget.is_relative] == [
        FAIL,
        INCONCLUSIVE,
    ]
    assert (found.verdict, found.may_be_extended) == (FAIL, False)


def test_a_comparison_in_which_no_ratio_passes_is_undecided(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reports.compare.outcome.DEFAULTS", ("push.p99 ratio <= 1.25",))
    speeds = [1.0, 1.6, 1.0, 1.6, 1.0, 1.6]
    sides = make_sides(tmp_path, [1.0] * 6, speeds, scenario=block_scenario("errors == 0"))
    assert compared(sides).verdict is INCONCLUSIVE


def test_a_pair_whose_generator_was_in_bad_health_is_left_out(same: Sides, tmp_path: Path) -> None:
    told = {2: {"status": "lost"}}
    head = edited(
        same[1],
        tmp_path / "head",
        publisher=lambda place: told.get(place, {"status": "complete", "published": 1}),
    )
    found = compared((same[0], head))
    assert found.pairs == 5
    assert [run_id for run_id, _ in found.excluded] == [find_runs([head])[2].name]
    assert found.verdict is INVALID
    assert any("1 of 6 pairs have invalid times" in words for words in found.reasons)


def test_a_folder_that_holds_no_run_is_said(tmp_path: Path) -> None:
    with pytest.raises(NotARunError, match="neither a run nor a directory of runs"):
        find_runs([tmp_path])


def test_pairs_are_neighbours_in_time(same: Sides) -> None:
    sides = pair_up(blocks_of(same[0]), blocks_of(same[1]))
    assert sides.is_paired
    pairs = zip(sides.base, sides.head, strict=True)
    minutes = [(one.created[14:16], two.created[14:16]) for one, two in pairs]
    assert minutes[:3] == [("00", "01"), ("03", "02"), ("04", "05")]


def test_the_screen_fits_80_columns_and_speaks_in_words(outcome: Comparison) -> None:
    console = Console(width=80, record=True, no_color=True, file=StringIO())
    print_comparison(outcome, console)
    text = console.export_text()
    assert max(len(line) for line in text.splitlines()) <= 80
    assert "✕ FAIL" in text
    assert "+50 %" in text
    assert "6 pairs of neighbouring blocks" in text


def test_the_page_of_markdown_names_both_sides(outcome: Comparison) -> None:
    text = render_comparison(outcome)
    assert "| ✕ FAIL | `push.p99 ratio <= 1.10` | 2.5" in text
    assert "| 3.8" in text


def test_the_command_writes_what_is_asked_for_and_returns_the_code(
    slower: Sides, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    names = {"json": "compare.json", "junit": "junit.xml", "summary": "s.md", "comment": "c.md"}
    options = [word for option, name in names.items() for word in (f"--{option}", str(out / name))]
    code = main(["--base", str(slower[0]), "--head", str(slower[1]), *options])
    assert code == ExitCode.BUDGET_BROKEN
    assert json.loads((out / "compare.json").read_text())["verdict"] == "FAIL"
    assert 'failures="1"' in (out / "junit.xml").read_text()
    assert (out / "c.md").read_text().startswith(f"{MARK}\n{(out / 's.md').read_text()[:20]}")
    assert "FAIL" in capsys.readouterr().out


def test_the_command_says_what_is_no_run(
    same: Sides, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--base", str(tmp_path), "--head", str(same[1])]) == ExitCode.USAGE
    assert "neither a run nor a directory of runs" in capsys.readouterr().err


def forgiving(*budgets: str) -> str:
    """Return a scenario whose policy forgives what is undecided."""
    return block_scenario(*budgets).replace('inconclusive = "fail"', 'inconclusive = "pass"')


@pytest.fixture(scope="module")
def forgiven(tmp_path_factory: pytest.TempPathFactory) -> Sides:
    """Seven pairs of one gateway, so that one may be left out."""
    folder = tmp_path_factory.mktemp("forgiven")
    speeds = (*BASE, 1.0)
    return make_sides(folder, speeds, speeds, scenario=forgiving("push.p99 ratio <= 1.20"))


@pytest.fixture(scope="module")
def whole(forgiven: Sides) -> Comparison:
    """What the seven pairs come to when no part of them is missing."""
    return compared(forgiven)


def at(place: int, value: object, other: object) -> Callable[[int], object]:
    return lambda given: value if given == place else other


@pytest.mark.parametrize("side", [0, 1], ids=["base", "head"])
@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({"status": at(2, "interrupted", "complete")}, "was interrupted before its end"),
        ({"status": at(2, "aborted", "complete")}, "a process of the run was lost"),
        ({"status": at(2, "running", "complete")}, "the run has not ended"),
        ({"cut": at(2, "too slow", ""), "cut_by": "gross-breach"}, "the run was cut: too slow"),
    ],
    ids=["interrupted", "aborted", "running", "cut"],
)
def test_a_comparison_with_a_part_of_a_run_never_passes_and_says_so(
    forgiven: Sides,
    whole: Comparison,
    tmp_path: Path,
    side: int,
    members: dict[str, object],
    words: str,
) -> None:
    assert (whole.verdict, whole.exit_code, whole.pairs) == (PASS, 0, 7)
    sides = list(forgiven)
    sides[side] = edited(sides[side], tmp_path / "edited", **members)
    found = compared((sides[0], sides[1]))
    assert found.verdict is not PASS
    assert found.exit_code != 0
    assert found.pairs == 6
    assert any(words in reason for reason in found.reasons)


def test_blocks_without_tables_are_no_comparison(forgiven: Sides, tmp_path: Path) -> None:
    head = edited(forgiven[1], tmp_path / "head")
    for run in find_runs([head]):
        for table in run.glob("*.parquet"):
            table.unlink()
    found = compared((forgiven[0], head))
    assert (found.verdict, found.exit_code, found.pairs) == (INVALID, ExitCode.INVALID, 0)


@pytest.mark.parametrize("count", [1, 3, 7])
def test_without_a_pair_whose_times_count_nothing_passes(
    same: Sides, forgiven: Sides, tmp_path: Path, count: int
) -> None:
    head = tmp_path / "head"
    for run in find_runs([forgiven[1]])[:count]:
        shutil.copytree(run, head / run.name)
    lost = edited(head, tmp_path / "lost", publisher={"status": "lost"})
    for run in find_runs([lost]):
        (run / SCENARIO).write_text(forgiving("delivery.lost == 0"), encoding="utf-8")
    base = read_blocks(find_runs([forgiven[0]])[:count])
    found = compare_blocks(base, read_blocks([lost]))
    assert (found.verdict, found.exit_code, found.pairs) == (INVALID, ExitCode.INVALID, 0)


@pytest.mark.parametrize(
    ("old", "new", "part"),
    [
        ("count = ", "count = 1", "users"),
        ("\nrate = ", "\nrate = 1", "publish"),
        ("seed = ", "seed = 1", "seed"),
        ("GATEWAY_HEARTBEAT_SECONDS = 5", "GATEWAY_HEARTBEAT_SECONDS = 6", "gateway"),
    ],
)
def test_runs_of_another_load_are_advisory_whatever_its_name(
    forgiven: Sides, tmp_path: Path, old: str, new: str, part: str
) -> None:
    head = edited(forgiven[1], tmp_path / "head")
    for run in find_runs([head])[3:]:  # not the first, which the others are held against
        text = (run / SCENARIO).read_text("utf-8")
        assert old in text
        (run / SCENARIO).write_text(text.replace(old, new, 1), encoding="utf-8")
    found = compared((forgiven[0], head))
    assert (found.verdict, found.exit_code) == (INCONCLUSIVE, ExitCode.INCONCLUSIVE)
    assert f"another load: {part}" in found.advice


def test_a_scenario_by_another_name_is_the_same_load(forgiven: Sides, tmp_path: Path) -> None:
    head = edited(forgiven[1], tmp_path / "head")
    for run in find_runs([head]):
        text = (run / SCENARIO).read_text("utf-8").replace('name = "smoke"', 'name = "other"')
        (run / SCENARIO).write_text(text, encoding="utf-8")
    assert compared((forgiven[0], head)).verdict is PASS


def test_runs_with_other_users_than_the_base_are_advisory(forgiven: Sides, tmp_path: Path) -> None:
    head = edited(forgiven[1], tmp_path / "head", users={"subscriber": 5})
    assert compared((forgiven[0], head)).verdict is INCONCLUSIVE


def test_a_run_is_not_compared_with_itself(
    same: Sides, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "link").symlink_to(find_runs([same[0]])[0])
    assert main(["--base", str(same[0]), "--head", str(tmp_path / "link")]) == ExitCode.USAGE
    assert "is both base and head" in capsys.readouterr().err
    assert len(find_runs([same[0], *find_runs([same[0]])])) == 6


def test_every_case_of_two_comparisons_has_a_class_of_its_own(
    same: Sides, slower: Sides, tmp_path: Path
) -> None:
    names = []
    for place, sides in enumerate((same, slower)):
        path = tmp_path / f"{place}.xml"
        main(["--base", str(sides[0]), "--head", str(sides[1]), "--junit", str(path)])
        cases = list(ET.parse(path).iter("testcase"))  # noqa: S314 - our own
        names += [(case.get("classname"), case.get("name")) for case in cases]
        assert sum(float(case.attrib["time"]) for case in cases) > 0
    assert ("tidegate.compare.smoke.01-head", "delivery.lost == 0") in names
