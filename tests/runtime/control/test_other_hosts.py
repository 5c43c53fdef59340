"""A runtime in a process of its own, seen and stopped from another one, and what is left of it when it is killed."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from processes_and_waits import descendants_of, wait_until
from run_folders import Host, command, host, subactors
from subactors.runtime import Runtime
from subactors.runtime.control.finding import find
from subactors.runtime.control.other_hosts import tasks_of
from subactors.runtime.runs.folder import runs
from subactors.runtime.runs.reader import JournalReader
from subactors.runtime.runs.upkeep import prune, recover
from teams import entrypoint_team, model, plan, run_and_wait, wait_until_running

pytestmark = pytest.mark.usefixtures("warm_commands")

PATIENCE = 30.0

_HOST = f"""\
import json, sys
sys.path.insert(0, {str(Path(__file__).parents[2] / "kit")!r})
from subactors.runtime import Runtime

team = json.loads({json.dumps(entrypoint_team())!r})
with Runtime.from_mapping(team, state_dir=sys.argv[1], stop_grace=0.5, standby=0) as runtime:
    print(runtime._host.folder.path, flush=True)
    for line in sys.stdin:
        verb, _, rest = line.strip().partition(" ")
        if verb == "view":
            view = runtime.view(rest)
            print(view.status, view.reason, flush=True)
        else:
            print(runtime.run(verb, rest), flush=True)
"""


class Embedding(NamedTuple):
    """A program with a runtime."""

    host: Host
    root: Path

    def run(self, agent: str, task: str = "go") -> str:
        """Have it start a task."""
        return self.say(f"{agent} {task}")

    def say(self, line: str) -> str:
        assert self.host.program.stdin is not None
        assert self.host.program.stdout is not None
        self.host.program.stdin.write(line + "\n")
        self.host.program.stdin.flush()
        return self.host.program.stdout.readline().rstrip("\n")

    def end(self) -> None:
        """Have it close its runtime and end."""
        assert self.host.program.stdin is not None
        self.host.program.stdin.close()
        assert self.host.program.wait(PATIENCE) == 0

    def statuses(self) -> dict[str, str]:
        return {task.view.id: task.view.status for task in tasks_of(self.root).tasks}

    def wait_for(self, task_id: str, status: str) -> None:
        wait_until(lambda: self.statuses().get(task_id) == status, f"{task_id} is {status}", limit=PATIENCE)

    def wait_for_output(self, task_id: str) -> None:
        def has_said() -> bool:
            with find(self.root, task_id) as task:
                return task.output.size > 0

        wait_until(has_said, f"{task_id} has said something", limit=PATIENCE)


@pytest.fixture
def embedding(tmp_path: Path) -> Iterator[Embedding]:
    with host(tmp_path, _HOST) as holder:
        yield Embedding(holder, tmp_path)
        tree = descendants_of(holder.program.pid)
        holder.kill()
        wait_until(lambda: all(not Path(f"/proc/{process.pid}").exists() for process in tree), "all of it is gone")


def rows(root: Path, *options: str) -> list[dict[str, Any]]:
    done = subactors("ps", "--json", *options, root=root)
    assert done.stderr == ""
    return [json.loads(line) for line in done.stdout.splitlines()]


def view(root: Path, task_id: str) -> dict[str, Any]:
    done = subactors("view", "--json", task_id, root=root)
    assert (done.returncode, done.stderr) == (0, "")
    task: dict[str, Any] = json.loads(done.stdout)
    return task


# --- while the host lives ---------------------------------------------------------------------------------------------


def test_ps_shows_a_running_task_with_fresh_vitals_and_its_host(embedding: Embedding) -> None:
    task_id = embedding.run("waits", "patiently")

    def sampled() -> bool:
        tasks = tasks_of(embedding.root).tasks
        return any(task.view.vitals is not None and task.view.vitals.memory_bytes > 0 for task in tasks)

    wait_until(sampled, "a sample was taken", limit=PATIENCE)
    (row,) = rows(embedding.root)
    assert (row["id"], row["agent"], row["task"], row["status"]) == (task_id, "waits", "patiently", "running")
    assert row["host_pid"] == embedding.host.program.pid
    assert row["run"] == str(embedding.host.run)
    assert row["vitals"]["memory_bytes"] > 0
    assert row["pid"] in {process.pid for process in descendants_of(embedding.host.program.pid)}


def test_tasks_of_all_hosts_are_shown(embedding: Embedding) -> None:
    with Runtime.from_mapping(entrypoint_team(), state_dir=embedding.root, standby=0) as runtime:
        theirs, ours = embedding.run("waits"), runtime.run("waits", "go")
        assert {row["id"] for row in rows(embedding.root)} == {theirs, ours}
        embedding.end()
        assert {row["id"] for row in rows(embedding.root)} == {ours}


def test_view_shows_what_a_running_task_has_said_until_now(embedding: Embedding) -> None:
    task_id = embedding.run("waits")
    embedding.wait_for_output(task_id)
    task = view(embedding.root, task_id)
    assert (task["status"], task["output"], task["result"]) == ("running", "so far ", None)


def test_to_view_an_ended_task_from_outside_is_to_have_read_it(embedding: Embedding) -> None:
    task_id = embedding.run("says", "hello")
    embedding.wait_for(task_id, "completed")

    def unread() -> int:
        with JournalReader(embedding.host.run / "journal.sqlite", live=True) as reader:
            return reader.unread()

    assert unread() == 1
    task = view(embedding.root, task_id)
    assert (task["output"], task["result"]) == ("hello", "said")
    wait_until(lambda: unread() == 0, "that is in the journal")


def test_follow_prints_what_a_task_says_as_it_comes(embedding: Embedding, tmp_path: Path) -> None:
    steps = [{"after": str(tmp_path / name), "text": f"{name}\n"} for name in ("first", "second")]
    task_id = embedding.run("says_in_steps", json.dumps(steps))
    with subprocess.Popen(
        command("view", "-f", task_id, "--state-dir", tmp_path), stdout=subprocess.PIPE, text=True
    ) as program:
        assert program.stdout is not None
        (tmp_path / "first").touch()
        assert program.stdout.readline() == "first\n"
        (tmp_path / "second").touch()
        assert program.stdout.readline() == "second\n"
        rest = program.stdout.read()
    assert "--- Result ---\nsaid\n" in rest
    assert rest.endswith(": completed.\n")
    assert program.returncode == 0


def test_stop_from_outside_is_a_stop(embedding: Embedding) -> None:
    task_id = embedding.run("waits")
    embedding.wait_for_output(task_id)
    done = subactors("stop", task_id[-6:], root=embedding.root)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"{task_id} (waits) has ended after ")
    assert "Stopped by `subactors stop`; it ended " in done.stdout
    assert embedding.say(f"view {task_id}").startswith("stopped Stopped by `subactors stop`; it ended ")
    again = subactors("stop", task_id, root=embedding.root)
    assert again.returncode == 1
    assert again.stderr.startswith(f"subactors: Task {task_id} has ended already: stopped.")


def test_stop_from_outside_says_that_a_task_had_to_be_killed(embedding: Embedding) -> None:
    task_id = embedding.run("deaf")
    embedding.wait_for(task_id, "running")
    done = subactors("stop", task_id, root=embedding.root)
    assert "was killed after the grace period of 0.5 s" in done.stdout


def test_stop_from_outside_ends_what_the_task_had_started(tmp_path: Path) -> None:
    boss_agent = model("follows_a_plan", sub_agents=["waits"], toolsets=[{"type": "background_agents"}])
    delegates = plan([["run_background_agent", {"agent": "waits", "task": "go"}]], {"wait_for": "/nowhere"})
    with Runtime.from_mapping(entrypoint_team(boss=boss_agent), state_dir=tmp_path, standby=0) as runtime:
        boss = runtime.run("boss", delegates)
        wait_until(lambda: len(runtime.list()) == 2, "it has started another", limit=PATIENCE)
        wait_until_running(runtime, runtime.list()[1].id)
        done = subactors("stop", boss, root=tmp_path)
        assert f"With it ended {runtime.list()[1].id} (waits): stopped." in done.stdout
        assert [task.status for task in runtime.list()] == ["stopped", "stopped"]


def test_a_host_that_hangs_is_shown_by_its_journal(embedding: Embedding) -> None:
    task_id = embedding.run("waits")
    embedding.wait_for_output(task_id)
    embedding.host.program.send_signal(signal.SIGSTOP)
    try:
        done = subactors("ps", root=embedding.root)
        assert task_id in done.stdout
        assert f"(process {embedding.host.program.pid}) did not answer within 2 s" in done.stderr
        shown = subactors("view", task_id, root=embedding.root)
        assert shown.stdout.endswith("--- Output ---\nso far \n")
        assert "does not answer" in shown.stderr
        stopped = subactors("stop", task_id, root=embedding.root)
        assert stopped.returncode == 1
        assert "does not answer" in stopped.stderr
    finally:
        embedding.host.program.send_signal(signal.SIGCONT)


def test_the_socket_goes_with_the_runtime(tmp_path: Path) -> None:
    with Runtime.from_mapping(entrypoint_team(), state_dir=tmp_path, standby=0) as runtime:
        run_and_wait(runtime, "echo")
        (run,) = runs(tmp_path)
        assert (run / "control.sock").is_socket()
    assert not (run / "control.sock").exists()


# --- when it is gone --------------------------------------------------------------------------------------------------


@pytest.fixture
def killed(embedding: Embedding) -> tuple[Embedding, str, str]:
    """A host that was killed when one task had completed and one was running, and their ids."""
    completed, unfinished = embedding.run("says", "hello"), embedding.run("waits")
    embedding.wait_for(completed, "completed")
    embedding.wait_for_output(unfinished)
    embedding.host.kill()
    return embedding, completed, unfinished


def test_of_a_killed_host_nothing_is_lost(killed: tuple[Embedding, str, str]) -> None:
    embedding, completed, unfinished = killed
    assert subactors("ps", root=embedding.root).stdout == ""
    assert {row["id"]: (row["status"], row["host_pid"]) for row in rows(embedding.root, "--all")} == {
        completed: ("completed", None),
        unfinished: ("failed", None),
    }
    task = view(embedding.root, completed)
    assert (task["status"], task["output"], task["result"]) == ("completed", "hello", "said")
    task = view(embedding.root, unfinished)
    assert (task["status"], task["reason"], task["output"]) == ("failed", "The host died.", "so far ")
    followed = subactors("view", "-f", unfinished, root=embedding.root)
    assert (followed.returncode, followed.stdout.splitlines()[0]) == (1, "so far ")
    stopped = subactors("stop", unfinished, root=embedding.root)
    assert (stopped.returncode, stopped.stderr) == (
        1,
        f"subactors: Task {unfinished} has ended already: failed. The host died.\n",
    )


def test_the_next_start_writes_down_what_became_of_the_tasks_of_a_killed_host(
    killed: tuple[Embedding, str, str],
) -> None:
    embedding, _, unfinished = killed
    recover(embedding.root)
    with JournalReader(embedding.host.run / "journal.sqlite", live=True) as reader:
        task = reader.task(unfinished)
    assert task is not None
    assert (task.status, task.reason) == ("failed", "The host died.")


def test_the_run_of_a_killed_host_is_kept_until_its_tasks_are_read(killed: tuple[Embedding, str, str]) -> None:
    embedding, completed, unfinished = killed
    assert list(prune(embedding.root, keep=0.0).kept) == [embedding.host.run]
    view(embedding.root, completed)
    assert list(prune(embedding.root, keep=0.0).kept) == [embedding.host.run]
    view(embedding.root, unfinished)
    assert list(prune(embedding.root, keep=0.0).removed) == [embedding.host.run]
    assert runs(embedding.root) == []


def test_follow_ends_with_the_death_of_the_host(embedding: Embedding) -> None:
    task_id = embedding.run("waits")
    with subprocess.Popen(
        command("view", "-f", task_id, "--state-dir", embedding.root), stdout=subprocess.PIPE, text=True
    ) as program:
        assert program.stdout is not None
        assert program.stdout.read(7) == "so far "
        embedding.host.kill()
        assert program.stdout.read().endswith(": failed.\nThe host died.\n")
    assert program.returncode == 1


def test_stop_ends_with_the_death_of_the_host(embedding: Embedding) -> None:
    task_id = embedding.run("waits")
    embedding.wait_for_output(task_id)
    with contextlib.ExitStack() as stack:
        embedding.host.program.send_signal(signal.SIGSTOP)
        stack.callback(embedding.host.kill)
        program = stack.enter_context(
            subprocess.Popen(command("stop", task_id, "--state-dir", embedding.root), stderr=subprocess.PIPE, text=True)
        )
        embedding.host.kill()
        assert program.stderr is not None
        assert program.stderr.read() == f"subactors: Task {task_id} has ended already: failed. The host died.\n"
    assert program.returncode == 1


def test_of_a_host_that_has_ended_as_it_should_everything_can_be_viewed(embedding: Embedding) -> None:
    completed, stopped = embedding.run("says", "hello"), embedding.run("waits")
    embedding.wait_for(completed, "completed")
    embedding.wait_for(stopped, "running")
    embedding.end()
    assert view(embedding.root, completed)["result"] == "said"
    task = view(embedding.root, stopped)
    assert task["status"] == "stopped"
    assert "the end of the runtime" in task["reason"]
