"""Terminals: a command in a terminal of a size, and all that the terminal got."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import struct
import subprocess
import termios
from collections.abc import Sequence
from pathlib import Path

from commands import COMMAND, PATIENCE, environ

__all__ = ["in_terminal"]


def in_terminal(
    folder: Path, *arguments: str, command: Sequence[str] = COMMAND, columns: int = 200, rows: int = 24, **more: str
) -> tuple[int, str]:
    """Run a command in a terminal; return its exit status and all that the terminal got."""
    terminal, theirs = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    with subprocess.Popen(
        [*command, *arguments],
        cwd=folder,
        env=environ(folder, **{"TERM": "xterm-256color", **more}),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    ) as program:
        os.close(theirs)
        got = b""
        with contextlib.suppress(OSError):  # what a terminal says when nobody else has it any more
            while data := os.read(terminal, 65536):
                got += data
        status = program.wait(PATIENCE)
    os.close(terminal)
    return status, got.decode("utf-8", "replace")
