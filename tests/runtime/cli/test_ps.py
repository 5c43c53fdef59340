"""`ps`: tasks of other processes, and of runs whose host is gone."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest
from first_forms import first_always
from live_runs import FIRST, PATIENCE, SECOND, UNFINISHED, live_run, running
from run_folders import command, host, make_old, past_run, subactors, task_row
from subactors.runtime import Vitals
from subactors.runtime.control import finding
from subactors.runtime.control import other_hosts as elsewhere
from subactors.runtime.models.base import Usage
from subactors.runtime.runs.journal import Journal
from subactors.runtime.tasks.questions import Question
from subactors.runtime.tasks.views import Progress


def test_ps_lists_what_runs_in_columns(tmp_path: Path) -> None:
    vitals = Vitals(cpu_percent=12.4, cpu_seconds=3.0, memory_bytes=34_000_000, processes=2)
    with live_run(
        tmp_path,
        running(FIRST, vitals=vitals, usage=Usage(1000, 234, 2, 0.01), task="read\nall\tof it"),
        running(SECOND, agent="a_longer_name"),
        running("agent_task_00000003", status="completed"),
    ):
        done = subactors("ps", root=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    me = str(os.getpid())
    head, first, second = (line.split() for line in done.stdout.splitlines())
    assert " ".join(head) == "ID AGENT STATUS STARTED RUNTIME CPU CPU% MEMORY TOKENS COST HOST TASK"
    used = f"3.00 s 12 % 34 MB 1,234 $0.0100 {me}"
    assert " ".join(first) == f"{FIRST} worker running 2026-01-31T12:00:00Z 1 min 01 s {used} read all of it"
    assert (
        " ".join(second) == f"{SECOND} a_longer_name running 2026-01-31T12:00:00Z 1 min 01 s - - - - - {me} hard work"
    )
    columns = {line.index(what) for line, what in zip(done.stdout.splitlines(), ["TASK", "read", "hard"], strict=True)}
    assert len(columns) == 1


def test_ps_shows_no_task_of_a_run_that_has_ended(tmp_path: Path) -> None:
    past_run(tmp_path, task_row(1), task_row(2, **UNFINISHED))
    done = subactors("ps", root=tmp_path)
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == f"subactors: No tasks are running in {tmp_path}.\n"


def test_ps_says_that_a_state_folder_is_not_there(tmp_path: Path) -> None:
    missing = tmp_path / "mistyped"

    done = subactors("ps", root=missing)

    assert done.stderr.startswith(f"subactors: There is no folder {missing}: no run is kept there.\n")
    assert not missing.exists()


def test_ps_all_shows_past_tasks_too_the_newest_last(tmp_path: Path) -> None:
    make_old(past_run(tmp_path, task_row(1)), days=2)
    make_old(past_run(tmp_path, task_row(2, **UNFINISHED)), days=1)
    with live_run(tmp_path, running("agent_task_00000003")):
        done = subactors("ps", "--all", root=tmp_path)
    rows = [line.split() for line in done.stdout.splitlines()[1:]]
    assert [(row[0][-1], row[2]) for row in rows] == [("1", "completed"), ("2", "failed"), ("3", "running")]
    assert done.returncode == 0


def test_ps_all_is_bounded_to_the_newest(tmp_path: Path) -> None:
    for day in range(4):
        make_old(past_run(tmp_path, *(task_row(100 * day + number) for number in range(100))), days=9 - day)
    done = subactors("ps", "--all", root=tmp_path)
    assert [int(line.split()[0][-8:], 16) for line in done.stdout.splitlines()[1:]] == list(range(200, 400))


def test_ps_json_prints_one_object_a_task(tmp_path: Path) -> None:
    with live_run(tmp_path, running(FIRST), running(SECOND)) as run:
        done = subactors("ps", "--json", root=tmp_path)
        rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["id"] for row in rows] == [FIRST, SECOND]
    assert rows[0]["status"] == "running"
    assert rows[0]["host_pid"] == os.getpid()
    assert rows[0]["run"] == str(run.folder.path)


def test_ps_names_a_damaged_run_and_shows_the_others(tmp_path: Path) -> None:
    damaged, empty = past_run(tmp_path), past_run(tmp_path)
    (damaged / "journal.sqlite").write_bytes(b"damaged" * 1000)
    (empty / "journal.sqlite").unlink()
    (tmp_path / "run_by_nobody").mkdir()
    past_run(tmp_path, task_row(1))
    done = subactors("ps", "--all", root=tmp_path)
    assert done.returncode == 0
    assert len(done.stdout.splitlines()) == 2
    warnings = done.stderr.splitlines()
    assert len(warnings) == 3
    assert all(any(name in line for line in warnings) for name in (damaged.name, empty.name, "run_by_nobody"))
    assert "Traceback" not in done.stderr


def test_a_host_that_does_not_answer_is_named_and_its_journal_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(elsewhere, "PATIENCE", 0.1)
    with live_run(tmp_path) as silent:
        written = threading.Event()
        silent.journal.write([task_row(1, **UNFINISHED)], written.set)
        written.wait(PATIENCE)
        silent._server._answer = lambda _request, _reply_to, _face: None
        with live_run(tmp_path, running(SECOND)):
            survey = elsewhere.tasks_of(tmp_path)
            with finding.find(tmp_path, FIRST) as task:
                assert task.view().status == "running"
                assert "does not answer" in task.warning
    assert {listed.view.id: listed.view.status for listed in survey.tasks} == {FIRST: "running", SECOND: "running"}
    (warning,) = survey.warnings
    assert f"{silent.folder.path.name} (process {os.getpid()}) did not answer" in warning


def test_a_host_without_a_socket_is_read_by_its_journal(tmp_path: Path) -> None:
    with host(tmp_path) as holder:
        journal = Journal(holder.run / "journal.sqlite", {})
        journal.write([task_row(1, **UNFINISHED)])
        journal.close()
        done = subactors("ps", root=tmp_path)
    assert FIRST in done.stdout
    assert f"(process {holder.program.pid}) did not answer" in done.stderr


def test_a_state_folder_that_is_a_file_is_no_traceback(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for name in ("ps", "prune"):
        done = subactors(name, root=tmp_path / "file")
        assert done.returncode == 2
        assert "is a file" in done.stderr


def test_a_task_cannot_send_control_characters_to_the_terminal(tmp_path: Path) -> None:
    past_run(tmp_path, task_row(1, task="\x1b[2Jgone"), said={FIRST: b"\x1b]0;title\x07text\n"})
    for arguments in (["ps", "--all"], ["view", FIRST], ["view", "-f", FIRST]):
        shown = on_a_terminal(*arguments, root=tmp_path)
        assert b"\x1b" not in shown
        assert b"\x07" not in shown
    assert "\x1b]0;title" in subactors("view", FIRST, root=tmp_path).stdout


def on_a_terminal(*arguments: object, root: Path, **environ: str) -> bytes:
    """Return what a command prints on a terminal, which has no colors unless its environment says so."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        command(*arguments, "--state-dir", root),
        stdout=theirs,
        stderr=theirs,
        env={**os.environ, "NO_COLOR": "1", **environ},
    ) as program:
        os.close(theirs)
        shown = b""
        with contextlib.suppress(OSError):  # how a terminal says that nobody writes to it any more
            while data := os.read(ours, 65536):
                shown += data
    os.close(ours)
    assert program.returncode == 0
    return shown


def test_ps_shows_when_tasks_have_ended_if_one_has(tmp_path: Path) -> None:
    began = 1769860800.0
    past = past_run(tmp_path, task_row(1, started=began + 0.25, ended=began + 3.5), task_row(2, started=began + 1))
    make_old(past, days=1)
    with live_run(tmp_path, running("agent_task_00000003")):
        done = subactors("ps", "--all", root=tmp_path)
    head, *rows = (line.split() for line in done.stdout.splitlines())
    assert head[3:5] == ["STARTED", "ENDED"]
    assert [row[3:5] for row in rows] == [
        ["2026-01-31T12:00:00Z", "2026-01-31T12:00:03Z"],
        ["2026-01-31T12:00:01Z", "2026-01-31T12:00:03Z"],  # of a journal without an end: by the runtime
        ["2026-01-31T12:00:00Z", "-"],
    ]


def test_ps_leaves_out_times_on_a_very_narrow_terminal(tmp_path: Path) -> None:
    past_run(tmp_path, task_row(1), task_row(2))
    lines = on_a_terminal("ps", "--all", root=tmp_path, COLUMNS="60").decode().splitlines()
    assert max(map(len, lines)) <= 60
    assert lines[0].split() == ["ID", "AGENT", "STATUS", "STARTED", "RUNTIME", "TASK"]


def test_ps_keeps_to_the_width_of_an_ordinary_terminal(tmp_path: Path) -> None:
    began, midnight = 1769860800.0, time.time() // 86_400 * 86_400
    today = (midnight + 0.25, midnight + 1.5)
    past_run(tmp_path, task_row(1, started=began, ended=began + 3), task_row(2, started=today[0], ended=today[1]))
    lines = on_a_terminal("ps", "--all", root=tmp_path).decode().splitlines()
    assert max(map(len, lines)) <= 80
    rows = [line.split() for line in lines[1:]]
    assert rows[0][3:5] == ["2026-01-31", "2026-01-31"]
    if time.time() < midnight + 86_400:
        assert rows[1][3:5] == ["00:00:00Z", "00:00:01Z"]
    assert "HOST" not in lines[0]


MIXED = [
    task_row(1),
    task_row(2, agent="other", status="failed", reason="No luck."),
    task_row(3, agent="other"),
    task_row(4, status="stopped", reason="Stopped."),
]


@first_always(
    ("options", "numbers"),
    [
        (["--all", "-n", "2"], [4, 5]),
        (["--all", "-n", "2", "--agent", "other"], [2, 3]),
        (["-n", "9"], [5]),
        (["--status", "failed"], [2]),
        (["--status", "failed", "--status", "running"], [2, 5]),
        (["--status", "running"], [5]),
        (["--agent", "other"], []),
        (["--all", "--agent", "other"], [2, 3]),
        (["--all", "--agent", "other", "--agent", "worker", "--status", "completed"], [1, 3]),
        (["--all", "--run", "PAST"], [1, 2, 3, 4]),
        (["--run", "LIVE"], [5]),
        (["--run", "PAST"], []),
    ],
    keep=3,
)
@pytest.mark.parametrize("as_json", [False, True])
def test_ps_lists_only_what_is_asked_for(tmp_path: Path, options: list[str], numbers: list[int], as_json: bool) -> None:
    past = make_old(past_run(tmp_path, *MIXED), days=1)
    with live_run(tmp_path, running("agent_task_00000005")) as run:
        names = {"PAST": str(past), "LIVE": run.folder.path.name[-8:]}
        done = subactors("ps", *(names.get(word, word) for word in options), *["--json"] * as_json, root=tmp_path)
    lines = done.stdout.splitlines()
    ids = [json.loads(line)["id"] for line in lines] if as_json else [line.split()[0] for line in lines[1:]]
    assert [int(task_id[-1]) for task_id in ids] == numbers
    assert done.returncode == 0


def test_ps_by_agent_finds_an_old_task_behind_many_newer_ones(tmp_path: Path) -> None:
    make_old(past_run(tmp_path, task_row(1, agent="rare")), days=2)
    past_run(tmp_path, *(task_row(number) for number in range(2, 250)))
    done = subactors("ps", "--all", "--agent", "rare", root=tmp_path)
    assert [line.split()[0] for line in done.stdout.splitlines()[1:]] == [FIRST]


@pytest.mark.parametrize("options", [["--status", "asleep"], ["-n", "0"], ["-n", "many"]])
def test_a_wrong_option_of_ps_is_wrong_usage(tmp_path: Path, options: list[str]) -> None:
    done = subactors("ps", *options, root=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")


def test_where_ps_finds_none_of_a_kind_it_says_how_to_find_those_that_have_ended(tmp_path: Path) -> None:
    past_run(tmp_path, task_row(1))
    done = subactors("ps", "--agent", "worker", root=tmp_path)
    assert done.stderr == (
        f"subactors: No tasks of that kind are running in {tmp_path}. `--all` lists those that have ended, too.\n"
    )


def test_chosen_columns_are_shown_in_their_order(tmp_path: Path) -> None:
    asks = Question(id="question_1", task_id=FIRST, agent="worker", text="Delete all?", choices=["yes", "no"])
    usage = Usage(1000, 234, 2, 0.01)
    with live_run(tmp_path, running(FIRST, usage=usage, questions=[asks], progress=Progress(1, 4))):
        done = subactors("ps", "--format", "cost,ID,progress,asks", root=tmp_path)
    head, row = done.stdout.splitlines()
    assert head.split() == ["COST", "ID", "PROGRESS", "ASKS"]
    assert " ".join(row.split()) == f"$0.0100 {FIRST} 1 of 4 (25 %) Delete all? Choose from: 'yes', 'no'."


def test_a_template_has_the_keys_of_json(tmp_path: Path) -> None:
    with live_run(tmp_path, running(FIRST, usage=Usage(cost=0.5))) as run:
        done = subactors(
            "ps", "--format", r"{id}\t{usage.cost:.2f}\t{ended_at}|{vitals.memory_bytes:,}|{run}", root=tmp_path
        )
    assert done.stdout == f"{FIRST}\t0.50\t||{run.folder.path}\n"


def test_a_value_that_cannot_be_written_so_is_wrong_usage(tmp_path: Path) -> None:
    with live_run(tmp_path, running(FIRST)):
        done = subactors("ps", "--format", "{status:d}", root=tmp_path)
    assert done.returncode == 2
    assert "status is 'running', which cannot be written as 'd'" in done.stderr


def test_what_a_task_asks_stands_before_its_text(tmp_path: Path) -> None:
    asks = Question(id="question_1", task_id=FIRST, agent="worker", text="Delete\nall?")
    with live_run(tmp_path, running(FIRST, status="waiting", questions=[asks])):
        done = subactors("ps", root=tmp_path)
    assert done.stdout.endswith("(asks: Delete all?) hard work\n")


def test_ps_since_lists_what_was_accepted_since_then_ended_or_not(tmp_path: Path) -> None:
    past_run(tmp_path, task_row(1, started=1769860800.0), task_row(2, started=1769860900.0))
    with live_run(tmp_path, running("agent_task_00000003", started_at="2026-01-31T12:00:00.000Z")):
        done = subactors("ps", "-q", "--since", "2026-01-31T12:00:00.001", root=tmp_path)
        later = subactors("ps", "-q", "--since", "2026-01-31", root=tmp_path)
    assert done.stdout == f"{SECOND}\n"
    # The run that lives is another, and which of the two is the earlier does not show within a second.
    assert sorted(later.stdout.split()) == [FIRST, SECOND, "agent_task_00000003"]


def test_ps_is_quiet_with_ids_alone_and_verbose_with_whom_it_asked(tmp_path: Path) -> None:
    with live_run(tmp_path, running(FIRST)) as run:
        quiet = subactors("--quiet", "ps", root=tmp_path)
        verbose = subactors("ps", "-v", root=tmp_path)
    assert (quiet.stdout, quiet.stderr) == (f"{FIRST}\n", "")
    host = rf"The host of {run.folder.path.name} \(process {os.getpid()}\)"
    moment = r"\d\d:\d\d:\d\d\.\d{3}Z"
    told = rf"{moment} {host} is asked\.\n{moment} {host} answered after \d+ ms\.\n"
    assert re.fullmatch(told, verbose.stderr)


def test_colors_are_there_always_never_or_as_the_terminal_and_no_color_say(tmp_path: Path) -> None:
    with live_run(tmp_path, running(FIRST, task="\x1b[2Jtask")):
        piped = subactors("ps", root=tmp_path).stdout
        always = subactors("ps", "--color", "always", root=tmp_path).stdout
        shown = on_a_terminal("ps", root=tmp_path, TERM="xterm", NO_COLOR="")
        never = on_a_terminal("ps", "--color", "never", root=tmp_path, TERM="xterm", NO_COLOR="")
        unwanted = on_a_terminal("ps", root=tmp_path, TERM="xterm", NO_COLOR="1")
    assert "\x1b[36mrunning\x1b[0m" in always
    assert "[2J" not in always
    assert re.sub(r"\x1b\[\d*m", "", always) == piped.replace("\x1b[2J", "")
    assert b"\x1b[36mrunning" in shown
    assert b"\x1b" not in never + unwanted


def test_what_changes_is_told_to_a_pipe_until_it_is_interrupted(tmp_path: Path) -> None:
    with (
        live_run(tmp_path, running(FIRST)) as run,
        subprocess.Popen(
            command("ps", "--watch", "--format", "{id} {status}", "--state-dir", tmp_path),
            stdout=subprocess.PIPE,
            text=True,
        ) as program,
    ):
        assert program.stdout is not None
        lines = [program.stdout.readline()]
        run.views[FIRST] = running(FIRST, status="waiting")
        lines.append(program.stdout.readline())
        run.views[FIRST] = running(FIRST, status="completed")
        lines.append(program.stdout.readline())
        program.send_signal(signal.SIGINT)
        lines.append(program.stdout.read())
    assert lines == [f"{FIRST} running\n", f"{FIRST} waiting\n", f"{FIRST} completed\n", ""]
    assert program.returncode == 130


def test_a_terminal_is_shown_the_table_anew_until_it_is_interrupted(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    environ = {**os.environ, "TERM": "xterm", "NO_COLOR": "", "COLUMNS": "100", "LINES": "20"}
    with (
        live_run(tmp_path, running(FIRST)) as run,
        subprocess.Popen(
            command("ps", "--watch", "--state-dir", tmp_path), stdout=theirs, stderr=theirs, env=environ
        ) as program,
    ):
        os.close(theirs)
        shown = b""
        while b"1 task. Ctrl-C ends this." not in shown:
            shown += os.read(ours, 65536)
        run.views[FIRST] = running(FIRST, status="completed")
        while b"No tasks are running in" not in shown:
            shown += os.read(ours, 65536)
        program.send_signal(signal.SIGINT)
        with contextlib.suppress(OSError):
            while os.read(ours, 65536):
                pass
    os.close(ours)
    assert b"\x1b[36mrunning" in shown
    assert program.returncode == 130
