from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from deadlines import RUN_S

from loadtests.ending import run_command
from loadtests.outputs import OutputRefused, check_outputs, write_output, write_together

ROOT = Path(__file__).resolve().parents[2]


def raising(error: BaseException) -> Callable[[], int]:
    def work() -> int:
        raise error

    return work


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (OutputRefused("--json x: no"), 2, "tidegate x: --json x: no\n"),
        (KeyboardInterrupt(), 130, ""),
        (OSError(28, "No space left on device", "/a/b"), 4, "/a/b: No space left on device\n"),
        (BrokenPipeError(32, "Broken pipe"), 4, "tidegate x: Broken pipe\n"),
        (KeyError("push"), 4, "Traceback"),
    ],
    ids=["refusal", "interrupt", "full disk", "broken pipe", "fault"],
)
def test_no_exception_of_a_command_is_a_broken_budget(
    error: BaseException, code: int, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command("tidegate x", raising(error), OutputRefused) == code
    told = capsys.readouterr().err
    assert words in told
    assert ("Traceback" in told) == (words == "Traceback")


SAY_AND_FAIL = """
from loadtests.ending import guard_streams, run_command
guard_streams()
def work():
    print("● 3 µs – 4 µs \\udc80 ✕" * 10_000, flush=True)
    return 1
raise SystemExit(run_command("tidegate gate", work))
"""


@pytest.mark.parametrize("how", ["full", "pipe", "closed", "ascii"])
def test_printing_never_changes_the_code(how: str, tmp_path: Path) -> None:
    command = [sys.executable, "-c", SAY_AND_FAIL]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    if how == "ascii":
        environment["PYTHONIOENCODING"] = "ascii"
    shell = {
        "full": '"$@" > /dev/full',
        "pipe": '"$@" | true; exit ${PIPESTATUS[0]}',
        "closed": '"$@" >&-',
        "ascii": '"$@" > out',
    }[how]
    done = subprocess.run(
        ["/bin/bash", "-c", shell, "sh", *command],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=RUN_S,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    if how in ("full", "pipe"):
        assert "tidegate gate: standard output: " in done.stderr
        assert done.stderr.count("\n") == 1
    else:
        assert done.stderr == ""
    if how == "ascii":
        assert (tmp_path / "out").read_text("ascii").startswith("* 3 us - 4 us ? x")


def test_a_module_that_cannot_be_imported_is_no_broken_budget() -> None:
    program = "from loadtests.ending import launch; launch(['reports.nothing'])"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, check=False
    )
    assert done.returncode == 4
    assert b"reports.nothing" in done.stderr


def test_an_output_goes_into_the_pipe_device_or_link_that_is_there(tmp_path: Path) -> None:
    pipe, link, real = tmp_path / "pipe", tmp_path / "link", tmp_path / "real"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    real.write_text("a longer text that was there before")
    os.link(real, tmp_path / "second name")
    link.symlink_to(real)
    named = {"--junit": link, "--json": pipe, "--summary": Path("/dev/null")}
    check_outputs(named)
    for path in named.values():
        write_output(path, "text")
    assert os.read(reader, 10) == b"text"
    os.close(reader)
    assert link.is_symlink()
    assert (tmp_path / "second name").read_text() == "text"
    assert Path("/dev/null").is_char_device()


def test_a_dash_is_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    check_outputs({"--json": Path("-")})
    write_output(Path("-"), "text")
    assert capsys.readouterr().out == "text"


@pytest.mark.parametrize(
    ("named", "words"),
    [
        ({"--json": "{tmp}"}, "is a folder"),
        ({"--json": "{tmp}/file/x.json"}, "--json {tmp}/file: "),
        ({"--json": "/proc/nowhere/x.json"}, "--json /proc/nowhere: "),
        ({"--json": "{tmp}/" + 300 * "x"}, "File name too long"),
        ({"--json": "-", "--junit": "/dev/stdout"}, "--json and --junit name one output"),
        ({"--json": "{tmp}/x", "--junit": "{tmp}/./x"}, "--json and --junit name one output"),
    ],
    ids=["folder", "below a file", "no folder", "long name", "standard output", "one file"],
)
def test_an_output_that_cannot_be_written_is_refused(
    named: dict[str, str], words: str, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    paths = {option: Path(text.format(tmp=tmp_path)) for option, text in named.items()}
    with pytest.raises(OutputRefused) as caught:
        check_outputs(paths)
    assert words.format(tmp=tmp_path) in str(caught.value)


def test_files_that_belong_together_are_replaced_all_or_none(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "gone" / "other"
    one.write_text("old")
    with pytest.raises(FileNotFoundError):
        write_together({one: "new", other: "new"})
    assert [path.name for path in tmp_path.iterdir()] == ["one"]
    assert one.read_text() == "old"
    write_together({one: "new \udc80"})
    assert one.read_text() == "new \\udc80"
