"""The rules for docstrings and names that the linter does not have.

A public function with three parameters or more describes each of them under ``Args``, and one
that raises names the class under ``Raises``. (Ruff's DOC501 takes a function that builds an
exception for its class, and asks for exceptions that the function itself catches.)
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("gateway", "loadtests", "scenarios", "reports", "tidegate")
DESCRIBED_FROM = 3
# Not for callers: they end a generator, a process or a greenlet, or mark what is not to be called.
NEVER_NAMED = {"StopIteration", "SystemExit", "NotImplementedError", "GreenletExit", "Exit"}
Function = ast.FunctionDef | ast.AsyncFunctionDef


def public_functions(tree: ast.Module) -> Iterator[Function]:
    """Yield functions and methods whose whole qualified name is public."""
    bodies: list[list[ast.stmt]] = [tree.body]
    while bodies:
        for node in bodies.pop():
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                bodies.append(node.body)
            elif isinstance(node, Function) and not node.name.startswith("_"):
                yield node


def is_option(argument: ast.arg) -> bool:
    """Return whether a parameter is an option of the command line, which carries its own help."""
    text = "" if argument.annotation is None else ast.unparse(argument.annotation)
    return "typer." in text or text.endswith(("Option", "Argument"))


def undescribed(path: Path) -> list[str]:
    where = path.relative_to(ROOT).as_posix()
    found = []
    for node in public_functions(ast.parse(path.read_text("utf-8"))):
        own = node.args
        arguments = [
            one
            for one in (*own.posonlyargs, *own.args, *own.kwonlyargs)
            if one.arg not in ("self", "cls") and not is_option(one)
        ]
        if len(arguments) < DESCRIBED_FROM or has_override(node):
            continue
        section = (ast.get_docstring(node) or "").partition("Args:\n")[2]
        missing = [
            one.arg
            for one in arguments
            if not re.search(rf"^ +{re.escape(one.arg)}(?: \(.*\))?:", section, re.MULTILINE)
        ]
        if missing:
            found.append(f"{where}:{node.lineno} {node.name}: Args lack {', '.join(missing)}")
    return found


def raised_classes(node: ast.AST) -> Iterator[str]:
    """Yield the classes that a function's own body raises, not those of functions inside it."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)):
            continue
        if isinstance(child, ast.Try) and child.handlers:
            continue  # what is raised in there may be caught there
        if isinstance(child, ast.Raise) and child.exc is not None:
            error = child.exc.func if isinstance(child.exc, ast.Call) else child.exc
            name = ast.unparse(error).rsplit(".", 1)[-1]
            if name[0].isupper() and name not in NEVER_NAMED:
                yield name
        yield from raised_classes(child)


def unnamed_errors(path: Path) -> list[str]:
    where = path.relative_to(ROOT).as_posix()
    found = []
    for node in public_functions(ast.parse(path.read_text("utf-8"))):
        text = ast.get_docstring(node)
        raised = set(raised_classes(node))
        section = (text or "").partition("Raises:\n")[2]
        missing = sorted(name for name in raised if not re.search(rf"\b{name}\b", section))
        if missing and not has_override(node):
            found.append(f"{where}:{node.lineno} {node.name}: Raises lacks {', '.join(missing)}")
    return found


def has_override(node: Function) -> bool:
    """Return whether a base or an interface describes the parameters."""
    return any(ast.unparse(one).endswith(("override", "overload")) for one in node.decorator_list)


@pytest.mark.parametrize("package", PACKAGES)
def test_three_parameters_or_more_are_described(package: str) -> None:
    paths = sorted((ROOT / package).rglob("*.py"))
    assert [line for path in paths for line in undescribed(path)] == []


@pytest.mark.parametrize("package", PACKAGES)
def test_a_raised_error_is_named(package: str) -> None:
    paths = sorted((ROOT / package).rglob("*.py"))
    assert [line for path in paths for line in unnamed_errors(path)] == []


def test_no_two_classes_have_one_name() -> None:
    places: dict[str, list[str]] = {}
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            for node in ast.parse(path.read_text("utf-8")).body:
                if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                    places.setdefault(node.name, []).append(path.relative_to(ROOT).as_posix())
    assert {name: found for name, found in places.items() if len(found) > 1} == {}


def test_a_missing_description_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    path = tmp_path / "x.py"
    text = """Do.\n\n    Args:\n        a: one.\n        b: two.\n    """
    path.write_text(f'def f(a, b, c):\n    """{text}"""\n    raise OSError("no")\n', "utf-8")
    assert undescribed(path) == ["x.py:1 f: Args lack c"]
    assert unnamed_errors(path) == ["x.py:1 f: Raises lacks OSError"]
