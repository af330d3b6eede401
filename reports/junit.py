"""Verdicts as JUnit XML: one suite per run, one test case per budget and one for the run.

FAIL is a failure, INVALID an error, INCONCLUSIVE skipped with its reason. The case of the run has
circumstances such as an interruption, so that a pipeline is never green for a run that did not
pass.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final
from xml.etree import ElementTree as ET

from loadtests.results import Verdict
from reports.decisions import Decision, Finding, explain, worst
from reports.verdict import RunVerdict

_TAGS: Final = {
    Verdict.FAIL: "failure",
    Verdict.INVALID: "error",
    Verdict.INCONCLUSIVE: "skipped",
}
# Characters that XML 1.0 §2.2 forbids; a log line may hold them.
_FORBIDDEN: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def render_junit(*outcomes: RunVerdict) -> str:
    """Return the XML text, with one suite per run."""
    root = ET.Element("testsuites")
    for outcome in outcomes:
        name = f"tidegate.{outcome.scenario}"
        suite = add_suite(
            root, name, outcome.run_id, outcome.decisions, outcome.circumstances, outcome.length_s
        )
        suite.set("id", outcome.run_id)
    return as_text(root)


def add_suite(
    root: ET.Element,
    name: str,
    run_id: str,
    decisions: Sequence[Decision],
    circumstances: Sequence[Finding],
    length_s: float,
) -> ET.Element:
    """Add a suite with a case for each budget, and one for the run.

    Args:
        root: the ``testsuites`` element.
        name: of the suite.
        run_id: of the run. The class of each case has it, since GitLab shows one case only of
            those that have the same class and name.
        decisions: the budgets.
        circumstances: other findings.
        length_s: how long the run took; the case of the run has it, so that a sum is right.
    """
    suite = ET.SubElement(root, "testsuite", name=name)
    classname = f"{name}.{run_id}"
    for decision in decisions:
        _add_case(suite, classname, decision.budget.text, decision.verdict, explain(decision))
    words = "; ".join(words for _, words in circumstances) or "nothing else bears on the verdict"
    verdict = worst([Verdict.PASS, *(verdict for verdict, _ in circumstances)])
    _add_case(suite, classname, "run", verdict, words, length_s)
    for tag, plural in (("failure", "failures"), ("error", "errors"), ("skipped", "skipped")):
        suite.set(plural, str(len(suite.findall(f"testcase/{tag}"))))
    suite.set("tests", str(len(suite.findall("testcase"))))
    suite.set("time", f"{length_s:.3f}")
    return suite


def as_text(root: ET.Element) -> str:
    """Return the document as text."""
    ET.indent(root)
    return ET.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _add_case(
    suite: ET.Element,
    classname: str,
    name: str,
    verdict: Verdict,
    words: str,
    length_s: float = 0.0,
) -> None:
    words = _FORBIDDEN.sub("\N{REPLACEMENT CHARACTER}", words)
    named = {"classname": classname, "name": name, "time": f"{length_s:.3f}"}
    case = ET.SubElement(suite, "testcase", named)
    if verdict in _TAGS:
        ET.SubElement(case, _TAGS[verdict], message=words).text = words
    else:
        ET.SubElement(case, "system-out").text = words
