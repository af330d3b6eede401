"""``python -m reports.notebook NAME RUN``: execute a notebook on a run, as one offline page.

The notebook is executed by a kernel of its own and stays as it is; its page has every answer,
and its code folded away. What can go wrong (``reports.errors`` has the tree)::

    ReportError
    ├── UnknownNotebookError   no notebook has this name
    ├── WrongBaseError         a notebook needs a second run and got none, or the other way round
    └── BrokenNotebookError    a cell raised; the text names it
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import papermill
from nbconvert import HTMLExporter
from papermill.exceptions import PapermillExecutionError
from rich.console import Console
from traitlets.config import Config

from loadtests.results import ExitCode
from reports.errors import ReportError

NOTEBOOKS: Final = Path(__file__).resolve().parent.parent / "notebooks"
"""A clone has them; an installed package does not."""
CELL_S: Final = 120
_TEMPLATES: Final = Path(__file__).resolve().parent / "templates"
_RUN: Final = "run"
_BASE: Final = "base"
_FORMS: Final = ("hint", "parameters", "injected-parameters")
"""Cells for who opens the notebook; a page has no use for them."""


class UnknownNotebookError(ReportError):
    """No notebook has this name."""

    def __init__(self, name: str, known: Sequence[str]) -> None:
        right = f"there are {', '.join(known)}" if known else f"none lies in {NOTEBOOKS}"
        super().__init__(f"no notebook {name}; {right}")


class WrongBaseError(ReportError):
    """The number of runs is not what the notebook asks for."""


class BrokenNotebookError(ReportError):
    """A cell raised."""

    def __init__(self, name: str, error: PapermillExecutionError) -> None:
        # Papermill counts cells from 1 in the order of execution.
        super().__init__(f"{name}, cell {error.exec_count}: {error.ename}: {error.evalue}")


def list_notebooks(folder: Path = NOTEBOOKS) -> list[str]:
    """Return the names of all notebooks."""
    return sorted(path.stem for path in folder.glob("*.ipynb"))


def render_notebook(
    name: str, run: Path, *, base: Path | None = None, folder: Path = NOTEBOOKS
) -> str:
    """Execute a notebook and return its page.

    Args:
        name: of the notebook, without its ending.
        run: a run directory.
        base: a second one, where the notebook compares two.
        folder: where the notebooks are.

    Raises:
        ReportError: see the head of this module.
    """
    source = folder / f"{name}.ipynb"
    if name not in list_notebooks(folder):
        raise UnknownNotebookError(name, list_notebooks(folder))
    done = _execute(name, source, _parameters(name, source, run, base))
    runs = [path.resolve().name for path in (base, run) if path is not None]
    resources = {"metadata": {"name": f"{name}: {' and '.join(runs)}"}}
    page: str = _page_writer().from_notebook_node(done, resources=resources)[0]
    return page


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m reports.notebook", description="Execute a notebook on a run."
    )
    parser.add_argument("name", help="of the notebook, such as first_look")
    parser.add_argument("run", type=Path, help="a run directory")
    parser.add_argument("--base", type=Path, help="a second one, to compare with")
    parser.add_argument("--out", type=Path, required=True, help="the page to write")
    options = parser.parse_args(arguments)
    try:
        page = render_notebook(options.name, options.run, base=options.base)
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(page, encoding="utf-8")
    except (ReportError, OSError) as error:
        Console(stderr=True).print(f"tidegate notebook: {error}", markup=False, soft_wrap=True)
        return ExitCode.USAGE
    return ExitCode.PASS


def _page_writer() -> Any:
    return HTMLExporter(  # type: ignore[no-untyped-call]  # its own gap
        template_name="notebook",
        extra_template_basedirs=[str(_TEMPLATES)],
        extra_template_paths=[str(_TEMPLATES)],
        config=Config(
            {
                # What a cell prints comes in pieces, as the kernel happened to send them.
                "CoalesceStreamsPreprocessor": {"enabled": True},
                "TagRemovePreprocessor": {"enabled": True, "remove_cell_tags": set(_FORMS)},
            }
        ),
    )


def _parameters(name: str, source: Path, run: Path, base: Path | None) -> dict[str, str]:
    known = papermill.inspect_notebook(str(source))
    if _BASE in known and base is None:
        raise WrongBaseError(f"{name} compares two runs; name the other one with --base RUN")
    if _BASE not in known and base is not None:
        raise WrongBaseError(f"{name} looks at one run; leave --base out")
    found = {_RUN: str(run.resolve())}
    return found if base is None else {**found, _BASE: str(base.resolve())}


def _execute(name: str, source: Path, parameters: Mapping[str, str]) -> Any:
    """Return the executed notebook; the one in the folder is not touched."""
    with tempfile.TemporaryDirectory() as scratch, warnings.catch_warnings():
        # The kernel machinery warns of its own future; whoever reads a run cannot help it.
        warnings.simplefilter("ignore")
        try:
            return papermill.execute_notebook(
                str(source),
                str(Path(scratch) / source.name),
                parameters=dict(parameters),
                cwd=str(source.parent),
                progress_bar=False,
                log_output=False,
                # It warns that its loopback sockets are not encrypted; they are signed.
                extra_arguments=["--log-level=ERROR"],
                execution_timeout=CELL_S,
            )
        except PapermillExecutionError as error:
            raise BrokenNotebookError(name, error) from None


if __name__ == "__main__":
    sys.exit(main())
