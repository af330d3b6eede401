"""``Provider``: answers conversations piece by piece; ``SdkProvider`` does so by a vendor's SDK."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Protocol

from gateway.llm import ChatMessage, ProviderFailure, Trouble, trouble_of_status


class Provider(Protocol):
    """Answers conversations."""

    def answer(self, messages: Sequence[ChatMessage]) -> AsyncGenerator[str, None]:
        """Return the pieces of the answer to a conversation, none of them empty.

        Closing the generator ends the call to the provider.

        Raises:
            ProviderFailure: the provider gave no whole answer.
        """

    async def close(self) -> None:
        """Close the connections to the provider."""


class SdkProvider:
    """A provider that is called by an SDK. A failed call is not repeated.

    Attributes:
        losses: the SDK's exceptions of a connection that failed or was cut.
    """

    losses: tuple[type[Exception], ...] = ()

    async def answer(self, messages: Sequence[ChatMessage]) -> AsyncGenerator[str, None]:
        """Return the pieces of the answer to a conversation.

        Raises:
            ProviderFailure: the provider gave no whole answer.
        """
        has_begun = False
        try:
            async with aclosing(self.pieces(messages)) as pieces:
                async for piece in pieces:
                    has_begun = True
                    if not isinstance(piece, str):
                        raise ProviderFailure(Trouble.MALFORMED)
                    if piece:
                        yield piece
        except ProviderFailure:
            raise
        except Exception as error:  # noqa: BLE001 - an SDK raises anything at a malformed answer
            # Not as the cause: a traceback would show the provider's text, and the prompt.
            raise self._failure(error, has_begun=has_begun) from None

    def pieces(self, messages: Sequence[ChatMessage]) -> AsyncGenerator[str, None]:
        """Return the pieces as the SDK gives them; its exceptions pass."""
        raise NotImplementedError

    def _failure(self, error: Exception, *, has_begun: bool) -> ProviderFailure:
        status = getattr(error, "status_code", None) or getattr(error, "code", None)
        if isinstance(status, int):
            return ProviderFailure(trouble_of_status(status), status)
        if isinstance(error, self.losses):
            return ProviderFailure(Trouble.CUT if has_begun else Trouble.UNREACHABLE)
        return ProviderFailure(Trouble.MALFORMED)
