"""How the laboratory starts Python processes of its own: their command, environment and end.

The caller's folder and its settings are another project's. A process of ours finds our packages
first, reads no setting of Locust or Jupyter, and keeps the caller's folder, so that relative paths
keep their meaning.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

PROJECT: Final = Path(__file__).resolve().parents[1]
_PR_SET_PDEATHSIG: Final = 1
_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def own_command(module: str, *arguments: str) -> list[str]:
    """Return the command that runs a module of ours in this interpreter.

    ``-P`` keeps the current folder off the module path: it may hold a package ``reports``.
    """
    return [sys.executable, "-P", "-m", module, *arguments]


def child_environment(environment: Mapping[str, str], path: Path = PROJECT) -> dict[str, str]:
    """Return the environment of a process of ours.

    Its ``PYTHONPATH`` begins with ``path``. ``LOCUST_*`` and other folders of Jupyter's kernels
    are left out: they are meant for other projects.
    """
    kept = {name: value for name, value in environment.items() if not name.startswith("LOCUST_")}
    # An empty entry would mean the current folder.
    held = [entry for entry in kept.get("PYTHONPATH", "").split(os.pathsep) if entry]
    return {
        **kept,
        "PYTHONPATH": os.pathsep.join([str(path), *held]),
        "JUPYTER_PATH": str(Path(sys.prefix) / "share" / "jupyter"),
    }


def ending_signals() -> list[signal.Signals]:
    """Return the signals that end a command in order. SIGHUP is none of them under ``nohup``."""
    is_ignored = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    return [signal.SIGINT, signal.SIGTERM, *([] if is_ignored else [signal.SIGHUP])]


def interrupt_on_signals() -> None:
    """Raise KeyboardInterrupt on every ending signal, so that children are stopped in order."""
    for by in ending_signals():
        signal.signal(by, signal.default_int_handler)


def die_with_parent(by: signal.Signals, parent: int) -> None:
    """Have the kernel send this process a signal when its parent ends (Linux).

    The kernel's parent is a thread: a child must be started by a thread that lives as long as its
    process.

    Args:
        by: the signal.
        parent: the parent's process id.
    """
    if _LIBC is None:
        return
    _LIBC.prctl(_PR_SET_PDEATHSIG, by)
    if os.getppid() != parent:
        os.kill(os.getpid(), by)  # it ended before the call


def bound_to_us(
    by: signal.Signals = signal.SIGKILL, cores: frozenset[int] | None = None
) -> Callable[[], None]:
    """Return a ``preexec_fn`` that lets a child die with this process.

    Args:
        by: the signal that ends the child: SIGTERM for one that has children or a record.
        cores: the cores that it may use; None allows all.
    """
    parent = os.getpid()

    def begin() -> None:
        if cores is not None:
            os.sched_setaffinity(0, cores)
        die_with_parent(by, parent)

    return begin
