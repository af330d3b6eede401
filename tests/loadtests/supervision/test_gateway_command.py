from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from loadtests.supervision.gateway_command import GatewayCommand, NoGateway, parse_gateway

MAIN = "import gateway, sys; print('from', gateway.__path__[0]); sys.exit(7)"


def run(command: GatewayCommand) -> subprocess.CompletedProcess[str]:
    """Run it from our own root, where another package ``gateway`` lies beside."""
    root = Path(__file__).parents[3]
    environment = command.environment_in(os.environ)
    return subprocess.run(
        command.words, cwd=root, env=environment, capture_output=True, text=True, check=False
    )


def test_a_checkouts_own_gateway_is_started_and_not_ours(tmp_path: Path) -> None:
    (tmp_path / "gateway").mkdir()
    (tmp_path / "gateway" / "__init__.py").touch()
    (tmp_path / "gateway" / "__main__.py").write_text(MAIN)
    done = run(parse_gateway(str(tmp_path)))
    assert (done.returncode, done.stdout) == (7, f"from {tmp_path}/gateway\n")


def test_a_wheel_is_started_as_it_is(tmp_path: Path) -> None:
    wheel = tmp_path / "tidegate-9.9-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("gateway/__init__.py", "")
        archive.writestr("gateway/__main__.py", MAIN)
    done = run(parse_gateway(str(wheel)))
    assert (done.returncode, done.stdout) == (7, f"from {wheel}/gateway\n")


def test_a_command_is_taken_word_for_word() -> None:
    command = parse_gateway(f"env A=1 {sys.executable} -c 'print(1)'")
    assert command.words == ("env", "A=1", sys.executable, "-c", "print(1)")
    assert run(command).stdout == "1\n"


def test_by_default_it_is_this_projects() -> None:
    assert GatewayCommand().words == (sys.executable, "-P", "-m", "gateway")


def test_a_command_of_another_python_is_not_given_our_gateway() -> None:
    assert parse_gateway("env true").environment_in({"PYTHONPATH": "/x"}) == {"PYTHONPATH": "/x"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("/", "is not a checkout: it has no gateway/__main__.py"),
        ("none.whl", "does not exist"),
        ("no-such-program --serve", "is not an executable: name a checkout, a wheel, or a command"),
        ("'half", "is not a command: No closing quotation"),
        ("", "is not an executable"),
    ],
)
def test_what_starts_nothing_is_answered_with_what_would(text: str, words: str) -> None:
    with pytest.raises(NoGateway) as caught:
        parse_gateway(text)
    assert words in str(caught.value)
