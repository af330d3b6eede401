"""Which gateway a run embeds: this project's, a checkout's, a wheel's, or any command's.

ValueError
└── NoGateway       the words name nothing that could start a gateway
"""

from __future__ import annotations

import shlex
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


class NoGateway(ValueError):  # noqa: N818 - the caller's mistake, in words
    """What was named starts no gateway; the message says what would."""


@dataclass(frozen=True, kw_only=True)
class GatewayCommand:
    """How to start a gateway.

    It gets its settings from the environment, ``PORT=0`` among them, and prints
    ``listening on http://HOST:PORT`` when it is ready.

    Attributes:
        words: the command.
        environment: what its environment has beside, or in place of, the run's.
        name: what the user called it.
    """

    words: tuple[str, ...] = (sys.executable, "-m", "gateway")
    environment: Mapping[str, str] = field(default_factory=dict)
    name: str = "this project's"


def parse_gateway(text: str) -> GatewayCommand:
    """Return how to start what a text names.

    Args:
        text: a folder that holds the package ``gateway`` (a checkout), a wheel of it, or a
            command such as ``/opt/venv/bin/python -m gateway``.

    Raises:
        NoGateway: it is none of these.
    """
    path = Path(text)
    if text and path.is_dir():
        if not (path / "gateway" / "__main__.py").exists():
            raise NoGateway(f"{text} is no checkout: it holds no gateway/__main__.py")
        return _from_path(path, text)
    if path.suffix == ".whl":
        if not path.is_file():
            raise NoGateway(f"{text} is not there; name a wheel, a checkout or a command")
        return _from_path(path, text)
    try:
        words = tuple(shlex.split(text))
    except ValueError as error:
        raise NoGateway(f"{text!r} is no command: {error}") from None
    if not words or shutil.which(words[0]) is None:
        right = 'a checkout, a wheel, or a command such as "/opt/venv/bin/python -m gateway"'
        raise NoGateway(f"{text!r} starts nothing: name {right}")
    return GatewayCommand(words=words, name=text)


def _from_path(path: Path, name: str) -> GatewayCommand:
    # A wheel without compiled modules is a zip archive that Python imports as it is. The
    # safe path keeps the folder that we were started in from hiding it.
    environment = {"PYTHONPATH": str(path.resolve()), "PYTHONSAFEPATH": "1"}
    return GatewayCommand(environment=environment, name=name)
