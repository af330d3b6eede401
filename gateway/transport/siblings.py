"""``Siblings``: the processes that share this one's port, and how they reach each other.

The kernel gives a connection to any of them. Each listens on a Unix socket in a private folder,
where the others pass it the connections of its sessions, and ask it for facts.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from gateway.transport.messages import IncomingMessage, encode_message
from gateway.transport.sockets import BACKLOG

OWNED: Final = b"o"
"""Kind of a message with a connection whose next request is for a session of the receiver."""
GIVEN: Final = b"g"
"""Kind of a message with a connection that a process gives away."""

Receive = Callable[[socket.socket, bytes, bool], None]
"""Takes a passed connection, the bytes that were read of it, and whether it was given away."""
Answer = Callable[[bytes], bytes]
"""Returns the answer to the data of a question."""


class Siblings:
    """The processes that share a port, one of which is this one.

    Args:
        folder: the private folder with their Unix sockets.
        names: the names of the nodes, in the order of their numbers.
        own: the number of this one.

    Attributes:
        is_open: returns whether this process answers requests that are for no session; it gives
            them away while it starts and while it leaves.
        passed: connections that other processes took so far.
    """

    def __init__(self, folder: Path, names: Sequence[str], own: int) -> None:
        self.is_open: Callable[[], bool] = lambda: False
        self.passed = 0
        self._folder = folder
        self._names = names
        self._numbers = {name: number for number, name in enumerate(names)}
        self._own = own
        self._listener: socket.socket | None = None
        self._receive: Receive | None = None
        self._answers: Mapping[bytes, Answer] = {}
        self._incoming: set[IncomingMessage] = set()
        self._tasks: set[asyncio.Task[Any]] = set()

    @property
    def others(self) -> dict[str, Path]:
        """The other processes from the one after this one: the name of each, and its socket."""
        count = len(self._names)
        numbers = [(self._own + step) % count for step in range(1, count)]
        return {self._names[number]: socket_of(self._folder, number) for number in numbers}

    def listen(self, receive: Receive, answers: Mapping[bytes, Answer]) -> None:
        """Receive connections and questions.

        Args:
            receive: takes each passed connection.
            answers: answers the questions, by kind.

        Raises:
            OSError: the socket cannot be made.
        """
        self._receive = receive
        self._answers = answers
        path = socket_of(self._folder, self._own)
        path.unlink(missing_ok=True)  # of a process with this number that was killed
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.setblocking(False)
        listener.bind(str(path))
        listener.listen(BACKLOG)
        self._listener = listener
        asyncio.get_running_loop().add_reader(listener.fileno(), self._accept, listener)

    def close(self) -> None:
        """Stop receiving."""
        listener, self._listener = self._listener, None
        if listener is not None:
            asyncio.get_running_loop().remove_reader(listener.fileno())
            socket_of(self._folder, self._own).unlink(missing_ok=True)
            listener.close()
        for message in list(self._incoming):
            message.close()
        for task in self._tasks:
            task.cancel()

    def should_answer(self, sid: str | None, *, was_given: bool) -> bool:
        """Return whether another process should answer a request.

        Args:
            sid: the session that the request is for, ``None`` for none.
            was_given: whether another process gave the connection to this one.
        """
        owner = self._owner_of(sid)
        if owner is None:
            return not was_given and not self.is_open()
        return owner != self._own

    def pass_on(self, sid: str | None, data: bytes, descriptor: int) -> bool:
        """Pass a connection to the process that should answer its next request.

        Args:
            sid: the session that the request is for, ``None`` for none.
            data: the bytes that were read of the connection, from that request on.
            descriptor: the connection's descriptor. The caller closes it.

        Returns:
            Whether a process took it. A session whose process is gone is unknown, and this
            process says so.
        """
        owner = self._owner_of(sid)
        if owner is not None:
            return self._send(socket_of(self._folder, owner), OWNED, data, descriptor)
        return any(self._send(one, GIVEN, data, descriptor) for one in self.others.values())

    def _owner_of(self, sid: str | None) -> int | None:
        """Return the process whose session it is, ``None`` if its id names none of these."""
        return None if sid is None else self._numbers.get(sid.partition(".")[0])

    def _send(self, path: Path, kind: bytes, data: bytes, descriptor: int) -> bool:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.setblocking(False)
        message = encode_message(kind, data)
        try:
            connection.connect(str(path))
            sent = socket.send_fds(connection, [message], [descriptor])
        except OSError:  # it has ended, or its backlog is full
            connection.close()
            return False
        self.passed += 1
        self._spawn(self._send_rest(connection, message[sent:]))
        return True

    async def _send_rest(self, connection: socket.socket, rest: bytes) -> None:
        with connection:
            if rest:
                await asyncio.get_running_loop().sock_sendall(connection, rest)

    def _accept(self, listener: socket.socket) -> None:
        try:
            connection, _ = listener.accept()
        except OSError:  # the sender has ended, or no descriptor is free
            return
        self._incoming.add(IncomingMessage(connection, self._arrived, self._incoming.discard))

    def _arrived(
        self, connection: socket.socket, kind: bytes, data: bytes, passed: socket.socket | None
    ) -> None:
        """Handle a whole message, whose connection this method closes."""
        answer = self._answers.get(kind)
        if answer is not None:
            self._spawn(self._send_rest(connection, answer(data)))
            return
        connection.close()
        if passed is not None and self._receive is not None:
            self._receive(passed, data, kind == GIVEN)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(_unless_gone(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def _unless_gone(work: Coroutine[Any, Any, None]) -> None:
    """Await work whose other side may end meanwhile, which ends the client's connection too."""
    try:
        await work
    except OSError:
        return


def socket_of(folder: Path, number: int) -> Path:
    """Return the Unix socket of a process.

    Args:
        folder: the private folder.
        number: of the process.
    """
    return folder / str(number)


async def ask(path: Path, kind: bytes, data: bytes, timeout_s: float) -> bytes | None:
    """Return the answer of a process to a question, ``None`` if it does not answer in time.

    Args:
        path: its Unix socket.
        kind: the kind of the question.
        data: its data.
        timeout_s: seconds for the whole answer.
    """
    try:
        async with asyncio.timeout(timeout_s):
            reader, writer = await asyncio.open_unix_connection(str(path))
            try:
                writer.write(encode_message(kind, data))
                return await reader.read(-1) or None
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return None
