"""`resume` and `runs`: what an earlier run has left open, and how it is gone on with."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from model_server import Calls, ModelServer, Reply, Request, Text
from processes_and_waits import wait_until
from run_folders import make_old, past_run, task_row
from strict_server_rules import check
from subactors.runtime import Runtime
from subactors.runtime.agent.continuation import EFFECTS_UNKNOWN
from teams import PATIENCE
from warm_commands import run_command

COMMAND: Final = [sys.executable, "-m", "subactors.runtime.cli"]

TEAM: Final = """\
agents:
  root:
    model: root
    instruction: You work.
    toolsets: [{type: shell}]
  code: {entrypoint: "root_code:fail"}
models:
  root: {provider: openai, model: root}
"""

CODE: Final = """\
def fail(task):
    raise ValueError("no luck")
"""


class Script:
    """A model that writes a file, then makes a call that goes on for ever, and answers once it has had both answers."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __call__(self, request: Request) -> Reply:
        check(request.messages, short_ids=False)
        said = [message["content"] for message in request.messages if message["role"] == "user"]
        if "Mind" in said[-1]:
            return Text(f"You said: {said[-1].splitlines()[-1]}")
        if request.turn == 0:
            return Calls(("shell", {"cmd": f"echo once >> {self._folder / 'done'}"}))
        if request.turn == 1:
            return Calls(("shell", {"cmd": f"echo begun >> {self._folder / 'begun'}; sleep 600"}))
        return Text("The answer.")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "team.yaml").write_text(TEAM)
    (tmp_path / "root_code.py").write_text(CODE)
    return tmp_path


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ModelServer]:
    with ModelServer(Script(tmp_path)) as server:
        yield server


def environment(folder: Path, server: ModelServer | None) -> dict[str, str]:
    environ = {**os.environ, "PYTHONPATH": str(folder), "SUBACTORS_STATE_DIR": str(folder / "state")}
    if server is not None:
        environ |= {"OPENAI_BASE_URL": server.base_url, "OPENAI_API_KEY": "test-key-of-nobody"}
    return environ


def subactors(
    folder: Path, *arguments: str, server: ModelServer | None = None, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    return run_command(*arguments, cwd=cwd or folder, environ=environment(folder, server))


def killed_run(folder: Path, server: ModelServer) -> str:
    """Have `subactors run` killed in the middle of its second call; return the root's id."""
    with subprocess.Popen(
        [*COMMAND, "run", "team.yaml", "The work."],
        cwd=folder,
        env=environment(folder, server),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as program:
        wait_until((folder / "begun").exists, "the call has begun", limit=PATIENCE)
        wait_until(lambda: len(messages(folder)) == 5, "the journal has the turn", limit=PATIENCE)
        program.kill()
    return str(runs(folder)[0]["open_ends"][0]["id"])


def messages(folder: Path) -> list[str]:
    """The bodies of all messages in the journal of the one run, read by another process."""
    code = "import json, sqlite3, sys; db = sqlite3.connect(sys.argv[1])\n"
    code += "print(json.dumps([body for body, in db.execute('SELECT body FROM message ORDER BY number')]))"
    (journal,) = (folder / "state").glob("run_*/journal.sqlite")
    done = subprocess.run([sys.executable, "-c", code, str(journal)], capture_output=True, text=True, check=True)
    bodies: list[str] = json.loads(done.stdout)
    return bodies


def runs(folder: Path, *options: str) -> list[dict[str, Any]]:
    """What `runs --json` lists."""
    done = subactors(folder, "runs", "--json", *options)
    assert (done.returncode, done.stderr) == (0, "")
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_a_killed_run_is_finished_by_resume_and_nothing_that_had_ended_is_done_again(
    folder: Path, server: ModelServer, tmp_path_factory: pytest.TempPathFactory
) -> None:
    root = killed_run(folder, server)
    elsewhere = tmp_path_factory.mktemp("elsewhere")

    done = subactors(folder, "resume", root[-8:], server=server, cwd=elsewhere)

    assert (done.returncode, done.stdout) == (0, "The answer.\n"), done.stderr
    last = server.requests[-1].messages
    assert [message["content"] for message in last if message["role"] == "tool"][1:] == [EFFECTS_UNKNOWN]
    assert "It had ended as failed: The host died." in str(last[-1])
    assert (folder / "done").read_text() == "once\n"
    assert (folder / "begun").read_text() == "begun\n"
    first, second = sorted(runs(folder), key=lambda run: "completed" in run["tasks"])
    assert (first["open_ends"], first["tasks"], second["tasks"]) == ([], {"failed": 1}, {"completed": 1})
    assert second["working_dir"] == str(folder)


def test_resume_says_a_text_to_the_task_and_a_completed_one_needs_it(folder: Path, server: ModelServer) -> None:
    root = killed_run(folder, server)
    first = subactors(folder, "resume", root, "Mind the gap.", server=server)
    assert (first.returncode, first.stdout) == (0, "You said: Mind the gap.\n"), first.stderr
    listed = [json.loads(line) for line in subactors(folder, "ps", "--all", "--json").stdout.splitlines()]
    (second,) = [task for task in listed if task["continues"] == root]

    refused = subactors(folder, "resume", second["id"], server=server)
    again = subactors(folder, "resume", second["id"], "Mind it again.", "--json", server=server)
    seen = subactors(folder, "view", second["id"])

    assert refused.returncode == 1
    assert "has completed. Say what it is to do now" in refused.stderr
    events = [json.loads(line) for line in again.stdout.splitlines()]
    assert events[-1]["event"] == "answer"
    assert events[-1]["text"] == "You said: Mind it again."
    started = [event["task"]["continues"] for event in events if event["event"] == "started"]
    assert started == [second["id"]]
    assert re.search(rf"^Continues: +{root}$", seen.stdout, re.MULTILINE)


def test_runs_tells_when_which_program_ran_what_and_what_is_open(folder: Path, server: ModelServer) -> None:
    root = killed_run(folder, server)
    make_old(Path(runs(folder)[0]["run"]), days=1)
    subactors(folder, "run", "team.yaml", "-a", "code", "x")

    shown = subactors(folder, "runs")
    first, second = runs(folder)

    assert (first["command"], first["team"]) == ("subactors run", str(folder / "team.yaml"))
    assert (first["tasks"], first["host_pid"]) == ({"failed": 1}, None)
    assert first["ended_at"] >= first["started_at"]
    assert first["open_ends"] == [
        {"id": root, "agent": "root", "status": "failed", "reason": "The host died.", "task": "The work."}
    ]
    assert (second["tasks"], second["open_ends"]) == ({"failed": 1}, [])
    assert f"{root} (root) failed: The host died. - The work." in shown.stdout
    assert "subactors run" in shown.stdout.splitlines()[0]
    assert [run["run"] for run in runs(folder, "--open")] == [first["run"]]
    assert [run["run"] for run in runs(folder, "-n", "1")] == [second["run"]]


def test_runs_names_the_process_of_a_host_that_lives_and_a_damaged_journal(tmp_path: Path) -> None:
    damaged = make_old(past_run(tmp_path / "state", task_row(1)), days=1)
    (damaged / "journal.sqlite").write_bytes(b"no journal at all")
    with Runtime(state_dir=tmp_path / "state", standby=0) as runtime:
        runtime.submit(len, "abc").result(PATIENCE)
        first, second = runs(tmp_path)
        shown = subactors(tmp_path, "runs")

    assert "Its journal cannot be read" in first["damage"]
    assert (second["host_pid"], second["ended_at"], second["tasks"]) == (os.getpid(), None, {"completed": 1})
    assert f"process {os.getpid()}" in shown.stdout
    assert "no luck" not in shown.stdout


def test_there_may_be_no_runs(tmp_path: Path) -> None:
    done = subactors(tmp_path, "runs")
    assert (done.returncode, done.stdout) == (0, "")
    assert "There are no runs in" in done.stderr


def test_runs_of_an_earlier_version_are_listed(tmp_path: Path) -> None:
    make_old(past_run(tmp_path / "state", task_row(1), task_row(2, status="failed", reason="No luck.")), days=1)
    (run,) = runs(tmp_path)
    assert run["tasks"] == {"completed": 1, "failed": 1}


def test_what_subactors_cannot_continue_it_says(folder: Path, server: ModelServer) -> None:
    team = {"agents": {"shows": {"model": "python/python_models:shows_its_conversation"}}}
    with Runtime.from_mapping(team, state_dir=folder / "state", standby=0) as runtime:
        task = runtime.run("shows", "First.")
        task.result(PATIENCE)
        call = runtime.submit(len, "abc")
        call.result(PATIENCE)

    without = subactors(folder, "resume", task.id, "Second.", server=server)
    unknown = subactors(folder, "resume", "nothing", "Second.", server=server)
    function = subactors(folder, "resume", call.id, "Second.", "--team", "team.yaml", server=server)
    other = subactors(folder, "resume", task.id, "Second.", "--team", "team.yaml", server=server)
    gone = subactors(folder, "resume", task.id, "Second.", "--team", "nowhere.yaml", server=server)

    assert [done.returncode for done in (without, unknown, function, other, gone)] == [1, 1, 1, 2, 2]
    assert "had no team file (<mapping>). Name one with --team" in without.stderr
    assert "There is no task 'nothing'" in unknown.stderr
    assert "ran a function (len), and has no conversation" in function.stderr
    assert "no agent 'shows'" in other.stderr
    assert "nowhere.yaml" in gone.stderr
    assert not any("Traceback" in done.stderr for done in (without, unknown, function, other, gone))


def test_a_working_directory_that_is_gone_is_named(folder: Path, server: ModelServer) -> None:
    work = folder / "work"
    work.mkdir()
    done = subactors(folder, "run", "team.yaml", "Mind this.", "--working-dir", "work", server=server)
    assert done.returncode == 0, done.stderr
    work.rmdir()
    (run,) = runs(folder)
    (task,) = [json.loads(line) for line in subactors(folder, "ps", "--all", "--json").stdout.splitlines()]

    refused = subactors(folder, "resume", task["id"], "Mind that.", server=server)
    moved = subactors(folder, "resume", task["id"], "Mind that.", "--working-dir", ".", server=server)

    assert run["working_dir"] == str(work)
    assert refused.returncode == 1
    assert "is not there any more. Name another with --working-dir" in refused.stderr
    assert (moved.returncode, moved.stdout) == (0, "You said: Mind that.\n"), moved.stderr
