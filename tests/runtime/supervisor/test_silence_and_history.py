"""Tasks that are silent for long, and tasks of runs that are over, as a host sees them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from processes_and_waits import wait_until
from subactors.runtime import Runtime, UnknownTaskError
from subactors.runtime.tasks.views import TaskList, TaskView, Usage, Vitals
from subactors.runtime.tasks.wording import describe_list
from teams import entrypoint_team, run_and_wait, wait_until_running

SILENT_TEAM = {
    "agents": {
        "sleeper": {
            "model": "python/silent_models:sleeps_in_the_shell",
            "toolsets": [{"type": "shell"}],
        },
        "thinker": {"model": "python/silent_models:thinks_for_ever"},
    },
    "runtime": {"stall_after": 0.2, "stop_grace": 1.0},
}

SILENT_MODELS = """
import asyncio

def sleeps_in_the_shell(messages, tools):
    arguments = {"cmd": "sleep 600", "timeout": 600}
    return {"content": "", "tool_calls": [{"function": {"name": "shell", "arguments": arguments}}]}

async def thinks_for_ever(messages, tools):
    await asyncio.sleep(600)
"""

HOST = """
import sys
from subactors.runtime import Runtime
from teams import entrypoint_team, wait_until_running

runtime = Runtime.from_mapping(entrypoint_team(), state_dir=sys.argv[1])
(done,) = runtime.wait([runtime.run("echo", "the result")])
unfinished = runtime.run("waits", "x")
wait_until_running(runtime, unfinished)
print(done.id, unfinished, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def silent_runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Runtime:
    (tmp_path / "silent_models.py").write_text(SILENT_MODELS)
    monkeypatch.syspath_prepend(str(tmp_path))
    return Runtime.from_mapping(SILENT_TEAM)


@pytest.mark.parametrize(("agent", "doing"), [("sleeper", "in shell"), ("thinker", "waiting for its model")])
def test_a_task_that_is_silent_for_long_is_shown_so_with_what_it_does_and_goes_on(
    silent_runtime: Runtime, agent: str, doing: str
) -> None:
    with silent_runtime as runtime:
        task_id = runtime.run(agent, "x")
        wait_until(lambda: runtime.view(task_id).silent > 0 and runtime.view(task_id).doing == doing, "it is silent")

        assert runtime.view(task_id).status == "running"


def test_a_task_that_speaks_is_not_silent() -> None:
    with Runtime.from_mapping(entrypoint_team()) as runtime:
        task_id = runtime.run("waits", "x")
        wait_until_running(runtime, task_id)

        assert runtime.view(task_id).silent == 0


@pytest.mark.parametrize(("percent", "busy"), [(90.0, "its CPU busy"), (0.5, "its CPU idle")])
def test_a_list_says_of_a_silent_task_whether_it_computes(percent: float, busy: str) -> None:
    view = TaskView(
        id="agent_task_1",
        agent="a",
        task="x",
        status="running",
        usage=Usage(),
        vitals=Vitals(cpu_percent=percent),
        doing="in shell",
        silent=75.0,
    )

    text = describe_list(TaskList(tasks=[view], running=1, max_running=20))

    assert f"silent for 1 min 15 s, in shell, {busy}" in text


def test_a_host_sees_what_an_earlier_one_that_was_killed_has_left(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOST, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "kit")},
    ) as host:
        assert host.stdout is not None
        done, unfinished = host.stdout.readline().split()
        host.send_signal(signal.SIGKILL)
        host.wait()

    with Runtime.from_mapping(entrypoint_team(), state_dir=tmp_path) as runtime:
        history = {view.id: view for view in runtime.history()}
        assert (history[done].status, history[unfinished].status) == ("completed", "failed")
        assert history[unfinished].reason == "The host died."
        assert runtime.view(done).result == "the result"
        assert runtime.list() == []


def test_what_is_not_even_in_the_history_is_unknown(tmp_path: Path) -> None:
    with Runtime.from_mapping(entrypoint_team(), state_dir=tmp_path) as runtime:
        run_and_wait(runtime, "echo")
    with Runtime.from_mapping(entrypoint_team(), state_dir=tmp_path) as runtime, pytest.raises(UnknownTaskError):
        runtime.view("agent_task_00000000")
