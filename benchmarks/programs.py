"""Runs host programs for the runner, marked, bounded in time, and with nothing of them left afterwards."""

from __future__ import annotations

import atexit
import contextlib
import functools
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from .processes import MARK, Process, descendants, end_all, marked

__all__ = ["Ended", "HostProgram", "host_program", "run_host", "wait_for_note"]

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
    """A host that runs, and what it was seen to start."""

    def __init__(self, arguments: list[str], size: str, folder: Path) -> None:
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
        with self._errors.open("wb") as errors:
            self.program = subprocess.Popen(
                [sys.executable, "-m", "benchmarks.host", *arguments, str(self._out), size],
                env=environ,
                cwd=_ROOT,
                stdin=subprocess.DEVNULL,
                stdout=errors,
                stderr=errors,
                start_new_session=True,
            )

    def look(self) -> list[Process]:
        """Return all processes of it that live: by mark, by descent, or by having been seen before."""
        for process in [*marked(self.mark), *descendants(self.program.pid)]:
            self._seen[process.pid, process.born] = process
        return [process for process in self._seen.values() if process.alive and process.pid != self.program.pid]

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
        # What is ended may have started more meanwhile.
        remaining = self.look()
        while remaining:
            end_all(remaining)
            remaining = self.look()
        return len(left)


@contextlib.contextmanager
def host_program(arguments: list[str], size: str) -> Iterator[HostProgram]:
    """Have a host run, and end all of it in the end."""
    program = HostProgram(arguments, size, Path(tempfile.mkdtemp(dir=_folder())))
    try:
        yield program
    finally:
        program.end()


@functools.cache
def _folder() -> Path:
    """Return where the folders of hosts are, which are there until this program ends.

    For five minutes after files were deleted, ext4 without a journal (`recently_deleted`) looks at each of them again
    to make a new one near by: after 1,500 files 0.14 ms instead of 0.02. So a host would pay for the files of those
    before it, and users delete theirs seldom.
    """
    folder = tempfile.mkdtemp(prefix="sb-", dir="/tmp")  # short, because Unix sockets in it have short names
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


def run_host(arguments: list[str], size: str, limit: float) -> Ended:
    """Run a host to its end, or to the limit in seconds."""
    ended = Ended()
    with host_program(arguments, size) as program:
        ended.fault = program.wait(limit)
        ended.lines = program.lines()
        ended.left = program.end()
    return ended


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
