"""HTTP: the MCP server over streamable HTTP (`subactors mcp --http`), for any number of clients at a time."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Iterator
from typing import Any, Final

import uvicorn
from anyio import ClosedResourceError
from mcp.server.streamable_http_manager import StreamableHTTPASGIApp, StreamableHTTPSessionManager
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect
from starlette.routing import Route

from ..agent.event_loop import CancellableLoop
from ..errors import SubactorsError
from ..host import Host
from ..net.web_server import config_of
from ..team.config import Team
from ..terminal.interruptible import Interruptible
from ..terminal.streams import out
from .access import guarded
from .address import Address
from .clients import Clients, Visits
from .elicitation import Elicitation
from .face import Face
from .offer import Offer

__all__ = ["PATH", "serve_http"]

PATH: Final = "/mcp"

_BACKLOG: Final = 128

_NO_FAULTS: Final = (ClosedResourceError, ClientDisconnect)
"""What is raised where a message comes while its session ends, or in part only, as its client has gone away."""

_COMPLETED: Final = "response already completed"
"""In what uvicorn raises where an answer is sent after the answer."""


def serve_http(team: Team, agent: str, address: Address, *, settings: dict[str, Any]) -> int:
    """Serve the background tools of an agent until a signal comes; return the exit status.

    Args:
        team: a checked team.
        agent: whose place clients take; see `Offer`.
        address: where.
        settings: of the runtime.

    Raises:
        SubactorsError: the address cannot be listened at.
    """
    with _listening(address) as listener:
        loop = CancellableLoop()
        with Interruptible(loop.cancel) as work, Host(team, **settings) as host:
            with contextlib.suppress(asyncio.CancelledError):
                loop.run(_serve(host, Offer(host, agent), address, listener))
            return work.status


async def _serve(host: Host, offer: Offer, address: Address, listener: socket.socket) -> None:
    elicitation = Elicitation(host, lambda: clients)
    clients = Clients(host, offer, elicitation.attach, address.linger)
    face = Face(offer, clients.of, prefers_sessions=True)
    manager = StreamableHTTPSessionManager(face.server, session_idle_timeout=max(address.linger, 1.0))
    port = listener.getsockname()[1]
    shown = f"[{address.host}]" if ":" in address.host else address.host
    endpoint = Visits(StreamableHTTPASGIApp(manager), clients)
    app = guarded(
        Starlette(routes=[Route(PATH, endpoint=endpoint)]),
        port=port,
        allowed_hosts=(shown, *address.allowed_hosts),
        tokens=address.tokens,
    )
    server = _Server(config_of(app, lifespan="off"))
    # A stranger could fill the log with what it warns of: each request that is refused.
    logging.getLogger("mcp").setLevel(logging.ERROR)
    for name in ("mcp.server.streamable_http", "uvicorn.error"):
        logging.getLogger(name).addFilter(_is_fault)
    try:
        async with manager.run():
            serving = asyncio.create_task(server.serve(sockets=[listener]))
            try:
                out.line(f"http://{shown}:{port}{PATH}")
                await asyncio.shield(serving)
            finally:
                # Calls are cut short now, because we end: no fault that anybody should read of.
                logging.getLogger("uvicorn.error").disabled = True
                server.should_exit = server.force_exit = True
                await serving
    finally:
        elicitation.close()
        await face.close()
        clients.close()


def _is_fault(record: logging.LogRecord) -> bool:
    """Whether a record tells of more than a message that nobody waits for any more."""
    error = record.exc_info[1] if record.exc_info else None
    if isinstance(error, RuntimeError) and _COMPLETED in str(error):
        error = error.__context__  # an answer has told the client of that
    if isinstance(error, BaseExceptionGroup):
        return error.split(_NO_FAULTS)[1] is not None
    return not isinstance(error, _NO_FAULTS)


class _Server(uvicorn.Server):
    """A server that leaves signals to `Interruptible`."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


@contextlib.contextmanager
def _listening(address: Address) -> Iterator[socket.socket]:
    """Yield a socket that listens."""
    try:
        infos = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, _, _, where = infos[0]
        listener = socket.socket(family, kind)
    except OSError as error:
        raise SubactorsError(f"{address.host} is no address of this machine: {error.strerror}.") from None
    with listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(where)
            listener.listen(_BACKLOG)
        except OSError as error:
            raise SubactorsError(
                f"Nothing can listen at {address.host}, port {address.port}: {error.strerror}. Choose another --port; "
                "0 is a free one."
            ) from None
        yield listener
