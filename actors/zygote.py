"""The zygote: a small program that imports what tasks need once, then forks one process per actor on request.

Started by the host as `python -m subactors.actors.zygote`, it serves one control socket and ends when that closes. It
reaps every child, ends what a dead actor left behind, and reports each exit once.

It must never start a thread, an event loop or a pool, and never open a client: a fork copies only the calling thread,
so a lock that another thread holds would stay locked in every child. It must never kill a process that it is not the
parent of: only a parent that has not yet reaped can be sure whose process id it names.

Why not `multiprocessing`'s fork server: it freezes environment, directory and descriptors when it starts, re-imports
the host's `__main__`, leaves its children alive when the host is killed, and knows nothing of grandchildren.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import resource
import select
import signal
import socket
import sys
import time
from multiprocessing.context import ForkProcess
from multiprocessing.popen_fork import Popen
from multiprocessing.process import BaseProcess
from typing import Final

import msgspec

from . import _child, _linux
from ._mark import SWEEP_LIMIT
from ._wire import Configuration, Exited, Fork, Forked, ForkFailed, FromZygote, encode_packet

__all__ = ["main"]

_CONTROL_LIMIT: Final = 65536

_DESCRIPTORS_FOR_A_FORK: Final = 5
"""Two pipes of `multiprocessing`, and the pidfd."""


class _UnreapedPopen(Popen):
    """A forked process whose exit status the zygote collects itself, with `wait4`, for the resource usage."""

    def poll(self, flag: int = os.WNOHANG) -> int | None:
        """Return the status that the zygote has noted; `multiprocessing` calls this for each child at each start."""
        del flag
        return self.returncode


class _ForkedActor(ForkProcess):
    """A `multiprocessing` process that serves one channel; only the zygote creates it."""

    def __init__(self, key: int, channel: socket.socket, descriptor_limit: int) -> None:
        super().__init__(name=f"subactor-{key}")
        self.key = key
        self._channel = channel
        self._zygote = os.getpid()
        self._descriptor_limit = descriptor_limit

    @staticmethod
    def _Popen(process_obj: BaseProcess) -> Popen:  # noqa: N802 - multiprocessing's own hook
        return _UnreapedPopen(process_obj)

    def run(self) -> None:
        """Runs in the new process, on its main thread."""
        _child.serve(self._channel, self._zygote, self._descriptor_limit)

    def reaped(self, code: int) -> None:
        """Tell `multiprocessing` that the process is gone, and close what it held for it."""
        popen: Popen = self._popen  # type: ignore[attr-defined]  # the stub does not know the attribute
        popen.returncode = code
        self.close()


class _Zygote:
    """The zygote's state: the children that it forked, and those whose tree is being ended."""

    def __init__(self, control: socket.socket, host_pid: int) -> None:
        self._control = control
        self._descriptor_limit = _raise_descriptor_limit()
        self._children: dict[int, _ForkedActor] = {}
        self._dying: list[Exited] = []
        self._sweep_until = 0.0
        self._host = os.pidfd_open(host_pid)
        self._wakeup, wakeup_end = os.pipe()
        os.set_blocking(self._wakeup, False)
        os.set_blocking(wakeup_end, False)
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
        signal.set_wakeup_fd(wakeup_end, warn_on_full_buffer=False)

    def serve(self) -> None:
        """Serve the control socket until the host closes it or dies, then end everything, whatever happens."""
        try:
            self._serve_requests()
        finally:
            self._end_everything()

    def _serve_requests(self) -> None:
        poll = select.poll()
        for descriptor in (self._control.fileno(), self._host, self._wakeup):
            poll.register(descriptor, select.POLLIN)
        while True:
            timeout = 20 if self._dying else None  # milliseconds; an orphan that is being killed has no other alarm
            ready = {descriptor for descriptor, _ in poll.poll(timeout)}
            if self._wakeup in ready or self._dying:
                self._drain_wakeup()
                self._reap()
            if self._host in ready:
                break
            if self._control.fileno() in ready and not self._take_request():
                break

    def _take_request(self) -> bool:
        try:
            packet, descriptors, _, _ = socket.recv_fds(self._control, _CONTROL_LIMIT, 1, socket.MSG_CMSG_CLOEXEC)
        except ConnectionError:
            return False
        if not packet:
            return False
        request = msgspec.msgpack.decode(packet, type=Fork)
        if not descriptors:
            self._send(ForkFailed(request.key, "the zygote has no descriptor left for it (see RLIMIT_NOFILE)"))
            return True
        with socket.socket(fileno=descriptors[0]) as channel:
            self._fork(request.key, channel)
        return True

    def _fork(self, key: int, channel: socket.socket) -> None:
        process = _ForkedActor(key, channel, self._descriptor_limit)
        opened: list[int] = []
        try:
            opened = _next_descriptors(_DESCRIPTORS_FOR_A_FORK)
            process.start()
        except OSError as error:
            # `multiprocessing` leaves its pipes open when the fork that they were for is refused.
            for descriptor in opened:
                with contextlib.suppress(OSError):
                    os.close(descriptor)
            self._send(ForkFailed(key, f"fork failed: {error.strerror or error}"))
            return
        assert process.pid is not None  # noqa: S101 - start() sets it; for the type checker
        self._children[process.pid] = process
        pidfd = os.pidfd_open(process.pid)
        try:
            self._send(Forked(key, process.pid), pidfd)
        finally:
            os.close(pidfd)

    def _reap(self) -> None:
        """Collect every child that has ended, its tree first, and report those that are gone with theirs."""
        while (ended := _peek_ended_child()) is not None:
            actor = self._children.pop(ended, None)
            if actor is not None:
                # The unreaped leader keeps its group's id from being used again, so this hits its own group only.
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(ended, signal.SIGKILL)
            _, status, usage = os.wait4(ended, 0)
            if actor is not None:
                code = os.waitstatus_to_exitcode(status)
                actor.reaped(code)
                self._dying.append(
                    Exited(actor.key, code, usage.ru_utime, usage.ru_stime, usage.ru_maxrss * 1024, survivors=0)
                )
                self._sweep_until = time.monotonic() + SWEEP_LIMIT
        survivors = self._kill_orphans()
        if self._dying and (not survivors or time.monotonic() > self._sweep_until):
            for exited in self._dying:
                self._send(msgspec.structs.replace(exited, survivors=survivors))
            self._dying.clear()

    def _kill_orphans(self) -> int:
        """Kill the children that the zygote did not fork; return how many there are.

        Every actor's process is a subreaper, so while it lives its daemons become its own children. What arrives here
        has outlived its actor.
        """
        orphans = [pid for pid in _linux.children_of_this_thread() if pid not in self._children]
        for pid in orphans:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return len(orphans)

    def _end_everything(self) -> None:
        deadline = time.monotonic() + SWEEP_LIMIT
        while time.monotonic() < deadline:
            children = _linux.children_of_this_thread()
            if not children:
                return
            for pid in children:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)
                    if pid in self._children:
                        os.killpg(pid, signal.SIGKILL)
            while (ended := _peek_ended_child()) is not None:
                os.waitpid(ended, 0)
            time.sleep(0.001)

    def _drain_wakeup(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while os.read(self._wakeup, 4096):
                pass

    def _send(self, message: FromZygote, *descriptors: int) -> None:
        # The host is gone: the next turn of the loop sees it and ends everything.
        with contextlib.suppress(ConnectionError):
            socket.send_fds(self._control, [encode_packet(message)], descriptors)


def _peek_ended_child() -> int | None:
    """Return a child that has ended, leaving it unreaped; None if there is none."""
    try:
        ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return None
    return ended.si_pid if ended is not None else None


def _raise_descriptor_limit() -> int:
    """Go from the soft to the hard limit, as each child costs some; return the soft one, which children get back."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return soft


def _next_descriptors(count: int) -> list[int]:
    """Return the numbers that the next descriptors will have; raises OSError if the system has not so many left."""
    numbers: list[int] = []
    try:
        for _ in range(count):
            numbers.append(os.dup(0))  # noqa: PERF401 - those made before one fails have to be closed
    finally:
        for number in numbers:
            os.close(number)
    return numbers


def _preload(modules: list[str]) -> None:
    for entry in modules:
        name, _, function = entry.partition(":")
        # A module that is missing or broken will fail again, with its traceback, in the task that needs it.
        with contextlib.suppress(BaseException):
            module = importlib.import_module(name)
            if function:
                getattr(module, function)()


def _drop_the_hosts_signal_setup() -> None:
    """Unblock and no longer ignore what the host's I/O thread blocks and the host ignores; both outlive an exec."""
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    kept = {signal.SIGKILL, signal.SIGSTOP, signal.SIGPIPE, signal.SIGXFSZ}  # Python itself ignores the last two
    for number in signal.valid_signals() - kept:
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)


def main() -> None:
    """Run the zygote on the control socket whose descriptor is the program's only argument."""
    number = int(sys.argv[1])
    # What the host's own code has left inheritable is the host's.
    _linux.close_descriptors_but({0, 1, 2, number})
    control = socket.socket(fileno=number)
    control.set_inheritable(False)
    _linux.set_process_name("subactors-zyg")
    _drop_the_hosts_signal_setup()
    # The host decides what a Ctrl-C at the terminal means; it reaches the whole foreground group.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    packet = control.recv(_CONTROL_LIMIT)
    if not packet:
        return
    configuration = msgspec.msgpack.decode(packet, type=Configuration)
    sys.path[:] = map(os.fsdecode, configuration.sys_path)
    _linux.become_subreaper()
    try:
        zygote = _Zygote(control, configuration.host_pid)
    except ProcessLookupError:
        return  # the host died while this program started
    _preload(configuration.preload)
    # `multiprocessing` would close it in every child and open another; a child takes it back from `sys.__stdin__`.
    sys.stdin = None
    gc.collect()
    # Objects outside the collector's lists are not written to by a collection in a child, so their pages stay shared.
    gc.freeze()
    zygote.serve()
    # Not sys.exit: `multiprocessing` would wait, without a bound, for children that are gone or past killing.
    os._exit(0)


if __name__ == "__main__":
    main()
