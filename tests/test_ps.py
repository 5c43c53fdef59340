"""`ps`, `view`, `stop` and `prune`: tasks of other processes, and of runs whose host is gone."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest
from run_folders import command, host, make_old, past_run, subactors, task_row
from subactors.actors._io import IOThread
from subactors.runtime import TaskEndedError, TaskList, TaskView, UnknownTaskError, Vitals
from subactors.runtime import _elsewhere as elsewhere
from subactors.runtime._control import ControlServer
from subactors.runtime._journal import Journal
from subactors.runtime._journal_reader import JournalReader
from subactors.runtime._messages import ListTasks, StopTask, TaskRequest, ViewTask
from subactors.runtime._model import Usage
from subactors.runtime._output import TaskOutput
from subactors.runtime._state import RunFolder
from subactors.runtime._supervisor_messages import ReplyTo

PATIENCE = 30.0

UNFINISHED = {"status": "running", "runtime": None, "result": None, "was_read": 0}

FIRST = "agent_task_00000001"
SECOND = "agent_task_00000002"


class LiveRun:
    """A run whose host is this process, with a supervisor that knows the tasks that the test gives it."""

    def __init__(self, root: Path, *views: TaskView) -> None:
        self.views = {view.id: view for view in views}
        self.stopped: list[str] = []
        self.folder = RunFolder.create(root)
        self.journal = Journal(self.folder.journal, {})
        self.outputs: dict[str, TaskOutput] = {}
        self._io = IOThread("io-under-test")
        self._server = ControlServer(self._io, self.folder.control, self._answer)

    def close(self) -> None:
        self._server.close()
        self._io.close()
        self.journal.close()
        for output in self.outputs.values():
            output.close()
        self.folder.release()

    def say(self, task_id: str, data: bytes) -> None:
        if task_id not in self.outputs:
            self.outputs[task_id] = TaskOutput(self.folder.output, task_id, 1000)
        self.outputs[task_id].write(data)

    def _answer(self, request: TaskRequest, reply_to: ReplyTo) -> None:
        match request:
            case ListTasks():
                reply_to.set(TaskList(tasks=list(self.views.values()), running=1, max_running=20))
            case ViewTask(task_id):
                reply_to.set(self._find(task_id))
            case StopTask(task_id):
                if self._find(task_id).ended:
                    raise TaskEndedError(f"Task {task_id} has ended already: completed.")
                self.stopped.append(task_id)
                ended = TaskView(id=task_id, agent="worker", task="", status="stopped", reason="Stopped at once.")
                owned = TaskView(id=SECOND, agent="helper", task="", status="stopped", reason="With it.")
                reply_to.set(TaskList(tasks=[ended, owned], running=0, max_running=20))
            case _:
                raise AssertionError(request)

    def _find(self, task_id: str) -> TaskView:
        if task_id not in self.views:
            raise UnknownTaskError(f"There is no task {task_id}.")
        return self.views[task_id]


@contextlib.contextmanager
def live_run(root: Path, *views: TaskView) -> Iterator[LiveRun]:
    run = LiveRun(root, *views)
    try:
        yield run
    finally:
        run.close()


def running(task_id: str, **more: object) -> TaskView:
    fields = {"agent": "worker", "task": "hard work", "status": "running", "runtime": 61.0, "pid": 4711}
    fields |= {"started_at": "2026-01-31T12:00:00.123Z", **more}
    return TaskView(id=task_id, **fields)  # type: ignore[arg-type]


# --- ps ---------------------------------------------------------------------------------------------------------------


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
    assert head == ["ID", "AGENT", "STATUS", "STARTED", "RUNTIME", "CPU", "MEMORY", "TOKENS", "HOST", "TASK"]
    assert (
        " ".join(first)
        == f"{FIRST} worker running 2026-01-31T12:00:00Z 1 min 01 s 12 % 34 MB 1,234 $0.0100 {me} read all of it"
    )
    assert " ".join(second) == f"{SECOND} a_longer_name running 2026-01-31T12:00:00Z 1 min 01 s - - - {me} hard work"
    columns = {line.index(what) for line, what in zip(done.stdout.splitlines(), ["TASK", "read", "hard"], strict=True)}
    assert len(columns) == 1


def test_ps_shows_no_task_of_a_run_that_has_ended(tmp_path: Path) -> None:
    past_run(tmp_path, task_row(1), task_row(2, **UNFINISHED))
    done = subactors("ps", root=tmp_path)
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == f"subactors: No tasks are running in {tmp_path}.\n"


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
        silent._server._answer = lambda _request, _reply_to: None
        with live_run(tmp_path, running(SECOND)):
            survey = elsewhere.tasks_of(tmp_path)
            with elsewhere.find(tmp_path, FIRST) as task:
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


def on_a_terminal(*arguments: object, root: Path) -> bytes:
    """Return what a command prints on a terminal."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(command(*arguments, "--state-dir", root), stdout=theirs, stderr=theirs) as program:
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


@pytest.mark.parametrize(
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
        (["--all", "--run", "nothing"], []),
    ],
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


# --- view -------------------------------------------------------------------------------------------------------------


def test_view_shows_everything_about_a_task_of_a_live_run(tmp_path: Path) -> None:
    vitals = Vitals(cpu_percent=50.0, cpu_seconds=3.25, memory_bytes=34_000_000, processes=2)
    used = {"usage": Usage(1000, 20, 3, 0.5), "total_usage": Usage(5000, 60, 9, 1.25)}
    with live_run(tmp_path, running(FIRST, parent="agent_task_00000009", vitals=vitals, attempts=2, **used)) as run:
        run.say(FIRST, b"a word\nand another\n")
        (run.folder.log / f"{FIRST}.log").write_text("noise")
        done = subactors("view", FIRST, root=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    facts = [" ".join(line.split()) for line in done.stdout.splitlines()]
    for fact in (
        f"Task: {FIRST}",
        "Agent: worker",
        "Status: running",
        "Runtime: 1 min 01 s",
        "Attempts: 2",
        "Started by: agent_task_00000009",
        "Process: 4711",
        f"Host: process {os.getpid()}",
        "CPU: 3.25 s (50 %)",
        "Memory: 34 MB",
        "Processes: 2",
        "Usage: 1,000 tokens in, 20 out, $0.50, 3 requests",
        "In all: 5,000 tokens in, 60 out, $1.25, with the tasks it started",
        f"Log: {run.folder.log / FIRST}.log",
        "Work: hard work",
    ):
        assert fact in facts
    assert done.stdout.endswith("--- Output ---\na word\nand another\n")


def test_view_shows_a_task_of_a_past_run_with_output_result_and_reason(tmp_path: Path) -> None:
    past_run(
        tmp_path,
        task_row(1, status="failed", reason="It was\nnot meant to be.", result='{"a": [1]}', task="x" * 10_000),
        said={FIRST: "so far\nso good: ä".encode()},
    )
    done = subactors("view", FIRST, root=tmp_path)
    assert done.returncode == 0
    assert "x" * 10_000 in done.stdout
    assert "It was\n            not meant to be." in done.stdout
    assert "Host:       gone" in done.stdout
    assert done.stdout.endswith('--- Output ---\nso far\nso good: ä\n\n--- Result ---\n{\n  "a": [\n    1\n  ]\n}\n')


def test_view_json_is_one_object_with_the_output(tmp_path: Path) -> None:
    run = past_run(tmp_path, task_row(1), said={FIRST: b"said"})
    task = json.loads(subactors("view", "--json", FIRST, root=tmp_path).stdout)
    assert (task["id"], task["output"], task["output_size"], task["result"]) == (FIRST, "said", 4, "result 1")
    assert (task["run"], task["host_pid"]) == (str(run), None)


def test_a_task_that_its_host_has_forgotten_is_read_from_the_journal(tmp_path: Path) -> None:
    with live_run(tmp_path, running(SECOND)) as run:
        written = threading.Event()
        run.journal.write([task_row(1)], written.set)
        written.wait(PATIENCE)
        done = subactors("view", FIRST, root=tmp_path)
    assert "result 1" in done.stdout
    assert done.stderr == ""


def test_to_view_an_ended_task_of_a_past_run_is_to_have_read_it(tmp_path: Path) -> None:
    run = past_run(tmp_path, task_row(1, was_read=0), task_row(2, was_read=0))
    subactors("view", FIRST, root=tmp_path)
    with JournalReader(run / "journal.sqlite", live=False) as reader:
        assert reader.unread() == 1


def test_an_id_may_be_shortened_to_what_only_one_task_has(tmp_path: Path) -> None:
    past_run(tmp_path, task_row(0xAB12), task_row(0xCD12))
    assert "agent_task_0000ab12" in subactors("view", "b12", root=tmp_path).stdout
    ambiguous = subactors("view", "12", root=tmp_path)
    assert ambiguous.returncode == 1
    assert ambiguous.stderr == (
        "subactors: 2 tasks fit '12': agent_task_0000ab12, agent_task_0000cd12. Give more of the id.\n"
    )


def test_a_whole_id_is_taken_even_if_it_is_part_of_another(tmp_path: Path) -> None:
    past_run(tmp_path, task_row(1), task_row(2, id=f"{FIRST}0"))
    assert "work 1" in subactors("view", FIRST, root=tmp_path).stdout


def test_an_unknown_id_ends_with_1_and_names_what_is_near(tmp_path: Path) -> None:
    past_run(tmp_path, task_row(0xAB12CD34), task_row(0x99999999))
    damaged = past_run(tmp_path)
    (damaged / "journal.sqlite").write_bytes(b"damaged" * 1000)
    for name in ("view", "stop"):
        done = subactors(name, "agent_task_ab12ce34", root=tmp_path)
        assert (done.returncode, done.stdout) == (1, "")
        assert "There is no task 'agent_task_ab12ce34'" in done.stderr
        assert "Near it: agent_task_ab12cd34." in done.stderr
        assert damaged.name in done.stderr
    assert "`subactors ps --all` lists the tasks" in subactors("view", "zzz", root=tmp_path).stderr


def test_view_prints_a_final_text_once(tmp_path: Path) -> None:
    said = {
        FIRST: b"Let me see.\nresult 1",
        SECOND: b"result 2\n",
        "agent_task_00000003": b"not quite result 3",
        "agent_task_00000004": b"other words",
        "agent_task_00000005": b"The long answThe long answer.",
    }
    past_run(tmp_path, *map(task_row, range(1, 5)), task_row(5, result='"The long answer."'), said=said)
    shown = [subactors("view", task_id, root=tmp_path).stdout for task_id in said]
    assert shown[0].endswith("\n--- Output ---\nLet me see.\n\n--- Result ---\nresult 1\n")
    assert "Output" not in shown[1]
    assert shown[1].endswith("\n--- Result ---\nresult 2\n")
    assert shown[2].endswith("\n--- Output ---\nnot quite result 3\n\n--- Result ---\nresult 3\n")
    assert shown[3].endswith("\n--- Output ---\nother words\n\n--- Result ---\nresult 4\n")
    assert shown[4].endswith("\n--- Output ---\nThe long answ\n\n--- Result ---\nThe long answer.\n")
    followed = [subactors("view", "-f", task_id, root=tmp_path).stdout for task_id in said]
    assert [text.count(f"result {number}") for number, text in enumerate(followed, 1)] == [1, 1, 2, 1, 0]
    assert followed[4].count("The long answer.") == 1


def test_view_and_json_say_when_a_task_started_and_ended(tmp_path: Path) -> None:
    past_run(tmp_path, task_row(1, started=1769860800.25, ended=1769860803.5))
    with live_run(tmp_path, running(SECOND)):
        for task_id, ended in ((FIRST, "2026-01-31T12:00:03.500Z"), (SECOND, None)):
            task = json.loads(subactors("view", "--json", task_id, root=tmp_path).stdout)
            assert task["started_at"].startswith("2026-01-31T12:00:00.")
            assert task["ended_at"] == ended
            facts = [line.split() for line in subactors("view", task_id, root=tmp_path).stdout.splitlines()]
            assert ["Started:", task["started_at"]] in facts
            assert (["Ended:", ended] in facts) == (ended is not None)


# --- view --follow ----------------------------------------------------------------------------------------------------


def test_follow_of_an_ended_task_prints_all_of_it_and_how_it_ended(tmp_path: Path) -> None:
    past_run(
        tmp_path, task_row(1), task_row(2, status="failed", reason="No luck.", result=None), said={FIRST: b"one\ntwo"}
    )
    done = subactors("view", "-f", FIRST, root=tmp_path)
    assert done.returncode == 0
    assert done.stdout == (
        f"one\ntwo\n\n--- Result ---\nresult 1\n\n{FIRST} (worker) has ended after 2.5 s: completed.\n"
    )
    done = subactors("view", "-f", SECOND, root=tmp_path)
    assert done.returncode == 1
    assert done.stdout == f"\n{SECOND} (worker) has ended after 2.5 s: failed.\nNo luck.\n"


@contextlib.contextmanager
def following(root: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], IO[str], IO[str]]]:
    """Run `view -f` of the first task; give the program, what it says and its errors."""
    with subprocess.Popen(
        command("view", "-f", *options, FIRST, "--state-dir", root),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as program:
        assert program.stdout is not None
        assert program.stderr is not None
        yield program, program.stdout, program.stderr


def test_follow_prints_output_as_it_comes_until_the_end(tmp_path: Path) -> None:
    with live_run(tmp_path, running(FIRST)) as run:
        run.say(FIRST, b"before\n")
        with following(tmp_path, "--json") as (program, said, _):
            assert json.loads(said.readline())["text"] == "before\n"
            character = "ä".encode()
            run.say(FIRST, b"then " + character[:1])
            assert json.loads(said.readline())["text"] == "then "
            run.say(FIRST, character[1:])
            assert json.loads(said.readline())["text"] == "ä"
            run.say(FIRST, b"last")
            run.views[FIRST] = running(FIRST, status="stopped", reason="Enough.")
            last, ended = (json.loads(line) for line in said)
        assert (last["event"], last["text"]) == ("output", "last")
        assert (ended["event"], ended["task"]["status"]) == ("ended", "stopped")
        assert program.returncode == 1


def test_follow_says_how_much_of_a_flood_it_has_not_seen(tmp_path: Path) -> None:
    past_run(tmp_path, task_row(1), said={FIRST: b"".join(b"%04d\n" % number for number in range(2000))})
    lines = subactors("view", "-f", FIRST, root=tmp_path).stdout.splitlines()
    assert lines[0] == "0000"
    assert "1999" in lines
    (note,) = [line for line in lines if "left out here" in line]
    missed = int(note.removeprefix("[").split()[0].replace(",", ""))
    assert missed + sum(len(line) + 1 for line in lines if line.isdigit()) == 10_000


def test_follow_of_a_task_whose_host_is_killed_ends_with_that(tmp_path: Path) -> None:
    with host(tmp_path) as holder:
        journal = Journal(holder.run / "journal.sqlite", {})
        journal.write([task_row(1, **UNFINISHED)])
        journal.close()
        output = TaskOutput(holder.run / "output", FIRST, 1000)
        output.write(b"hello\n")
        output.close()
        with following(tmp_path) as (program, said, _):
            assert said.readline() == "hello\n"
            holder.kill()
            rest = said.read()
    assert rest.endswith(": failed.\nThe host died.\n")
    assert program.returncode == 1


def test_ctrl_c_ends_following_with_130_and_without_a_traceback(tmp_path: Path) -> None:
    with live_run(tmp_path, running(FIRST)) as run:
        run.say(FIRST, b"hello\n")
        with following(tmp_path) as (program, said, errors):
            said.readline()
            program.send_signal(2)
            assert errors.read() == ""
        assert program.returncode == 130


def test_a_reader_that_goes_away_ends_following(tmp_path: Path) -> None:
    with live_run(tmp_path, running(FIRST)) as run:
        run.say(FIRST, b"hello\n")
        with following(tmp_path) as (_, said, errors):
            said.readline()
            said.close()
            run.say(FIRST, b"is anybody there?\n")
            assert "Traceback" not in errors.read()


# --- stop -------------------------------------------------------------------------------------------------------------


def test_stop_has_the_host_stop_a_task_and_prints_how_it_ended(tmp_path: Path) -> None:
    with live_run(tmp_path, running(FIRST)) as run:
        done = subactors("stop", "0001", root=tmp_path)
        assert run.stopped == [FIRST]
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (
        f"{FIRST} (worker) has ended after 0.0 s: stopped.\nStopped at once.\n"
        f"With it ended {SECOND} (helper): stopped. With it.\n"
    )


def test_stop_of_a_task_that_has_ended_says_so_and_ends_with_1(tmp_path: Path) -> None:
    past_run(tmp_path, task_row(2, status="failed", reason="No luck."))
    with live_run(tmp_path, running(FIRST, status="completed")):
        done = subactors("stop", FIRST, root=tmp_path)
        assert (done.returncode, done.stderr) == (1, f"subactors: Task {FIRST} has ended already: completed.\n")
        done = subactors("stop", SECOND, root=tmp_path)
        assert done.returncode == 1
        assert done.stderr == f"subactors: Task {SECOND} has ended already: failed. No luck.\n"


def test_stop_of_a_task_whose_host_does_not_answer_says_so_and_ends_with_1(tmp_path: Path) -> None:
    with host(tmp_path) as holder:
        journal = Journal(holder.run / "journal.sqlite", {})
        journal.write([task_row(1, **UNFINISHED)])
        journal.close()
        done = subactors("stop", FIRST, root=tmp_path)
    assert done.returncode == 1
    assert f"{FIRST} is running. The host (process {holder.program.pid}) does not answer" in done.stderr


def test_stop_of_a_task_whose_host_was_killed_says_that_it_has_ended(tmp_path: Path) -> None:
    past_run(tmp_path, task_row(1, **UNFINISHED))
    done = subactors("stop", FIRST, root=tmp_path)
    assert done.returncode == 1
    assert done.stderr == f"subactors: Task {FIRST} has ended already: failed. The host died.\n"


def test_stop_of_several_ids_stops_them_all_and_says_of_each_how_it_ended(tmp_path: Path) -> None:
    third = "agent_task_00000003"
    with live_run(tmp_path, running(FIRST)) as one, live_run(tmp_path, running(third)) as other:
        done = subactors("stop", FIRST, third, "0003", root=tmp_path)
        assert (one.stopped, other.stopped) == ([FIRST], [third])
    assert (done.returncode, done.stderr) == (0, "")
    assert [line.split()[0] for line in done.stdout.splitlines() if "has ended after" in line] == [FIRST, third]


def test_stop_of_several_stops_those_that_are_there_and_ends_with_1_if_one_is_not(tmp_path: Path) -> None:
    third = "agent_task_00000003"
    with live_run(tmp_path, running(FIRST), running(third, status="completed")) as run:
        done = subactors("stop", "nothing", third, FIRST, root=tmp_path)
        assert run.stopped == [FIRST]
    assert done.returncode == 1
    unknown, ended = done.stderr.splitlines()
    assert unknown.startswith("subactors: There is no task 'nothing'")
    assert ended == f"subactors: Task {third} has ended already: completed."


def test_a_task_and_what_it_started_may_be_stopped_together(tmp_path: Path) -> None:
    with live_run(tmp_path, running(FIRST), running(SECOND, status="stopped")):
        done = subactors("stop", SECOND, FIRST, root=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1] == f"With it ended {SECOND} (helper): stopped. With it."


def test_as_many_tasks_of_one_host_as_one_likes_are_stopped_together(tmp_path: Path) -> None:
    ids = [f"agent_task_{number:08x}" for number in range(100, 400)]
    with live_run(tmp_path, *map(running, ids)) as run:
        done = subactors("stop", *ids, root=tmp_path)
        assert sorted(run.stopped) == ids
    assert (done.returncode, done.stderr) == (0, "")


# --- prune ------------------------------------------------------------------------------------------------------------


def test_prune_removes_old_runs_and_says_which_it_keeps_and_why(tmp_path: Path) -> None:
    young = past_run(tmp_path, task_row(1))
    old, unread = (make_old(past_run(tmp_path, task_row(1, was_read=read)), days=8) for read in (1, 0))
    done = subactors("prune", root=tmp_path)
    assert done.returncode == 0
    assert set(done.stdout.splitlines()) == {
        f"Removed {old.name}, with 1 task.",
        f"Kept {unread.name}: nobody has read the results of 1 of its 1 tasks.",
    }
    assert "prune --unread" in done.stderr
    done = subactors("prune", "--unread", "--older-than", "0", root=tmp_path)
    assert set(done.stdout.splitlines()) == {f"Removed {run.name}, with 1 task." for run in (young, unread)}
    assert list(tmp_path.iterdir()) == []
    assert subactors("prune", root=tmp_path).stdout == f"No run in {tmp_path} is old enough.\n"


def test_prune_never_touches_a_live_run(tmp_path: Path) -> None:
    with live_run(tmp_path, running(FIRST)) as run:
        subactors("prune", "--unread", "--older-than", "0", root=tmp_path)
        assert run.folder.journal.exists()


def test_a_negative_age_is_wrong_usage(tmp_path: Path) -> None:
    assert subactors("prune", "--older-than", "-1", root=tmp_path).returncode == 2


def test_the_commands_start_without_what_only_running_needs() -> None:
    code = "import sys, subactors.runtime._task_commands\n"
    code += "print([name for name in ('asyncio', 'openai', 'rich', 'yaml', 'psutil', 'mcp') if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
