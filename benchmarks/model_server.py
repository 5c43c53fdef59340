"""A model server on loopback, in a process of its own, that notes when each request's first byte arrives.

It speaks as much of OpenAI's streaming chat completions as a client needs. The model `answer` answers. The model `hold`
answers a first turn with a tool call (or, without tools, with a word), and a later one never. On its standard output is
a line for its address, and then one for each request: the moment (CLOCK_MONOTONIC) of its first byte.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
from time import monotonic
from types import TracebackType
from typing import Any, Final, Self

__all__ = ["ModelServer"]

_HEAD: Final = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"


class ModelServer:
    """The server as a program; a context manager.

    Attributes:
        base_url: what a model's `base_url` has to be.
    """

    def __enter__(self) -> Self:
        self._program = subprocess.Popen(
            [sys.executable, "-m", __name__], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True
        )
        self.base_url = self._line()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._program.kill()
        self._program.communicate()

    def next_request(self) -> float:
        """Wait for the next request and return the moment of its first byte."""
        return float(self._line())

    def _line(self) -> str:
        assert self._program.stdout is not None  # noqa: S101 - it is a pipe
        line = self._program.stdout.readline()
        if not line:
            raise RuntimeError("The model server has ended.")
        return line.strip()


async def _serve_connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
        first = await reader.readexactly(1)
        moment = monotonic()
        head = first + await reader.readuntil(b"\r\n\r\n")
        length = next(
            int(line.partition(b":")[2]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")
        )
        request = json.loads(await reader.readexactly(length))
        print(repr(moment), flush=True)
        later = any(message["role"] == "assistant" for message in request["messages"])
        if request["model"] == "hold" and later:
            await reader.read()  # until the client goes
        else:
            calls = request["model"] == "hold" and "tools" in request
            writer.write(_HEAD + b"".join(_events(calls=calls)))
            await writer.drain()
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()


def _events(*, calls: bool) -> list[bytes]:
    call = {"index": 0, "id": "1", "type": "function", "function": {"name": "think", "arguments": '{"thought": "so"}'}}
    delta: dict[str, Any] = (
        {"role": "assistant", "tool_calls": [call]} if calls else {"role": "assistant", "content": "x"}
    )
    shared = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    reason = "tool_calls" if calls else "stop"
    chunks = [
        {**shared, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]},
        {**shared, "choices": [{"index": 0, "delta": {}, "finish_reason": reason}]},
    ]
    return [*(f"data: {json.dumps(chunk)}\n\n".encode() for chunk in chunks), b"data: [DONE]\n\n"]


async def _serve() -> None:
    server = await asyncio.start_server(_serve_connection, "127.0.0.1", 0, backlog=4096)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve())
