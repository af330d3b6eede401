"""``docs/extending.md`` is right: its edits, made in a copy of the tree, are all that is needed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pytest
from deadlines import RUN_S

ROOT: Final = Path(__file__).resolve().parent.parent
TREES: Final = ("gateway", "loadtests", "scenarios", "reports", "docs", "tests")

EVENT: Final = {
    "gateway/contract.py": (
        "        _by_symbol(name=PRICE_EVENT,",
        """        _by_symbol(
            name="funding:update",
            stream=StreamRule("funding", _SYMBOL),
            subject=Subject("fundingRate"),
        ),
""",
    ),
    "scenarios/model.py": ('"ticker:update", ', '"funding:update", '),
    "loadtests/publication/payloads.py": (
        '            "price": self._price,\n',
        '            "fundingRate": self._price,\n',
    ),
}
"""By file: the text before which, and what, is added for a market event."""
CHANNEL: Final = {
    "gateway/contract.py": (
        (
            '    LLM = "llm"\n\n\nLaneName',
            '    TRANSFERS = "transfers"\n',
        ),
        (
            "        ChannelRow(name=Channel.LLM),\n",
            "        ChannelRow(name=Channel.TRANSFERS),\n",
        ),
        (
            "        _of_model(name=LLM_START_EVENT),\n",
            """        EventRow(
            name="transfer:settled",
            family=Family.TRADING,
            audience=Audience.OWNER_AND_PUBLIC,
            stream=StreamRule("transfers"),
            channel=Channel.TRANSFERS.value,
            publishable=True,
            subject=Subject("transfer", public=("id", "asset"), private=("iban", "note")),
        ),
        EventRow(
            name="transfer:halted",
            family=Family.TRADING,
            audience=Audience.ROOM,
            stream=StreamRule("transfers"),
            channel=Channel.TRANSFERS.value,
            publishable=True,
        ),
""",
        ),
    ),
    "scenarios/model.py": (
        '    "trade:executed",\n',
        '    "transfer:settled",\n    "transfer:halted",\n',
    ),
    "loadtests/publication/payloads.py": (
        '            "order": self._order,\n',
        """            "transfer": lambda draw: {
                "id": f"transfer-{draw.number}",
                **draw.canary(),
                "asset": "EUR",
            },
""",
    ),
    "loadtests/behaviours/trader.py": (
        '        self.request(ClientEvent.SUBSCRIBE, {"channel": Channel.TRADING})\n',
        '        self.request(ClientEvent.SUBSCRIBE, {"channel": Channel.TRANSFERS})\n',
    ),
    "reports/measures/isolation.py": ('"trading",), noun=', '"transfers", '),
}
"""The same for a channel with two events: one with a public form, one to its room alone."""


LABORATORY: Final[Mapping[str, Mapping[str, Any]]] = {
    "A behaviour": {
        "loadtests/behaviours/<group>.py": """from loadtests.behaviours import virtual_user


class Pinger(virtual_user.VirtualUser):
    group = "pinger"
""",
        "scenarios/groups.py": (
            (
                "@dataclass(frozen=True, kw_only=True, slots=True)\nclass Users:",
                """@dataclass(frozen=True, kw_only=True, slots=True)
class PingerGroup(Group):
    every_s: float = key(lambda table: table.duration_s("every", 0.001, 60, "1 s"))


""",
            ),
            ("    expiring: ExpiringGroup |", "    pinger: PingerGroup | None = None\n"),
        ),
        "tests/loadtests/behaviours/test_<group>.py": "",
    },
    "A metric": {
        "scenarios/catalogue.py": (
            '        "storm.attempts": (',
            '        "storm.sample": ("count", "storms"),\n',
        ),
        "reports/measures/<family>.py": (
            '    "storm.attempts": _count',
            '    "storm.sample": lambda run: exact(len(storms(run)), 1),\n',
        ),
    },
    "A chart": {
        "reports/charts/<chart>.py": """from reports.charts.canvas import Chart


def sample_chart(run):
    return Chart("sample", "A sample", "")
""",
        "reports/charts/__init__.py": ('"curves.drain_course"', '"sample.sample_chart", '),
    },
}
"""By section and file: a new file's text, or the text before which, and what, is added."""
NAMES: Final = {
    "loadtests/behaviours/<group>.py": "loadtests/behaviours/pinger.py",
    "tests/loadtests/behaviours/test_<group>.py": "tests/loadtests/behaviours/test_pinger.py",
    "reports/measures/<family>.py": "reports/measures/storm.py",
    "reports/charts/<chart>.py": "reports/charts/sample.py",
}
LABORATORY_CHECK: Final = """
import reports.charts
from reports.measures import registry
from scenarios.budgets import parse_budget
from scenarios.groups import PingerGroup
from scenarios.schema import GROUPS, METRICS

assert GROUPS.index("pinger") == GROUPS.index("expiring") - 1, GROUPS
assert "storm.sample" in METRICS and "storm.sample" in registry.MEASURES
assert parse_budget("storm.sample == 0", 1).metric == "storm.sample"
assert reports.charts.sample_chart.__module__ == "reports.charts.sample"
print("found")
"""


def files_of(section: str) -> list[str]:
    """Return the files in the table of a section of the document."""
    text = (ROOT / "docs" / "extending.md").read_text("utf-8")
    body = text.split(f"\n## {section}\n")[1].split("\n## ")[0]
    return re.findall(r"^\| `([^`]+)` \|", body, re.MULTILINE)


def add(tree: Path, edits: Mapping[str, object]) -> None:
    for name, edit in edits.items():
        path = tree / name
        text = path.read_text("utf-8")
        pairs = edit if isinstance(edit, tuple) and isinstance(edit[0], tuple) else (edit,)
        for anchor, addition in pairs:
            assert text.count(anchor) == 1, f"{name} has no single {anchor!r}"
            text = text.replace(anchor, addition + anchor)
        path.write_text(text, "utf-8")


def paths_in(section: str) -> list[Path]:
    """Return the files of a section; a place holder in a name stands for any file."""
    return [ROOT / NAMES.get(name, name) for name in files_of(section)]


def run(tree: Path, *words: str) -> str:
    """Run Python in the copy, which must be what it imports, and return what it printed."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("TIDEGATE_")}
    answer = subprocess.run(
        [sys.executable, *words],
        cwd=tree,
        env={**own, "PYTHONPATH": str(tree)},
        capture_output=True,
        text=True,
        timeout=RUN_S,
        check=False,
    )
    assert answer.returncode == 0, answer.stdout[-4_000:] + answer.stderr[-2_000:]
    return answer.stdout


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Return a copy of everything that the edits and the checks need."""
    ignored = shutil.ignore_patterns("node_modules")  # bytecode stays valid: times are copied
    for name in TREES:
        shutil.copytree(ROOT / name, tmp_path / name, ignore=ignored)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


CHECKS: Final = (
    "tests/contract/test_events.py",
    "tests/contract/test_client_events.py::test_a_subscription_is_answered_by_event_and_acknowledgement",
    "tests/loadtests/oracles/test_every_event.py",
    "tests/loadtests/publication/test_payloads.py",
    "tests/scenarios/test_schema.py::test_the_events_are_those_of_the_wire_contract",
)
"""The contract suite's, the ledger's, the canaries' and the scenarios' checks of every row."""
DOCUMENTS: Final = (
    "import sys, gateway; sys.path.insert(0, 'docs');"
    "from generate import events, scenario_file;"
    "print(gateway.__file__, events(), scenario_file())"
)


@pytest.mark.parametrize(
    ("section", "edits", "most_files"), [("An event", EVENT, 3), ("A channel", CHANNEL, 5)]
)
def test_the_document_names_the_files_that_are_edited_and_they_are_few(
    section: str, edits: Mapping[str, object], most_files: int
) -> None:
    assert files_of(section) == list(edits)
    assert len(edits) <= most_files


def test_no_other_edit_is_needed(tree: Path) -> None:
    add(tree, EVENT)
    add(tree, CHANNEL)
    said = run(tree, "-m", "pytest", "-v", "-k", "not redis", "-p", "no:cacheprovider", *CHECKS)
    documents = run(tree, "-c", DOCUMENTS)
    assert documents.startswith(str(tree))
    for event in ("funding:update", "transfer:settled", "transfer:halted"):
        passed = [line for line in said.splitlines() if f"{event}] PASSED" in line]
        files = {line.split("::")[0] for line in passed}
        assert {CHECKS[0], CHECKS[2]} <= files
        assert f"| `{event}` |" in documents  # docs/events.md
        assert f'`"{event}"`' in documents  # docs/scenarios.md
    assert "| `transfers` |" in documents


def test_a_file_that_was_forgotten_is_found(tree: Path) -> None:
    add(tree, {"gateway/contract.py": EVENT["gateway/contract.py"]})
    with pytest.raises(AssertionError, match="funding:update"):
        run(tree, "-m", "pytest", "-q", "-p", "no:cacheprovider", CHECKS[-1])


@pytest.mark.parametrize("section", LABORATORY)
def test_the_document_names_the_files_of_the_laboratorys_additions(section: str) -> None:
    assert files_of(section) == list(LABORATORY[section])


@pytest.mark.parametrize("section", ["A limit", "A command option"])
def test_the_files_of_a_section_exist(section: str) -> None:
    assert files_of(section)
    assert [path for path in paths_in(section) if not path.is_file()] == []


def test_a_behaviour_a_metric_and_a_chart_need_no_other_edit(tree: Path) -> None:
    for edits in LABORATORY.values():
        for name, edit in edits.items():
            if isinstance(edit, str):
                (tree / NAMES[name]).write_text(edit, "utf-8")
            else:
                add(tree, {NAMES.get(name, name): edit})
    assert run(tree, "-c", LABORATORY_CHECK) == "found\n"
    found = "from loadtests.behaviours.registry import BEHAVIOURS; print(BEHAVIOURS['pinger'])"
    assert "pinger.Pinger" in run(tree, "-c", found)
    run(
        tree,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "tests/scenarios/test_groups_and_commands.py",
    )
