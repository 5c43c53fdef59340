"""An MCP server over HTTP for tests, made with the `mcp` package: run it with a transport; it prints its port.

    python mcp_web.py streamable-http|sse [--secret WORD]

With a secret it answers no request without `Authorization: Bearer WORD`.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
from typing import Any

import anyio
import uvicorn
from mcp.server import MCPServer

server = MCPServer("web", instructions="A server on the web.")


@server.tool()
def pid() -> str:
    """Tell the process id."""
    return str(os.getpid())


@server.tool()
async def hang() -> str:
    """Never answer."""
    await anyio.sleep_forever()
    return ""


@server.tool()
def die() -> str:
    """End the server in the middle of the call."""
    os.kill(os.getpid(), signal.SIGKILL)
    return ""


@server.tool()
def long(length: int) -> str:
    """Answer with a long text."""
    return "x" * length


def _guarded(application: Any, secret: str) -> Any:
    async def guard(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and (b"authorization", f"Bearer {secret}".encode()) not in scope["headers"]:
            await send({"type": "http.response.start", "status": 401, "headers": []})
            await send({"type": "http.response.body", "body": b"who are you?"})
            return
        await application(scope, receive, send)

    return guard


def main() -> None:
    transport, *options = sys.argv[1:]
    application: Any = server.sse_app() if transport == "sse" else server.streamable_http_app()
    if options:
        application = _guarded(application, options[1])
    with socket.create_server(("127.0.0.1", 0)) as listening:
        print(listening.getsockname()[1], flush=True)
        uvicorn.Server(uvicorn.Config(application, log_level="critical")).run(sockets=[listening])


if __name__ == "__main__":
    main()
