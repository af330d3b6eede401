"""``python -m reports.notebook NAME RUN``: execute a notebook on a run, into one offline page.

The notebook file does not change. The page shows every result, with the code folded away.
Errors (``reports.report_errors`` has the tree)::

    ReportError
    ├── UnknownNotebookError   no notebook has this name
    ├── WrongBaseError         a second run is missing, or not wanted
    └── BrokenNotebookError    a cell raised
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
from traitlets.config import Config

from loadtests.ending import launch, run_command
from loadtests.outputs import OutputRefused, check_outputs, write_output
from loadtests.results import ExitCode
from reports.report_errors import ReportError

_HERE: Final = Path(__file__).resolve().parent
_BESIDE: Final = _HERE / "notebooks"
NOTEBOOKS: Final = _BESIDE if _BESIDE.is_dir() else _HERE.parent / "notebooks"
"""An installed wheel has them beside this module, a clone at its top."""
CELL_S: Final = 120
_TEMPLATES: Final = _HERE / "templates"
_FORMS: Final = ("hint", "parameters", "injected-parameters")
"""Tags of cells that a page leaves out."""


class UnknownNotebookError(ReportError):
    """No notebook has this name."""

    def __init__(self, name: str, known: Sequence[str]) -> None:
        right = f"known: {', '.join(known)}" if known else f"{NOTEBOOKS} has none"
        super().__init__(f"no notebook {name}; {right}")


class WrongBaseError(ReportError):
    """The number of runs does not fit the notebook."""


class BrokenNotebookError(ReportError):
    """A cell raised."""

    def __init__(self, name: str, error: PapermillExecutionError) -> None:
        # Papermill counts cells from 1, in the order of execution.
        super().__init__(f"{name}, cell {error.exec_count}: {error.ename}: {error.evalue}")


def list_notebooks(folder: Path = NOTEBOOKS) -> list[str]:
    """Return the names of all notebooks."""
    return sorted(path.stem for path in folder.glob("*.ipynb"))


def render_notebook(
    name: str, run: Path, *, base: Path | None = None, folder: Path = NOTEBOOKS
) -> str:
    """Execute a notebook and return its page.

    Args:
        name: of the notebook, without its extension.
        run: a run directory.
        base: a second run directory, for a notebook that compares two.
        folder: of the notebooks.

    Raises:
        UnknownNotebookError: there is no such notebook.
        ReportError: see the top of this module.
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
    parser.add_argument("--base", type=Path, help="run directory to compare with")
    parser.add_argument("--out", type=Path, required=True, help="the page to write")
    options = parser.parse_args(arguments)

    def write_page() -> int:
        check_outputs({"--out": options.out})
        write_output(options.out, render_notebook(options.name, options.run, base=options.base))
        return ExitCode.PASS

    return run_command("tidegate notebook", write_page, OutputRefused, ReportError)


def _page_writer() -> Any:
    return HTMLExporter(  # type: ignore[no-untyped-call]  # its own gap
        template_name="notebook",
        extra_template_basedirs=[str(_TEMPLATES)],
        extra_template_paths=[str(_TEMPLATES)],
        config=Config(
            {
                # The kernel sends a cell's prints in pieces.
                "CoalesceStreamsPreprocessor": {"enabled": True},
                "TagRemovePreprocessor": {"enabled": True, "remove_cell_tags": set(_FORMS)},
            }
        ),
    )


def _parameters(name: str, source: Path, run: Path, base: Path | None) -> dict[str, str]:
    known = papermill.inspect_notebook(str(source))
    if "base" in known and base is None:
        raise WrongBaseError(f"{name} compares two runs; name the other with --base RUN")
    if "base" not in known and base is not None:
        raise WrongBaseError(f"{name} reads one run; leave out --base")
    found = {"run": str(run.resolve())}
    return found if base is None else {**found, "base": str(base.resolve())}


def _execute(name: str, source: Path, parameters: Mapping[str, str]) -> Any:
    """Return the executed notebook; the file does not change."""
    with tempfile.TemporaryDirectory() as scratch, warnings.catch_warnings():
        # Deprecation warnings of the kernel packages do not concern the user.
        warnings.simplefilter("ignore")
        try:
            return papermill.execute_notebook(
                str(source),
                str(Path(scratch) / source.name),
                parameters=dict(parameters),
                cwd=str(source.parent),
                progress_bar=False,
                log_output=False,
                # The kernel warns about unencrypted loopback sockets; they are signed.
                extra_arguments=["--log-level=ERROR"],
                execution_timeout=CELL_S,
            )
        except PapermillExecutionError as error:
            raise BrokenNotebookError(name, error) from None


if __name__ == "__main__":
    launch(["reports.notebook", *sys.argv[1:]])
