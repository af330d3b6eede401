"""The verdict as JUnit XML, one test case a budget, for a pipeline to show.

FAIL is a failure, INVALID an error, INCONCLUSIVE skipped with its reason. What is no
budget and still decides (an interrupted run, a lost process) is a case of its own, so
that no pipeline shows green for a run that did not pass.
"""

from __future__ import annotations

from typing import Final
from xml.etree import ElementTree as ET

from loadtests.results import Verdict
from reports.verdict import Decision, RunVerdict, explain, worst

_TAGS: Final = {
    Verdict.FAIL: "failure",
    Verdict.INVALID: "error",
    Verdict.INCONCLUSIVE: "skipped",
}


def render_junit(outcome: RunVerdict, *, scenario: str) -> str:
    """Return the XML text of one test suite."""
    suite = ET.Element("testsuite", name=f"tidegate.{scenario}")
    for decision in outcome.decisions:
        _add_case(suite, decision.budget.text, decision.verdict, explain(decision), decision)
    if outcome.circumstances:
        words = "; ".join(words for _, words in outcome.circumstances)
        verdict = worst([verdict for verdict, _ in outcome.circumstances])
        _add_case(suite, "run", verdict, words, None)
    for tag, name in (("failure", "failures"), ("error", "errors"), ("skipped", "skipped")):
        suite.set(name, str(len(suite.findall(f"testcase/{tag}"))))
    suite.set("tests", str(len(suite.findall("testcase"))))
    root = ET.Element("testsuites")
    root.append(suite)
    ET.indent(root)
    return ET.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _add_case(
    suite: ET.Element, name: str, verdict: Verdict, words: str, decision: Decision | None
) -> None:
    classname = "run" if decision is None else decision.budget.metric
    case = ET.SubElement(suite, "testcase", classname=classname, name=name)
    if verdict in _TAGS:
        ET.SubElement(case, _TAGS[verdict], message=words).text = words
    else:
        ET.SubElement(case, "system-out").text = words
