"""Command `top`: in a real terminal, without one, and without Textual."""

from __future__ import annotations

import contextlib
import fcntl
import importlib.util
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import COMMAND, PATIENCE, environ
from run_folders import past_run, subactors, task_row

HAS_TEXTUAL = importlib.util.find_spec("textual") is not None
NEEDS_TEXTUAL = pytest.mark.skipif(not HAS_TEXTUAL, reason="Textual is not installed: pip install 'subactors[top]'")

WITHOUT_TEXTUAL = """\
import sys
sys.modules["textual"] = None
from subactors.runtime.cli.main import run_command_line
run_command_line()
"""

COLOR = re.compile(r"\x1b\[(?:[0-9]+;)*(?:[349][0-7]|10[0-7]|[34]8)(?:;[0-9]+)*m")
OWN_COLOR = re.compile(r"\x1b\[(?:[0-9]+;)*[34]8;[25];")


class Terminal:
    """A command in a terminal of 80 cells and 24 lines, and what it has got."""

    def __init__(self, descriptor: int, program: subprocess.Popen[bytes]) -> None:
        self.program = program
        self.got = ""
        self._descriptor = descriptor

    def until(self, text: str) -> None:
        """Read until a text has come."""
        while text not in self.got:
            self.got += os.read(self._descriptor, 65536).decode("utf-8", "replace")

    def press(self, keys: bytes) -> None:
        """Press keys."""
        os.write(self._descriptor, keys)

    def end(self) -> int:
        """Read the rest; return the exit status."""
        with contextlib.suppress(OSError):  # what a terminal says when nobody else has it any more
            while data := os.read(self._descriptor, 65536):
                self.got += data.decode("utf-8", "replace")
        return self.program.wait(PATIENCE)


@contextlib.contextmanager
def terminal(folder: Path, *command: str, **more: str) -> Iterator[Terminal]:
    ours, theirs = pty.openpty()
    fcntl.ioctl(ours, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    with subprocess.Popen(
        command,
        cwd=folder,
        env=environ(folder, **{"TERM": "xterm-256color", "COLORTERM": "truecolor", **more}),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    ) as program:
        os.close(theirs)
        try:
            yield Terminal(ours, program)
        finally:
            program.kill()
            os.close(ours)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    state = tmp_path / "state"
    past_run(state, task_row(1), task_row(2, status="failed", reason="no luck"))
    return state


@NEEDS_TEXTUAL
def test_it_is_drawn_in_the_terminals_own_colors_and_leaves_the_terminal_as_it_was(root: Path, tmp_path: Path) -> None:
    with terminal(tmp_path, *COMMAND, "top", "--past", "--state-dir", str(root)) as shown:
        shown.until("no luck")
        shown.until("quit")
        shown.press(b"q")
        assert shown.end() == 0
        assert COLOR.search(shown.got)
        assert not OWN_COLOR.search(shown.got), "a color of its own may not be seen on this terminal"
        assert shown.got.count("\x1b[?1049h") == shown.got.count("\x1b[?1049l") == 1


@NEEDS_TEXTUAL
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_with_a_signal_without_colors_where_none_are_wanted(
    root: Path, tmp_path: Path, number: signal.Signals
) -> None:
    with terminal(tmp_path, *COMMAND, "top", "--past", "--state-dir", str(root), NO_COLOR="1") as shown:
        shown.until("no luck")
        shown.program.send_signal(number) if number == signal.SIGTERM else shown.press(b"\x03")
        assert shown.end() == 128 + number
        assert not COLOR.search(shown.got)
        assert not OWN_COLOR.search(shown.got)
        assert "\x1b[?1049l" in shown.got


@NEEDS_TEXTUAL
def test_read_only_it_has_no_keys_that_change_anything(root: Path, tmp_path: Path) -> None:
    with terminal(tmp_path, *COMMAND, "top", "--past", "--read-only", "--state-dir", str(root)) as shown:
        shown.until("no luck")
        shown.until("quit")
        shown.press(b"q")
        assert shown.end() == 0
        assert "view" in shown.got
        assert not re.search("resume|stop|tell|answer", shown.got)


def test_without_a_terminal_it_names_what_prints_to_a_pipe(root: Path) -> None:
    done = subactors("top", root=root)

    assert done.returncode == 2
    assert (
        done.stderr == "subactors: `subactors top` needs a terminal. `subactors ps --watch` prints changes to a pipe.\n"
    )


def test_without_textual_it_says_how_to_install_it(root: Path, tmp_path: Path) -> None:
    with terminal(tmp_path, sys.executable, "-c", WITHOUT_TEXTUAL, "top", "--state-dir", str(root)) as shown:
        assert shown.end() == 1
    assert "pip install 'subactors[top]'" in shown.got
    assert "Traceback" not in shown.got


def test_a_run_that_is_not_there_is_named(root: Path, tmp_path: Path) -> None:
    with terminal(tmp_path, *COMMAND, "top", "--run", "nothing", "--state-dir", str(root)) as shown:
        assert shown.end() == 1
    assert "nothing" in shown.got
