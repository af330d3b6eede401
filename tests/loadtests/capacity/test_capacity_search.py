"""What a search says at its end, and its exit code."""

from __future__ import annotations

from dataclasses import replace

import pytest

from loadtests.capacity.capacity_search import describe, judge
from loadtests.capacity.search import Bound, Found
from loadtests.results import ExitCode
from scenarios.capacity_table import Capacity

SEARCH = Capacity(
    of="publications",
    start=100.0,
    highest=6_400.0,
    resolution=0.15,
    trial_s=8.0,
    confirm_s=30.0,
    at_least=None,
)
CARRIES = Found(low=800.0, high=900.0, is_confirmed=True, bound=Bound.GATEWAY, why="push: 60 ms")
NOTHING = replace(CARRIES, low=None, is_confirmed=False)
UNIT = "publications a second"


@pytest.mark.parametrize(
    ("found", "words", "code", "code_of_850"),
    [
        (
            CARRIES,
            f"800 to 900 {UNIT}, confirmed by a long trial; push: 60 ms",
            ExitCode.PASS,
            ExitCode.INCONCLUSIVE,
        ),
        (
            replace(CARRIES, high=850.0),
            f"800 to 850 {UNIT}, confirmed by a long trial; push: 60 ms",
            ExitCode.PASS,
            ExitCode.BUDGET_BROKEN,
        ),
        (
            replace(CARRIES, is_confirmed=False),
            f"800 to 900 {UNIT}, not confirmed; push: 60 ms",
            ExitCode.INCONCLUSIVE,
            ExitCode.INCONCLUSIVE,
        ),
        (
            replace(CARRIES, bound=Bound.GENERATOR, why="own share: 16 ms"),
            f"at least 800 {UNIT}, confirmed by a long trial; generator-limited: own share: 16 ms",
            ExitCode.PASS,
            ExitCode.INVALID,
        ),
        (
            replace(CARRIES, low=6_400.0, high=None, bound=Bound.ASKED),
            f"at least 6,400 {UNIT}, confirmed by a long trial; more was not asked for",
            ExitCode.PASS,
            ExitCode.PASS,
        ),
        (NOTHING, f"below 900 {UNIT}; push: 60 ms", ExitCode.BUDGET_BROKEN, ExitCode.BUDGET_BROKEN),
        (
            replace(NOTHING, bound=Bound.GENERATOR, why="own share: 16 ms"),
            f"unknown; the generator could not measure 900 {UNIT}: own share: 16 ms",
            ExitCode.INVALID,
            ExitCode.INVALID,
        ),
        (
            replace(NOTHING, high=None, bound=Bound.ASKED, why="nothing was tried"),
            "unknown; nothing was tried",
            ExitCode.INVALID,
            ExitCode.INVALID,
        ),
    ],
    ids=lambda value: str(value) if isinstance(value, str) else "",
)
def test_the_answer_and_its_exit_code(
    found: Found, words: str, code: ExitCode, code_of_850: ExitCode
) -> None:
    assert describe(found, SEARCH) == f"capacity: {words}"
    assert judge(found, SEARCH) == code
    assert judge(found, replace(SEARCH, at_least=850.0)) == code_of_850
