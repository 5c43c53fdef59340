"""Continuing: tasks that have ended go on as new ones, with their conversations, if they are asked for by their ids."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from git_repositories import git, new_repository
from journals import asked_of_journal, conversation_in
from processes_and_waits import wait_until
from subactors.runtime import (
    AsyncRuntime,
    Limits,
    RunError,
    Runtime,
    RuntimeClosedError,
    TaskFailed,
    TaskView,
    UnknownTaskError,
)
from subactors.runtime.agent.continuation import EFFECTS_UNKNOWN
from subactors.runtime.supervisor.letters import Letters
from teams import PATIENCE, model, plan, run_and_wait, speaking

SHELL: Final = [{"type": "shell"}]
DIES: Final = [["shell", {"cmd": "kill -9 $PPID"}]]
"""A turn in which the task's process dies."""

ONCE: Final = {"policy": "transient", "backoff": 0.01, "max_restarts": 1}
TEAM: Final[dict[str, Any]] = {
    "agents": {
        "plans": model("follows_a_plan", toolsets=SHELL),
        "shows": model("shows_its_conversation"),
        "waits": model("waits"),
        "raises": model("raises"),
        "boss": model("follows_a_plan", sub_agents=["echo", "plans"], toolsets=[*SHELL, {"type": "background_agents"}]),
        "private": model("follows_a_plan", toolsets=SHELL, workdir="private"),
        "worktree": model("follows_a_plan", toolsets=SHELL, workdir="worktree"),
        "restarted": model("follows_a_plan", toolsets=SHELL, restart=ONCE),
        "citizen": {"entrypoint": "citizen_entrypoints:continues_what_it_started", "sub_agents": ["shows"]},
        "echo": {"entrypoint": "entrypoints:echo"},
    }
}


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runtime]:
    state = tmp_path_factory.mktemp("resumed")
    with Runtime.from_mapping(TEAM, state_dir=state, stop_grace=1.0, standby=0) as runtime:
        run_and_wait(runtime, "echo", "warm up")
        yield runtime


def messages_of(view: TaskView) -> list[dict[str, Any]]:
    """What a task of `shows` was given."""
    messages: list[dict[str, Any]] = json.loads(view.result)["messages"]
    return messages


def resumed(runtime: Runtime, task: str, message: str | None = None) -> TaskView:
    """Continue a task to its end."""
    (view,) = runtime.wait([runtime.resume(task, message)], timeout=PATIENCE)
    return view


def test_a_task_whose_process_died_goes_on_and_makes_no_call_again(runtime: Runtime, tmp_path: Path) -> None:
    write = ["shell", {"cmd": f"echo once >> '{tmp_path / 'calls'}'"}]
    died = run_and_wait(runtime, "plans", plan([write], DIES, "answers"))
    assert died.status == "failed"

    view = resumed(runtime, died.id)

    assert (view.status, view.continues, view.task) == ("completed", died.id, died.task), view.reason
    first, second = json.loads(view.result)
    assert "Effects unknown" not in first
    assert second == EFFECTS_UNKNOWN
    assert (tmp_path / "calls").read_text() == "once\n"
    assert runtime.view(died.id).status == "failed"


def test_the_model_is_told_that_its_task_was_interrupted_and_how(runtime: Runtime) -> None:
    died = run_and_wait(runtime, "plans", plan(DIES, {"answer": "done"}))
    view = resumed(runtime, died.id)

    (told,) = [message for message in conversation_in(runtime, view.id)[2:] if message["role"] == "user"]
    assert told["content"].startswith("<continued>\nThe runtime tells you, not the user")
    assert f"It had ended as failed: {died.reason.splitlines()[0]}" in told["content"]


def test_a_task_that_has_completed_goes_on_with_a_message(runtime: Runtime) -> None:
    first = run_and_wait(runtime, "shows", "First.")
    view = resumed(runtime, first.id, "And the second?")

    assert [message["role"] for message in messages_of(view)] == ["system", "user", "assistant", "user"]
    assert messages_of(view)[:2] == messages_of(first)
    assert messages_of(view)[3]["content"] == "And the second?"
    assert view.task == "First.\n\nAnd the second?"


def test_what_continues_another_can_be_continued_itself(runtime: Runtime) -> None:
    view = run_and_wait(runtime, "shows", "First.")
    for message in ("Second.", "Third."):
        former, view = view, resumed(runtime, view.id, message)
        assert view.continues == former.id

    said = [message["content"] for message in messages_of(view) if message["role"] == "user"]
    assert said[1:] == ["Second.", "Third."]


def test_a_stopped_task_goes_on_if_it_is_asked_for_by_its_id_and_not_by_itself(runtime: Runtime) -> None:
    task = runtime.run("restarted", plan([["shell", {"cmd": "sleep 600"}]], {"answer": "done"}))
    wait_until(lambda: "in shell" in task.view().doing, "the call has begun", limit=PATIENCE)
    stopped = task.stop()

    assert [view.id for view in runtime.list() if view.continues == stopped.id] == []
    view = resumed(runtime, task.id)

    assert (view.status, view.result) == ("completed", "done")
    assert "It had ended as stopped: Stopped by the host program" in str(conversation_in(runtime, view.id))
    assert runtime.view(stopped.id).status == "stopped"


def test_an_answer_that_was_given_before_the_task_failed_is_not_asked_for_again(runtime: Runtime) -> None:
    first = run_and_wait(runtime, "shows", "First.")
    runtime._host.journal.write(
        [("UPDATE task SET status = 'failed', reason = 'It died.', result = NULL WHERE id = ?", (first.id,))]
    )

    view = resumed(runtime, first.id)

    assert (view.result, view.usage.requests) == (first.result, 0)


def test_what_had_to_hand_back_what_there_was_goes_on_with_its_work(runtime: Runtime) -> None:
    look = [["shell", {"cmd": "echo"}]]
    task = plan(look, {"answer": "so far"}, {"answer": "all of it"})
    stopped = run_and_wait(runtime, "plans", task, limits=Limits(iterations=1))
    assert (stopped.status, stopped.result) == ("failed", "so far")

    view = resumed(runtime, stopped.id)

    assert (view.status, view.result) == ("completed", "all of it")
    assert "The limit iterations" in str(conversation_in(runtime, view.id)) or "max_iterations" in stopped.reason


def test_what_had_no_conversation_yet_begins_anew(runtime: Runtime) -> None:
    task = runtime.run("shows", "First.")
    task.result(PATIENCE)
    runtime._host.journal.write(
        [
            ("UPDATE task SET status = 'stopped', reason = 'Stopped.' WHERE id = ?", (task.id,)),
            ("DELETE FROM message WHERE task = ?", (task.id,)),
        ]
    )

    view = resumed(runtime, task.id, "Now the second.")

    system, user = messages_of(view)
    assert "<task>\nFirst.\n\nNow the second.\n</task>" in system["content"]
    assert user["role"] == "user"


def test_a_continuation_that_is_restarted_goes_on_from_its_own_last_turn(runtime: Runtime) -> None:
    died = run_and_wait(runtime, "restarted", plan(DIES, DIES, DIES, {"answer": "done"}))
    assert (died.status, died.attempts) == ("failed", 2)

    view = resumed(runtime, died.id)

    assert (view.status, view.attempts, view.result) == ("completed", 2, "done"), view.reason
    told = [message for message in conversation_in(runtime, view.id) if "<continued>" in str(message["content"])]
    assert len(told) == 1


def test_ends_of_its_own_tasks_of_which_it_was_not_told_are_told(runtime: Runtime, tmp_path: Path) -> None:
    looking = plan({"wait_for": str(tmp_path / "find")}, {"answer": "what it found"})
    start = [["run_background_agent", {"agent": "plans", "task": looking}]]
    dies_later = [["shell", {"cmd": f"while [ ! -e '{tmp_path / 'die'}' ]; do sleep 0.01; done; kill -9 $PPID"}]]
    boss = runtime.run("boss", plan(start, dies_later, {"answer": "done"}))
    # Its next request would tell it of the end.
    wait_until(lambda: "in shell" in boss.view().doing, "it makes no request for now", limit=PATIENCE)
    (child,) = [view for view in runtime.list() if view.parent == boss.id]
    (tmp_path / "find").touch()
    runtime.wait([child.id], timeout=PATIENCE)
    (tmp_path / "die").touch()
    runtime.wait([boss], timeout=PATIENCE)

    view = resumed(runtime, boss.id)

    (told,) = [message for message in conversation_in(runtime, view.id)[2:] if message["role"] == "user"]
    assert f"{child.id} (plans): completed after" in told["content"]
    assert "| what it found" in told["content"]
    again = resumed(runtime, boss.id)
    assert child.id not in str(
        [message for message in conversation_in(runtime, again.id)[2:] if message["role"] == "user"]
    )


def test_what_was_said_to_it_and_it_did_not_hear_is_heard_by_its_continuation(runtime: Runtime, tmp_path: Path) -> None:
    die = f"until [ -e '{tmp_path / 'die'}' ]; do sleep 0.01; done; kill -9 $PPID"
    task = runtime.run("plans", plan([["shell", {"cmd": die}]], [["shell", {"cmd": "echo"}]], "answers"))
    wait_until(lambda: "in shell" in task.view().doing, "the call has begun", limit=PATIENCE)
    runtime.steer(task, "Mind the gap.")
    (tmp_path / "die").touch()
    runtime.wait([task], timeout=PATIENCE)

    view = resumed(runtime, task.id)

    assert "Mind the gap." in view.result
    left = asked_of_journal(runtime, "SELECT count(*) FROM letter WHERE task = ? AND taken IS NULL", view.id)
    assert left == [[0]]


def test_what_was_said_before_a_process_began_is_there_when_it_begins(
    runtime: Runtime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As if the supervisor were slower than the task: it tells what has come meanwhile when all is over.
    monkeypatch.setattr(Letters, "ready", lambda *_: None)
    die = f"until [ -e '{tmp_path / 'die'}' ]; do sleep 0.01; done; kill -9 $PPID"
    task = runtime.run("plans", plan([["shell", {"cmd": die}]], {"answer": "at once"}))
    wait_until(lambda: "in shell" in task.view().doing, "the call has begun", limit=PATIENCE)
    runtime.steer(task, "Mind the gap.")
    (tmp_path / "die").touch()
    runtime.wait([task], timeout=PATIENCE)

    view = resumed(runtime, task.id)

    said = [message["content"] for message in conversation_in(runtime, view.id) if message["role"] == "user"]
    assert "Mind the gap." in said[-1]


def test_limits_and_an_output_schema_of_a_task_go_along_and_its_key_does_not(runtime: Runtime) -> None:
    schema = {"type": "object", "required": ["answer"]}
    died = run_and_wait(
        runtime,
        "plans",
        plan(DIES, {"answer": "no JSON"}),
        limits=Limits(wall_clock=300),
        output_schema=schema,
        key="k",
    )
    task = runtime.resume(died.id)
    known = runtime._host.registry.get(task.id)
    with pytest.raises(TaskFailed, match="does not fit the output schema"):
        task.result(PATIENCE)

    assert known is not None
    assert known.setup.limits.wall_clock == 300
    assert known.key is None


# --- what is refused ------------------------------------------------------------------------------------------------


def test_what_cannot_go_on_is_refused_in_words(runtime: Runtime) -> None:
    completed = run_and_wait(runtime, "shows", "First.")
    function = run_and_wait(runtime, "echo", "x")
    waiting = speaking(runtime, "waits")

    with pytest.raises(RunError, match=r"has completed\. Say what it is to do now"):
        runtime.resume(completed.id)
    with pytest.raises(RunError, match="The message is empty"):
        runtime.resume(completed.id, "  ")
    with pytest.raises(RunError, match=r"ran a function \(echo\), and has no conversation"):
        runtime.resume(function.id, "Again.")
    with pytest.raises(RunError, match=r"is running\. Only one that has ended can be continued"):
        runtime.resume(waiting)
    with pytest.raises(UnknownTaskError, match="There is no task 'agent_task_nothing'"):
        runtime.resume("agent_task_nothing")
    with pytest.raises(TypeError, match="message is of type int"):
        runtime.resume(completed.id, 3)  # type: ignore[arg-type] - what a program may do
    runtime.stop(waiting)


def test_a_function_of_a_program_is_refused_also_if_it_has_the_name_of_an_agent(runtime: Runtime) -> None:
    call = runtime.submit(len, "abc", name="shows")
    call.result(PATIENCE)
    with pytest.raises(RunError, match="ran a function"):
        call.resume("Again.")


def test_a_task_that_is_being_continued_is_not_continued_twice_at_a_time(runtime: Runtime, tmp_path: Path) -> None:
    died = run_and_wait(runtime, "plans", plan(DIES, {"wait_for": str(tmp_path / "go")}, {"answer": "done"}))
    first = runtime.resume(died.id)
    with pytest.raises(RunError, match=f"is being continued already, by {first.id}"):
        runtime.resume(died.id)
    (tmp_path / "go").touch()
    assert first.result(PATIENCE) == "done"
    assert resumed(runtime, died.id).status == "completed"


def test_nothing_is_continued_by_a_runtime_that_is_closed(tmp_path: Path) -> None:
    with Runtime.from_mapping(TEAM, state_dir=tmp_path, standby=0) as runtime:
        task = runtime.run("shows", "First.")
        task.result(PATIENCE)
    with pytest.raises(RuntimeClosedError):
        task.resume("Again.")


# --- who continues --------------------------------------------------------------------------------------------------


def test_a_handle_a_group_and_a_task_continue_tasks_too(runtime: Runtime) -> None:
    first = runtime.run("shows", "First.")
    first.result(PATIENCE)
    second = first.resume("Second.")
    assert (second.agent, second.view().continues) == ("shows", first.id)
    second.result(PATIENCE)

    with runtime.group() as group:
        third = group.resume(second, "Third.")
        assert [task.id for task in group.tasks] == [third.id]
        assert group.tasks[0].agent == "shows"
    assert third.view().ended

    told = run_and_wait(runtime, "citizen", first.id).result
    assert told == {
        "roles": ["system", "user", "assistant", "user"],
        "continues": True,
        "refused": "UnknownTaskError",
    }


def test_an_awaited_runtime_continues_tasks(tmp_path: Path) -> None:
    async def work() -> tuple[str, str, int]:
        async with AsyncRuntime.from_mapping(TEAM, state_dir=tmp_path, standby=0) as runtime:
            first = await runtime.run("shows", "First.")
            await first
            second = await runtime.resume(first, "Second.")
            await second
            third = await second.resume("Third.")
            return first.id, (await second.view()).continues, len(json.loads(await third)["messages"])

    first, continues, messages = asyncio.run(work())
    assert (continues, messages) == (first, 6)


def test_a_task_that_is_forgotten_is_continued_all_the_same(tmp_path: Path) -> None:
    with Runtime.from_mapping(TEAM, state_dir=tmp_path, max_tasks=1, standby=0) as runtime:
        first = run_and_wait(runtime, "shows", "First.")
        run_and_wait(runtime, "echo", "x")
        run_and_wait(runtime, "echo", "x")
        assert runtime._host.registry.get(first.id) is None
        assert len(messages_of(resumed(runtime, first.id, "Second."))) == 4


# --- folders --------------------------------------------------------------------------------------------------------


def test_a_folder_of_its_own_goes_along(runtime: Runtime) -> None:
    died = run_and_wait(
        runtime,
        "private",
        plan([["shell", {"cmd": "echo mine > file"}]], DIES, [["shell", {"cmd": "cat file; pwd"}]], "answers"),
    )
    view = resumed(runtime, died.id)

    *_, found = json.loads(view.result)
    assert "mine" in found
    assert view.workdir in found
    assert runtime.view(died.id).workdir == ""
    assert f"Its working directory is {view.workdir} now." in str(conversation_in(runtime, view.id))


def test_a_worktree_goes_along_with_its_branch_and_what_is_not_committed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = new_repository(tmp_path / "repository", "file")
    monkeypatch.chdir(repository)
    steps = "git -c user.name=T -c user.email=t@example.invalid commit -qam second"
    work = [["shell", {"cmd": f"echo second > file; {steps}; echo third > new"}]]
    look = [["shell", {"cmd": "cat file new; git rev-parse --abbrev-ref HEAD"}]]
    with Runtime.from_mapping(TEAM, state_dir=tmp_path / "state", working_dir=repository, standby=0) as runtime:
        died = run_and_wait(runtime, "worktree", plan(work, DIES, look, "answers"))
        view = resumed(runtime, died.id)

        *_, found = json.loads(view.result)
        assert found.split()[:3] == ["second", "third", f"subactors/{view.id}"]
        assert runtime.view(died.id).workdir == ""
    assert git(repository, "branch", "--list", "subactors/*").split()[-1] == f"subactors/{view.id}"


# --- the journal ----------------------------------------------------------------------------------------------------


def test_the_journal_says_what_continues_what(runtime: Runtime) -> None:
    first = run_and_wait(runtime, "shows", "First.")
    view = resumed(runtime, first.id, "Second.")

    rows = asked_of_journal(
        runtime, "SELECT continues, options FROM task WHERE id IN (?, ?) ORDER BY number", first.id, view.id
    )
    assert rows == [["", "{}"], [first.id, "{}"]]
    assert [message["role"] for message in conversation_in(runtime, view.id)] == [
        *("system", "user", "assistant", "user", "assistant")
    ]
