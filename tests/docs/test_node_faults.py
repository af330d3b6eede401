"""The table of faults is what the proof measured, and has every fault of the harness."""

from __future__ import annotations

import json

from blackbox.process import ROOT
from node_faults import with_table

from tests.nodes.faults.table import FAULTS
from tests.nodes.faults.trial import problems

ROWS = ROOT / "docs" / "nodes-faults.json"
DOCUMENT = ROOT / "docs" / "nodes.md"


def test_the_document_has_the_measured_table() -> None:
    text = DOCUMENT.read_text("utf-8")
    assert with_table(text, ROWS) == text


def test_every_fault_was_measured_and_lost_nothing() -> None:
    rows = json.loads(ROWS.read_text("utf-8"))["rows"]
    assert [row["fault"] for row in rows] == [fault.name for fault in FAULTS]
    assert {row["fault"]: found for row in rows if (found := problems(row))} == {}
