"""Synthetic runs for the report's tests: one that passes, and a maker of others."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from full_run import make_cycles_run, make_full_run
from synthetic_run import make_run

from reports.page import render_page
from reports.run_frames import RunFrames, read_run
from reports.verdict import judge

Make = Callable[..., RunFrames]


@pytest.fixture(scope="session")
def passing_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A smoke run in which everything was kept; nobody may write into it."""
    return make_run(tmp_path_factory.mktemp("runs") / "20261123T100000Z_smoke_abc123")


@pytest.fixture(scope="session")
def passing_run(passing_directory: Path) -> RunFrames:
    return read_run(passing_directory)


@pytest.fixture(scope="session")
def passing_page(passing_run: RunFrames) -> str:
    """Its page."""
    return render_page(passing_run, judge(passing_run))


@pytest.fixture(scope="session")
def full_run(tmp_path_factory: pytest.TempPathFactory) -> RunFrames:
    """A run in which everything that a report can show happened."""
    return read_run(make_full_run(tmp_path_factory.mktemp("runs") / "everything"))


@pytest.fixture(scope="session")
def cycles_run(tmp_path_factory: pytest.TempPathFactory) -> RunFrames:
    """A run in which a group left and returned twelve times."""
    return read_run(make_cycles_run(tmp_path_factory.mktemp("runs") / "cycles"))


@pytest.fixture
def run_with(tmp_path: Path) -> Make:
    """Make a run that differs from the passing one in what is named, and read it."""

    def make(**differences: object) -> RunFrames:
        return read_run(make_run(tmp_path / "run", **differences))  # type: ignore[arg-type]  # make_run names them

    return make
