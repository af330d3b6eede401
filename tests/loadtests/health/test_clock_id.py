from __future__ import annotations

from pathlib import Path

import pytest

from gateway.contract import clock_id
from loadtests.health.clock_id import is_one_clock, read_clock_id


def test_the_clock_is_named_by_boot_and_time_namespace(tmp_path: Path) -> None:
    boot, namespace = tmp_path / "boot_id", tmp_path / "time"
    boot.write_text("abc\n")
    namespace.symlink_to("time:[4026531834]")
    assert read_clock_id(boot, namespace) == clock_id("abc", "time:[4026531834]")


def test_a_kernel_that_does_not_tell_gives_none(tmp_path: Path) -> None:
    assert read_clock_id(tmp_path / "none", tmp_path / "none") is None


@pytest.mark.parametrize(
    ("ours", "theirs", "expected"),
    [("a", "a", True), ("a", "b", False), (None, "a", False), (None, None, False)],
    ids=["same", "other", "ours unknown", "both unknown"],
)
def test_clocks_are_one_only_when_both_are_known(
    ours: str | None, theirs: str | None, *, expected: bool
) -> None:
    assert is_one_clock(ours, theirs) is expected
