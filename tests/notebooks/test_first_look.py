from __future__ import annotations

import ast
import re
import warnings
from pathlib import Path

import nbformat
import papermill
import pytest
from synthetic_run import ROOT, ledger_row, make_run

NOTEBOOK = ROOT / "notebooks" / "first_look.ipynb"


def executed(tmp_path: Path, run: Path) -> nbformat.NotebookNode:
    with warnings.catch_warnings():
        # The kernel machinery warns of its own future; the notebook cannot help it.
        warnings.simplefilter("ignore")
        done: nbformat.NotebookNode = papermill.execute_notebook(
            NOTEBOOK,
            tmp_path / "done.ipynb",
            parameters={"run": str(run)},
            cwd=NOTEBOOK.parent,
            progress_bar=False,
        )
    return done


def stored() -> nbformat.NotebookNode:
    notebook: nbformat.NotebookNode = nbformat.reads(  # type: ignore[no-untyped-call]  # it is untyped
        NOTEBOOK.read_text(encoding="utf-8"), as_version=4
    )
    nbformat.validate(notebook)
    return notebook


def last_words(notebook: nbformat.NotebookNode) -> str:
    return "".join(out.get("text", "") for out in notebook.cells[-1].outputs)


@pytest.mark.timeout(120)
def test_the_notebook_answers_for_the_run_that_it_is_given(tmp_path: Path) -> None:
    def losing(tables: dict[str, list[dict[str, object]]]) -> None:
        tables["ledger"].append(ledger_row("trading", "trader", 10, lost=3))

    done = executed(tmp_path, make_run(tmp_path / "lossy_run", change=losing))
    words = last_words(done)
    assert words.startswith("lossy_run: FAIL, exit code 1\ndelivery.lost == 0: 3\n")
    assert "A client costs 20.0 KB" in words
    pictures = [out for cell in done.cells for out in cell.get("outputs", ())]
    assert sum("<svg" in out.get("data", {}).get("text/html", "") for out in pictures) == 7


def test_the_notebook_is_stored_without_outputs_and_asks_before_it_answers() -> None:
    notebook = stored()
    assert notebook.cells[0].cell_type == "markdown"
    assert "?" in notebook.cells[0].source.splitlines()[0]
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(not cell.outputs and cell.execution_count is None for cell in code)
    assert code[0].metadata.get("tags") == ["parameters"]


def test_the_notebook_holds_questions_and_no_functions() -> None:
    notebook = stored()
    for cell in notebook.cells:
        if cell.cell_type == "code":
            nodes = list(ast.walk(ast.parse(cell.source)))
            defined = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)
            assert not any(isinstance(node, defined) for node in nodes)
            assert not re.search(r"read_parquet|pyplot", cell.source)
