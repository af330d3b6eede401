"""The proof goes on where it stopped, and says what it came to."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from deadlines import RUN_S

from tests.proof import __main__ as proof
from tests.proof.steps import Step, line_of


def step(name: str, folder: Path, *codes: int, is_judged: bool = True) -> Step:
    """A step that ends with one code after the other, and tells which time it was."""
    program = (
        "import pathlib, sys\n"
        f"said = pathlib.Path({str(folder / name)!r})\n"
        "time = len(said.read_text()) if said.exists() else 0\n"
        "said.write_text('x' * (time + 1))\n"
        "print('time', time + 1)\n"
        f"sys.exit({codes}[time])\n"
    )
    command = (sys.executable, "-c", program)
    return Step(name=name, command=command, longest_s=RUN_S, is_judged=is_judged)


@pytest.fixture
def go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(proof, "RUNS", tmp_path)
    monkeypatch.setattr(proof, "STATE", tmp_path / "state.json")
    monkeypatch.setattr(proof, "DOCUMENT", tmp_path / "proof.md")
    monkeypatch.setattr(proof, "FAULT_TRIALS", tmp_path / "faults.json")
    monkeypatch.setattr(proof, "tree_id", lambda: "0123")
    monkeypatch.setattr(sys, "argv", ["proof"])
    return tmp_path


def rows(folder: Path) -> list[str]:
    """The table's rows: step, exit code and words."""
    lines = (folder / "proof.md").read_text().splitlines()
    return [" ".join(each.strip("| ").split(" | ")[:3]) for each in lines if "time" in each]


def test_only_what_decided_nothing_is_tried_again_and_its_tries_are_counted(
    go_on: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = [
        step("kept", go_on, 0),
        step("robbed", go_on, 4, 3, 0),
        step("broken", go_on, 1),
        step("Node: unjudged", go_on, 4, is_judged=False),
    ]
    monkeypatch.setattr(proof, "steps", lambda: made)
    codes = [proof.main() for _ in range(4)]
    assert codes == [1, 1, 1, 1]
    assert rows(go_on) == [
        "kept 0 time 1",
        "robbed 0 (try 3) time 3",
        "broken 1 time 1",
        "Node: unjudged 4 time 1",
    ]


def test_rows_of_another_tree_go_or_are_kept_and_marked(
    go_on: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proof, "steps", lambda: [step("kept", go_on, 0, 0), step("new", go_on, 0)])
    old = {"tree": "old", "exit_code": 0, "words": "time 0", "seconds": 1.0}
    state = go_on / "state.json"
    state.write_text(json.dumps({"tree": "old", "rows": {"kept": old}}))
    monkeypatch.setattr(sys, "argv", ["proof", "--keep", "--only", "new"])
    assert proof.main() == 0
    assert rows(go_on) == ["kept 0 (of `old`) time 0", "new 0 time 1"]
    monkeypatch.setattr(sys, "argv", ["proof"])
    assert proof.main() == 0
    assert rows(go_on) == ["kept 0 time 1", "new 0 time 1"]


def test_a_search_says_its_answer_and_not_where_it_is_kept(tmp_path: Path) -> None:
    log = tmp_path / "capacity.log"
    log.write_text("capacity: at least 200\nreport: x\n")
    assert line_of(log, "capacity:") == "capacity: at least 200"
    log.write_text("nothing\n")
    assert line_of(log, "capacity:") == "it said nothing of its capacity"
