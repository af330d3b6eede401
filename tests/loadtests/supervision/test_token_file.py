from __future__ import annotations

import os
import shlex
import stat
import sys
import time
from pathlib import Path

import pytest
from deadlines import until

from loadtests.supervision.request import RunRefused
from loadtests.supervision.token_file import TokenFile, check_metrics_token
from loadtests.tokens import mint

SECRET = "s" * 32


def printing(folder: Path, script: str) -> str:
    """Return a command that runs a script; its last argument is the number of users."""
    path = folder / "issue.py"
    path.write_text(script)
    return f"{shlex.join([sys.executable, str(path)])} {{users}}"


def issuing(folder: Path, lifetime_s: float) -> str:
    """Return a command that prints tokens, and notes in ``calls`` that it ran."""
    script = f"""
import sys, time
sys.path.insert(0, {str(Path(__file__).parents[3])!r})
from loadtests.tokens import mint
open({str(folder / "calls")!r}, "a").write(sys.argv[1] + "\\n")
for n in range(int(sys.argv[1])):
    print(mint("{SECRET}", f"user-{{n}}", lifetime_s={lifetime_s}))
"""
    return printing(folder, script)


def test_a_command_prints_tokens_into_a_private_file_that_is_removed(tmp_path: Path) -> None:
    with TokenFile(None, issuing(tmp_path, 600), 300, os.environ) as tokens:
        assert tokens.path is not None
        assert len(tokens.path.read_text().splitlines()) == 300
        assert stat.S_IMODE(tokens.path.parent.stat().st_mode) == 0o700
    assert not tokens.path.exists()
    assert (tmp_path / "calls").read_text() == "300\n"


def test_the_command_runs_again_before_its_first_token_expires(tmp_path: Path) -> None:
    with TokenFile(None, issuing(tmp_path, 4), 2, os.environ) as tokens:
        assert tokens.path is not None
        first = tokens.path.read_text()

        def is_new() -> bool:
            tokens.tend()
            return tokens.path is not None and tokens.path.read_text() != first

        until(is_new)
    assert tokens.problems == []


def test_a_command_that_fails_later_leaves_the_tokens_and_a_problem(tmp_path: Path) -> None:
    command = issuing(tmp_path, 2)
    with TokenFile(None, command, 2, os.environ) as tokens:
        (tmp_path / "issue.py").write_text("raise SystemExit(7)")

        def has_failed() -> bool:
            tokens.tend()
            return bool(tokens.problems)

        until(has_failed)
        assert tokens.path is not None
        assert tokens.path.exists()
    assert tokens.problems == [
        "the tokens were not renewed: --tokens-command ended with exit code 7"
    ]


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("raise SystemExit(3)", "--tokens-command ended with exit code 3"),
        ("print('a b c')", "the output of --tokens-command:1: 3 words"),
        ("pass", "the output of --tokens-command: no line has a user's token"),
    ],
    ids=["fails", "nonsense", "nothing"],
)
def test_a_command_without_tokens_refuses_the_run(script: str, words: str, tmp_path: Path) -> None:
    with (
        pytest.raises(RunRefused, match=words),
        TokenFile(None, printing(tmp_path, script), 2, os.environ),
    ):
        pass


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("no-such-program-here", "no-such-program-here: No such file"),
        ("", "is empty; name a program"),
        ('"', "is not a command: No closing quotation"),
    ],
)
def test_what_is_no_command_is_told(command: str, words: str) -> None:
    with pytest.raises(RunRefused, match=words), TokenFile(None, command, 2, os.environ):
        pass


def test_a_file_is_checked_before_anything_starts_and_never_removed(tmp_path: Path) -> None:
    path = tmp_path / "tokens"
    path.write_text(mint(SECRET, "u", lifetime_s=60, unix_s=time.time()))
    with TokenFile(path, None, 1, {}) as tokens:
        assert tokens.path == path
        tokens.tend()
    assert path.exists()
    path.write_text("opaque")
    with pytest.raises(RunRefused, match=r"--tokens: .*tokens:1: not a JSON Web Token"):
        TokenFile(path, None, 1, {}).__enter__()


def test_the_file_of_a_metrics_token_is_checked(tmp_path: Path) -> None:
    check_metrics_token(None)
    with pytest.raises(RunRefused, match=r"--metrics-token: .* cannot be read"):
        check_metrics_token(tmp_path / "gone")
