"""The command of the embedded gateway: this project's, a checkout's, a wheel's or any other.

ValueError
└── NoGateway       the text names nothing that could start a gateway
"""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from loadtests.processes import PROJECT, child_environment, own_command


class NoGateway(ValueError):  # noqa: N818 - the caller's mistake, in words
    """The text names no checkout, wheel or command."""


@dataclass(frozen=True, kw_only=True)
class GatewayCommand:
    """The command that starts a gateway.

    The gateway reads its settings from the environment, ``PORT=0`` among them. It prints
    ``listening on http://HOST:PORT`` when it is ready.

    Attributes:
        words: the program and its arguments.
        path: where its Python finds the package ``gateway``; None leaves that to the command.
        name: the user's text for it.
        settings: environment variables of its process that replace a scenario's settings.
    """

    words: tuple[str, ...] = tuple(own_command("gateway"))
    path: Path | None = PROJECT
    name: str = "this project's"
    settings: Mapping[str, str] = field(default_factory=dict)

    def environment_in(self, environment: Mapping[str, str]) -> dict[str, str]:
        """Return the environment of its process, where the caller's is ``environment``."""
        return dict(environment) if self.path is None else child_environment(environment, self.path)


def parse_gateway(text: str) -> GatewayCommand:
    """Return the command that starts the gateway named by a text.

    Args:
        text: a folder that holds the package ``gateway`` (a checkout), a wheel of it, or a
            command such as ``/opt/venv/bin/python -m gateway``.

    Raises:
        NoGateway: the text is none of these.
    """
    path = Path(text)
    if text and path.is_dir():
        if not (path / "gateway" / "__main__.py").exists():
            raise NoGateway(f"{text} is not a checkout: it has no gateway/__main__.py")
        return GatewayCommand(path=path.resolve(), name=text)
    if path.suffix == ".whl":
        if not path.is_file():
            raise NoGateway(f"{text} does not exist; name a wheel, a checkout or a command")
        # Python imports a wheel without compiled modules as a zip archive.
        return GatewayCommand(path=path.resolve(), name=text)
    try:
        words = tuple(shlex.split(text))
    except ValueError as error:
        raise NoGateway(f"{text!r} is not a command: {error}") from None
    if not words or shutil.which(words[0]) is None:
        right = 'a checkout, a wheel, or a command such as "/opt/venv/bin/python -m gateway"'
        raise NoGateway(f"{text!r} is not an executable: name {right}")
    return GatewayCommand(words=words, path=None, name=text)
