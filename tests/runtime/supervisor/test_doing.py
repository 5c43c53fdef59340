"""What a task does that waits, as all see it who look: for its tasks, and not for its model; and since when."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_line import subactors
from processes_and_waits import wait_until
from subactors.runtime import Runtime, Task, TaskView
from subactors.runtime.watching.watcher import Watcher
from teams import entrypoint_team, model, plan, run_and_wait
from told_orchestrators import BACKGROUND, PATIENCE, children, start

FOR_TASKS = "waiting for its tasks"

SETTINGS = {"stop_grace": 0.5, "max_running": 40, "standby": 0}

AGENTS = {
    "orchestrator": model("follows_a_plan", sub_agents=["waits", "waits_for_file"], toolsets=[BACKGROUND]),
    "opens": model("follows_a_plan", toolsets=[{"type": "mcp", "command": "sleep", "args": ["600"]}]),
    "leads": {"entrypoint": "waiting_entrypoints:waits_for_its_own", "sub_agents": ["waits"]},
}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("state")


@pytest.fixture(scope="module")
def runtime(root: Path) -> Iterator[Runtime]:
    team = entrypoint_team(**AGENTS) | {"runtime": {"stall_after": 0.01}}
    with Runtime.from_mapping(team, state_dir=root, **SETTINGS) as runtime:
        run_and_wait(runtime, "echo")
        with Watcher(root) as watcher, watcher.looking():  # its threads are there before a test counts them
            pass
        yield runtime


def seen_to(task: Task, doing: str) -> TaskView:
    """Return a task once it is seen to do that."""
    wait_until(lambda: task.view().doing == doing, f"it is seen to be {doing}", limit=PATIENCE)
    return task.view()


def test_an_agent_whose_answer_is_kept_back_is_seen_by_all_to_wait_for_its_tasks(runtime: Runtime, root: Path) -> None:
    task = runtime.run("orchestrator", plan([start("waits", "x")], {"answer": "too early"}))
    view = seen_to(task, FOR_TASKS)
    (child,) = children(runtime, task.id)
    (listed,) = [each for each in runtime.list() if each.id == task.id]
    (told,) = [each for each in _ps(root) if each["id"] == task.id]
    with Watcher(root) as watcher, watcher.looking():
        wait_until(lambda: watcher.model.task(task.id) is not None, "it is in the model of those who watch")
        row = watcher.model.task(task.id)
    task.stop()

    assert row is not None
    assert [listed.doing, told["doing"], row.doing] == [FOR_TASKS] * 3
    assert view.doing_began_at is not None
    assert child.started_at <= view.doing_began_at == listed.doing_began_at == row.doing_began_at


def test_an_agent_in_a_tool_that_waits_is_not_silent(runtime: Runtime) -> None:
    task = runtime.run("orchestrator", plan([start("waits", "x")], [["wait_background_agents", {}]], {"answer": "x"}))
    view = seen_to(task, "in wait_background_agents")
    (child,) = children(runtime, task.id)
    wait_until(lambda: runtime.view(child.id).silent > 0, "the one that does nothing is silent", limit=PATIENCE)
    # Its call begins a moment before it waits.
    wait_until(lambda: task.view().silent == 0, "who waits for that one is not", limit=PATIENCE)
    task.stop()

    assert view.status == "running"


def test_a_function_that_waits_for_its_tasks_is_seen_to(runtime: Runtime) -> None:
    task = runtime.run("leads", "x")
    view = seen_to(task, FOR_TASKS)
    task.stop()

    assert (view.silent, view.doing_began_at is not None) == (0, True)


def test_an_agent_whose_tools_are_not_open_yet_does_not_wait_for_its_model(runtime: Runtime) -> None:
    task = runtime.run("opens", plan({"answer": "x"}))
    view = seen_to(task, "opening its tools")
    task.stop()

    assert view.doing_began_at is not None


def test_an_agent_that_is_continued_waits_for_its_model_once_its_tools_are_open(
    runtime: Runtime, tmp_path: Path
) -> None:
    file = tmp_path / "file"
    first = runtime.run("orchestrator", plan({"answer": "x"}, {"wait_for": str(file)}, {"answer": "y"}))
    first.result(PATIENCE)
    task = runtime.resume(first, "go on")
    seen_to(task, "waiting for its model")
    file.touch()

    assert task.result(PATIENCE) == "y"


def _ps(root: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in subactors(root, "ps", "--json", "--state-dir", str(root)).stdout.splitlines()]
