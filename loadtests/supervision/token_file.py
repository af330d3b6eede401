"""``TokenFile``: the users' tokens of a run, as a file that the load generator reads.

``--tokens`` names such a file (``loadtests.given_tokens``). ``--tokens-command`` prints one: the
command runs before the load and again before the first of its tokens expires, and its output
replaces a private file outside the run directory, which is removed at the end.
"""

from __future__ import annotations

import shlex
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Self

from loadtests.given_tokens import (
    RENEW_BEFORE_S,
    TokensRefused,
    read_single_token,
    read_tokens,
)
from loadtests.processes import bound_to_us
from loadtests.supervision.request import RunRefused

COMMAND_S: Final = 60.0
EARLY_S: Final = 2 * RENEW_BEFORE_S
"""The command runs again this long before a token expires, so that the file is new in time."""
_RETRY_S: Final = 15.0
_USERS: Final = "{users}"
_NAME: Final = "--tokens-command"


class TokenFile:
    """The tokens of one run; a context manager.

    Args:
        file: the file that ``--tokens`` names; None without one.
        command: what ``--tokens-command`` says; None without it.
        users: how many users need a token.
        environment: of the command.

    Attributes:
        path: the file; None when the load generator signs its tokens.
        problems: messages on tokens that could not be renewed.

    Raises:
        RunRefused: on entering: the file or the command's output cannot be used.
    """

    def __init__(
        self,
        file: Path | None,
        command: str | None,
        users: int,
        environment: Mapping[str, str],
    ) -> None:
        self.path = file
        self.problems: list[str] = []
        self._command = command
        self._users = users
        self._environment = dict(environment)
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._due_s: float | None = None
        self._give_up_s = 0.0

    def __enter__(self) -> Self:
        try:
            if self.path is not None:
                read_tokens(self.path, time.time())
            elif self._command is not None:
                self._folder = tempfile.TemporaryDirectory(prefix="tidegate-tokens-")
                self.path = Path(self._folder.name) / "tokens"
                self._begin(self._command)
                self._end(COMMAND_S)
        except TokensRefused as error:
            self.close()
            option = "--tokens: " if self._command is None else ""
            raise RunRefused(f"{option}{error}") from None
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End a command that still runs, and remove the tokens that it printed."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
        if self._folder is not None:
            self._folder.cleanup()

    def tend(self) -> None:
        """Run the command again when a token is about to expire; never waits for it."""
        if self._command is None or self._due_s is None:
            return
        now_s = time.time()
        try:
            if self._process is not None:
                if self._process.poll() is not None or now_s > self._give_up_s:
                    self._end(0.0)
            elif now_s >= self._due_s:
                self._begin(self._command)
        except TokensRefused as error:
            self._due_s = now_s + _RETRY_S
            words = f"the tokens were not renewed: {error}"
            if words not in self.problems:
                self.problems.append(words)

    def _begin(self, command: str) -> None:
        try:
            words = [word.replace(_USERS, str(self._users)) for word in shlex.split(command)]
        except ValueError as error:
            raise TokensRefused(f"{_NAME} is not a command: {error}") from None
        if not words:
            raise TokensRefused(f"{_NAME} is empty; name a program that prints tokens")
        self._give_up_s = time.time() + COMMAND_S
        try:
            # A file, since a pipe would hold up a long output until somebody reads it.
            with self._fresh().open("wb") as output:
                self._process = subprocess.Popen(  # noqa: S603 - the caller's own command
                    words,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    env=self._environment,
                    preexec_fn=bound_to_us(),  # noqa: PLW1509 - this process has one thread
                )
        except OSError as error:
            raise TokensRefused(f"{_NAME}: {words[0]}: {error.strerror or error}") from None

    def _fresh(self) -> Path:
        """Return the file that takes the command's output, in a folder for this user alone."""
        if self.path is None:
            raise RuntimeError("the command has no folder yet")
        return self.path.with_suffix(".new")

    def _end(self, wait_s: float) -> None:
        """Take the command's output, which replaces the file."""
        process, self._process = self._process, None
        if process is None or self.path is None:
            return
        try:
            code = process.wait(wait_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise TokensRefused(f"{_NAME} did not end within {COMMAND_S:g} s") from None
        if code:
            raise TokensRefused(f"{_NAME} ended with exit code {code}")
        found = read_tokens(self._fresh(), time.time(), name=f"the output of {_NAME}")
        self._fresh().replace(self.path)
        end_s, now_s = found.first_end_unix_s(), time.time()
        # Tokens that live shorter than that are renewed at half of their life.
        lead_s = 0.0 if end_s is None else min(EARLY_S, (end_s - now_s) / 2)
        self._due_s = None if end_s is None else end_s - lead_s


def check_metrics_token(path: Path | None) -> None:
    """Check the file of ``--metrics-token``.

    Raises:
        RunRefused: it cannot be used.
    """
    try:
        if path is not None:
            read_single_token(path)
    except TokensRefused as error:
        raise RunRefused(f"--metrics-token: {error}") from None
