"""An MCP server as a program on pipes: started in a session of its own, spoken to line by line, ended for certain.

In place of the transport of the `mcp` package, because of what that leaves open: how long a line may be, how the
program ended, what it said on standard error, and how long ending it may take.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Final

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from mcp.shared.message import SessionMessage
from mcp_types import jsonrpc_message_adapter

from .._text import one_line
from ._process_group import Ending, ProcessGroup

if TYPE_CHECKING:
    from .._mcp_server import ResolvedServer

__all__ = ["StdioServer"]

_Sending = MemoryObjectSendStream[SessionMessage | Exception]
_Receiving = MemoryObjectReceiveStream[SessionMessage | Exception]

_LONGEST_LINE: Final = 16 * 2**20
"""Bytes of one message; a server that sends more is ended."""

_TIME_TO_LEAVE: Final = 0.7
"""Seconds that a server has to end by itself when its input is closed; as many again after SIGTERM."""

_LAST_WORDS: Final = 2000
"""Bytes of standard error that are kept."""

_SHOWN_WORDS: Final = 500


class StdioServer:
    """A server's program. Belongs to one event loop; `run` is entered once.

    Args:
        server: what to start.
        environ: the environment that its `env` is laid over.
    """

    def __init__(self, server: ResolvedServer, environ: Mapping[str, str]) -> None:
        self._server = server
        self._environ = {**environ, **server.env}
        self._last_words = b""
        self._fault = ""
        self._silent = False
        self._ending: Ending | None = None
        self._group: ProcessGroup | None = None

    @contextlib.asynccontextmanager
    async def run(self) -> AsyncIterator[tuple[_Receiving, _Sending]]:
        """Start the program and yield the streams of its messages; nothing of it is left afterwards.

        Raises:
            OSError: it cannot be started.
            ValueError: an argument or a variable holds what is no text.
        """
        with contextlib.ExitStack() as files:
            try:
                with contextlib.ExitStack() as pipes:
                    reader, writer = await self._start(files, pipes)
                    incoming, to_session = _streams()
                    from_session, outgoing = _streams()
                    for stream in (incoming, to_session, from_session, outgoing):
                        pipes.callback(stream.close)
                    async with anyio.create_task_group() as tasks:
                        tasks.start_soon(self._read, reader, incoming)
                        tasks.start_soon(self._write, outgoing, writer, incoming)
                        try:
                            yield to_session, from_session
                        finally:
                            tasks.cancel_scope.cancel()
            finally:
                with anyio.CancelScope(shield=True):
                    await self._end()

    @property
    def has_ended(self) -> bool:
        """Whether the program says nothing any more."""
        return self._silent

    def how_it_ended(self) -> str:
        """Say how the program ended, and what it last wrote to standard error; parts that are unknown are left out."""
        said = self._server.without_secrets(one_line(self._last_words.decode("utf-8", "replace")[-_SHOWN_WORDS:], 500))
        parts = [self._fault or _sentence(self._ending)]
        if said:
            parts.append(f"Its last words on standard error: {said}")
        return " ".join(part for part in parts if part)

    async def _start(
        self, files: contextlib.ExitStack, pipes: contextlib.ExitStack
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Start the program; `files` are kept until it has ended, `pipes` closed before."""
        loop = asyncio.get_running_loop()
        arguments = list(self._server.arguments)
        for option, content in self._server.secret_files:
            arguments += [option, _in_memory(content, files)]
        with contextlib.ExitStack() as theirs:
            stdin, to_program = os.pipe()
            theirs.callback(os.close, stdin)
            input_file = pipes.enter_context(os.fdopen(to_program, "wb", buffering=0))
            from_program, stdout = os.pipe()
            theirs.callback(os.close, stdout)
            output_file = pipes.enter_context(os.fdopen(from_program, "rb", buffering=0))
            self._group = ProcessGroup.start(
                arguments,
                output=self._heard,
                environ=self._environ,
                working_directory=self._server.cwd,
                stdin=stdin,
                stdout=stdout,
            )
        reader = asyncio.StreamReader(limit=_LONGEST_LINE)
        receiving, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), output_file)
        pipes.callback(receiving.close)
        sending, protocol = await loop.connect_write_pipe(
            lambda: asyncio.StreamReaderProtocol(asyncio.StreamReader()), input_file
        )
        pipes.callback(_abort, sending)
        return reader, asyncio.StreamWriter(sending, protocol, None, loop)

    def _heard(self, data: bytes) -> None:
        self._last_words = (self._last_words + data)[-_LAST_WORDS:]

    async def _read(self, reader: asyncio.StreamReader, incoming: _Sending) -> None:
        """Hand on what the program says; the end of it is the end of the stream, which ends the session."""
        with contextlib.suppress(anyio.ClosedResourceError, anyio.BrokenResourceError), contextlib.ExitStack() as end:
            end.callback(setattr, self, "_silent", True)
            async with incoming:
                while True:
                    try:
                        line = await reader.readuntil(b"\n")
                    except asyncio.IncompleteReadError:
                        return
                    except asyncio.LimitOverrunError:
                        self._fault = f"It sent a message of more than {_LONGEST_LINE:,} bytes."
                        return
                    try:
                        message = jsonrpc_message_adapter.validate_json(line, by_name=False)
                    except ValueError:
                        self._heard(line)  # no message: a banner, or what went wrong
                        continue
                    await incoming.send(SessionMessage(message))

    async def _write(self, outgoing: _Receiving, writer: asyncio.StreamWriter, incoming: _Sending) -> None:
        try:
            async for item in outgoing:
                assert isinstance(item, SessionMessage)  # noqa: S101 - a session sends no exceptions
                writer.write(item.message.model_dump_json(by_alias=True, exclude_unset=True).encode() + b"\n")
                await writer.drain()
        except OSError:
            incoming.close()  # it does not listen any more: whoever waits for an answer must hear of it

    async def _end(self) -> None:
        """End the program: its input is closed already, which is how a server is asked to leave."""
        group = self._group
        if group is None:
            return
        try:
            if not await group.exited(_TIME_TO_LEAVE):
                self._fault = self._fault or "It did not end when its input was closed, and was killed."
                await group.terminate(_TIME_TO_LEAVE)
        finally:
            self._ending = await group.end()


def _streams() -> tuple[_Sending, _Receiving]:
    return anyio.create_memory_object_stream[SessionMessage | Exception](0)


def _abort(sending: asyncio.WriteTransport) -> None:
    """Close the program's input at once; `close` would wait for a program that reads nothing."""
    if not sending.is_closing():
        sending.abort()


def _in_memory(content: str, descriptors: contextlib.ExitStack) -> str:
    """Return the path of a file that no other user can read and that is gone with this process, however it ends."""
    descriptor = os.memfd_create("subactors")
    descriptors.callback(os.close, descriptor)
    os.write(descriptor, content.encode())
    return f"/proc/{os.getpid()}/fd/{descriptor}"


def _sentence(ending: Ending | None) -> str:
    if ending is None:
        return ""
    if ending.signal_number is not None:
        with contextlib.suppress(ValueError):
            return f"It was ended by {signal.Signals(ending.signal_number).name}."
        return f"It was ended by signal {ending.signal_number}."
    return f"It ended with exit status {ending.exit_status}." if ending.exit_status is not None else "It has ended."
