"""MCP lines: messages on a pair of pipes, for a client and for a server: framing, bounds and back-pressure.

It knows neither tools nor processes. It runs in the event loop of whoever entered it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from typing import IO, Final

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from mcp.shared.message import SessionMessage
from mcp_types import JSONRPCMessage, jsonrpc_message_adapter

from ...text import encodable

__all__ = ["Streams", "messages"]

_Sending = MemoryObjectSendStream[SessionMessage | Exception]
_Receiving = MemoryObjectReceiveStream[SessionMessage | Exception]

Streams = tuple[_Receiving, _Sending]
"""What a session of the `mcp` package speaks through."""

_LONGEST_LINE: Final = 16 * 2**20
"""Bytes of one message; who sends a longer one is not heard any more."""

_MOST_NOISE: Final = 1_000_000
"""Bytes, in a row, without a message; then the peer is taken for a program that does not speak the protocol."""


@contextlib.asynccontextmanager
async def messages(
    from_peer: IO[bytes], to_peer: IO[bytes], *, heard: Callable[[bytes], None], ended: Callable[[str], None]
) -> AsyncIterator[Streams]:
    """Yield the streams of a session over two pipes; both are closed afterwards.

    Args:
        from_peer: unbuffered; what the peer writes.
        to_peer: unbuffered; what the peer reads.
        heard: is called with each line that is not a message.
        ended: is called when the peer is not heard any more, with a sentence if it is to blame.

    Raises:
        ValueError: one of them is a file, or anything else that nobody can wait for.
    """
    loop = asyncio.get_running_loop()
    with contextlib.ExitStack() as closing:
        closing.enter_context(from_peer)
        closing.enter_context(to_peer)
        reader = asyncio.StreamReader(limit=_LONGEST_LINE)
        receiving, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), from_peer)
        closing.callback(receiving.close)
        sending, protocol = await loop.connect_write_pipe(
            lambda: asyncio.StreamReaderProtocol(asyncio.StreamReader()), to_peer
        )
        closing.callback(_abort, sending)
        writer = asyncio.StreamWriter(sending, protocol, None, loop)
        incoming, to_session = anyio.create_memory_object_stream[SessionMessage | Exception](0)
        from_session, outgoing = anyio.create_memory_object_stream[SessionMessage | Exception](0)
        for stream in (incoming, to_session, from_session, outgoing):
            closing.callback(stream.close)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_read, reader, incoming, heard, ended)
            tasks.start_soon(_write, outgoing, writer, incoming)
            try:
                yield to_session, from_session
            finally:
                tasks.cancel_scope.cancel()


async def _read(
    reader: asyncio.StreamReader, incoming: _Sending, heard: Callable[[bytes], None], ended: Callable[[str], None]
) -> None:
    """Hand on what the peer says; the end of it is the end of the stream, which ends the session."""
    fault = ""
    noise = 0
    try:
        async with incoming:
            while noise < _MOST_NOISE:
                line = await reader.readuntil(b"\n")
                try:
                    message = _message(line)
                except (ValueError, RecursionError):
                    heard(line)  # a banner, or what went wrong
                    noise += len(line)
                    await asyncio.sleep(0)  # the others have their turn: reading does not wait while lines are there
                    continue
                noise = 0
                await incoming.send(SessionMessage(message))
            fault = "It writes other things than messages of the protocol to its standard output."
    except asyncio.LimitOverrunError:
        fault = f"It sent a message of more than {_LONGEST_LINE:,} bytes."
    except (asyncio.IncompleteReadError, anyio.ClosedResourceError, anyio.BrokenResourceError):
        pass  # one of the two sides is at its end
    finally:
        ended(fault)


def _message(line: bytes) -> JSONRPCMessage:
    try:
        return jsonrpc_message_adapter.validate_json(line, by_name=False)
    except ValueError:
        # Half of a surrogate pair, which JSON can write and no text can hold, or bytes that are not UTF-8.
        value = json.loads(line.decode("utf-8", "replace"))
        if isinstance(value, dict) and "id" in value and not isinstance(value.get("result", {}), dict):
            # Some answer a call with the bare text. Passed over, it would leave the call without an answer.
            value["result"] = {"content": value["result"]}
        return jsonrpc_message_adapter.validate_json(encodable(json.dumps(value, ensure_ascii=False)), by_name=False)


async def _write(outgoing: _Receiving, writer: asyncio.StreamWriter, incoming: _Sending) -> None:
    try:
        async for item in outgoing:
            assert isinstance(item, SessionMessage)  # noqa: S101 - a session sends no exceptions
            writer.write(item.message.model_dump_json(by_alias=True, exclude_unset=True).encode() + b"\n")
            await writer.drain()
    except OSError:
        incoming.close()  # the peer does not listen any more: whoever waits for an answer must hear of it


def _abort(sending: asyncio.WriteTransport) -> None:
    """Close at once; `close` would wait for a peer that reads nothing."""
    if not sending.is_closing():
        sending.abort()
