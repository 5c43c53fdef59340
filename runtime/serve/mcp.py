"""MCP face: the background tools for an MCP host, over standard input and output (`subactors mcp`).

The program at the other end is the orchestrator. Standard output carries messages of the protocol and nothing else. The
end of standard input ends everything.
"""

from __future__ import annotations

import asyncio
import os
import select
from typing import Any, Final

from ..agent.event_loop import CancellableLoop
from ..errors import SubactorsError
from ..host import Host
from ..team.config import Team
from ..terminal.interruptible import Interruptible
from ..terminal.streams import err
from ..toolsets.mcp.lines import messages
from .client import Client
from .elicitation import Elicitation
from .face import Face
from .offer import Offer

__all__ = ["serve"]

_NO_PIPES: Final = (
    "Standard input and output must be pipes, as a program has them that an MCP host starts. "
    "Here one of them is closed, or is a file."
)

_TERMINAL: Final = (
    "This is an MCP server: programs start it and speak to it. It awaits messages, not words; Ctrl-D ends it. "
    "`subactors run` speaks with people."
)


def serve(team: Team, agent: str, *, settings: dict[str, Any]) -> int:
    """Serve the background tools of an agent until the other end is done; return the exit status.

    Args:
        team: a checked team.
        agent: whose sub-agents the other end may start; all agents of the team, if it has none.
        settings: of the runtime.

    Raises:
        SubactorsError: standard input and output are not pipes.
    """
    if not all(map(_can_be_waited_for, (0, 1))):
        raise SubactorsError(_NO_PIPES)
    if os.isatty(0):
        err.sentence(_TERMINAL)
    loop = CancellableLoop()
    with Interruptible(loop.cancel) as work, Host(team, **settings) as host:
        try:
            loop.run(_serve(host, agent))
        except asyncio.CancelledError:
            return work.status
    return 0


async def _serve(host: Host, agent: str) -> None:
    offer = Offer(host, agent)
    elicitation = Elicitation(host, lambda: [client])
    client = Client(host, offer, elicitation.attach)
    face = Face(offer, lambda _: client, prefers_sessions=False)
    server = face.server
    with os.fdopen(os.dup(0), "rb", buffering=0) as stdin, os.fdopen(os.dup(1), "wb", buffering=0) as stdout:
        async with messages(stdin, stdout, heard=_ignore, ended=_ignore) as (incoming, outgoing):
            try:
                with client.reach.stream():
                    await server.run(incoming, outgoing, server.create_initialization_options())
            finally:
                elicitation.close()
                await face.close()


def _can_be_waited_for(descriptor: int) -> bool:
    """Whether one can wait for a descriptor to be readable: for pipes, sockets and terminals, not for files."""
    with select.epoll() as poll:
        try:
            poll.register(descriptor, select.EPOLLIN)
        except OSError:
            return False
    return True


def _ignore(_: object) -> None:
    """Give no answer to garbage, nor to the end of the input: the session ends by itself."""
