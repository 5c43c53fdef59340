"""Runs host programs for the runner, marked, bounded in time, and with nothing of them left afterwards."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from .processes import MARK, Process, descendants, end_all, marked

__all__ = ["Ended", "HostProgram", "host_program", "run_host", "run_in_turn", "wait_for_note"]

_ROOT: Final = Path(__file__).parent.parent
_TAIL: Final = 600
_STEP: Final = 0.25


@dataclass
class Ended:
    """How a host ended.

    Attributes:
        lines: what it has recorded.
        fault: why its values are not whole; empty if it ended well.
        left: how many processes it has left behind, which are ended now.
    """

    lines: list[dict[str, Any]] = field(default_factory=list)
    fault: str = ""
    left: int = 0


class HostProgram:
    """A host that runs, and what it was seen to start.

    Args:
        arguments: scenario and contender.
        size: as JSON.
        folder: where it may write.
        takes_turns: whether its standard input leads here, where it waits for its turns.
    """

    def __init__(self, arguments: list[str], size: str, folder: Path, *, takes_turns: bool) -> None:
        self._turns, theirs = socket.socketpair()
        self.mark = secrets.token_hex(16)
        self._out = folder / "values"
        self._errors = folder / "errors"
        self._seen: dict[tuple[int, int], Process] = {}
        environ = {
            **os.environ,
            MARK: self.mark,
            "PYTHONPATH": os.pathsep.join(filter(None, [str(_ROOT), os.environ.get("PYTHONPATH")])),
            "SUBACTORS_STATE_DIR": str(folder / "state"),
            "SUBACTORS_BENCHMARK_KEY": "none",
            "TMPDIR": str(folder),
        }
        with self._errors.open("wb") as errors, theirs:
            self.program = subprocess.Popen(
                [sys.executable, "-m", "benchmarks.host", *arguments, str(self._out), size],
                env=environ,
                cwd=_ROOT,
                stdin=theirs if takes_turns else subprocess.DEVNULL,
                stdout=errors,
                stderr=errors,
                start_new_session=True,
            )

    def look(self) -> list[Process]:
        """Return all processes of it that live: by mark, by descent, or by having been seen before."""
        for process in [*marked(self.mark), *descendants(self.program.pid)]:
            self._seen[process.pid, process.born] = process
        return [process for process in self._seen.values() if process.alive and process.pid != self.program.pid]

    def wants_turn(self, limit: float) -> bool:
        """Wait until it could go on; False if it ends, or the limit comes, first."""
        deadline = time.monotonic() + limit
        self._turns.settimeout(_STEP)
        # What it has started may have its standard input, and keep that open.
        while time.monotonic() < deadline and self.program.poll() is None:
            with contextlib.suppress(TimeoutError):
                return bool(self._turns.recv(1))
        return False

    def give_turn(self) -> None:
        """Have it go on."""
        with contextlib.suppress(OSError):  # it has ended
            self._turns.send(b".")

    def lines(self) -> list[dict[str, Any]]:
        """Return what it has recorded so far."""
        with contextlib.suppress(FileNotFoundError):
            return [json.loads(line) for line in self._out.read_text().splitlines(keepends=True) if line.endswith("\n")]
        return []

    def errors(self) -> str:
        """Return the end of what it has written to its standard streams."""
        return self._errors.read_text(errors="replace").strip()[-_TAIL:]

    def wait(self, limit: float) -> str:
        """Wait for it to end; return how it ended badly, or nothing."""
        try:
            status = self.program.wait(limit)
        except subprocess.TimeoutExpired:
            self.look()
            return f"still running after {limit:g} s"
        if status < 0:
            return f"died of {signal.Signals(-status).name}"
        return f"exit status {status}: {self.errors()}" if status else ""

    def end(self) -> int:
        """End it and all that is left of it; return how many were left beside it."""
        left = self.look()
        if self.program.poll() is None:
            self.program.kill()
            self.program.wait()
        self._turns.close()
        # What is ended may have started more meanwhile.
        remaining = self.look()
        while remaining:
            end_all(remaining)
            remaining = self.look()
        return len(left)


@contextlib.contextmanager
def host_program(arguments: list[str], size: str, *, takes_turns: bool = False) -> Iterator[HostProgram]:
    """Have a host run, and end all of it in the end."""
    # Short, because Unix sockets in it have short names.
    with tempfile.TemporaryDirectory(prefix="sb-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        program = HostProgram(arguments, size, Path(folder), takes_turns=takes_turns)
        try:
            yield program
        finally:
            program.end()


def run_host(arguments: list[str], size: str, limit: float) -> Ended:
    """Run a host to its end, or to the limit in seconds."""
    with host_program(arguments, size) as program:
        return _ended(program, limit)


def run_in_turn(hosts: list[list[str]], size: str, turns: int, limit: float) -> list[Ended]:
    """Run some hosts that take turns, to their ends.

    Args:
        hosts: scenario and contender of each.
        size: as JSON.
        turns: how many each takes.
        limit: seconds for each turn, and for what comes before and behind them.
    """
    with contextlib.ExitStack() as stack:
        programs = [stack.enter_context(host_program(arguments, size, takes_turns=True)) for arguments in hosts]
        taking = [program for program in programs if program.wants_turn(limit)]
        for _ in range(turns):
            for program in [*taking]:
                program.give_turn()
                if not program.wants_turn(limit):
                    taking.remove(program)
            # Nobody always comes behind the same one.
            taking = [*taking[1:], *taking[:1]]
        ended = []
        for program in programs:
            program.give_turn()
            ended.append(_ended(program, limit))
        return ended


def _ended(program: HostProgram, limit: float) -> Ended:
    fault = program.wait(limit)
    return Ended(program.lines(), fault, program.end())


def wait_for_note(program: HostProgram, name: str, limit: float) -> dict[str, Any] | None:
    """Wait until a host has noted something; None if it ends or the limit comes first."""
    deadline = time.monotonic() + limit
    while time.monotonic() < deadline:
        for line in program.lines():
            if name in line.get("note", {}):
                found: dict[str, Any] = line["note"]
                return found
        if program.program.poll() is not None:
            return None
        time.sleep(_STEP)
    return None
