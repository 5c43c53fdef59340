"""Who may call the tools that run tasks: orchestrators side by side, from any thread, until they are closed."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest
from orchestrator_team import orchestrated, orchestrated_runtime, started
from processes_and_waits import wait_until
from subactors.runtime import OrchestratorTools, Runtime, RuntimeClosedError, ToolAnswer, UnknownAgentError
from teams import call, model, task_ids

pytestmark = pytest.mark.usefixtures("zygote_for_tasks")


@pytest.fixture(scope="module")
def runtime() -> Iterator[Runtime]:
    with orchestrated_runtime() as runtime:
        yield runtime


@pytest.fixture
def toolset(runtime: Runtime) -> Iterator[OrchestratorTools]:
    with runtime.toolset("boss") as toolset:
        yield toolset


# --- whose they are -------------------------------------------------------------------------------------------------


def test_each_orchestrator_sees_and_stops_its_own_tasks_only(runtime: Runtime) -> None:
    with runtime.toolset("boss") as one, runtime.toolset("boss") as other:
        mine, theirs = started(one, "waits"), started(other, "waits")

        listed = call(one, "list_background_agents").data["tasks"]
        refused = [call(one, name, task_id=theirs) for name in ("view_background_agent", "stop_background_agent")]

        assert [task["id"] for task in listed] == [mine]
        assert all(answer.is_error and mine in answer.text for answer in refused)
        assert not runtime.view(theirs).ended
        assert {mine, theirs} <= set(task_ids(runtime.list()))
        for toolset, task_id in ((one, mine), (other, theirs)):
            assert not call(toolset, "stop_background_agent", task_id=task_id).is_error


def test_the_log_of_thoughts_belongs_to_one_orchestrator(runtime: Runtime) -> None:
    with runtime.toolset("boss") as one, runtime.toolset("boss") as other:
        call(one, "think", thought="mine")

        assert call(other, "think", thought="theirs").data == {"thoughts": ["theirs"]}
        assert call(one, "think", thought="again").data == {"thoughts": ["mine", "again"]}


# --- from where they may be called ----------------------------------------------------------------------------------


def test_a_tool_may_be_called_inside_a_running_event_loop(toolset: OrchestratorTools) -> None:
    async def main() -> ToolAnswer:
        return call(toolset, "transfer_task", agent="echo", task="x")

    assert asyncio.run(main()).text == "x"


def test_tools_may_be_called_from_several_threads_at_once(toolset: OrchestratorTools) -> None:
    answers: dict[int, ToolAnswer] = {}

    def transfer(number: int) -> None:
        answers[number] = call(toolset, "transfer_task", agent="echo", task=str(number))

    threads = [threading.Thread(target=transfer, args=(number,)) for number in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert {number: answer.text for number, answer in answers.items()} == {n: str(n) for n in range(5)}


def test_a_transfer_does_not_keep_other_calls_from_being_answered(toolset: OrchestratorTools) -> None:
    answers: list[ToolAnswer] = []
    transferring = threading.Thread(
        target=lambda: answers.append(call(toolset, "transfer_task", agent="waits", task="x"))
    )
    transferring.start()
    wait_until(lambda: call(toolset, "list_background_agents").data["tasks"], "the task is there")

    (task,) = call(toolset, "list_background_agents").data["tasks"]
    call(toolset, "stop_background_agent", task_id=task["id"])
    transferring.join()

    (answer,) = answers
    assert answer.is_error
    assert "stopped" in answer.text


def test_closing_a_toolset_ends_the_calls_that_are_at_work_and_stops_what_they_wait_for(runtime: Runtime) -> None:
    toolset = runtime.toolset("boss")
    errors: list[BaseException] = []

    def transfer() -> None:
        with pytest.raises(RuntimeClosedError, match="closed while transfer_task was at work") as caught:
            call(toolset, "transfer_task", agent="waits", task="x")
        errors.append(caught.value)

    transferring = threading.Thread(target=transfer)
    transferring.start()
    wait_until(lambda: call(toolset, "list_background_agents").data["tasks"], "the task is there")
    (task,) = call(toolset, "list_background_agents").data["tasks"]

    toolset.close()
    transferring.join()

    assert len(errors) == 1
    (view,) = runtime.wait([task["id"]])
    assert view.status == "stopped"


def test_a_closed_toolset_refuses_calls_and_its_tasks_go_on(runtime: Runtime) -> None:
    toolset = runtime.toolset("boss")
    task_id = started(toolset, "waits")

    toolset.close()
    toolset.close()

    with pytest.raises(RuntimeClosedError, match="The toolset is closed"):
        call(toolset, "list_background_agents")
    assert runtime.stop(task_id)[0].status == "stopped"


def test_closing_the_runtime_closes_its_toolsets() -> None:
    with Runtime.from_mapping(orchestrated()) as runtime:
        toolset = runtime.toolset("boss")
        started(toolset, "waits")

    with pytest.raises(RuntimeClosedError):
        call(toolset, "list_background_agents")


def test_a_toolset_of_an_unknown_agent_is_refused_with_the_agents_there_are() -> None:
    with (
        Runtime.from_mapping({"agents": {"cook": model("streams")}}) as runtime,
        pytest.raises(UnknownAgentError, match=r"no agent 'chef' in the team\. Available: cook\."),
    ):
        runtime.toolset("chef")
