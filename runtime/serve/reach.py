"""Reach: where a client with a session can be told and asked something that it has not asked for.

That is its own stream, where it keeps one open, or a call of it that has not been answered. Over HTTP there may be
neither: whoever has something to say waits then until there is one.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import msgspec
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

if TYPE_CHECKING:
    from mcp.server import ServerRequestContext
    from mcp.server.session import ServerSession
    from mcp_types import RequestId

__all__ = ["VISIT", "Reach", "Visit", "Way"]

VISIT: Final = "subactors.visit"
"""The key of a `Visit` in the scope of a request over HTTP."""

Way: TypeAlias = "tuple[ServerSession, RequestId | None]"
"""What sends, and the call that it sends along with; None: the client's own stream."""


class Visit(msgspec.Struct):
    """A request over HTTP: whether its answer has been sent, or nobody listens to it any more."""

    is_over: bool = False


class Reach:
    """See the module. Used in the event loop of the server.

    Attributes:
        session: the client's; None: nothing can be said to it that it has not asked for.
    """

    def __init__(self) -> None:
        self.session: ServerSession | None = None
        self._streams = 0
        self._calls: dict[ServerSession, tuple[RequestId, Visit]] = {}
        self._changed = asyncio.Event()
        self._is_closed = False

    @contextlib.contextmanager
    def stream(self) -> Iterator[None]:
        """Its own stream is open during this `with` block."""
        self._streams += 1
        self._changed.set()
        try:
            yield
        finally:
            self._streams -= 1

    @contextlib.contextmanager
    def call(self, context: ServerRequestContext[Any, Any]) -> Iterator[None]:
        """A call of it has not been answered during this `with` block."""
        if context.request_id is not None and context.protocol_version not in MODERN_PROTOCOL_VERSIONS:
            visit = Visit() if context.request is None else context.request.scope.get(VISIT, Visit())
            self._calls[context.session] = context.request_id, visit
            self._changed.set()
        try:
            yield
        finally:
            self._calls.pop(context.session, None)

    async def way(self) -> Way | None:
        """Return where something can be said to the client now, as soon as there is a way; None: it has gone away."""
        while not self._is_closed:
            if self._streams and self.session is not None:
                return self.session, None
            for session, (request_id, visit) in self._calls.items():
                if not visit.is_over:
                    return session, request_id
            self._changed.clear()
            await self._changed.wait()
        return None

    def close(self) -> None:
        """Have nobody wait any more: the client has gone away."""
        self._is_closed = True
        self._changed.set()
