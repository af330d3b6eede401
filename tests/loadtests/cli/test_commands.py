from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import jwt
import pytest
from deadlines import RUN_S
from synthetic_run import make_run

from loadtests.cli.running import _words_again
from loadtests.record.finisher import is_finished
from loadtests.record.manifest import create_run_directory, write_json
from loadtests.results import FORMAT_VERSION, MANIFEST
from scenarios.json_schema import scenario_schema
from scenarios.schema import read_scenario

ROOT = Path(__file__).parents[3]
SMOKE = ROOT / "scenarios" / "smoke.toml"
SIDES = ("--base", ".", "--head", ".")
Tidegate = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def help_text(tidegate: Tidegate) -> str:
    """What the command says about itself."""
    return tidegate("--help").stdout


@pytest.fixture(scope="module")
def tidegate() -> Tidegate:
    def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        held = {k: v for k, v in os.environ.items() if k != "JWT_SECRET"}
        return subprocess.run(
            [sys.executable, "-m", "loadtests", *arguments],
            cwd=ROOT,
            env={**held, "COLUMNS": "100", **environment},
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=RUN_S,
            check=False,
        )

    return run


def test_the_version_is_told(tidegate: Tidegate) -> None:
    done = tidegate("--version")
    assert done.returncode == 0
    assert done.stdout.startswith("tidegate ")


@pytest.mark.parametrize("command", ["serve", "run", "report", "scenarios", "token"])
def test_the_help_lists_every_command(tidegate: Tidegate, help_text: str, command: str) -> None:
    assert f"  {command} " in help_text
    assert "Usage: tidegate" in tidegate(command, "--help").stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run", "smoke", "--target", "http://127.0.0.1:port"], "is not a valid target"),
        (["run", "smoke", "--runs", "/proc/nowhere"], "--runs /proc/nowhere: No such file"),
        (["run", "capacity", "--runs", "/proc/nowhere"], "--runs /proc/nowhere: No such file"),
        (["calibrate", "--quick", "--docs", "/proc/nowhere/c.md"], "--docs /proc/nowhere: No such"),
        (
            ["compare", "--scenario", "smoke", *SIDES, "--json", "/proc/nowhere/c"],
            "--json /proc/nowhere: No such file",
        ),
    ],
    ids=["target", "runs", "runs of a search", "calibrate", "compare"],
)
def test_a_wrong_target_or_output_is_2_before_anything_starts(
    tidegate: Tidegate, tmp_path: Path, arguments: list[str], words: str
) -> None:
    named = {"smoke": str(SMOKE), "capacity": str(SMOKE.with_name("capacity.toml"))}
    typed = [named.get(word, word) for word in arguments]
    runs = [] if "--runs" in typed else ["--runs", str(tmp_path / "runs")]
    done = tidegate(*typed, *runs, JWT_SECRET="s" * 48)
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.glob("runs/*"))


def test_a_failure_of_a_command_is_never_a_broken_budget(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from loadtests.cli import commands as cli

    def fail(*_arguments: object) -> None:
        raise OSError(28, "No space left on device", "runs")

    monkeypatch.setattr("loadtests.cli.judging.find", fail)
    monkeypatch.setattr(sys, "argv", ["tidegate", "gate", "latest"])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    assert caught.value.code == 4
    assert capsys.readouterr().err == "tidegate gate: runs: No space left on device\n"


def test_a_notebook_assembles_the_tables_of_a_run_first(tidegate: Tidegate, tmp_path: Path) -> None:
    directory = create_run_directory(tmp_path, read_scenario(SMOKE), 0.0)
    manifest = {"format_version": FORMAT_VERSION, "status": "complete", "problems": []}
    write_json(directory / MANIFEST, manifest)
    done = tidegate("notebook", "no_such", "latest", "--runs", str(tmp_path))
    assert done.returncode == 2
    assert "no notebook no_such; known: " in done.stderr
    assert is_finished(directory)


@pytest.mark.parametrize(
    "arguments",
    [["rnu"], ["run"], ["run", "x.toml", "--uesrs", "3"], ["run", "x.toml", "--users", "0"]],
    ids=["command", "argument", "option", "value"],
)
def test_a_mistake_in_the_command_line_is_2(tidegate: Tidegate, arguments: list[str]) -> None:
    done = tidegate(*arguments)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_a_misspelt_key_is_2_with_line_and_suggestion(tidegate: Tidegate, tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    path.write_text(SMOKE.read_text().replace("seed =", "sede ="))
    done = tidegate("run", str(path), "--runs", str(tmp_path / "runs"))
    assert done.returncode == 2
    assert f"{path}:7: unknown key sede; did you mean seed?" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_scenarios_are_listed_with_their_questions(tidegate: Tidegate) -> None:
    done = tidegate("scenarios")
    assert done.returncode == 0
    assert "smoke " in done.stdout
    assert "Does the whole system work" in done.stdout
    assert "scenarios/smoke.toml" in done.stdout


def test_the_json_schema_is_printed_whole(tidegate: Tidegate) -> None:
    done = tidegate("scenarios", "--schema")
    assert done.returncode == 0
    assert json.loads(done.stdout) == scenario_schema()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("run smok", "no scenario 'smok', and no such file; did you mean smoke?"),
        ("compare --pairs 6 --scenario smok --base . --head .", "did you mean smoke?"),
        ("run smoke --set phases.steedy=3s", "did you mean phases.steady?"),
        ("run smoke --set seed=a", "smoke.toml with --set:7: seed = 'a'; write a whole number"),
        ("run smoke --set seed", "--set: seed is no change; write NAME=VALUE"),
        ("run smoke --once --users 3", "--once sets users, duration and budgets itself"),
        ("run capacity --set capacity.of=x", "capacity.of = 'x'; known: publications, users"),
    ],
)
def test_a_name_or_a_change_that_is_wrong_is_2_with_the_nearest(
    tidegate: Tidegate, tmp_path: Path, arguments: str, words: str
) -> None:
    done = tidegate(*arguments.split(), "--runs", str(tmp_path / "runs"))
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.glob("runs/*"))


def test_without_a_run_the_latest_is_meant(tidegate: Tidegate, tmp_path: Path) -> None:
    for command in ("report", "notebook first_look", "history add"):
        done = tidegate(*command.split(), "--runs", str(tmp_path))
        assert done.returncode == 2
        assert "latest is no run" in done.stderr


def test_a_token_is_signed_with_the_secret_of_the_environment(tidegate: Tidegate) -> None:
    secret = "s" * 32
    done = tidegate(
        "token", "--user", "me", "--scope", "stats", "--lifetime", "60", JWT_SECRET=secret
    )
    claims = jwt.decode(done.stdout.strip(), secret, algorithms=["HS256"])
    assert (claims["sub"], claims["scope"]) == ("me", "stats")
    assert claims["exp"] - claims["iat"] == 60


def test_a_token_without_a_secret_is_2(tidegate: Tidegate) -> None:
    done = tidegate("token", "--user", "me")
    assert done.returncode == 2
    assert "JWT_SECRET is not in the environment" in done.stderr


@pytest.mark.parametrize(
    ("user", "secret", "words"),
    [
        pytest.param("me", "s" * 31, "fewer than 32 bytes", id="a secret that is too short"),
        pytest.param("you and me", "s" * 32, "'you and me' is no user id", id="no user id"),
    ],
)
def test_a_token_that_no_gateway_takes_is_2(
    tidegate: Tidegate, user: str, secret: str, words: str
) -> None:
    done = tidegate("token", "--user", user, JWT_SECRET=secret)
    assert done.returncode == 2
    assert words in done.stderr
    assert done.stdout == ""


def test_checks_are_those_of_the_gateway(tidegate: Tidegate) -> None:
    secret = secrets.token_hex(32)
    settings = {"JWT_SECRET": secret, "CLIENT_URL": "https://app.example.com", "PORT": "0"}
    started = tidegate("serve", "--check", **settings)
    assert (started.returncode, started.stderr) == (0, "")
    assert "settings: production" in started.stdout
    refused = tidegate("token", "--check", **settings)  # nothing is on standard input
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr.startswith("refused with AUTH_FAILED")


def test_a_report_of_no_run_is_2_and_says_what_to_type(tidegate: Tidegate, tmp_path: Path) -> None:
    done = tidegate("report", "latest", "--runs", str(tmp_path))
    assert done.returncode == 2
    assert "tidegate run smoke" in done.stderr


def test_a_report_ends_an_aborted_run_first(tidegate: Tidegate, tmp_path: Path) -> None:
    directory = create_run_directory(tmp_path, read_scenario(SMOKE), 0.0)
    manifest = {"format_version": FORMAT_VERSION, "status": "running", "problems": []}
    write_json(directory / MANIFEST, manifest)
    tidegate("report", "latest", "--runs", str(tmp_path))
    assert '"status": "aborted"' in (directory / MANIFEST).read_text()
    assert (directory / "hist.parquet").exists()


def test_a_run_is_added_to_a_history_and_the_trend_is_shown(
    tidegate: Tidegate, tmp_path: Path
) -> None:
    run, kept = make_run(tmp_path / "run"), ("--history", str(tmp_path / "history.jsonl"))
    done = tidegate("history", "add", str(run), *kept)
    assert done.returncode == 0, done.stderr
    assert "smoke, 1 run" in tidegate("history", "show", *kept).stdout
    assert tidegate("history", "check", *kept).returncode == 3
    assert tidegate("history", "add", str(tmp_path), *kept).returncode == 2


def test_what_serve_becomes_is_the_gateway(tidegate: Tidegate) -> None:
    done = tidegate("serve", GATEWAY_NONSENSE="1", GATEWAY_ENV="development")
    assert done.returncode == 2
    assert "GATEWAY_NONSENSE" in done.stderr


def test_a_base_install_is_told_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from loadtests.cli import commands as cli
    from loadtests.cli import options

    monkeypatch.setattr(options, "find_spec", lambda name: None if name == "locust" else object())
    monkeypatch.setattr(sys, "argv", ["tidegate", "run", str(SMOKE)])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    assert caught.value.code == 2
    assert 'pip install "tidegate[loadtests,reports]"' in capsys.readouterr().err


def test_the_command_line_loads_nothing_heavy() -> None:
    program = (
        "import sys, loadtests.cli.commands; heavy = {'locust', 'gevent', 'pandas', 'numpy',"
        "'matplotlib', 'pyarrow', 'socketio', 'aiohttp', 'reports', 'rich.live'}"
        " & set(sys.modules);"
        "sys.exit(repr(heavy) if heavy else 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_the_supervisor_loads_neither_locust_nor_the_report() -> None:
    program = (
        "import sys, loadtests.supervision.supervisor;"
        "heavy = {'locust', 'gevent', 'pandas', 'reports', 'socketio', 'numpy'}"
        "& set(sys.modules); sys.exit(repr(heavy) if heavy else 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("typed", "again"),
    [
        ("run a.toml --users 5", "run a.toml --users 5"),
        ("run latest --baseline latest -u 5", "run latest --baseline runs/one -u 5"),
        ("run a.toml --baseline=latest", "run a.toml --baseline=runs/one"),
    ],
)
def test_a_run_is_said_again_with_the_baseline_that_it_had(typed: str, again: str) -> None:
    assert " ".join(_words_again(typed.split(), Path("runs/one"))) == again
