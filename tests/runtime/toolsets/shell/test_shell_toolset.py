"""The `shell` tool, with real commands: what it answers, what it bounds, and that nothing is left behind."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil
import pytest
from processes_and_waits import wait_until
from subactors.runtime.toolsets.base import ToolAnswer, ToolBox
from subactors.runtime.toolsets.head_and_tail import HeadAndTail
from subactors.runtime.toolsets.shell.toolset import ShellToolset

ENVIRON = {"PATH": os.environ["PATH"], "SHELL": "/bin/sh", "HOME": "/", "COLOUR": "red"}
LONG_TIMEOUT = 50.0


@pytest.fixture(params=["pidfd", "thread"])
def either_way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a test twice: with a pidfd, and as on a system that has none."""
    if request.param == "thread":
        monkeypatch.delattr(os, "pidfd_open")


def box_in(folder: Path, **options: Any) -> ToolBox:
    settings: dict[str, Any] = {"working_directory": folder, "environ": ENVIRON, "timeout": LONG_TIMEOUT}
    return ToolBox([ShellToolset(**(settings | options))])


def shell(box: ToolBox, **arguments: object) -> ToolAnswer:
    return asyncio.run(box.call("shell", json.dumps(arguments)))


def runs(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def open_descriptors() -> set[str]:
    links = [link for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]
    return {f"{link.name} -> {link.readlink()}" for link in links}


@pytest.mark.usefixtures("either_way")
def test_output_and_error_output_are_answered_together(tmp_path: Path) -> None:
    answer = shell(box_in(tmp_path), cmd="echo one; echo two >&2; echo three")
    assert answer.text == "one\ntwo\nthree"
    assert answer.data == {"exit_status": 0, "signal": None, "timed_out": False, "output": "one\ntwo\nthree\n"}
    assert not answer.is_error


def test_a_command_that_prints_nothing_is_said_to_print_nothing(tmp_path: Path) -> None:
    assert shell(box_in(tmp_path), cmd="true").text == "(no output)"


@pytest.mark.usefixtures("either_way")
def test_a_failing_command_is_answered_with_its_status_and_is_no_error(tmp_path: Path) -> None:
    answer = shell(box_in(tmp_path), cmd="echo why; exit 3")
    assert not answer.is_error
    assert answer.text.startswith("Exit status 3")
    assert "why" in answer.text
    assert answer.data["exit_status"] == 3


@pytest.mark.usefixtures("either_way")
def test_a_death_by_signal_is_named(tmp_path: Path) -> None:
    answer = shell(box_in(tmp_path), cmd="kill -SEGV $$")
    assert "SIGSEGV" in answer.text
    assert answer.data["signal"] == "SIGSEGV"
    assert answer.data["exit_status"] is None


def test_a_status_with_which_a_shell_reports_a_signal_is_explained(tmp_path: Path) -> None:
    answer = shell(box_in(tmp_path), cmd="sh -c 'kill -KILL $$'; exit $?")
    assert answer.data["exit_status"] == 137
    assert "SIGKILL" in answer.text


@pytest.mark.parametrize("cmd", ["", "  \n\t"])
def test_a_blank_command_is_answered_with_an_error(tmp_path: Path, cmd: str) -> None:
    answer = shell(box_in(tmp_path), cmd=cmd)
    assert answer.is_error
    assert "blank" in answer.text


@pytest.mark.parametrize("cmd", ["echo \0", ":" + "x" * 500_000], ids=["nul", "too long"])
def test_a_command_that_cannot_be_started_is_answered_with_an_error(tmp_path: Path, cmd: str) -> None:
    answer = shell(box_in(tmp_path), cmd=cmd)
    assert answer.is_error
    assert "could not be started" in answer.text


def test_a_command_starts_in_the_working_directory_or_in_a_folder_below_it(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    assert shell(box_in(tmp_path), cmd="pwd").text == str(tmp_path)
    assert shell(box_in(tmp_path), cmd="pwd", cwd="below").text == str(tmp_path / "below")
    assert shell(box_in(tmp_path), cmd="pwd", cwd="/").text == "/"


def test_a_folder_that_does_not_exist_is_named(tmp_path: Path) -> None:
    answer = shell(box_in(tmp_path), cmd="pwd", cwd="nowhere")
    assert answer.is_error
    assert str(tmp_path / "nowhere") in answer.text
    assert "does not exist" in answer.text


def test_a_file_in_place_of_a_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    answer = shell(box_in(tmp_path), cmd="pwd", cwd="file")
    assert answer.is_error
    assert "is not a folder" in answer.text


@pytest.mark.parametrize("timeout", ["0", "-1", "NaN", "Infinity"])
def test_a_timeout_that_makes_no_sense_is_an_error(tmp_path: Path, timeout: str) -> None:
    answer = asyncio.run(box_in(tmp_path).call("shell", f'{{"cmd": "echo run > file", "timeout": {timeout}}}'))
    assert answer.is_error
    assert "timeout" in answer.text
    assert not (tmp_path / "file").exists()


def test_the_input_of_a_command_is_empty(tmp_path: Path) -> None:
    assert shell(box_in(tmp_path), cmd="cat; echo end").text == "end"


@pytest.mark.parametrize(
    ("env", "expected"),
    [
        ({"COLOUR": "blue"}, "blue"),
        ({"COLOUR": "dark ${env.COLOUR}"}, "dark red"),
        ({"COLOUR": "dark ${COLOUR}"}, "dark red"),
        ({"COLOUR": "dark $COLOUR."}, "dark red."),
        ({"COLOUR": "${env.ABSENT || 'green'}"}, "green"),
        ({"COLOUR": "5 $ or $$COLOUR"}, "5 $ or $COLOUR"),
        ({}, "red"),
    ],
)
def test_configured_variables_win_and_may_refer_to_the_environment(
    tmp_path: Path, env: Mapping[str, str], expected: str
) -> None:
    assert shell(box_in(tmp_path, env=env), cmd='echo "$COLOUR"').text == expected


@pytest.mark.parametrize("value", ["${env.ABSENT}", "${ABSENT}", "$ABSENT"])
def test_a_configured_variable_that_refers_to_a_missing_one_is_an_error_that_names_both(
    tmp_path: Path, value: str
) -> None:
    answer = shell(box_in(tmp_path, env={"TOKEN": value}), cmd="echo run")
    assert answer.is_error
    assert "ABSENT" in answer.text
    assert "TOKEN" in answer.text


def test_a_reference_that_is_not_understood_is_an_error(tmp_path: Path) -> None:
    answer = shell(box_in(tmp_path, env={"TOKEN": "${env.A.B}"}), cmd="echo run")
    assert answer.is_error
    assert "${env.A.B}" in answer.text


def test_a_command_has_the_given_environment_and_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OF_THIS_PROCESS", "secret")
    assert shell(box_in(tmp_path), cmd='echo "[$OF_THIS_PROCESS]"').text == "[]"


@pytest.mark.parametrize("name", ["nologin", "missing"])
def test_a_shell_that_runs_no_commands_is_replaced(tmp_path: Path, name: str) -> None:
    (tmp_path / "nologin").write_text("#!/bin/sh\necho this account is not available\nexit 1\n")
    (tmp_path / "nologin").chmod(0o755)
    assert shell(box_in(tmp_path, environ=ENVIRON | {"SHELL": str(tmp_path / name)}), cmd="echo run").text == "run"


def test_the_users_shell_runs_the_command(tmp_path: Path) -> None:
    (tmp_path / "myshell").write_text('#!/bin/sh\necho "mine: $1 $2"\n')
    (tmp_path / "myshell").chmod(0o755)
    box = box_in(tmp_path, environ=ENVIRON | {"SHELL": str(tmp_path / "myshell")})
    assert shell(box, cmd="echo run").text == "mine: -c echo run"


def test_of_long_output_the_head_and_the_tail_are_answered(tmp_path: Path) -> None:
    answer = shell(box_in(tmp_path, limit=5_000), cmd="echo first; head -c 20000000 /dev/zero | tr '\\0' x; echo last")
    assert answer.text.startswith("first\n")
    assert answer.text.endswith("last")
    assert "of 20,000,011 bytes left out here" in answer.text
    assert len(answer.text) <= 5_000
    assert len(answer.data["output"]) <= 5_000


def test_what_is_kept_of_output_is_bounded_while_it_is_read() -> None:
    output = HeadAndTail(1_000)
    for _ in range(10_000):
        output.feed(b"x" * 700)
        assert len(output._head) + len(output._tail) <= 3_000
    assert output.total == 7_000_000


def test_a_cut_through_a_character_leaves_the_character_out() -> None:
    output = HeadAndTail(101)
    output.feed("é€😀".encode() * 100)
    excerpt = output.excerpt()
    assert excerpt.exact
    assert "\N{REPLACEMENT CHARACTER}" not in excerpt.head + excerpt.tail
    assert len((excerpt.head + excerpt.tail).encode()) + excerpt.left_out == output.total


def test_output_that_is_no_utf_8_is_shown_as_far_as_it_can_be(tmp_path: Path) -> None:
    assert shell(box_in(tmp_path), cmd="printf 'a\\377b'").text == "a\N{REPLACEMENT CHARACTER}b"


@pytest.mark.usefixtures("either_way")
def test_a_command_that_takes_too_long_is_killed_with_all_it_started(tmp_path: Path) -> None:
    answer = shell(box_in(tmp_path), cmd="echo started; sleep 1000 & echo $! $$; wait", timeout=1.0)
    assert answer.is_error
    assert "Timed out after 1 s" in answer.text
    assert answer.data["timed_out"]
    started, pids = answer.data["output"].splitlines()
    assert started == "started"
    assert started in answer.text
    assert not any(runs(int(pid)) for pid in pids.split())


def test_a_command_that_ignores_being_asked_to_end_is_killed(tmp_path: Path) -> None:
    answer = shell(box_in(tmp_path), cmd="trap '' TERM; echo $$; while :; do sleep 1000; done", timeout=1.0)
    assert answer.data["signal"] == "SIGKILL"
    assert not runs(int(answer.data["output"]))


def test_what_a_command_prints_when_asked_to_end_is_answered(tmp_path: Path) -> None:
    cmd = "trap 'echo cleaning up; exit 7' TERM; echo ready; sleep 1000 & wait"
    answer = shell(box_in(tmp_path), cmd=cmd, timeout=1.0)
    assert answer.data["timed_out"]
    assert answer.data["exit_status"] == 7
    assert "cleaning up" in answer.text


@pytest.mark.usefixtures("either_way")
@pytest.mark.parametrize("redirection", ["", ">/dev/null 2>&1"], ids=["holds the pipe", "holds nothing"])
def test_a_background_job_ends_with_its_command(tmp_path: Path, redirection: str) -> None:
    answer = shell(box_in(tmp_path), cmd=f"sleep 1000 {redirection} & echo $!")
    assert answer.data["exit_status"] == 0
    assert "left processes running; they ended with it" in answer.text
    assert not runs(int(answer.data["output"]))


def test_a_program_that_left_the_group_does_not_keep_the_answer_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "left")
    # The FIFO tells its id once it has left; it holds the pipe that the command's output is read from.
    answer = shell(box_in(tmp_path), cmd="setsid sh -c 'echo $$ > left; exec sleep 1000' & cat left")
    pid = int(answer.data["output"])
    try:
        assert answer.data["exit_status"] == 0
        assert runs(pid)
    finally:
        os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize("cancellations", [1, 2])
def test_a_cancelled_call_kills_the_command_and_all_it_started(tmp_path: Path, cancellations: int) -> None:
    os.mkfifo(tmp_path / "started")

    async def scenario() -> list[str]:
        arguments = json.dumps({"cmd": "sleep 1000 & echo $! $$ > started; wait"})
        call = asyncio.ensure_future(box_in(tmp_path).call("shell", arguments))
        pids = await asyncio.to_thread((tmp_path / "started").read_text)
        for _ in range(cancellations):
            call.cancel()
            await asyncio.sleep(0)
        with pytest.raises(asyncio.CancelledError):
            await call
        return pids.split()

    pids = asyncio.run(scenario())
    assert len(pids) == 2
    assert not psutil.pid_exists(int(pids[1]))
    # A second cancellation cuts short the waiting for what has been killed.
    assert cancellations > 1 or not runs(int(pids[0]))
    wait_until(lambda: not runs(int(pids[0])), "what the command had started is gone")


def test_calls_leave_no_descriptor_and_no_child(tmp_path: Path) -> None:
    async def scenario() -> None:
        box = box_in(tmp_path)
        await box.call("shell", '{"cmd": "true"}')
        before = open_descriptors()
        for cmd in ("echo hi", "exit 3", "sleep 1000 & echo hi", "no-such-command"):
            await box.call("shell", json.dumps({"cmd": cmd}))
        await box.call("shell", '{"cmd": "sleep 1000", "timeout": 0.1}')
        assert open_descriptors() == before

    before = {child.pid for child in psutil.Process().children()}
    asyncio.run(scenario())
    assert {child.pid for child in psutil.Process().children()} <= before


def test_several_commands_run_side_by_side(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "meeting")

    async def scenario() -> list[ToolAnswer]:
        box = box_in(tmp_path)
        # Each waits for the other: opening a FIFO returns when both ends are open.
        commands = ("echo hello > meeting", "cat meeting")
        return await asyncio.gather(*(box.call("shell", json.dumps({"cmd": cmd})) for cmd in commands))

    assert [answer.data["output"] for answer in asyncio.run(scenario())] == ["", "hello\n"]


def test_commands_run_in_the_event_loop_of_any_thread(tmp_path: Path) -> None:
    answers: list[ToolAnswer] = []
    thread = threading.Thread(target=lambda: answers.append(shell(box_in(tmp_path), cmd="echo hi; exit 2")))
    thread.start()
    thread.join()
    assert [answer.data["exit_status"] for answer in answers] == [2]


def test_a_status_that_somebody_else_took_is_said_to_be_unknown(tmp_path: Path) -> None:
    previous = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        answer = shell(box_in(tmp_path), cmd="echo hi; exit 3")
    finally:
        signal.signal(signal.SIGCHLD, previous)
    assert answer.data["exit_status"] is None
    assert "not known" in answer.text
    assert answer.data["output"] == "hi\n"


def test_the_model_is_told_where_commands_run_and_for_how_long(tmp_path: Path) -> None:
    (instruction,) = box_in(tmp_path, timeout=12.5).instructions
    assert str(tmp_path) in instruction
    assert "12.5 s" in instruction
