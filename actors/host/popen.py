"""Popen: the host's handle of one process of the `multiprocessing` context, named as in the standard library.

The process is the zygote's, as an actor's is. All that it is told is in its first message; then its channel is closed.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
from concurrent.futures import Future
from multiprocessing import util
from multiprocessing.connection import wait
from typing import TYPE_CHECKING, Final

from ..errors import StartError
from ..interrupts import result_of
from ..wire.ancillary import send_first
from ..wire.frames import encode_frame
from ..wire.inheritance import in_memory
from ..wire.messages import Start
from .exit import ProcessExit
from .forked_process import ForkedProcess
from .interrupted import pass_interrupt_on, pass_interrupt_on_at_exit

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .io import IOThread
    from .zygote_keeper import Surroundings

__all__ = ["Popen"]

_LONG: Final = 32 * 1024
"""Bytes of the longest first message; a longer one goes in a file, as nobody would send the rest of it."""


class Popen(ForkedProcess):
    """See the module. The methods without `on_` are those that `multiprocessing.process.BaseProcess` calls.

    Attributes:
        sentinel: the process's pidfd: readable when it has ended.
        returncode: exit status, or minus the number of the signal that ended it; None while it runs.
    """

    method = "zygote"
    is_plain = True

    def __init__(
        self,
        key: int,
        *,
        theirs: socket.socket,
        fenced: bool,
        io: IOThread,
        forget: Callable[[int], None],
    ) -> None:
        super().__init__(key, theirs=theirs, fenced=fenced, io=io, forget=forget)
        self.sentinel = -1
        self.returncode: int | None = None
        self._forked: Future[None] = Future()
        self._ended: Future[int] = Future()
        self._finalizer: util.Finalize | None = None

    # --- from any thread --------------------------------------------------------------------------------------------

    def begin(self, channel: socket.socket, here: Surroundings, data: bytes, descriptors: Sequence[int]) -> None:
        """Send all that is ever sent, and close the channel. A new one takes at once as much as goes over it here.

        Args:
            channel: the host's end of it.
            here: what the process is given of this moment.
            data: what it is told, pickled (see `context/child`).
            descriptors: what it is given; the first leads to the resource tracker.
        """
        with contextlib.ExitStack() as sent:
            sent.enter_context(channel)
            start = Start("", b"", here.directory, here.environ, here.sys_path, None, process=data, tracker=0)
            frame = encode_frame(start)
            if len(frame) > _LONG:
                descriptors = [*descriptors, in_memory(frame)]
                sent.callback(os.close, descriptors[-1])
                frame = encode_frame(Start("", b"", b"", None, None, None, memory=len(descriptors) - 1))
            self._beginning.sent(frame)
            send_first(channel, memoryview(frame), descriptors)

    def wait_until_forked(self) -> None:
        """Return when there is a process id; raises StartError if there never will be one."""
        try:
            result_of(self._forked)
        except BaseException:
            self.kill()  # an interrupt of the waiting must not leave a process that nobody knows of
            raise
        pass_interrupt_on_at_exit()

    def poll(self, flag: int = os.WNOHANG) -> int | None:
        """Return the exit code; None while the process runs. With other flags than `os.WNOHANG`, wait for it."""
        return self.wait(0.0 if flag == os.WNOHANG else None)

    def wait(self, timeout: float | None = None) -> int | None:
        """Wait for the exit code, for so many seconds; None if there is none then.

        An interrupt (Ctrl-C) that ends the wait is passed on to the host's processes; see `interrupted`.
        """
        if self.returncode is None and os.getpid() == self._io.owner:
            try:
                if self._ended.done() or wait([self.sentinel], timeout):
                    # What it has started is ended, and the zygote tells its code in a moment, or the I/O thread gives
                    # that up.
                    self.returncode = result_of(self._ended)
            except KeyboardInterrupt as interrupt:
                pass_interrupt_on(interrupt)
                raise
        return self.returncode

    def terminate(self) -> None:
        """Send SIGTERM."""
        self._send(signal.SIGTERM)

    def interrupt(self) -> None:
        """Send SIGINT."""
        self._send(signal.SIGINT)

    def kill(self) -> None:
        """Send SIGKILL."""
        if os.getpid() == self._io.owner:  # a fork of the host has no part in this process
            super().kill()

    def _send(self, number: signal.Signals) -> None:
        if os.getpid() == self._io.owner:
            self.send_signal(number)

    def close(self) -> None:
        """Close the sentinel."""
        if self._finalizer is not None:
            self._finalizer()

    def stop(self) -> None:
        """End the process, as its system is being closed."""
        self.terminate()

    # --- in the I/O thread ------------------------------------------------------------------------------------------

    def on_forked(self, pid: int, pidfd: int) -> None:
        """The process exists."""
        self.sentinel = pidfd
        super().on_forked(pid, pidfd)
        if self.end is None:
            # Here, so that it is also closed where an interrupt has ended the wait for this moment.
            self._finalizer = util.Finalize(self, os.close, (pidfd,))
            self._forked.set_result(None)

    def on_start_failed(self, message: str) -> None:
        """The process could not be forked."""
        self.on_end(ProcessExit(unobserved=message))

    def on_end(self, seen: ProcessExit) -> None:
        """Publish the exit code, once. The pidfd stays open: it is the sentinel, and who started the process has it."""
        with self._lock:
            if self.end is not None:
                return
            self.end = seen
            pidfd, self._pidfd = self._pidfd, None
            self._beginning.over()
        if pidfd is not None:
            self._io.unwatch(pidfd)
        if self._timer is not None:
            self._timer.cancel()
        if not self._forked.done():
            self._forked.set_exception(StartError(f"The process did not start: {seen.unobserved}"))
        self._ended.set_result(seen.exitcode)
        self._forget(self.key)

    def on_closed(self, seen: ProcessExit) -> None:
        """The I/O thread has ended."""
        self.on_end(seen)
