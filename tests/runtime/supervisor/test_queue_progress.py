"""The queue and tasks that wait for tasks: none ever waits for a slot that only its own end would make free."""

from __future__ import annotations

from typing import Any

import pytest
from first_forms import first_always
from subactors.runtime import Runtime
from teams import entrypoint

PATIENCE = 150.0
COORDINATORS = 20


def coordinating(function: str, *sub_agents: str) -> dict[str, Any]:
    """Return an agent whose model is that function of `coordinating_models`."""
    agent = {"model": f"python/coordinating_models:{function}", "sub_agents": list(sub_agents)}
    return {**agent, "toolsets": [{"type": "background_agents", "on_finish": "stop"}]} if sub_agents else agent


def opened(agents: dict[str, Any], **settings: Any) -> Runtime:
    """Return a runtime of these agents and of a worker."""
    team = {"agents": {**agents, "worker": entrypoint("echo")}}
    return Runtime.from_mapping(team, **{"standby": 0, "max_tasks": 1000, "stop_grace": 0.5, **settings})


@pytest.mark.timeout(PATIENCE + 30)
@first_always(
    ("function", "answer"), [("waits_for_workers", "0 1 2"), ("looks_at_workers", "completed completed completed")]
)
def test_where_every_slot_is_taken_by_a_task_that_waits_for_workers_all_of_them_finish(
    function: str, answer: str
) -> None:
    with opened({"coordinator": coordinating(function, "worker")}, max_running=COORDINATORS) as runtime:
        tasks = [runtime.run("coordinator", "Coordinate.") for _ in range(COORDINATORS)]
        views = runtime.wait(tasks, timeout=PATIENCE)
        assert [(view.status, view.result) for view in views] == [("completed", answer)] * COORDINATORS
        workers = [view for view in runtime.list() if view.agent == "worker"]
    assert {view.status for view in workers} == {"completed"}
    assert len(workers) == 3 * COORDINATORS


def test_a_chain_of_tasks_that_wait_for_each_other_finishes_with_one_slot() -> None:
    levels = 6
    agents = {
        f"level_{number}": coordinating("asks_for_one_deeper", *([f"level_{number + 1}"] * (number < levels)))
        for number in range(1, levels + 1)
    }
    with opened(agents, max_running=1) as runtime:
        (view,) = runtime.wait([runtime.run("level_1", "2")], timeout=PATIENCE)
        assert (view.status, view.result) == ("completed", "the bottom")
