"""The import rules of the house, checked in the source and in what a fresh interpreter loads."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("gateway", "loadtests", "scenarios", "reports")

# What each package may import of its siblings.
ALLOWED_SIBLINGS = {
    "gateway": (),
    "scenarios": (),
    "loadtests": ("gateway.contract", "scenarios"),
    "reports": ("scenarios", "loadtests.results"),
}
# The files that Locust loads: its process is gevent's, and no other is.
LOADED_BY_LOCUST = tuple(
    f"loadtests/{name}.py"
    for name in (
        "behaviours/absence",
        "behaviours/abuser",
        "behaviours/bad_token",
        "behaviours/cast",
        "behaviours/churner",
        "behaviours/dead_peer",
        "behaviours/expiring",
        "behaviours/extra",
        "behaviours/idle",
        "behaviours/never_reader",
        "behaviours/seat",
        "behaviours/slow_reader",
        "behaviours/storm",
        "behaviours/subscriber",
        "behaviours/trader",
        "behaviours/users",
        "behaviours/witness",
        "conducting/arguments",
        "conducting/casting",
        "conducting/commandclock",
        "conducting/conductor",
        "conducting/face",
        "conducting/loadclock",
        "conducting/opening",
        "conducting/preflight",
        "conducting/run",
        "conducting/staging",
        "connection/attempts",
        "connection/calls",
        "connection/client",
        "connection/dialing",
        "connection/links",
        "connection/reactor",
        "health/gatewayclock",
        "health/pulse",
        "health/watching",
        "locust",
        "locustfile",
        "reading/pushes",
        "workers/crew",
        "workers/member",
        "workers/worker",
    )
)
SHELLS_OF_AIOHTTP = ("gateway/transport/", "gateway/server/")
# Which files may import a library: path prefixes.
ALLOWED_PLACES = {
    "locust": LOADED_BY_LOCUST,
    "gevent": LOADED_BY_LOCUST,
    "pandas": ("reports/",),
    "matplotlib": ("reports/",),
    "socketio": SHELLS_OF_AIOHTTP,
    "engineio": SHELLS_OF_AIOHTTP,
    "aiohttp.web": SHELLS_OF_AIOHTTP,
    "aiohttp": (*SHELLS_OF_AIOHTTP, "loadtests/publication/publisher.py"),
}
CONTRACTS = ("gateway/contract.py", "loadtests/results.py", "scenarios/schema.py")
SHELLS_OF_THE_GATEWAY = ("gateway/transport/", "gateway/server/", "gateway/sources/")
# A pure module of the gateway opens no socket, starts no task, reads no clock.
IMPURE_MODULES = ("asyncio", "socket", "selectors", "threading", "subprocess", "time", "select")
IMPURE_CALLS = ("datetime.now", "datetime.utcnow", "open")
ENTRY_POINT = "gateway/__main__.py"


def sources() -> Iterator[Path]:
    for package in PACKAGES:
        yield from sorted((ROOT / package).rglob("*.py"))


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def imported_names(path: Path) -> Iterator[tuple[str, int]]:
    """Yield every module that a file imports, in functions too, with its line."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{relative(path)}:{node.lineno}: relative import"
            module = node.module or ""
            yield module, node.lineno
            for alias in node.names:
                yield f"{module}.{alias.name}", node.lineno


def is_within(name: str, module: str) -> bool:
    return name == module or name.startswith(f"{module}.")


def sibling_breaches(path: Path) -> list[str]:
    package = relative(path).split("/", 1)[0]
    allowed = ALLOWED_SIBLINGS[package]
    names = list(imported_names(path))
    breaches = []
    for name, line in names:
        top = name.split(".")[0]
        if top not in PACKAGES or top == package:
            continue
        # `from gateway import contract` yields `gateway` beside `gateway.contract`.
        is_prefix_of_allowed = any(
            is_within(other, permitted) and other_line == line
            for permitted in allowed
            for other, other_line in names
            if permitted.startswith(f"{name}.")
        )
        if not is_prefix_of_allowed and not any(is_within(name, one) for one in allowed):
            breaches.append(f"{relative(path)}:{line} imports {name}")
    return breaches


def library_breaches(path: Path) -> list[str]:
    where = relative(path)
    return [
        f"{where}:{line} imports {name}"
        for name, line in imported_names(path)
        for library, places in ALLOWED_PLACES.items()
        if is_within(name, library) and not where.startswith(places)
    ]


def purity_breaches(path: Path) -> list[str]:
    where = relative(path)
    breaches = [
        f"{where}:{line} imports {name}"
        for name, line in imported_names(path)
        if name.split(".")[0] in IMPURE_MODULES
    ]
    breaches += [
        f"{where}:{node.lineno} calls {ast.unparse(node.func)}"
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in IMPURE_CALLS
    ]
    return breaches


def test_packages_import_only_the_siblings_they_may() -> None:
    assert [breach for path in sources() for breach in sibling_breaches(path)] == []


def test_libraries_are_imported_only_where_they_belong() -> None:
    assert [breach for path in sources() for breach in library_breaches(path)] == []


def test_the_gateway_outside_its_shells_is_pure() -> None:
    pure = [
        path
        for path in sorted((ROOT / "gateway").rglob("*.py"))
        if not relative(path).startswith(SHELLS_OF_THE_GATEWAY) and relative(path) != ENTRY_POINT
    ]
    assert len(pure) > 10
    assert [breach for path in pure for breach in purity_breaches(path)] == []


@pytest.mark.parametrize("contract", CONTRACTS)
def test_a_contract_imports_nothing_but_the_standard_library(contract: str) -> None:
    package = contract.split("/", maxsplit=1)[0]
    outside = {
        name
        for name, _ in imported_names(ROOT / contract)
        if name.split(".")[0] not in (*sys.stdlib_module_names, package)
    }
    assert outside == set()


@pytest.mark.parametrize(
    ("source", "checked_as", "rule"),
    [
        ("import gateway.settings", "loadtests/x.py", sibling_breaches),
        ("from gateway import settings", "loadtests/x.py", sibling_breaches),
        ("import loadtests.connection.client", "reports/x.py", sibling_breaches),
        ("def f():\n    import reports", "loadtests/x.py", sibling_breaches),
        ("import scenarios", "gateway/x.py", sibling_breaches),
        ("import pandas", "loadtests/x.py", library_breaches),
        ("from locust import User", "reports/x.py", library_breaches),
        ("from aiohttp import web", "loadtests/publication/publisher.py", library_breaches),
        ("import time", "gateway/x.py", purity_breaches),
        ("x = datetime.now()", "gateway/x.py", purity_breaches),
    ],
)
def test_a_forbidden_import_is_found(
    source: str,
    checked_as: str,
    rule: object,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = tmp_path / checked_as
    path.parent.mkdir(parents=True)
    path.write_text(source, "utf-8")
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    assert callable(rule)
    assert len(rule(path)) >= 1


FORBIDDEN_ONCE_LOADED = {
    "gateway": ("aiohttp", "socketio", "engineio", "locust", "gevent", "pandas", "jwt"),
    "gateway.contract": ("aiohttp", "socketio", "jwt", "orjson", "pandas"),
    "gateway.server.app": ("locust", "gevent", "pandas", "matplotlib", "loadtests", "reports"),
    "loadtests": ("locust", "gevent", "pandas", "socketio", "aiohttp", "pyarrow", "numpy"),
    "loadtests.results": ("locust", "gevent", "pandas", "pyarrow", "numpy"),
    "loadtests.cli": ("locust", "gevent", "pandas", "socketio", "engineio", "aiohttp", "reports"),
    "loadtests.supervision.supervisor": (
        "locust",
        "gevent",
        "pandas",
        "socketio",
        "aiohttp",
        "reports",
    ),
    "loadtests.calibration.program": ("locust", "gevent", "pandas", "aiohttp", "reports"),
    "loadtests.faults.proxy": ("locust", "gevent", "pandas", "numpy", "aiohttp", "pyarrow"),
    "loadtests.publication.publisher": (
        "locust",
        "gevent",
        "pandas",
        "socketio",
        "engineio",
        "reports",
    ),
    "loadtests.locustfile": ("pandas", "matplotlib", "socketio", "engineio", "reports"),
    "scenarios": ("gateway", "loadtests", "reports", "numpy"),
    "scenarios.schema": ("gateway", "loadtests", "reports", "numpy"),
    "reports": ("pandas", "matplotlib", "gevent", "locust"),
    "reports.run_frames": ("gevent", "locust", "socketio", "aiohttp", "gateway"),
}


@pytest.mark.parametrize(("module", "forbidden"), FORBIDDEN_ONCE_LOADED.items())
def test_what_a_fresh_interpreter_loads_of_a_module(
    module: str, forbidden: tuple[str, ...]
) -> None:
    script = (
        f"import {module}, sys, json;"
        "print(json.dumps(sorted({name.split('.')[0] for name in sys.modules})))"
    )
    answer = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        timeout=60,
    )
    loaded = set(json.loads(answer.stdout.splitlines()[-1]))
    assert loaded & set(forbidden) == set()


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_imports_nothing_when_it_is_imported(package: str) -> None:
    script = (
        "import sys; before = set(sys.modules);"
        f"import {package};"
        "new = set(sys.modules) - before;"
        f"print(*sorted(n for n in new if n.startswith('{package}.')))"
    )
    answer = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        timeout=60,
    )
    assert answer.stdout.split() == []
