"""``PassedDoor``: the door of a connection that another process passed to this one."""

from __future__ import annotations

import asyncio

from gateway.transport.descriptors import DescriptorReserve
from gateway.transport.door import Door, MakeProtocol
from gateway.transport.engine import Engine


class PassedDoor(Door):
    """The door of a connection of which another process has read.

    Args:
        engine: as in ``Door``.
        serve: as in ``Door``.
        first: the bytes that the other process read and did not answer.
        was_given: as in ``Door``.
        is_bounded: as in ``Door``.
        reserve: as in ``Door``.
    """

    __slots__ = ("_first",)

    def __init__(
        self,
        engine: Engine,
        serve: MakeProtocol,
        first: bytes,
        was_given: bool,
        *,
        is_bounded: bool = False,
        reserve: DescriptorReserve | None = None,
    ) -> None:
        super().__init__(engine, serve, is_bounded=is_bounded, reserve=reserve, was_given=was_given)
        self._first = first

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Read the first bytes soon (asyncio protocol); now a loop would not let us pause."""
        super().connection_made(transport)
        asyncio.get_running_loop().call_soon(self._begin)

    def data_received(self, data: bytes) -> None:
        """Read as far as possible, the first bytes first (asyncio protocol)."""
        first, self._first = self._first, b""
        super().data_received(first + data)

    def eof_received(self) -> bool | None:
        """As in ``Door``, after the first bytes (asyncio protocol)."""
        self._begin()
        return super().eof_received()

    def _begin(self) -> None:
        if self._first:
            self.data_received(b"")
