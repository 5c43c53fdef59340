"""Reach: where a client with a session can be told and asked something that it has not asked for.

That is its own stream, where it keeps one open, or a call of it that has not been answered. Over HTTP there may be
neither: whoever has something to say waits then until there is one.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

if TYPE_CHECKING:
    from mcp.server import ServerRequestContext
    from mcp.server.session import ServerSession
    from mcp_types import RequestId

__all__ = ["VISIT", "Reach", "Visit", "Way"]

VISIT: Final = "subactors.visit"
"""The key of a `Visit` in the scope of a request over HTTP."""


class Visit(msgspec.Struct, eq=False):
    """A request over HTTP, along with whose answer messages are sent.

    Attributes:
        is_over: whether its answer has been sent, or nobody listens to it any more.
        is_answered: whether its answer was written to the end, and so what was sent before it.
    """

    is_over: bool = False
    is_answered: bool = False


class Way(NamedTuple):
    """What messages are sent by.

    Attributes:
        session: sends them.
        call: the call that they are sent along with; None: the client's own stream.
        visit: the request over HTTP that is.
    """

    session: ServerSession
    call: RequestId | None
    visit: Visit


class Reach:
    """See the module. Used in the event loop of the server.

    Attributes:
        session: the client's; None: nothing can be said to it that it has not asked for.
    """

    def __init__(self) -> None:
        self.session: ServerSession | None = None
        self._streams: list[Visit] = []
        self._calls: dict[ServerSession, tuple[RequestId, Visit]] = {}
        self._changed = asyncio.Event()
        self._is_closed = False

    @contextlib.contextmanager
    def stream(self) -> Iterator[None]:
        """Its own stream is open during this `with` block."""
        visit = Visit()
        self._streams.append(visit)
        self._changed.set()
        try:
            yield
        finally:
            self._streams.remove(visit)
            self.over(visit)

    @contextlib.contextmanager
    def call(self, context: ServerRequestContext[Any, Any]) -> Iterator[None]:
        """A call of it has not been answered during this `with` block."""
        visit = Visit() if context.request is None else context.request.scope.get(VISIT, Visit())
        if context.request_id is not None and context.protocol_version not in MODERN_PROTOCOL_VERSIONS:
            self._calls[context.session] = context.request_id, visit
            self._changed.set()
        try:
            yield
        finally:
            self._calls.pop(context.session, None)

    def over(self, visit: Visit) -> None:
        """Nothing is sent along with a request any more."""
        visit.is_over = True
        self._changed.set()

    async def way(self) -> Way | None:
        """Return where something can be said to the client now, as soon as there is a way; None: it has gone away."""
        while not self._is_closed:
            if self._streams and self.session is not None:
                return Way(self.session, None, self._streams[-1])
            for session, (request_id, visit) in self._calls.items():
                if not visit.is_over:
                    return Way(session, request_id, visit)
            await self._change()
        return None

    async def after(self, way: Way) -> Way | None:
        """Return the next way, once one has broken off, so that what was sent by it may be lost; None: as `way`."""
        while not (self._is_closed or (way.visit.is_over and not way.visit.is_answered)):
            await self._change()
        return await self.way()

    async def _change(self) -> None:
        self._changed.clear()
        await self._changed.wait()

    def close(self) -> None:
        """Have nobody wait any more: the client has gone away."""
        self._is_closed = True
        self._changed.set()
