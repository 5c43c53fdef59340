"""Measuring: has the work done by each way, for each size, again and again, and keeps what that took.

The ways take turns, so that what else the machine does meanwhile hits all of them. In one thread; another may cancel.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from typing import IO, Any, Final

import msgspec

from .looks import Peak, cpu_seconds, memory_of
from .work import FanOut, Opened, Order, Work

__all__ = ["Bench", "Sample"]

_LAST_WORDS: Final = 2000
"""Bytes of what a program has written to its standard error that are looked at when it dies."""

_PATIENCE: Final = 10.0
"""Seconds that a program has to end by itself."""

_TRIES: Final = 3
"""Times in a row that a program may die before its way is given up."""


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """One fan-out by one way.

    Attributes:
        way: the way.
        tasks: how many there were.
        fan_out: what it took; None: its program died.
        cpu: CPU seconds of all processes.
        peak: the most memory of all processes that was seen, in bytes.
        death: how its program died; empty if it did not.
    """

    way: str
    tasks: int
    fan_out: FanOut | None
    cpu: float = 0.0
    peak: int = 0
    death: str = ""


class Bench:
    """See the module.

    Args:
        work: what is done.
        ways: by which ways.
        progress: is told what is done next.

    Attributes:
        ways: by which ways.
        samples: what there is.
        missing: why a way is not measured, or not any more.
        opening: seconds that each way took to be ready.
        idle: bytes of memory that each way takes without a task.
    """

    def __init__(self, work: Work, ways: Sequence[str], progress: Callable[[str], None]) -> None:
        self._work = work
        self.ways = ways
        self._progress = progress
        self._programs: dict[str, _Program] = {}
        self._deaths: dict[str, int] = {}
        self._is_cancelled = False
        self.samples: list[Sample] = []
        self.missing: dict[str, str] = {}
        self.opening: dict[str, float] = {}
        self.idle: dict[str, int] = {}

    def run(self, sizes: Sequence[int], repeat: int) -> None:
        """Measure everything; returns early when it is cancelled."""
        try:
            for size in sizes:
                for number in range(1, repeat + 1):
                    for way in self.ways:
                        if way not in self.missing and not self._is_cancelled:
                            self._progress(f"Measuring {size:,} at once, {number} of {repeat}: {way}")
                            self._measure(way, size)
        finally:
            for program in self._programs.values():
                program.close()

    def cancel(self) -> None:
        """End the work early. In any thread."""
        self._is_cancelled = True
        for program in list(self._programs.values()):
            program.end()

    def _measure(self, way: str, size: int) -> None:
        program = self._programs.get(way)
        if program is None:
            program = self._programs[way] = _Program(way, self._work)
            if self._is_cancelled:  # whoever cancels may have been too early to see it
                program.end()
            opened = program.opened()
            if self._is_cancelled:
                return
            if opened.fault:
                self.missing[way] = opened.fault
                return
            self.opening.setdefault(way, opened.seconds)
            self.idle.setdefault(way, memory_of(program.pid))
        peak, before = Peak(program.pid), cpu_seconds(program.pid)
        with peak:
            fan_out = program.fan_out(size)
        if fan_out is not None and fan_out.fault:
            self.missing[way] = fan_out.fault
        elif fan_out is not None:
            self._deaths[way] = 0
            cpu = max(0.0, cpu_seconds(program.pid) - before)
            self.samples.append(Sample(way=way, tasks=size, fan_out=fan_out, cpu=cpu, peak=peak.bytes))
        elif not self._is_cancelled:
            self._note_death(way, size, program)

    def _note_death(self, way: str, size: int, program: _Program) -> None:
        death = program.death()
        self.samples.append(Sample(way=way, tasks=size, fan_out=None, death=death))
        program.close()
        del self._programs[way]
        self._deaths[way] = self._deaths.get(way, 0) + 1
        if self._deaths[way] == _TRIES:
            self.missing[way] = f"its program died {_TRIES} times"


class _Program:
    """A program that does the work by one way. A program that has died answers nothing."""

    def __init__(self, way: str, work: Work) -> None:
        ours, theirs = socket.socketpair()
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `close`
        with theirs:
            self._process = subprocess.Popen(
                # -P: what is in the current folder must not stand for a module of ours.
                [sys.executable, "-P", "-m", "subactors.runtime.bench.program", str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=self._errors,
                pass_fds=[theirs.fileno()],
                start_new_session=True,  # Ctrl-C is for whoever measures
            )
        self.pid = self._process.pid
        self._link = ours
        self._told = ours.makefile("rb")
        self._tell(way)
        self._tell(work)

    def opened(self) -> Opened:
        """Wait until it is ready, or says why it is not."""
        told: Opened | None = self._hear(Opened)
        return Opened(fault=f"its program died: {self.death()}") if told is None else told

    def fan_out(self, tasks: int) -> FanOut | None:
        """Have the work done; None: the program has died."""
        self._tell(Order(tasks))
        told: FanOut | None = self._hear(FanOut)
        return told

    def death(self) -> str:
        """Return how it died, as it has."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_PATIENCE)
        status = self._process.returncode
        if status is not None and status < 0:
            return f"The program was killed by {signal.Signals(-status).name}, with all its tasks."
        size = self._errors.seek(0, os.SEEK_END)
        self._errors.seek(max(0, size - _LAST_WORDS))
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else f"The program ended with status {status}, with all its tasks."

    def end(self) -> None:
        """Ask it to end; whoever waits for it hears of that."""
        with contextlib.suppress(ProcessLookupError):
            self._process.terminate()

    def close(self) -> None:
        """End it and all that it has started, and wait until it is gone."""
        self.end()
        if self._process.returncode is None:
            pidfd = os.pidfd_open(self.pid)
            with contextlib.closing(select.epoll()) as ended:
                ended.register(pidfd, select.EPOLLIN)
                ended.poll(_PATIENCE)
            os.close(pidfd)
            # Processes of a pool are in its group, and have nobody any more to end them. It is not reaped yet, so that
            # the group is still its own.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()
        self._told.close()
        self._link.close()
        self._errors.close()

    def _tell(self, what: Any) -> None:
        with contextlib.suppress(OSError):  # it has died, which is heard
            self._link.sendall(msgspec.json.encode(what) + b"\n")

    def _hear(self, kind: Any) -> Any:
        try:
            line = self._told.readline()
        except OSError:
            line = b""
        return msgspec.json.decode(line, type=kind) if line else None
