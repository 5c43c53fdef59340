"""Where what the commands print ends up: terminals, pipes, closed streams, full disks, readers that go away."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

COMMAND = [sys.executable, "-m", "subactors.runtime.cli"]
SHELL_COMMAND = f"{sys.executable} -m subactors.runtime.cli"
PATIENCE = 50.0

NO_READER = 141

OSC = "\x1b]52;c;aGk=\x07"
EVIL = f"evil {OSC}\x1b[2J\x9b31m\u202e\r text"

TEAM = """\
agents:
  root: {entrypoint: "terminal_work:say"}
  loud: {entrypoint: "terminal_work:loud"}
  broken: {entrypoint: "terminal_work:broken"}
  torn: {entrypoint: "terminal_work:torn"}
  slow: {entrypoint: "terminal_work:slow"}
  silent: {entrypoint: "terminal_work:silent"}
  streams: {entrypoint: "terminal_work:streams"}
  "a[/b]": {entrypoint: "terminal_work:loud"}
"""

WORK = """\
import os
import subprocess
import sys
import time

EVIL = "evil \\x1b]52;c;aGk=\\x07\\x1b[2J\\x9b31m\\u202e\\r text"


def say(task):
    return task.text


def loud(task):
    task.emit("said " + EVIL + "\\n")
    return "result " + EVIL


def broken(task):
    raise RuntimeError("reason " + EVIL)


def torn(task):
    task.emit("before \\x1b]52;c;")
    time.sleep(0.3)
    task.emit("aGk=\\x07 after\\n")
    return "done"


def slow(task):
    task.emit("tick\\n" * 100)
    for _ in range(1000):
        task.emit("tick\\n" * 100)
        time.sleep(0.1)


def silent(task):
    task.emit("once\\n")
    time.sleep(1000)


def streams(task):
    opened = os.open("/dev/null", os.O_RDONLY)
    kinds = [os.readlink(f"/proc/self/fd/{number}") for number in (0, 1, 2)]
    program = "import os; print(*[os.readlink(f'/proc/self/fd/{n}') for n in (0, 1, 2)])"
    child = subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    return {"opened": opened, "kinds": kinds, "child": child.stdout.split()}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "team.yaml").write_text(TEAM)
    (tmp_path / "terminal_work.py").write_text(WORK)
    return tmp_path


def environ(folder: Path, **more: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(folder), "SUBACTORS_STATE_DIR": str(folder / "state"), **more}


def in_terminal(
    folder: Path, *arguments: str, command: Sequence[str] = COMMAND, columns: int = 200, **more: str
) -> tuple[int, str]:
    """Run a command in a terminal; return its exit status and all that the terminal got."""
    terminal, theirs = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
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


def shell(folder: Path, command: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Run a command of `bash`, in which $S is `subactors`."""
    return subprocess.run(
        ["/bin/bash", "-c", command],
        cwd=folder,
        env=environ(folder, S=SHELL_COMMAND, **more),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def newest_task(folder: Path) -> dict[str, object]:
    task: dict[str, object] = json.loads(shell(folder, "$S ps --all --json").stdout.splitlines()[-1])
    return task


def is_clean(shown: str) -> bool:
    """Whether a terminal got no sequence but those of the live table: colours, and the cursor up and away."""
    return not any(what in shown for what in ("\x1b]", "\x1b[2J", "\x9b", "\u202e", "evil \r"))


# --- a terminal -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [
        ("run", "team.yaml", "-a", "loud", "x"),
        ("run", "team.yaml", "-a", "broken", EVIL),
        ("run", "team.yaml", EVIL),
        ("run", "team.yaml", EVIL, "--json"),
        ("dispatch", "team.yaml", "loud", f"task {EVIL}"),
        ("dispatch", "team.yaml", "broken", "x"),
        ("dispatch", "team.yaml", "a[/b]", f"[red]{EVIL}[/blue]"),
        ("run", "team.yaml", "--agent", EVIL, "x"),
        ("run", "team.yaml", f"--{EVIL}"),
        (EVIL,),
        ("run", f"nowhere {EVIL}.yaml", "x"),
        ("view", EVIL),
    ],
    ids=repr,
)
def test_nothing_that_anybody_says_commands_the_terminal(folder: Path, arguments: tuple[str, ...]) -> None:
    status, shown = in_terminal(folder, *arguments)
    assert is_clean(shown), shown
    assert "evil" in shown
    assert "runtime/cli.py" not in shown  # no traceback of ours
    assert status in {0, 1, 2}


def test_nor_does_it_command_a_terminal_that_cannot_be_drawn_on(folder: Path) -> None:
    for arguments in (["dispatch", "team.yaml", "a[/b]", EVIL], ["run", "team.yaml", "-a", "broken", EVIL]):
        _, shown = in_terminal(folder, *arguments, TERM="dumb")
        assert "evil" in shown
        assert "\x1b" not in shown
        assert is_clean(shown), shown


def test_a_file_with_sequences_in_its_names_is_checked_without_them(folder: Path) -> None:
    (folder / "evil.yaml").write_text(
        f"agents:\n  root: {{model: openai/{json.dumps(EVIL)[1:-1]}, instruction: x}}\n".replace(
            "openai/", '"openai/', 1
        ).replace(", instruction", '", instruction', 1)
    )
    (folder / "wrong.yaml").write_text(f"agents:\n  root: {{entrypoint: 'terminal_work:say', {json.dumps(EVIL)}: 1}}\n")
    for name in ("evil.yaml", "wrong.yaml"):
        _, shown = in_terminal(folder, "check", name)
        assert is_clean(shown), shown
        assert "evil" in shown


def test_views_and_lists_show_lines_and_text_without_sequences(folder: Path) -> None:
    shell(folder, "$S dispatch team.yaml loud x")
    ident = str(newest_task(folder)["id"])
    for arguments in (["view", ident], ["view", "-f", ident], ["ps", "--all"], ["view", ident, "--json"]):
        _, shown = in_terminal(folder, *arguments)
        assert is_clean(shown), shown
        assert "loud" in shown


MEANWHILE = """
import logging, sys, threading, warnings
from subactors.runtime import Runtime
from subactors.runtime._console import LiveTable
from subactors.runtime._terminal import take_over

EVIL = "evil \\x1b]0;title\\x07[bold]"

def fail():
    raise ValueError("error " + EVIL)

take_over()
with Runtime.from_file("team.yaml") as runtime, LiveTable(runtime) as table:
    runtime.wait([runtime.run("a[/b]", "x")])
    logging.getLogger("subactors").warning("record " + EVIL)
    warnings.warn("warning " + EVIL)
    thread = threading.Thread(target=fail)
    thread.start()
    thread.join()
    sys.stderr.write("piece " + EVIL)
    table.failed("a[/b]", "reason " + EVIL)
"""


def test_what_is_said_while_the_live_table_is_drawn_is_shown_clean_and_is_no_markup(folder: Path) -> None:
    status, shown = in_terminal(folder, command=[sys.executable, "-c", MEANWHILE])
    assert status == 0
    assert is_clean(shown), shown
    for what in ("record", "warning", "ValueError: error", "piece", "a[/b]: reason"):
        assert f"{what} evil [bold]" in shown


def table_rows(shown: str) -> list[list[str]]:
    """Return the cells of the live table's rows as they were drawn last."""
    lines = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown).replace("\r", "").split("\n")
    return [re.split(r"  +", line.strip()) for line in lines if " completed " in line]


@pytest.mark.parametrize("columns", [80, 100, 120])
def test_the_live_table_has_room_for_what_tasks_say(folder: Path, columns: int) -> None:
    _, shown = in_terminal(folder, "dispatch", "team.yaml", "root", "All of this can be read.", columns=columns)
    *_, row = table_rows(shown)
    task_id = str(newest_task(folder)["id"])
    assert task_id.endswith(row[0])
    assert row[1:3] == ["root", "completed"]
    assert row[-1].startswith("All of this")


def test_the_live_table_stays_in_its_columns_where_the_locale_lacks_a_character(folder: Path) -> None:
    poor = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    _, shown = in_terminal(folder, "dispatch", "team.yaml", "root", "…" * 100, columns=80, **poor)
    assert "\\u2026" not in shown
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown)
    assert max(map(len, re.split(r"[\r\n]", plain.split("===")[0]))) <= 80


@pytest.mark.parametrize(
    "arguments",
    [
        ("check", "team.yaml"),
        ("check", "not a team.yaml"),
        ("run", "team.yaml", "--agent", "nobody", "x"),
        ("view", "nothing"),
        ("stop", "nothing", "nobody"),
        ("ps",),
        ("prune",),
    ],
    ids=repr,
)
def test_sentences_are_broken_between_words_on_a_narrow_terminal(folder: Path, arguments: tuple[str, ...]) -> None:
    _, wide = in_terminal(folder, *arguments, columns=10_000)
    _, shown = in_terminal(folder, *arguments, columns=50)
    assert shown.split() == wide.split()
    assert all(len(line) <= 50 or " " not in line.strip() for line in shown.splitlines())


def test_an_answer_is_broken_between_words_on_a_narrow_terminal(folder: Path) -> None:
    _, shown = in_terminal(folder, "run", "team.yaml", "> " + "word " * 30, columns=50, TERM="dumb")
    answer = [line.removeprefix("> ") for line in shown.splitlines() if line.startswith("> word")]
    assert len(answer) == 4
    assert " ".join(answer).split() == ["word"] * 30


def test_a_sequence_that_comes_in_two_pieces_is_caught_as_well(folder: Path) -> None:
    with subprocess.Popen(
        [*COMMAND, "dispatch", "team.yaml", "torn", "x"],
        cwd=folder,
        env=environ(folder),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as program:
        assert program.stderr is not None
        ident = program.stderr.readline().split()[0]
        _, shown = in_terminal(folder, "view", "-f", ident)
        program.stderr.read()
    assert "before  after" in shown
    assert "aGk" not in shown


def test_text_goes_into_a_pipe_unchanged(folder: Path) -> None:
    done = subprocess.run(
        [*COMMAND, "run", "team.yaml", "-a", "loud", "x"],
        cwd=folder,
        env=environ(folder),
        capture_output=True,
        check=True,
    )
    assert done.stdout == f"result {EVIL}\n".encode()


# --- a locale ---------------------------------------------------------------------------------------------------------

POOR = [
    {"PYTHONIOENCODING": "ascii"},
    {"PYTHONIOENCODING": "latin-1:strict"},
    {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
]


@pytest.mark.parametrize("locale", POOR, ids=repr)
@pytest.mark.parametrize("command", ["run team.yaml", "dispatch team.yaml root", "run team.yaml --json"])
def test_a_character_that_the_locale_lacks_is_replaced(folder: Path, command: str, locale: dict[str, str]) -> None:
    done = shell(folder, f"$S {command} 'before 你好 😀 after' 2>&1", **locale)
    assert done.returncode == 0, done.stdout
    assert "Traceback" not in done.stdout
    assert "before" in done.stdout
    assert "after" in done.stdout


def test_json_loses_nothing_in_a_poor_locale(folder: Path) -> None:
    (folder / "prompt").write_text("naïve 你好 😀 \x7f", encoding="utf-8")
    done = shell(folder, "$S run team.yaml --json - < prompt", PYTHONIOENCODING="ascii")
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert [event["text"] for event in events if event["event"] == "answer"] == ["naïve 你好 😀 \x7f"]


def test_bytes_that_are_no_text_are_shown_with_replacements(folder: Path) -> None:
    done = shell(folder, "$S run team.yaml $'a\\xffb'; $S run team.yaml -a $'a\\xffb' x; $S check $'a\\xffb'")
    assert "Traceback" not in done.stderr
    assert done.stdout.startswith("a")
    assert "The team has no agent" in done.stderr


def test_input_that_is_no_text_in_the_locale_is_read_all_the_same(folder: Path) -> None:
    (folder / "prompt").write_bytes(b"a\xffb")
    done = shell(folder, "$S run team.yaml - < prompt")
    assert (done.returncode, done.stdout) == (0, "a\ufffdb\n")


# --- closed streams ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&-", "<&- 2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_closed_streams_are_as_empty_files(folder: Path, closed: str) -> None:
    done = shell(folder, f"$S run team.yaml hello {closed}")
    assert done.returncode == 0, done.stderr
    assert done.stdout == ("" if " >&-" in f" {closed}" else "hello\n")
    assert "Traceback" not in done.stderr
    assert newest_task(folder)["status"] == "completed"


@pytest.mark.parametrize(
    "command", ["ps --all", "doctor", "check team.yaml", "--help", "view nothing", "run team.yaml"]
)
def test_every_command_bears_closed_streams(folder: Path, command: str) -> None:
    done = shell(folder, f"$S {command} <&- >&- 2>&-; echo $?")
    assert done.stdout.strip() in {"0", "1", "2"}
    assert done.stderr == ""


def test_without_a_prompt_and_with_its_input_closed_it_is_wrong_usage(folder: Path) -> None:
    done = shell(folder, "$S run team.yaml <&-")
    assert (done.returncode, done.stdout) == (2, "")
    assert "There is no PROMPT" in done.stderr


@pytest.mark.parametrize("closed", [(0,), (1,), (2,), (0, 1), (0, 2), (1, 2), (0, 1, 2)])
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


@pytest.mark.parametrize(
    "command",
    [
        "$S run team.yaml hello",
        "$S run team.yaml --json hello",
        "$S dispatch team.yaml root a b c",
        "$S ps --all",
        "$S check team.yaml",
        "$S doctor",
        "$S --help",
        "$S run --help",
        "$S --version",
        "$S demo --print",
    ],
)
def test_where_nobody_reads_the_end_is_quiet(folder: Path, command: str) -> None:
    shell(folder, "$S run team.yaml first")
    done = shell(folder, f"exec 3> >(exec true); wait $!; {command} >&3; echo $?")
    assert done.stdout.strip() == str(NO_READER)
    assert "Traceback" not in done.stderr
    assert "Exception" not in done.stderr


@pytest.mark.parametrize("agent", ["slow", "silent"])
@pytest.mark.parametrize("arguments", ["--json 2>errors | head -n 1", "--json 2>&1 | head -n 1"])
def test_events_that_nobody_reads_any_more_stop_the_tasks(folder: Path, agent: str, arguments: str) -> None:
    done = shell(folder, f"$S run team.yaml -a {agent} x {arguments}; echo ${{PIPESTATUS[0]}}")
    assert done.stdout.splitlines()[-1] == str(NO_READER)
    assert newest_task(folder)["status"] == "stopped"
    with contextlib.suppress(FileNotFoundError):
        assert "Traceback" not in (folder / "errors").read_text()


@pytest.mark.parametrize("agent", ["slow", "silent"])
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


@pytest.mark.parametrize("options", [[], ["--json"]])
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


@pytest.mark.parametrize(
    "command",
    ["run team.yaml hello", "run team.yaml --json hello", "dispatch team.yaml root x", "ps --all", "doctor", "--help"],
)
def test_a_full_disk_is_a_sentence_and_status_1(folder: Path, command: str) -> None:
    shell(folder, "$S run team.yaml first")
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
