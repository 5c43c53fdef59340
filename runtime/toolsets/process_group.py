"""Process group: runs one program in a session and group of its own, without threads, and leaves nothing of it behind.

The running event loop watches exit and output through a pidfd and a pipe that never blocks. asyncio's own child
watchers need a signal handler in the main thread or a thread per process, and this runs in any thread's loop. Processes
that the program moved out of its group (`setsid`) are not this module's concern; the end of the task takes those.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psutil

from ...actors.fence import call_fenced

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

__all__ = ["Ending", "ProcessGroup"]

_CHUNK = 65_536
_DRAINED_CHUNKS = 32
"""Reads after the end: more than a pipe holds, and no way for somebody outside the group to keep us reading."""
_KILL_WAIT = 2.0
"""Seconds in which SIGKILL has worked, unless the process hangs in the kernel or belongs to somebody else."""
_STEP = 0.01


@dataclass(frozen=True)
class Ending:
    """The end of a program.

    Attributes:
        exit_status: what it returned; None when a signal ended it, or when nobody could tell us.
        signal_number: the signal that ended it, or None.
        left_running: names of the processes that it had left running in its group, and that were killed with it.
        survivors: names of processes of the group that SIGKILL did not end within two seconds.
    """

    exit_status: int | None
    signal_number: int | None
    left_running: tuple[str, ...]
    survivors: tuple[str, ...]


class ProcessGroup:
    """A running program. Made, used and ended in one event loop; `end` must be awaited, whatever happens in between.

    Args:
        process: started by `start`, which is the way to make one.
        output: called in the event loop with each piece of output.
    """

    def __init__(self, process: subprocess.Popen[bytes], output: Callable[[bytes], None]) -> None:
        pipe = process.stdout or process.stderr
        assert pipe is not None  # noqa: S101 - `start` asked for it
        self._process = process
        self._output = output
        self._loop = asyncio.get_running_loop()
        self._pipe = pipe
        os.set_blocking(self._pipe.fileno(), False)
        self._pidfd: int | None = None
        self._exit: asyncio.Future[object]
        if hasattr(os, "pidfd_open"):
            self._exit = self._loop.create_future()
            try:
                self._pidfd = os.pidfd_open(process.pid)
            except ProcessLookupError:
                # Ended and reaped: this program ignores SIGCHLD, or waits for children that are not its own.
                self._exit.set_result(None)
            else:
                self._loop.add_reader(self._pidfd, self._on_exit)
        else:
            # macOS has no pidfd; a thread that waits is what is left.
            self._exit = self._loop.run_in_executor(None, process.wait)
        self._loop.add_reader(self._pipe.fileno(), self._on_output)

    @classmethod
    def start(
        cls,
        arguments: Sequence[str],
        *,
        output: Callable[[bytes], None],
        environ: Mapping[str, str],
        working_directory: Path | None = None,
        stdin: int = subprocess.DEVNULL,
        stdout: int | None = None,
        descriptors: Sequence[int] = (),
        reads_task: bool = False,
    ) -> ProcessGroup:
        """Start a program; its output and error output are one stream, unless `stdout` takes the output.

        Args:
            arguments: the program and its arguments.
            output: called in the event loop with each piece of output; must keep what it keeps bounded.
            environ: the whole environment of the program.
            working_directory: where it starts; None: where this process is.
            stdin: descriptor of what it can read; nothing, if not given.
            stdout: descriptor that takes its output; then only its error output is watched here.
            descriptors: further descriptors that it inherits under the same numbers; the caller's stay open.
            reads_task: whether it may look into this process, as it must to open a descriptor of it by its path.

        Raises:
            OSError: it cannot be started.
            ValueError: an argument or a variable holds a NUL byte, or is not text.
        """

        # A command or a server must not read the memory of its task, because the key of a model is in it.
        def start() -> subprocess.Popen[bytes]:
            return subprocess.Popen(
                list(arguments),
                stdin=stdin,
                stdout=subprocess.PIPE if stdout is None else stdout,
                stderr=subprocess.STDOUT if stdout is None else subprocess.PIPE,
                bufsize=0,
                cwd=working_directory,
                env=dict(environ),
                pass_fds=tuple(descriptors),
                start_new_session=True,
            )

        process = start() if reads_task else call_fenced(start)
        try:
            return cls(process, output)
        except BaseException:
            # No descriptor left for the pidfd, for example: what runs already must not go on unwatched.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            with process:
                raise

    async def exited(self, within: float) -> bool:
        """Wait until the program itself has ended, at most `within` seconds; tells whether it has."""
        done, _ = await asyncio.wait({self._exit}, timeout=within)
        return bool(done)

    async def terminate(self, grace: float) -> None:
        """Ask the whole group to end (SIGTERM) and return when it has, or after `grace` seconds."""
        self._signal(signal.SIGTERM)
        await self._gone(grace)

    async def end(self) -> Ending:
        """Kill what is left of the group, wait for it, reap the program and close everything.

        A cancellation meanwhile cuts the waiting short, and leaves nothing behind either.
        """
        # The leader is reaped after its group is killed: as a zombie it keeps the group's id from being given anew.
        left_running = _running(self._process.pid) if self._exit.done() else ()
        self._signal(signal.SIGKILL)
        survivors: tuple[str, ...] = ()
        try:
            await self.exited(_KILL_WAIT)
            survivors = await self._gone(_KILL_WAIT)
        finally:
            status = self._release()
        return Ending(
            exit_status=status if status is not None and status >= 0 else None,
            signal_number=-status if status is not None and status < 0 else None,
            left_running=left_running,
            survivors=survivors,
        )

    def _signal(self, number: signal.Signals) -> None:
        # Nobody left, or somebody who became another user: `_gone` sees who remains.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)

    async def _gone(self, within: float) -> tuple[str, ...]:
        """Wait until nothing of the group runs, at most `within` seconds; names of those that still do."""
        deadline = time.monotonic() + within
        while (running := _running(self._process.pid)) and time.monotonic() < deadline:  # noqa: ASYNC110 - a group has no event
            await asyncio.sleep(_STEP)
        return running

    def _on_exit(self) -> None:
        assert self._pidfd is not None  # noqa: S101 - only registered with one
        self._loop.remove_reader(self._pidfd)
        if not self._exit.done():
            self._exit.set_result(None)

    def _on_output(self) -> None:
        # One read a call: a program that floods must leave the loop its turns.
        if self._read() == b"":
            self._loop.remove_reader(self._pipe.fileno())

    def _read(self) -> bytes | None:
        """Pass on one piece of output and return it; empty at the end, None when there is none at the moment."""
        try:
            data = os.read(self._pipe.fileno(), _CHUNK)
        except BlockingIOError:
            return None
        if data:
            self._output(data)
        return data

    def _release(self) -> int | None:
        """Read what is still in the pipe, reap, close; never waits but for a program that was killed a moment ago."""
        self._loop.remove_reader(self._pipe.fileno())
        for _ in range(_DRAINED_CHUNKS):
            if not self._read():
                break
        self._pipe.close()
        status = self._reaped()
        if self._pidfd is not None:
            self._loop.remove_reader(self._pidfd)
            os.close(self._pidfd)
        return status

    def _reaped(self) -> int | None:
        """The exit status as `subprocess` has it, or None when it cannot be known."""
        deadline = time.monotonic() + _KILL_WAIT
        while self._process.returncode is None:
            try:
                # Not `Popen.wait`: it takes a child that somebody else has reaped for one that returned 0.
                pid, status = os.waitpid(self._process.pid, os.WNOHANG)
            except ChildProcessError:
                self._process.returncode = 0  # nothing is left to wait for
                return None
            if pid:
                self._process.returncode = os.waitstatus_to_exitcode(status)
            elif time.monotonic() >= deadline:
                return None
            else:
                time.sleep(_STEP)
        return self._process.returncode


def _running(group: int) -> tuple[str, ...]:
    """Names of the processes of a group that run; zombies do not."""
    names = []
    for pid in psutil.pids():
        try:
            if os.getpgid(pid) == group:
                process = psutil.Process(pid)
                if process.status() not in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD):
                    names.append(process.name())
        except (OSError, psutil.Error):  # gone between two looks
            continue
    return tuple(names)
