"""Completion: real shells, in which somebody types the beginning of a word and presses TAB."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import shutil
import subprocess
import sys
import termios
from pathlib import Path

import pytest
from command_line import COMMAND, write_team
from first_forms import first_always
from live_runs import live_run, running
from run_folders import past_run, task_row
from subactors.runtime.tasks.questions import Question

SHELLS = {
    "bash": ["bash", "--norc", "--noprofile", "-i"],
    "zsh": ["zsh", "-f", "-i"],
    "fish": ["fish", "--no-config", "-i"],
}
LOAD = {
    "bash": "source script",
    "zsh": "autoload -U compinit; compinit -u -D; source ./script",
    "fish": "source script",
}
RUNNING, ENDED, QUESTION = "agent_task_0000ab12", "agent_task_0000cd34", "question_5e6f7a8b"

LINES = {
    "disp": "dispatch",
    "ps --statu": "ps --status",
    "ps --status fai": "ps --status failed",
    "ps --agent spec": "ps --agent specialist",
    "dispatch team.yaml gree": "dispatch team.yaml greeter",
    "run team.yaml --agent pat": "run team.yaml --agent patient",
    "run team.yaml --place la": "run team.yaml --place lab",
    "view agent_task_0000c": f"view {ENDED}",
    "logs 0000c": "logs 0000cd34",
    "stop 0": "stop 0000ab12",
    "wait x agent_task_0000a": f"wait x {RUNNING}",
    "answer quest": f"answer {QUESTION}",
    "ps --run run_": "ps --run run_20",
    "completion fi": "completion fish",
    "ps --color=al": "ps --color=always",
    "ps --format id,stat": "ps --format id,status",
    "bench team.yaml gree": "bench team.yaml greeter",
    "bench --against threads,co": "bench --against threads,coroutines",
    "init --tools shell,thi": "init --tools shell,think",
    "init --model openai/g": "init --model openai/gpt-",
    "check tea": "check team.yaml",
    "stop --run run_": "stop --run run_20",
}
"""What is typed before TAB, and how what is there then begins."""

PROGRAM = f"""\
#!/bin/sh
[ -z "$_SUBACTORS_COMPLETE" ] || exec {sys.executable} -m subactors.runtime.cli
echo "$*" >> called
"""
"""Notes how it is called, unless a shell asks it what to offer."""


def typed(shell: str, folder: Path) -> list[str]:
    """Type all lines into a shell, each with TAB; return with what it called the program."""
    script = subprocess.run([*COMMAND, "completion", shell], check=True, capture_output=True, text=True)
    (folder / "script").write_text(script.stdout)
    (folder / "subactors").write_text(PROGRAM)
    (folder / "subactors").chmod(0o700)
    ours, theirs = pty.openpty()
    environ = {
        **os.environ,
        "HOME": str(folder),
        "TERM": "dumb",
        "PATH": f"{folder}:{os.environ['PATH']}",
        "SUBACTORS_STATE_DIR": str(folder / "state"),
    }
    keys = f"{LOAD[shell]}\r" + "".join(f"subactors {line}\t\r" for line in LINES) + "exit\r"
    with subprocess.Popen(
        SHELLS[shell],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        cwd=folder,
        env=environ,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509 - no thread is at anything yet
    ) as program:
        os.close(theirs)
        os.write(ours, keys.encode())
        shown = b""
        with contextlib.suppress(OSError):
            while data := os.read(ours, 65536):
                shown += data
    os.close(ours)
    assert program.returncode == 0, shown.decode()
    return (folder / "called").read_text().splitlines()


@first_always("shell", SHELLS)
def test_a_shell_completes_commands_options_agents_ids_and_runs(shell: str, tmp_path: Path) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    folder = write_team(tmp_path)
    with (folder / "team.yaml").open("a") as team:
        team.write("runtime: {places: {lab: {type: ssh, hosts: [box1]}}}\n")
    asks = Question(id=QUESTION, task_id=RUNNING, agent="specialist", text="Really?")
    past_run(folder / "state", task_row(0xCD34))
    with live_run(folder / "state", running(RUNNING, agent="specialist", questions=[asks])) as run:
        called = typed(shell, folder)

    assert [line[: len(wanted)] for line, wanted in zip(called, LINES.values(), strict=True)] == [*LINES.values()]
    assert f"stop --run {run.folder.path.name}" in map(str.rstrip, called)


def test_what_cannot_be_looked_up_is_not_offered_and_nothing_is_said(tmp_path: Path) -> None:
    (tmp_path / "state").touch()
    done = subprocess.run(
        COMMAND,
        env={
            **os.environ,
            "SUBACTORS_STATE_DIR": str(tmp_path / "state"),
            "_SUBACTORS_COMPLETE": "bash_complete",
            "COMP_WORDS": "subactors view a",
            "COMP_CWORD": "2",
        },
        capture_output=True,
        check=False,
    )

    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, b"", b"")
