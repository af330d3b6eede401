"""The import rules of the house, checked in the source and in what a fresh interpreter loads."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import pytest
from deadlines import RUN_S

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("gateway", "loadtests", "scenarios", "reports", "tidegate")

# What each package may import of its siblings.
ALLOWED_SIBLINGS = {
    "gateway": (),
    "scenarios": (),
    "loadtests": ("gateway.contract", "scenarios"),
    "reports": ("scenarios", "loadtests.results", "loadtests.ending", "loadtests.outputs"),
    "tidegate": ("gateway", "loadtests", "scenarios", "reports"),
}
# The laboratory's layers, bottom to top: a room imports rooms of lower layers only, and itself.
# `reading` stands below `connection`, which hands each read to it and must not ask twice.
LAYERS = (
    (
        "loadtests.__init__",
        "loadtests.results",
        "loadtests.errors",
        "loadtests.tokens",
        "loadtests.given_tokens",
    ),
    ("loadtests.ending", "loadtests.endpoints", "loadtests.processes"),
    ("loadtests.outputs",),
    ("loadtests.plan",),
    ("loadtests.record",),
    ("loadtests.oracles",),
    ("loadtests.reading",),
    ("loadtests.connection",),
    ("loadtests.health",),
    ("loadtests.publication", "loadtests.faults", "loadtests.user"),
    ("loadtests.watching",),
    ("loadtests.alerting",),
    ("loadtests.behaviours",),
    ("loadtests.conducting",),
    ("loadtests.locustfile", "loadtests.supervision"),
    ("loadtests.capacity", "loadtests.demo"),
    ("loadtests.comparing",),
    ("loadtests.calibration",),
    ("loadtests.cli",),
    ("loadtests.__main__", "loadtests.pytest_plugin"),
)
# What Locust loads: its process is gevent's, and no other is.
LOADED_BY_LOCUST = (
    "loadtests/reading/",
    "loadtests/connection/",
    "loadtests/health/",
    "loadtests/user.py",
    "loadtests/behaviours/",
    "loadtests/conducting/",
    "loadtests/locustfile.py",
)
# What may load gevent without Locust: the witness's process.
LOADED_BY_GEVENT = (*LOADED_BY_LOCUST, "loadtests/watching/")
# Rooms of the laboratory that open no socket, start no task and read no clock.
PURE_ROOMS = (
    "loadtests/plan/",
    "loadtests/oracles/",
    "loadtests/connection/protocol/",
    "loadtests/alerting/",
)
SHELLS_OF_AIOHTTP = ("gateway/transport/", "gateway/server/")
# Which files may import a library: path prefixes.
ALLOWED_PLACES = {
    "locust": LOADED_BY_LOCUST,
    "gevent": LOADED_BY_GEVENT,
    "pandas": ("reports/",),
    "matplotlib": ("reports/",),
    "redis": ("gateway/brokers/redis/",),
    "socketio": ("gateway/transport/dropin/",),
    "engineio": ("gateway/transport/dropin/",),
    "aiohttp.web": SHELLS_OF_AIOHTTP,
    "aiohttp": (*SHELLS_OF_AIOHTTP, "loadtests/publication/publisher.py"),
}
CONTRACTS = ("gateway/contract.py", "loadtests/results.py", "scenarios/schema.py")
SHELLS_OF_THE_GATEWAY = (
    "gateway/transport/",
    "gateway/server/",
    "gateway/sources/",
    "gateway/brokers/redis/",
)
# Rooms within the shells that are pure all the same.
PURE_ROOMS_OF_THE_GATEWAY = ("gateway/sources/exchange/", "gateway/sources/market/")
# A pure module of the gateway opens no socket, starts no task, reads no clock.
IMPURE_MODULES = ("asyncio", "socket", "selectors", "threading", "subprocess", "time", "select")
IMPURE_CALLS = ("datetime.now", "datetime.utcnow", "open")
ENTRY_POINT = "gateway/__main__.py"


def sources() -> Iterator[Path]:
    for package in PACKAGES:
        yield from sorted((ROOT / package).rglob("*.py"))


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@cache
def nodes_of(path: Path) -> list[ast.AST]:
    return list(ast.walk(ast.parse(path.read_text("utf-8"))))


@cache
def imported_names(path: Path) -> list[tuple[str, int]]:
    """Return every module that a file imports, in functions too, with its line."""
    return list(read_imports(path))


def read_imports(path: Path) -> Iterator[tuple[str, int]]:
    for node in nodes_of(path):
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
    names = imported_names(path)
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


def layer_of(module: str) -> int:
    """Return the layer of a module of the laboratory; a room that no layer names is an error."""
    return next(
        layer
        for layer, rooms in enumerate(LAYERS)
        if any(is_within(module, room) for room in rooms)
    )


def room_of(module: str) -> str:
    return next(room for rooms in LAYERS for room in rooms if is_within(module, room))


def layer_breaches(path: Path) -> list[str]:
    where = relative(path)
    module = where.removesuffix(".py").replace("/", ".")
    own_layer = layer_of(module)
    breaches = []
    for name, line in imported_names(path):
        if not is_within(name, "loadtests") or not is_known(name):
            continue
        if room_of(name) != room_of(module) and layer_of(name) >= own_layer:
            breaches.append(f"{where}:{line} imports {name}")
    return breaches


def is_known(name: str) -> bool:
    """Return whether a layer names this module: `loadtests.record` says more than `loadtests`."""
    return any(is_within(name, room) for rooms in LAYERS for room in rooms)


def module_circle(modules: dict[str, Path]) -> list[str]:
    """Return modules that import each other in a circle, imports for type checkers included."""
    imports: dict[str, set[str]] = {}
    for name, path in modules.items():
        found = {other for other, _ in imported_names(path) if other in modules and other != name}
        # `from package import module` needs the module; the package's face resolves on first use.
        imports[name] = {one for one in found if not any(is_within(o, one) for o in found - {one})}
    # Modules that import nothing left, or that nothing left imports, stand in no circle.
    while True:
        needed = set().union(*imports.values()) if imports else set()
        free = {name for name, own in imports.items() if not own or name not in needed}
        if not free:
            return sorted(imports)
        imports = {name: own - free for name, own in imports.items() if name not in free}


def purity_breaches(path: Path) -> list[str]:
    where = relative(path)
    breaches = [
        f"{where}:{line} imports {name}"
        for name, line in imported_names(path)
        if name.split(".")[0] in IMPURE_MODULES
    ]
    breaches += [
        f"{where}:{node.lineno} calls {ast.unparse(node.func)}"
        for node in nodes_of(path)
        if isinstance(node, ast.Call) and ast.unparse(node.func) in IMPURE_CALLS
    ]
    return breaches


def test_packages_import_only_the_siblings_they_may() -> None:
    assert [breach for path in sources() for breach in sibling_breaches(path)] == []


def test_libraries_are_imported_only_where_they_belong() -> None:
    assert [breach for path in sources() for breach in library_breaches(path)] == []


def test_the_rooms_of_the_laboratory_import_only_lower_layers() -> None:
    paths = sorted((ROOT / "loadtests").rglob("*.py"))
    assert [breach for path in paths for breach in layer_breaches(path)] == []


@pytest.mark.parametrize("package", PACKAGES)
def test_no_modules_import_each_other_in_a_circle(package: str) -> None:
    modules = {
        relative(path).removesuffix(".py").removesuffix("/__init__").replace("/", "."): path
        for path in sources()
        if relative(path).startswith(f"{package}/")
    }
    assert module_circle(modules) == []


@pytest.mark.parametrize("room", PURE_ROOMS)
def test_a_pure_room_of_the_laboratory_does_no_io(room: str) -> None:
    paths = sorted((ROOT / room).rglob("*.py"))
    assert paths
    assert [breach for path in paths for breach in purity_breaches(path)] == []


def test_the_gateway_outside_its_shells_is_pure() -> None:
    pure = [
        path
        for path in sorted((ROOT / "gateway").rglob("*.py"))
        if relative(path).startswith(PURE_ROOMS_OF_THE_GATEWAY)
        or not relative(path).startswith((*SHELLS_OF_THE_GATEWAY, ENTRY_POINT))
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
        ("import loadtests.cli.commands", "loadtests/plan/x.py", layer_breaches),
        ("from loadtests.user import SocketIOUser", "loadtests/health/x.py", layer_breaches),
        ("import socketio", "gateway/transport/x.py", library_breaches),
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
    "tidegate": ("aiohttp", "socketio", "loadtests", "reports", "scenarios", "typer", "pandas"),
    "loadtests.pytest_plugin": ("locust", "gevent", "pandas", "numpy", "aiohttp", "reports"),
    "gateway": ("aiohttp", "socketio", "engineio", "locust", "gevent", "pandas", "jwt"),
    "gateway.contract": ("aiohttp", "socketio", "jwt", "orjson", "pandas"),
    "gateway.server.app": ("locust", "gevent", "pandas", "matplotlib", "loadtests", "reports"),
    "loadtests": ("locust", "gevent", "pandas", "socketio", "aiohttp", "pyarrow", "numpy"),
    "loadtests.results": ("locust", "gevent", "pandas", "pyarrow", "numpy"),
    "loadtests.cli.commands": (
        "locust",
        "gevent",
        "pandas",
        "socketio",
        "engineio",
        "aiohttp",
        "reports",
    ),
    "loadtests.supervision.supervisor": (
        "locust",
        "gevent",
        "pandas",
        "socketio",
        "aiohttp",
        "reports",
    ),
    "loadtests.calibration.calibrate": ("locust", "gevent", "pandas", "aiohttp", "reports"),
    "loadtests.alerting.files": ("locust", "gevent", "pandas", "numpy", "prometheus_client"),
    "loadtests.watching.program": ("locust", "pandas", "socketio", "aiohttp", "reports"),
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


def load_afresh(module: str) -> set[str]:
    """Return the modules that a fresh interpreter has loaded once it has imported this one."""
    script = f"import {module}, sys, json; print(json.dumps(sorted(sys.modules)))"
    answer = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        timeout=RUN_S,
    )
    return set(json.loads(answer.stdout.splitlines()[-1]))


@pytest.fixture(scope="module")
def loaded_by() -> dict[str, set[str]]:
    """Return what each of those modules loads; their interpreters run side by side."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found = pool.map(load_afresh, FORBIDDEN_ONCE_LOADED)
        return dict(zip(FORBIDDEN_ONCE_LOADED, found, strict=True))


@pytest.mark.parametrize(("module", "forbidden"), FORBIDDEN_ONCE_LOADED.items())
def test_what_a_fresh_interpreter_loads_of_a_module(
    module: str, forbidden: tuple[str, ...], loaded_by: dict[str, set[str]]
) -> None:
    assert {name.split(".")[0] for name in loaded_by[module]} & set(forbidden) == set()


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_imports_nothing_when_it_is_imported(
    package: str, loaded_by: dict[str, set[str]]
) -> None:
    assert [name for name in loaded_by[package] if name.startswith(f"{package}.")] == []
