"""MCP on pipes: a server's program, started in a session of its own, spoken to line by line, ended for certain.

It replaces the transport of the `mcp` package, which leaves open how long a line may be, how the program ended, what it
said on standard error, and how long ending it may take. In a task's process a server ends with the task, even if
neither can say a word any more. In a host that is killed, a server sees the end of its input.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import AsyncIterator, Mapping
from typing import IO, TYPE_CHECKING, Final

import anyio

from ...text import one_line
from ..process_group import Ending, ProcessGroup
from .lines import Streams, messages

if TYPE_CHECKING:
    from ...team.mcp_definition import ResolvedServer

__all__ = ["StdioServer"]

_TIME_TO_LEAVE: Final = 0.7
"""Seconds that a server has to end by itself when its input is closed; as many again after SIGTERM."""

_LAST_WORDS: Final = 4000
"""Bytes of standard error that are kept."""

_SHOWN_WORDS: Final = 500
"""Characters of them that are shown."""


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

    @contextlib.asynccontextmanager
    async def run(self) -> AsyncIterator[Streams]:
        """Start the program and yield the streams of its messages; nothing of it is left afterwards.

        Raises:
            OSError: it cannot be started.
            ValueError: an argument or a variable is not text.
        """
        with contextlib.ExitStack() as files:
            group, from_program, to_program = self._start(files)
            try:
                async with messages(from_program, to_program, heard=self._heard, ended=self._ended) as streams:
                    yield streams
            finally:
                with anyio.CancelScope(shield=True):
                    await self._end(group)

    @property
    def has_ended(self) -> bool:
        """Whether the program says nothing any more."""
        return self._silent

    def how_it_ended(self) -> str:
        """Say how the program ended, and what it last wrote to standard error; parts that are unknown are left out."""
        # Secrets first: the cut could leave a part of one.
        said = self._server.without_secrets(self._last_words.decode("utf-8", "replace"))[-_SHOWN_WORDS:]
        parts = [self._fault or _sentence(self._ending)]
        if said.strip():
            parts.append(f"Its last words on standard error: {one_line(said, _SHOWN_WORDS)}")
        return " ".join(part for part in parts if part)

    def _start(self, files: contextlib.ExitStack) -> tuple[ProcessGroup, IO[bytes], IO[bytes]]:
        """Start the program; returns it, what it writes and what it reads. `files` are kept until it has ended."""
        arguments = list(self._server.arguments)
        for option, content in self._server.secret_files:
            arguments += [option, _in_memory(content, files)]
        with contextlib.ExitStack() as theirs, contextlib.ExitStack() as ours:
            stdin, to_program = os.pipe()
            theirs.callback(os.close, stdin)
            input_file = ours.enter_context(os.fdopen(to_program, "wb", buffering=0))
            from_program, stdout = os.pipe()
            theirs.callback(os.close, stdout)
            output_file = ours.enter_context(os.fdopen(from_program, "rb", buffering=0))
            group = ProcessGroup.start(
                arguments,
                output=self._heard,
                environ=self._environ,
                working_directory=self._server.cwd,
                stdin=stdin,
                stdout=stdout,
                reads_task=bool(self._server.secret_files),  # by paths that its own programs can open, too
            )
            ours.pop_all()
            return group, output_file, input_file

    def _heard(self, data: bytes) -> None:
        self._last_words = (self._last_words + data)[-_LAST_WORDS:]

    def _ended(self, fault: str) -> None:
        self._silent = True
        self._fault = fault

    async def _end(self, group: ProcessGroup) -> None:
        """End the program: its input is closed already, which is how a server is asked to leave."""
        try:
            if not await group.exited(_TIME_TO_LEAVE):
                self._fault = self._fault or "It did not end when its input was closed, and was killed."
                await group.terminate(_TIME_TO_LEAVE)
        finally:
            self._ending = await group.end()


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
