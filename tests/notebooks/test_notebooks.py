from __future__ import annotations

import ast
import html
import os
import re
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import nbformat
import pytest
from deadlines import RUN_S
from synthetic_run import ROOT, Tables, ledger_row, make_run, span_rows

from loadtests.results import Phase, Series
from reports import notebook
from reports.report_errors import NotARunError, ReportError

NAMES = (
    "compare_runs",
    "first_look",
    "heartbeat_and_limits",
    "latency_anatomy",
    "memory_per_client",
)
MS = 1_000_000
STEADY_S = range(8, 38)


def stored(name: str) -> nbformat.NotebookNode:
    path = ROOT / "notebooks" / f"{name}.ipynb"
    found: nbformat.NotebookNode = nbformat.reads(  # type: ignore[no-untyped-call]  # it is untyped
        path.read_text(encoding="utf-8"), as_version=4
    )
    nbformat.validate(found)
    return found


def code_of(name: str) -> list[Any]:
    return [cell for cell in stored(name).cells if cell.cell_type == "code"]


def test_these_are_all_the_notebooks() -> None:
    assert tuple(notebook.list_notebooks()) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_begins_with_a_question_and_ends_with_an_answer(name: str) -> None:
    cells = stored(name).cells
    assert cells[0].cell_type == "markdown"
    assert cells[0].source.startswith("# ")
    assert "?" in cells[0].source.splitlines()[0]
    headings = [cell.source for cell in cells if cell.source.startswith("## ")]
    assert headings[-2:] == ["## The answer", "## Next step"]
    assert cells[-1].cell_type == cells[-3].cell_type == "code"
    assert "print(" in cells[-1].source


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_is_stored_without_outputs_and_has_its_runs_as_parameters(name: str) -> None:
    code = code_of(name)
    assert all(not cell.outputs and cell.execution_count is None for cell in code)
    assert code[0].metadata.get("tags") == ["parameters"]
    names = {node.id for node in ast.walk(ast.parse(code[0].source)) if isinstance(node, ast.Name)}
    assert names == ({"run", "base"} if name == "compare_runs" else {"run"})


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_holds_questions_and_no_functions(name: str) -> None:
    defined = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)
    for cell in code_of(name):
        nodes = list(ast.walk(ast.parse(cell.source)))
        assert not any(isinstance(node, defined) for node in nodes)
        assert not re.search(r"pd\.read_|pyplot|histogram_of", cell.source)
        imported = {alias.name for n in nodes if isinstance(n, ast.Import) for alias in n.names}
        assert imported <= {"sys", "pandas", "reports", "duckdb"}


class Page:
    """A notebook's page as its reader has it."""

    def __init__(self, text: str) -> None:
        self.text = text
        blocks = re.findall(
            r'<div class="[^"]*output_stdout[^"]*">\s*<pre>(.*?)</pre>', text, re.DOTALL
        )
        self.said = [html.unescape(block).strip() for block in blocks]

    @property
    def answer(self) -> str:
        return self.said[-2]

    @property
    def advice(self) -> str:
        return self.said[-1]

    @property
    def pictures(self) -> int:
        return self.text.count("<svg")


def losing(tables: Tables) -> None:
    tables["ledger"].append(ledger_row("trading", "trader", 10, lost=3))


def in_stages(tables: Tables) -> None:
    """The client's kernel has a push after 9 ms, and the rest is quick."""
    for second in STEADY_S:
        for series, took_ms in (
            (Series.ACCEPT, 1),
            (Series.KERNEL, 9),
            (Series.GENERATOR_SHARE, 2),
            (Series.FANOUT_SKEW, 3),
        ):
            tables["hist"] += span_rows(series, second, [took_ms * MS] * 40)
        tables["sample"].append(
            {
                "t_ns": second * 1_000 * MS,
                "worker": "local",
                "user": f"vu-{second}",
                "stream": "ticker:BTC/USDT" if second % 3 else "price:BTC/USDT",
                "number": second,
                "push_ns": None if second == 20 else second * MS,
                "push_service_ns": second * MS // 2,
                "why": "slow",
            }
        )


def twice_as_slow(tables: Tables) -> None:
    for second in STEADY_S:
        tables["hist"] += span_rows(Series.PUSH, second, [60 * MS] * 700)


def without_ramp(tables: Tables) -> None:
    tables["server"] = [row for row in tables["server"] if row["phase"] != str(Phase.RAMP)]


Change = Callable[[Tables], None]
ShowPage = Callable[..., Page]


@pytest.fixture(scope="module")
def show_page(tmp_path_factory: pytest.TempPathFactory) -> ShowPage:
    folder = tmp_path_factory.mktemp("runs")

    @cache
    def run_of(change: Change | None) -> Path:
        return make_run(folder / (change.__name__ if change else "usual"), change=change)

    @cache
    def show(name: str, change: Change | None = None, base: Change | None = None) -> Page:
        other = run_of(base) if name == "compare_runs" else None
        return Page(notebook.render_notebook(name, run_of(change), base=other))

    return show


def test_first_look_names_what_broke_and_the_notebook_that_asks_why(show_page: ShowPage) -> None:
    page = show_page("first_look", losing)
    assert page.answer.startswith("losing: FAIL, exit code 1\ndelivery.lost == 0: 3\n")
    assert "Each client costs 20.0 KB" in page.answer
    assert page.advice.endswith("because of delivery")
    assert page.pictures >= 7


def test_latency_anatomy_names_the_stage_that_takes_the_time(show_page: ShowPage) -> None:
    page = show_page("latency_anatomy", in_stages)
    assert page.advice.startswith("gateway and kernel is the longest stage at p99, 9.0")
    assert "queue_bytes" in page.advice
    cells = re.findall(r"<td>(.*?)</td>", page.text)
    assert cells[: 4 + 2].count("1.00 ms") >= 3  # the stage accept: p50, p99, …
    assert "37 ms" in cells  # the slowest sample, in the table of pandas
    assert ["ticker", "20"] in [cells[i : i + 2] for i in range(len(cells))]  # by the query
    assert "37.0" in cells


def test_memory_per_client_answers_with_its_interval_and_what_many_would_take(
    show_page: ShowPage,
) -> None:
    page = show_page("memory_per_client")
    assert "Each client costs 20.0 KB" in page.answer
    assert re.search(r"5,000 clients (9[6-9]|10[0-2])", page.answer)  # MB: 5,000 of 20 KB are 97.7


def test_compare_runs_says_how_much_slower_the_head_is(show_page: ShowPage) -> None:
    page = show_page("compare_runs", twice_as_slow, None)
    assert "Push p99 of head is " in page.answer
    found = re.search(r"Push p99 of head is ([0-9.]+) times", page.answer)
    assert found is not None
    assert float(found[1]) > 5  # 60 ms over about 5 ms
    assert "head: FAIL" in page.answer
    assert "tidegate compare --scenario FILE" in page.advice


def test_what_a_run_does_not_have_is_said_and_breaks_no_notebook(show_page: ShowPage) -> None:
    page = show_page("memory_per_client", without_ramp)
    assert page.answer.startswith("No ")
    assert page.advice.startswith("no slope: ")
    assert "Traceback" not in page.text


def test_a_page_needs_no_network_and_shows_code_only_to_who_asks(show_page: ShowPage) -> None:
    page = show_page("first_look", losing)
    addresses = set(re.findall(r"https?://[^\s\"'<)]+", page.text))
    assert {one for one in addresses if "www.w3.org" not in one} == set()
    assert "<script" not in page.text
    assert 'class="code"><summary>' in page.text
    assert "parameters" not in page.text  # neither the cell nor what was put in its place
    assert 'class="code" open' in show_page("latency_anatomy", in_stages).text  # the query


def test_a_wrong_name_is_answered_with_the_right_ones(tmp_path: Path) -> None:
    with pytest.raises(notebook.UnknownNotebookError, match="no notebook nope; known: compare"):
        notebook.render_notebook("nope", tmp_path)
    with pytest.raises(notebook.UnknownNotebookError, match="has none"):
        notebook.render_notebook("nope", tmp_path, folder=tmp_path)


@pytest.mark.parametrize(
    ("name", "has_base", "words"),
    [("compare_runs", False, "with --base RUN"), ("first_look", True, "leave out --base")],
)
def test_a_notebook_gets_as_many_runs_as_it_asks_for(
    tmp_path: Path, name: str, has_base: bool, words: str
) -> None:
    with pytest.raises(notebook.WrongBaseError, match=words):
        notebook.render_notebook(name, tmp_path, base=tmp_path if has_base else None)


def test_a_cell_that_raises_is_named_with_its_error(tmp_path: Path) -> None:
    with pytest.raises(notebook.BrokenNotebookError) as caught:
        notebook.render_notebook("first_look", tmp_path)
    assert re.match(r"first_look, cell [0-9]+: NotARunError: .*no manifest", str(caught.value))
    assert isinstance(caught.value, ReportError)
    assert NotARunError.__name__ in str(caught.value)


def tidegate(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "loadtests", "notebook", *arguments],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=RUN_S,
        check=False,
    )


def test_heartbeat_and_limits_by_the_command_finds_nobody_wronged(tmp_path: Path) -> None:
    run = make_run(tmp_path / "runs" / "one")
    (tmp_path / "runs" / "latest").symlink_to("one")
    done = tidegate("heartbeat_and_limits", "latest", cwd=tmp_path)
    path = run / "notebooks" / "heartbeat_and_limits.html"
    assert done.returncode == 0, done.stderr
    assert done.stderr == f"page: {path}\n"
    page = Page(path.read_text(encoding="utf-8"))
    assert "60 events accepted, 42 refused" in page.answer
    assert page.advice.startswith("no wrong decision and no lost heartbeat")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("nope", "one"), "no notebook nope; known: compare_runs, first_look"),
        (("first_look", "nowhere"), "nowhere is no run"),
        (("compare_runs", "one", "--base", "nowhere"), "nowhere is no run"),
    ],
    ids=["name", "run", "base"],
)
def test_the_command_says_what_would_be_right(
    tmp_path: Path, arguments: tuple[str, ...], words: str
) -> None:
    make_run(tmp_path / "runs" / "one")
    done = tidegate(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr
