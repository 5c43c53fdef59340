"""Warm-up of the OpenAI client: does ahead of time, and with a server of its own, what a first request does.

The zygote runs it, and every standby process once more with `canned_model`. It must never reach another machine.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import platform
from collections.abc import AsyncIterator

import anyio

from ....actors import silenced
from ...errors import ModelError
from ...team.config import ModelConfig
from .client import CONNECT_TIMEOUT, OpenAIModel, http_client
from .library import openai

__all__ = ["canned_model", "warm_up"]

_CANNED_CHUNKS = (
    (
        b'{"choices": [{"index": 0, "finish_reason": "tool_calls", "delta": {"tool_calls": '
        b'[{"index": 0, "id": "1", "function": {"name": "think", "arguments": "{\\"thought\\": \\".\\"}"}}]}}]}'
    ),
    b'{"choices": [{"index": 0, "delta": {"content": "."}, "finish_reason": "stop"}]}',
)
"""The first streamed answer of a server that rehearses, and all that follow."""

_REHEARSAL_TIME = 1.0
"""Seconds after which a rehearsal is given up: a task may be waiting."""


@contextlib.asynccontextmanager
async def canned_model() -> AsyncIterator[ModelConfig]:
    """Serve a model in this very event loop: it calls the tool `think` once, and then answers with a word."""
    chunks = list(_CANNED_CHUNKS)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Python 3.11 writes of one that is cancelled to standard error, as of any that fails.
        with contextlib.closing(writer), contextlib.suppress(asyncio.CancelledError, OSError, EOFError):
            await reader.readuntil(b"\r\n\r\n")
            chunk = chunks.pop(0) if len(chunks) > 1 else chunks[0]
            head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
            writer.write(head + b"data: " + chunk + b"\n\ndata: [DONE]\n\n")
            await writer.drain()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server, asyncio.timeout(_REHEARSAL_TIME):
        port = server.sockets[0].getsockname()[1]
        yield ModelConfig(reference="", provider="rehearsal", name="canned", base_url=f"http://127.0.0.1:{port}/v1")


async def _ask_once() -> None:
    async with canned_model() as config:
        model = OpenAIModel(config, environ={}, idle_timeout=1.0, retries=0)
        try:
            await model.complete([{"role": "user", "content": ""}], [], lambda _text: None)
        finally:
            await model.close()


def warm_up(*, secure: bool) -> None:
    """Do once what the libraries put off until the first client and the first request of a process.

    Leaves no thread, no event loop and no socket behind, and prints nothing.

    Args:
        secure: whether there is a server with TLS, and so something to load certificates for.
    """
    # Several modules are imported by the first client, the first use of an event loop, and the first look-up of a host.
    openai.AsyncOpenAI(api_key="none", http_client=http_client(openai.Timeout(CONNECT_TIMEOUT), secure=secure))
    # Where a process may not listen even on its own machine, or takes too long, the first request will be slower.
    with silenced(), contextlib.suppress(OSError, ModelError):
        anyio.run(_ask_once)
    importlib.import_module("concurrent.futures.thread")
    # The library puts the platform into a header, and finding it out starts `uname`; Python remembers the answer.
    platform.platform()
