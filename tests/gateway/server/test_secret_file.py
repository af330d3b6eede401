"""Secrets in files: what is read, and what is refused without quoting it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from gateway.errors import SettingsError
from gateway.server.secret_file import read_secret_file
from gateway.settings import Settings, read_settings
from gateway.variables import SETTINGS

SECRET = "kS9vT2xQ7mL4pR8wZ1cN6bH3jF5dG0aY"
RANDOM = "random-" + SECRET
WITH_FILES = [setting.variable for setting in SETTINGS if setting.has_file]


def read(**environ: str) -> Settings:
    given = {"CLIENT_URL": "https://app.example.com", **environ}
    return read_settings(given, random_secret=RANDOM, read_file=read_secret_file)


def problem_of(**environ: str) -> str:
    with pytest.raises(SettingsError) as caught:
        read(**environ)
    (problem,) = caught.value.problems
    return problem


@pytest.mark.parametrize("end", ["", "\n", "\r\n"], ids=["no line end", "line end", "Windows"])
def test_a_secret_is_read_from_a_file_without_its_line_end(tmp_path: Path, end: str) -> None:
    file = tmp_path / "secret"
    file.write_bytes((SECRET + end).encode())
    settings = read(JWT_SECRET_FILE=str(file), GATEWAY_METRICS_TOKEN_FILE=str(file))
    assert settings.jwt_secret == SECRET
    assert settings.metrics_token == SECRET


def test_a_public_key_is_read_from_a_file(tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    file = tmp_path / "key.pem"
    file.write_bytes(key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    settings = read(JWT_PUBLIC_KEY_FILE=str(file))
    assert settings.jwt_algorithms == ("ES256",)
    assert settings.jwt_secret is None


def test_every_setting_that_holds_a_secret_can_be_a_file() -> None:
    hidden = {"jwt_secret", "metrics_token"}
    assert {one.field for one in SETTINGS if one.has_file} >= hidden
    shown = repr(read(JWT_SECRET=SECRET, GATEWAY_METRICS_TOKEN=SECRET))
    assert SECRET not in shown


@pytest.mark.parametrize("variable", WITH_FILES)
def test_a_variable_and_its_file_are_refused_together(tmp_path: Path, variable: str) -> None:
    file = tmp_path / "secret"
    file.write_text(SECRET)
    given = {"JWT_SECRET": SECRET, variable: SECRET, f"{variable}_FILE": str(file)}
    with pytest.raises(SettingsError) as caught:
        read(**given)
    assert f"{variable}, {variable}_FILE: set only one of them" in caught.value.problems


MakeFile = Callable[[Path], Path]


def missing(folder: Path) -> Path:
    return folder / "no-such-secret"


def folder_itself(folder: Path) -> Path:
    return folder


def pipe(folder: Path) -> Path:
    os.mkfifo(folder / "secret")
    return folder / "secret"


def endless(_folder: Path) -> Path:
    return Path("/dev/zero")


def holding(content: bytes) -> MakeFile:
    def make(folder: Path) -> Path:
        file = folder / "secret"
        file.write_bytes(content)
        return file

    return make


REFUSED: dict[str, MakeFile] = {
    "a missing file": missing,
    "a folder": folder_itself,
    "a pipe without a writer": pipe,
    "a device": endless,
    "an empty file": holding(b""),
    "an empty line": holding(b"\n"),
    "blanks": holding(b" \t \n"),
    "two line ends": holding(f"{SECRET}\n\n".encode()),
    "a blank before it": holding(f" {SECRET}\n".encode()),
    "a byte-order mark": holding(f"\ufeff{SECRET}\n".encode()),
    "no UTF-8": holding(SECRET.encode() + b"\xff\n"),
    "UTF-16": holding(SECRET.encode("utf-16")),
    "a short secret": holding(b"hunter2-hunter2\n"),
    "too many bytes": holding(SECRET.encode() * 4_096),
}


@pytest.mark.parametrize("make", list(REFUSED.values()), ids=list(REFUSED))
def test_a_bad_file_is_one_problem_without_its_path_or_text(tmp_path: Path, make: MakeFile) -> None:
    path = str(make(tmp_path))
    problem = problem_of(JWT_SECRET_FILE=path)
    assert problem.startswith("JWT_SECRET_FILE: ")
    assert len(problem.splitlines()) == 1
    assert path not in problem
    assert SECRET not in problem
    assert "hunter2" not in problem


@pytest.mark.parametrize("path", ["", " ", "\0", "\ud800", SECRET], ids=repr)
def test_a_text_that_is_no_path_is_one_problem(path: str) -> None:
    problem = problem_of(JWT_SECRET_FILE=path)
    assert problem.startswith("JWT_SECRET_FILE: ")
    assert SECRET not in problem


def test_a_file_that_cannot_be_read_is_the_only_problem_of_the_key(tmp_path: Path) -> None:
    assert problem_of(JWT_PUBLIC_KEY_FILE=str(tmp_path)).startswith("JWT_PUBLIC_KEY_FILE: ")


def test_two_kinds_of_key_are_refused_by_the_names_that_were_given(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text(SECRET)
    with pytest.raises(SettingsError) as caught:
        read(JWT_SECRET_FILE=str(file), JWT_PUBLIC_KEY_FILE=str(file))
    assert caught.value.problems[0].startswith("JWT_SECRET_FILE, JWT_PUBLIC_KEY_FILE: ")


def test_a_name_with_file_that_holds_no_secret_is_unknown() -> None:
    problem = problem_of(JWT_SECRET=SECRET, GATEWAY_RATE_LIMIT_FILE="/secret")
    assert problem.startswith("GATEWAY_RATE_LIMIT_FILE: no such setting")


def test_files_are_refused_where_nothing_reads_them() -> None:
    with pytest.raises(SettingsError) as caught:
        read_settings({"JWT_SECRET_FILE": "/secret"}, random_secret=RANDOM)
    assert any(problem.startswith("JWT_SECRET_FILE: ") for problem in caught.value.problems)
