"""The wheel in an empty environment and an empty folder: without a clone, without an index."""

from __future__ import annotations

import json
import signal
import subprocess
import zipfile
from pathlib import Path

import pytest
from deadlines import DEADLINE_S
from installed import Installed, build_wheel, install

HEAVY = {"locust", "gevent", "numpy", "pandas", "pyarrow", "matplotlib", "scipy", "papermill"}
PACKAGES = {"gateway", "loadtests", "reports", "scenarios", "tidegate"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wheel(tmp_path_factory.mktemp("dist"))


@pytest.fixture(scope="module")
def base(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    return install(wheel, (), tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="module")
def laboratory(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    extras = ("loadtests", "reports", "notebooks")
    return install(wheel, extras, tmp_path_factory.mktemp("laboratory"))


def test_a_wheel_has_the_packages_typed_and_nothing_beside_them(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        text = archive.read(next(name for name in names if name.endswith("/METADATA"))).decode()
    tops = {name.split("/", 1)[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == PACKAGES
    assert {f"{package}/py.typed" for package in PACKAGES} <= set(names)
    assert "reports/notebooks/first_look.ipynb" in names
    assert "scenarios/smoke.toml" in names
    assert "Classifier: Typing :: Typed" in text


def test_the_base_install_has_no_library_of_the_laboratory(base: Installed) -> None:
    assert base.requires & HEAVY == set()
    assert {"aiohttp", "orjson", "python-socketio", "uvloop", "typer"} <= base.requires


def test_importing_it_gives_the_version_and_loads_nothing_more(base: Installed) -> None:
    program = (
        "import sys, tidegate; print(tidegate.__version__);"
        "print(sorted(name for name in sys.modules if name.split('.')[0] in "
        f"{sorted(PACKAGES)}))"
    )
    done = base.run("python", "-c", program)
    version, loaded = done.stdout.splitlines()
    assert loaded == "['gateway', 'tidegate']"
    assert base.run("tidegate", "--version").stdout == f"tidegate {version}\n"
    assert base.run("python", "-m", "tidegate", "--version").stdout == f"tidegate {version}\n"


def test_its_gateway_serves_without_an_extra(base: Installed) -> None:
    process = subprocess.Popen(
        [str(base.folder / "bin" / "tidegate"), "serve"],
        cwd=base.home,
        env=base.environment(GATEWAY_ENV="development", HOST="127.0.0.1", PORT="0"),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("listening on http://127.0.0.1:")
        process.send_signal(signal.SIGTERM)
        assert process.wait(DEADLINE_S) == 0
    finally:
        process.kill()
        process.communicate()


def test_a_check_names_every_extra_that_the_settings_need(base: Installed) -> None:
    done = base.run(
        "tidegate",
        "serve",
        "--check",
        GATEWAY_ENV="development",
        PORT="0",
        OTEL_EXPORTER_OTLP_ENDPOINT="http://collector:4318",
        GATEWAY_MARKET="simulated",
        GATEWAY_MARKET_RECORD="session.parquet",
        GATEWAY_OPENAI_API_KEY="k" * 40,
        GATEWAY_OPENAI_MODEL="m",
    )
    assert done.returncode == 2
    told = done.stderr.splitlines()
    for extra in ("otel", "feeds", "models"):
        assert sum(f"pip install 'tidegate[{extra}]'" in line for line in told) == 1, told


def test_its_scenarios_are_listed_and_described_without_an_extra(base: Installed) -> None:
    listed = base.run("tidegate", "scenarios")
    assert listed.returncode == 0
    assert "smoke " in listed.stdout
    assert str(base.folder) in listed.stdout
    schema = base.run("tidegate", "scenarios", "--schema")
    assert "phases" in json.loads(schema.stdout)["properties"]


@pytest.mark.parametrize(
    ("words", "extras"),
    [
        ("run smoke", "loadtests,reports"),
        ("calibrate", "loadtests,reports"),
        ("report", "loadtests,reports"),
        ("gate latest", "loadtests,reports"),
        ("compare a b", "loadtests,reports"),
        ("history show", "loadtests,reports"),
        ("notebook first_look", "notebooks"),
    ],
)
def test_a_command_without_its_extra_says_in_a_line_what_to_install(
    base: Installed, words: str, extras: str
) -> None:
    command = words.split()
    done = base.run("tidegate", *command)
    assert done.returncode == 2
    needs = f'tidegate {command[0]} needs more packages: pip install "tidegate[{extras}]"'
    assert (done.stdout, done.stderr) == ("", f"{needs}\n")


@pytest.mark.parametrize(
    ("name", "extra"),
    [("judge", "reports"), ("read_run", "reports"), ("SocketIOUser", "loadtests")],
)
def test_a_name_without_its_extra_says_what_to_install(
    base: Installed, name: str, extra: str
) -> None:
    done = base.run("python", "-c", f"from tidegate import {name}")
    last = done.stderr.splitlines()[-1]
    assert last.startswith(f"ModuleNotFoundError: tidegate.{name} needs ")
    assert last.endswith(f'pip install "tidegate[{extra}]"')


def test_every_public_name_is_there(laboratory: Installed) -> None:
    program = (
        "import tidegate; names = tidegate.__all__;"
        "print(all(getattr(tidegate, name) is not None for name in names), dir(tidegate) == names)"
    )
    # Locust would patch a process that has loaded the gateway; no program loads both.
    done = laboratory.run("python", "-c", program, LOCUST_SKIP_MONKEY_PATCH="1")
    assert done.stdout == "True True\n", done.stderr


def test_a_scenario_runs_by_name_and_a_notebook_shows_it(laboratory: Installed) -> None:
    """From an empty folder, in which a folder has the name of one of our packages."""
    (laboratory.home / "reports").mkdir()
    ran = laboratory.run("tidegate", "run", "smoke", "--once")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "● PASS" in ran.stdout
    shown = laboratory.run("tidegate", "notebook", "first_look")
    assert shown.returncode == 0, shown.stdout + shown.stderr
    page = laboratory.home / "runs" / "latest" / "notebooks" / "first_look.html"
    assert "<html" in page.read_text("utf-8")
    assert laboratory.run("tidegate", "report").returncode == 0
