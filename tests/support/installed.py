"""A wheel of this project, installed into an environment that has nothing but what it declares.

The environment is new and empty. The wheel is installed by pip. Each distribution that it requires
is linked from the environment of the tests: no index is asked, and nothing is copied.
"""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Final

from deadlines import RUN_S
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT: Final = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, kw_only=True)
class Installed:
    """An environment with the wheel.

    Attributes:
        folder: of the environment.
        home: an empty folder to run commands in.
        requires: names of the distributions that it has beside the wheel.
    """

    folder: Path
    home: Path
    requires: frozenset[str]

    def environment(self, **more: str) -> dict[str, str]:
        """Return the environment of its commands: its own folder first, nothing of the tests'."""
        path = os.pathsep.join([str(self.folder / "bin"), os.defpath])
        held = {"PATH": path, "HOME": str(self.home), "LANG": "C.UTF-8", "COLUMNS": "100"}
        return {**held, **more}

    def run(self, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
        """Run one of its commands in the empty folder."""
        return subprocess.run(
            [str(self.folder / "bin" / words[0]), *words[1:]],
            cwd=self.home,
            env=self.environment(**more),
            capture_output=True,
            text=True,
            timeout=RUN_S,
            check=False,
        )


def build_wheel(folder: Path) -> Path:
    """Build the wheel of this project and return it."""
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=RUN_S)
    (wheel,) = folder.glob("*.whl")
    return wheel


def install(wheel: Path, extras: Sequence[str], folder: Path) -> Installed:
    """Install a wheel with some of its extras, and return the environment.

    Args:
        wheel: the wheel.
        extras: of the wheel.
        folder: takes the environment and an empty folder for its commands; it exists.
    """
    place, home = folder / "environment", folder / "home"
    home.mkdir()
    _call(sys.executable, "-m", "venv", "--without-pip", str(place))
    python = str(place / "bin" / "python")
    pip = (sys.executable, "-m", "pip", "--python", python, "--disable-pip-version-check")
    _call(*pip, "install", "--quiet", "--no-index", "--no-deps", "--no-compile", str(wheel))
    packages = Path(sysconfig.get_path("purelib", vars={"base": str(place)}))
    (own,) = (
        each for each in metadata.distributions(path=[str(packages)]) if each.name == "tidegate"
    )
    names = _closure(own.requires or [], extras)
    for name in names:
        _link(metadata.distribution(name), packages)
    (place / "share").symlink_to(Path(sys.prefix) / "share")  # templates and kernels of Jupyter
    _call(*pip, "check")
    return Installed(folder=place, home=home, requires=frozenset(names))


def _call(*words: str) -> None:
    done = subprocess.run(words, capture_output=True, text=True, timeout=RUN_S, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def _closure(requirements: Iterable[str], extras: Iterable[str]) -> set[str]:
    """Return the names of all distributions that requirements need, directly or not."""
    found: set[str] = set()
    asked = [(text, frozenset(extras) | {""}) for text in requirements]
    done: set[tuple[str, frozenset[str]]] = set()
    while asked:
        text, wanted = asked.pop()
        requirement = Requirement(text)
        marker = requirement.marker
        if marker is not None and not any(marker.evaluate({"extra": one}) for one in wanted):
            continue
        name, more = canonicalize_name(requirement.name), frozenset(requirement.extras) | {""}
        if (name, more) in done:
            continue
        done.add((name, more))
        if name == "tidegate":  # an extra that names other extras of the wheel
            asked += [(each, more) for each in requirements]
            continue
        found.add(name)
        asked += [(each, more) for each in metadata.distribution(name).requires or []]
    return found


def _link(held: metadata.Distribution, packages: Path) -> None:
    """Link the top-level files and folders of a distribution."""
    for top in {file.parts[0] for file in held.files or []} - {"..", "__pycache__"}:
        target = packages / top
        if not target.exists():
            target.symlink_to(Path(str(held.locate_file(top))).resolve())
