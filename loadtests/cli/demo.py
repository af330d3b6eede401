"""``tidegate demo``: the gateway with simulated sources, and a page to look at it."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from loadtests.ending import print_result
from loadtests.results import ExitCode


def demo(
    port: Annotated[
        int, typer.Option(min=0, max=65_535, help="Port of the page; 0 picks a free one.")
    ] = 0,
) -> None:
    """Start a gateway with simulated sources, and a page that shows them, until Ctrl-C.

    The gateway is in development mode on loopback. Nothing is kept. Exit codes: 0 2 4 5.
    """
    from loadtests.demo.demonstration import Demonstration
    from loadtests.processes import interrupt_on_signals
    from loadtests.supervision.children import ChildFailed

    interrupt_on_signals()
    with tempfile.TemporaryDirectory(prefix="tidegate-demo-") as folder:
        demonstration = Demonstration(Path(folder), os.environ, _say, port)
        try:
            demonstration.start()
            _say("Ctrl-C ends both")
            code = demonstration.watch()
        except ChildFailed as error:
            typer.echo(str(error), err=True)
            code = ExitCode.GATEWAY_FAILED
        except KeyboardInterrupt:
            code = ExitCode.PASS
        finally:
            demonstration.stop()
    raise typer.Exit(code)


def _say(words: str) -> None:
    print_result(f"{words}\n")
