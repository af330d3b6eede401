"""How every command ends: one table from exceptions to exit codes, and streams that never raise.

::

    one of the command's refusals    2    its message
    KeyboardInterrupt                130
    OSError                          4    one sentence: the disk is full, a folder is gone
    any other exception              4    its traceback: a fault of Tidegate

Exit code 1 means that a budget is broken, and no exception has it. Printing never changes a
verdict: the standard streams drop what nobody can read, and replace what their encoding lacks.
"""

from __future__ import annotations

import codecs
import gc
import io
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Final, NoReturn, TextIO

from loadtests.results import ExitCode

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

_LENIENT: Final = "tidegate.lenient"
_STREAMS: Final = ("stdin", "stdout", "stderr")
_PLAIN: Final = str.maketrans({"µ": "u", "–": "-", "−": "-", "●": "*", "✕": "x", "·": ";"})
"""Characters that an ASCII terminal shows in another way; the others become "?"."""
_GARBAGE_OBJECTS: Final = 100_000
"""New objects after which the garbage collector looks at them; Python's default is 700 or so."""


def run_command(name: str, work: Callable[[], int], *refusals: type[Exception]) -> int:
    """Run a command and return its exit code, whatever it raises.

    Args:
        name: of the command, for messages.
        work: the command; returns its exit code.
        refusals: exceptions that mean a wrong call; their messages say what would be right.
    """
    try:
        code = int(work())
    except KeyboardInterrupt:
        code = ExitCode.INTERRUPTED
    except refusals as error:
        _say(name, str(error))
        code = ExitCode.USAGE
    except OSError as error:
        _say(name, describe_failure(error))
        code = ExitCode.INVALID
    except Exception:  # noqa: BLE001 - whatever it is, it is no broken budget
        traceback.print_exc()
        code = ExitCode.INVALID
    lost = output_failure()
    if lost is not None:
        _say(name, f"standard output: {lost.strerror}; the exit code stays {int(code)}")
    return code


def launch(*commands: Sequence[str]) -> NoReturn:
    """Run the ``main`` of modules, one after the other, and end this process with the exit code.

    The first exit code that is not 0 ends it. An import that fails is an exception of the command,
    and so never exit code 1.

    The cyclic garbage collector would spend a fifth of a report on looking through objects that
    live as long as the process, so it looks rarely, and not at all when the process ends.

    Args:
        commands: each a module's dotted name and its arguments.
    """
    guard_streams()
    gc.set_threshold(_GARBAGE_OBJECTS)
    code: int = ExitCode.PASS
    for module, *arguments in commands:
        code = run_command(module, partial(_main, module, arguments))
        if code != ExitCode.PASS:
            break
    gc.freeze()
    sys.exit(code)


def _main(module: str, arguments: list[str]) -> int:
    sys.argv[1:] = arguments
    return int(import_module(module).main())


def guard_streams() -> None:
    """Make standard output and standard error of this process unable to raise.

    A stream that is closed becomes the null device, so that no other file takes its descriptor.
    """
    codecs.register_error(_LENIENT, _replace)
    for descriptor, name in enumerate(_STREAMS):
        try:
            os.fstat(descriptor)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
        stream: TextIO | None = getattr(sys, name)
        if descriptor and stream is not None and _descriptor(stream) == descriptor:
            stream.flush()
            setattr(sys, name, _guarded(stream, descriptor))


def print_result(text: str) -> None:
    """Print what a command is called for.

    Raises:
        OSError: standard output does not take it.
    """
    print(text, end="", flush=True)  # noqa: T201 - a command speaks
    lost = output_failure()
    if lost is not None:
        raise OSError(lost.errno, lost.strerror, "standard output")


def output_failure() -> OSError | None:
    """Return why standard output took no more text, once; None while it takes all."""
    raw = getattr(getattr(sys.stdout, "buffer", None), "raw", None)
    if not isinstance(raw, _Unfailing):
        return None
    sys.stdout.flush()
    is_news, raw.is_told = not raw.is_told, raw.failure is not None
    return raw.failure if is_news else None


def describe_failure(error: OSError) -> str:
    """Return a failure of the system in one line, with the file where one is known."""
    words = error.strerror or str(error) or type(error).__name__
    place = "" if error.filename is None else f"{os.fsdecode(error.filename)}: "
    return f"{place}{words}".splitlines()[0]


class _Unfailing(io.FileIO):
    """A descriptor that drops everything after its first failure."""

    failure: OSError | None = None
    is_told = False

    def write(self, data: ReadableBuffer, /) -> int:
        if self.failure is None:
            try:
                return super().write(data)
            except OSError as error:
                self.failure = error
        return memoryview(data).nbytes


def _guarded(stream: TextIO, descriptor: int) -> TextIO:
    return io.TextIOWrapper(
        io.BufferedWriter(_Unfailing(descriptor, "wb", closefd=False)),
        encoding=stream.encoding,
        errors=_LENIENT,
        line_buffering=getattr(stream, "line_buffering", True),
        write_through=getattr(stream, "write_through", False),
    )


def _descriptor(stream: TextIO) -> int | None:
    try:
        return stream.fileno()
    except (OSError, ValueError):
        return None  # a test's own stream


def _replace(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end].translate(_PLAIN)
    return text.encode("ascii", "replace").decode("ascii"), error.end


def _say(name: str, words: str) -> None:
    print(f"{name}: {words}", file=sys.stderr, flush=True)  # noqa: T201 - a command speaks
