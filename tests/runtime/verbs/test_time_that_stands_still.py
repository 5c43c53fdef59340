"""When the limit on time stands still for a task that asks, and for how long at most."""

from __future__ import annotations

from typing import Any

import pytest
from model_server import Calls, ModelServer, Reply, Request, Text
from priced_models import priced_team
from subactors.runtime import Limits, Runtime, TaskView
from teams import run_and_wait

pytestmark = pytest.mark.usefixtures("zygote_for_models")

LIMIT = "The limit wall_clock of "


def run(name: str, limits: Limits, data: Any = None, **settings: Any) -> TaskView:
    """Run a function that asks, to its end; nobody answers."""
    team = {"agents": {name: {"entrypoint": f"asking_entrypoints:{name}"}}}
    with Runtime.from_mapping(team, standby=0, stop_grace=1.0, **settings) as runtime:
        return run_and_wait(runtime, name, limits=limits, data=data)


def test_it_goes_on_for_a_task_that_asks_in_another_thread_and_does_something_else() -> None:
    view = run("asks_aside", Limits(wall_clock=1.0))

    assert view.status == "failed"
    assert view.reason.startswith(f"{LIMIT}1 s was reached")


def test_it_stands_still_for_ten_questions_at_most() -> None:
    view = run("asks", Limits(wall_clock=0.5), {"timeout": 1e6}, question_timeout=0.1)

    assert view.status == "failed"
    assert view.reason.startswith(f"{LIMIT}0.5 s was reached: it had run for 0.")
    assert view.runtime >= 1.5


@pytest.mark.parametrize(
    ("tool", "arguments", "is_ended"),
    [("shell", {"cmd": "sleep 600", "timeout": 600}, True), ("think", {"thought": "a thought"}, False)],
)
def test_it_goes_on_for_an_agent_that_is_in_another_tool_beside_its_question(
    tool: str, arguments: dict[str, Any], is_ended: bool
) -> None:
    def reply(request: Request) -> Reply:
        if request.turn or not request.tools:
            return Text("done")
        return Calls(("user_prompt", {"message": "Which colour?"}), (tool, arguments))

    toolsets = [{"type": "user_prompt", "timeout": 20}, {"type": "shell"}, {"type": "think"}]
    with ModelServer(reply) as server:
        team = priced_team(server, a={"toolsets": toolsets})
        with Runtime.from_mapping(team, standby=0) as runtime:
            (view,) = runtime.wait([runtime.run("a", "go", limits=Limits(wall_clock=12))], timeout=60)

    assert view.reason.startswith(LIMIT) == is_ended
    assert (view.status == "completed") != is_ended
