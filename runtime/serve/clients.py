"""Clients: the MCP clients over HTTP. Each has its own tasks, which end when it has been away for long enough.

With a handshake (protocols until 2025-11-25) the session is the client: it is there while a request of it is at work,
or its stream is open. Who comes without a session has the tasks that it can name (`sessionless`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Final

import msgspec
from mcp.server import ServerRequestContext
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .client import Client
from .presence import Presence
from .reach import VISIT, Visit
from .sessionless import SessionlessClient

if TYPE_CHECKING:
    from ..host import Host
    from .offer import Offer

__all__ = ["Clients", "Visits"]

SESSION: Final = "mcp-session-id"

_AWAY: Final = "the MCP server, as its client had gone away"
"""Who stops tasks, as their reasons tell it."""

_REDIRECTED: Final = 300
"""The first status of an answer that is no success."""


class _Session(msgspec.Struct, eq=False):
    """A session, and whether its client is there."""

    client: Client
    presence: Presence


class Clients:
    """See the module. Used in the event loop of the server.

    Args:
        host: runs their tasks.
        offer: what they get.
        can_ask: is called when it turns out that one can ask its user.
        linger: seconds after which the tasks of one who is away are ended.
    """

    def __init__(self, host: Host, offer: Offer, can_ask: Callable[[], object], linger: float) -> None:
        self._host = host
        self._offer = offer
        self._can_ask = can_ask
        self._linger = linger
        self._sessions: dict[str, _Session] = {}
        self._sessionless: dict[str, SessionlessClient] = {}

    def __iter__(self) -> Iterator[Client]:
        return iter([*(session.client for session in self._sessions.values()), *self._sessionless.values()])

    def of(self, context: ServerRequestContext[Any, Any]) -> Client:
        """Return the client whose request it is."""
        request: Request = context.request  # type: ignore[assignment]  # there is one with each message over HTTP
        # A request of 2026-07-28 has no session, whatever its headers say: nobody has checked them.
        if context.protocol_version not in MODERN_PROTOCOL_VERSIONS:
            known = self.opened(request.headers[SESSION])
            with known.presence:
                pass  # one that is new has to be there from now on
            return known.client
        user = request.scope.get("user")
        credential = "" if user is None else user.display_name
        if (client := self._sessionless.get(credential)) is None:
            client = SessionlessClient(self._host, self._offer, self._can_ask, linger=self._linger)
            self._sessionless[credential] = client
        return client

    def opened(self, session: str) -> _Session:
        """Return a session, which may be new."""
        if (known := self._sessions.get(session)) is None:
            client = Client(self._host, self._offer, self._can_ask)
            presence = Presence(self._linger, lambda: self._end_session(session))
            known = self._sessions[session] = _Session(client, presence)
        return known

    def known(self, session: str) -> _Session | None:
        """Return a session, if there is one of that id."""
        return self._sessions.get(session)

    def close(self) -> None:
        """Look after nobody any more; the host ends their tasks."""
        for session in self._sessions.values():
            session.presence.close()
        for client in self._sessionless.values():
            client.close()

    def _end_session(self, session: str) -> None:
        if (ended := self._sessions.pop(session, None)) is not None:
            ended.client.end(_AWAY)


class Visits:
    """Notes which clients are there: an ASGI application around the server's.

    Args:
        app: the server's.
        clients: the clients.
    """

    def __init__(self, app: ASGIApp, clients: Clients) -> None:
        self._app = app
        self._clients = clients

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        session = Headers(scope=scope).get(SESSION)
        if session is None:
            await self._app(scope, receive, self._opening(send))
            return
        known = self._clients.known(session)
        if known is None:  # the server knows it no more than we do
            await self._app(scope, receive, send)
            return
        status = 0
        visit = scope[VISIT] = Visit()
        with known.presence, ExitStack() as stream:

            async def watching(message: Message) -> None:
                nonlocal status
                await send(message)
                if message["type"] == "http.response.start":
                    status = message["status"]
                    if scope["method"] == "GET" and status < _REDIRECTED:
                        stream.enter_context(known.client.reach.stream())
                elif message["type"] == "http.response.body" and not message.get("more_body", False):
                    visit.is_answered = True

            try:
                await self._app(scope, receive, watching)
            finally:
                known.client.reach.over(visit)
        if scope["method"] == "DELETE" and 0 < status < _REDIRECTED:
            known.presence.end()  # it has said good-bye: nobody can come back with that session

    def _opening(self, send: Send) -> Send:
        """Return what sends an answer, and takes note of the session that it opens."""

        async def watching(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] < _REDIRECTED:
                session = Headers(raw=message["headers"]).get(SESSION)
                if session is not None:
                    with self._clients.opened(session).presence:
                        pass  # from now on, its client has to be there
            await send(message)

        return watching
