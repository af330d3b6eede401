from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest

from loadtests.results import Phase, Series
from reports.measures.histograms import STEADY, histogram_of
from reports.remembering import once_a_run
from reports.run_frames import RunFrames


def test_a_run_is_asked_once_for_each_question(passing_run: RunFrames) -> None:
    asked = []

    @once_a_run
    def count_of(run: RunFrames, table: str, *, twice: bool = False) -> int:
        asked.append(table)
        return len(run[table]) * (2 if twice else 1)

    run = replace(passing_run)
    once = [count_of(run, "hist") for _ in range(3)]
    assert once == [len(run["hist"])] * 3
    assert count_of(run, "hist", twice=True) == 2 * once[0]
    assert count_of(run, "events") == len(run["events"])
    assert asked == ["hist", "hist", "events"]


def test_another_run_has_a_memory_of_its_own(passing_run: RunFrames) -> None:
    first = replace(passing_run)
    empty = replace(first, tables={**first.tables, "hist": first["hist"].iloc[:0]})
    assert histogram_of(first, Series.PUSH, STEADY).n > 0
    assert histogram_of(empty, Series.PUSH, STEADY).n == 0


def test_who_changes_the_frame_of_an_answer_changes_only_the_own_copy(
    passing_run: RunFrames,
) -> None:
    @once_a_run
    def frame_of(run: RunFrames) -> pd.DataFrame:
        return pd.DataFrame({"t_s": [1, 2]})

    run = replace(passing_run)
    mine = frame_of(run)
    mine["t_s"] = 0
    mine.loc[0, "t_s"] = 7
    assert frame_of(run)["t_s"].tolist() == [1, 2]


def test_the_counts_of_a_shared_histogram_cannot_be_changed(passing_run: RunFrames) -> None:
    shared = histogram_of(passing_run, Series.PUSH, (Phase.STEADY,))
    assert histogram_of(passing_run, Series.PUSH, STEADY) is shared
    with pytest.raises(ValueError, match="read-only"):
        shared.counts[0, 0] = 1
