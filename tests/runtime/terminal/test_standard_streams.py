"""Standard streams that are closed, full, slow, or read by nobody any more: how the commands end then."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import COMMAND, PATIENCE, TEAM, WORK, environ, newest_task, shell
from first_forms import first_always
from subactors.runtime.terminal.streams import Outlet
from warm_commands import run_command

pytestmark = pytest.mark.usefixtures("warm_commands")

NO_READER = 141


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "team.yaml").write_text(TEAM)
    (tmp_path / "terminal_work.py").write_text(WORK)
    return tmp_path


# --- closed streams ---------------------------------------------------------------------------------------------------


@first_always("closed", ["<&- >&- 2>&-", ">&-", "<&-", "2>&-"], keep=2)
def test_closed_streams_are_as_empty_files(folder: Path, closed: str) -> None:
    done = shell(folder, f"$S run team.yaml hello {closed}")
    assert done.returncode == 0, done.stderr
    assert done.stdout == ("" if " >&-" in f" {closed}" else "hello\n")
    assert "Traceback" not in done.stderr
    assert newest_task(folder)["status"] == "completed"


@first_always("command", ["ps --all", "doctor", "check team.yaml", "--help", "view nothing", "run team.yaml"], keep=2)
def test_every_command_bears_closed_streams(folder: Path, command: str) -> None:
    done = shell(folder, f"$S {command} <&- >&- 2>&-; echo $?")
    assert done.stdout.strip() in {"0", "1", "2"}
    assert done.stderr == ""


def test_without_a_prompt_and_with_its_input_closed_it_is_wrong_usage(folder: Path) -> None:
    done = shell(folder, "$S run team.yaml <&-")
    assert (done.returncode, done.stdout) == (2, "")
    assert "There is no PROMPT" in done.stderr


@first_always("closed", [(0, 1, 2), (0,), (1,), (2,)])
def test_in_no_process_a_standard_descriptor_is_a_socket_or_a_journal(folder: Path, closed: tuple[int, ...]) -> None:
    program = f"""
import json, os
for number in {closed!r}:
    os.close(number)
from subactors.runtime import Runtime
with Runtime.from_file("team.yaml") as runtime:
    (view,) = runtime.wait([runtime.run("streams", "x")])
    host = [os.readlink(f"/proc/self/fd/{{number}}") for number in {closed!r}]
    with open("seen", "w") as file:
        json.dump([host, view.result, view.reason], file)
os._exit(0)
"""
    subprocess.run(
        [sys.executable, "-c", program],
        cwd=folder,
        env=environ(folder),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=PATIENCE,
        check=True,
    )
    host, result, reason = json.loads((folder / "seen").read_text())
    assert set(host) == {"/dev/null"}
    assert result is not None, reason
    assert result["opened"] > 2
    for kind in [*result["kinds"], *result["child"]]:
        assert kind == "/dev/null" or kind.endswith(".log") or kind.startswith("pipe:"), result


# --- readers that go away ---------------------------------------------------------------------------------------------


@first_always(
    "command",
    [
        "$S run team.yaml hello",
        "$S ps --all",
        "$S --help",
        "$S run team.yaml --json hello",
        "$S dispatch team.yaml root a b c",
        "$S check team.yaml",
        "$S doctor",
        "$S run --help",
        "$S --version",
        "$S demo --print",
    ],
    keep=3,
)
def test_where_nobody_reads_the_end_is_quiet(folder: Path, command: str) -> None:
    if "ps" in command:  # which has something to list
        run_command("run", "team.yaml", "first", cwd=folder, environ=environ(folder))
    done = shell(folder, f"exec 3> >(exec true); wait $!; {command} >&3; echo $?")
    assert done.stdout.strip() == str(NO_READER)
    assert "Traceback" not in done.stderr
    assert "Exception" not in done.stderr


@first_always(
    ("agent", "arguments"),
    [
        ("slow", "--json 2>errors | head -n 1"),
        ("silent", "--json 2>errors | head -n 1"),
        ("slow", "--json 2>&1 | head -n 1"),
    ],
)
def test_events_that_nobody_reads_any_more_stop_the_tasks(folder: Path, agent: str, arguments: str) -> None:
    done = shell(folder, f"$S run team.yaml -a {agent} x {arguments}; echo ${{PIPESTATUS[0]}}")
    assert done.stdout.splitlines()[-1] == str(NO_READER)
    assert newest_task(folder)["status"] == "stopped"
    with contextlib.suppress(FileNotFoundError):
        assert "Traceback" not in (folder / "errors").read_text()


@first_always("agent", ["slow", "silent"])
def test_following_ends_when_nobody_reads_any_more(folder: Path, agent: str) -> None:
    with subprocess.Popen(
        [*COMMAND, "run", "team.yaml", "-a", agent, "x"],
        cwd=folder,
        env=environ(folder),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as program:
        assert program.stderr is not None
        ident = program.stderr.readline().split()[0]
        done = shell(folder, f"$S view -f {ident} | head -n 1; echo ${{PIPESTATUS[0]}}")
        program.terminate()
        program.stderr.read()
    assert done.stdout.splitlines()[-1] == str(NO_READER)
    assert done.stderr == ""


def test_an_answer_comes_though_nobody_reads_standard_error(folder: Path) -> None:
    done = shell(folder, "exec 3> >(exec true); wait $!; $S run team.yaml hello 2>&3")
    assert (done.returncode, done.stdout) == (0, "hello\n")


@first_always("options", [[], ["--json"]])
def test_a_terminal_that_is_gone_stops_the_tasks_as_a_hangup_does(folder: Path, options: list[str]) -> None:
    terminal, theirs = pty.openpty()
    with subprocess.Popen(
        [*COMMAND, "run", "team.yaml", "-a", "slow", "x", *options],
        cwd=folder,
        env=environ(folder, TERM="xterm"),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,  # without a terminal that it is told of by a signal
    ) as program:
        os.close(theirs)
        said = b""
        while b"tick" not in said:
            said += os.read(terminal, 65536)
        os.close(terminal)
        assert program.wait(PATIENCE) == 128 + signal.SIGHUP
    assert newest_task(folder)["status"] == "stopped"


# --- a full disk ------------------------------------------------------------------------------------------------------


@first_always(
    "command",
    ["run team.yaml hello", "run team.yaml --json hello", "dispatch team.yaml root x", "ps --all", "doctor", "--help"],
)
def test_a_full_disk_is_a_sentence_and_status_1(folder: Path, command: str) -> None:
    if "ps" in command:  # which has something to list
        run_command("run", "team.yaml", "first", cwd=folder, environ=environ(folder))
    done = shell(folder, f"$S {command} > /dev/full")
    assert done.returncode == 1
    assert f"Standard output cannot be written to: {os.strerror(errno.ENOSPC)}." in done.stderr
    assert "Traceback" not in done.stderr


def test_a_full_disk_stops_tasks_whose_events_it_was_to_take(folder: Path) -> None:
    done = shell(folder, "$S run team.yaml -a silent x --json > /dev/full")
    assert done.returncode == 1
    assert newest_task(folder)["status"] == "stopped"


def test_an_answer_comes_though_standard_error_is_on_a_full_disk(folder: Path) -> None:
    done = shell(folder, "$S run team.yaml hello 2> /dev/full")
    assert (done.returncode, done.stdout) == (0, "hello\n")


# --- a slow reader ----------------------------------------------------------------------------------------------------


@pytest.fixture
def full_pipe() -> Iterator[tuple[int, int]]:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    try:
        yield reader, writer
    finally:
        os.close(reader)
        with contextlib.suppress(OSError):
            os.close(writer)


def test_a_pipe_that_somebody_made_non_blocking_gets_all_of_an_answer(folder: Path, full_pipe: tuple[int, int]) -> None:
    reader, writer = full_pipe
    (folder / "prompt").write_text("x" * 1_000_000)
    with (
        (folder / "prompt").open() as prompt,
        subprocess.Popen(
            [*COMMAND, "run", "team.yaml", "-"],
            cwd=folder,
            env=environ(folder),
            stdin=prompt,
            stdout=writer,
            stderr=subprocess.PIPE,
            text=True,
        ) as program,
    ):
        os.close(writer)
        read = 0
        while data := os.read(reader, 65536):
            read += len(data)
        assert program.stderr is not None
        assert "Traceback" not in program.stderr.read()
    assert (program.returncode, read) == (0, 1_000_001)


def test_after_the_end_of_a_stream_no_thread_writes_to_it() -> None:
    ours, theirs = os.pipe()
    outlet = Outlet(theirs, is_needed=False)
    outlet.own("a table\n")
    outlet.end_with("the end\n")
    outlet.own("a table\n")
    os.close(theirs)

    with os.fdopen(ours, "rb") as pipe:
        assert pipe.read() == b"a table\nthe end\n"
