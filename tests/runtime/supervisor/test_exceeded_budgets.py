"""A budget that is used up holds for all below it, queued, restarted or items; and a wait for one that is promised."""

from __future__ import annotations

import os
import re
import signal
import threading
from typing import Any

import pytest
from journals import conversation_in
from model_server import Calls, ModelServer, Reply, Request, Text
from priced_models import THINKER, TURN, priced_team, run_with_cost
from processes_and_waits import wait_until
from subactors.runtime import Limits, Runtime
from teams import PATIENCE

pytestmark = pytest.mark.usefixtures("zygote_for_models")

TOOLS: dict[str, Any] = {"toolsets": [{"type": "background_agents", "limits": True, "fan_out": True}]}


def start(agent: str, number: int = 1, **limits: float) -> Calls:
    """The calls with which an agent starts so many tasks."""
    calls = [("run_background_agent", {"agent": agent, "task": f"piece {n}", **limits}) for n in range(number)]
    return Calls(*calls, usage=TURN)


# --- what is used up above ------------------------------------------------------------------------------------------


def test_queued_tasks_take_no_turn_when_those_before_them_have_used_up_the_limit_above() -> None:
    def reply(request: Request) -> Reply:
        if request.model == "lead" and request.turn == 0:
            return start("leaf", 30, cost=0.0101)
        if "think" in request.tools:
            return Calls(("think", {"thought": f"thought {request.turn}"}), usage=TURN)
        return Text("done", usage=TURN)

    with ModelServer(reply) as server:
        team = priced_team(server, lead={"sub_agents": ["leaf"], **TOOLS}, leaf=THINKER)
        with Runtime.from_mapping(team, standby=0, max_running=3) as runtime:
            view = run_with_cost(runtime, "lead", 0.34)
            reasons = [each.reason for each in runtime.list() if each.agent == "leaf"]
        asked = len(server.requests)

    assert view.status == "failed"
    assert "The limit cost of $0.34 was reached" in view.reason
    assert asked * 0.01 <= 0.34 + 3 * 0.01 + 1e-9
    assert len(reasons) == 30
    assert any(
        reason.startswith("The limit cost of $0.34, which lead (agent_task_") and "has for all its tasks" in reason
        for reason in reasons
    )


def test_a_limit_on_cost_holds_over_three_levels_of_small_reservations() -> None:
    def reply(request: Request) -> Reply:
        below = {"lead": ("middle", 3, 0.12), "middle": ("leaf", 10, 0.0101)}.get(request.model)
        if below is not None and request.tools and request.turn == 0:
            agent, number, cost = below
            return start(agent, number, cost=cost)
        if "think" in request.tools:
            return Calls(("think", {"thought": f"thought {request.turn}"}), usage=TURN)
        return Text("done", usage=TURN)

    agents = {
        "lead": {"sub_agents": ["middle"], **TOOLS},
        "middle": {"sub_agents": ["leaf"], **TOOLS},
        "leaf": THINKER,
    }
    with (
        ModelServer(reply) as server,
        Runtime.from_mapping(priced_team(server, **agents), standby=0, max_running=4) as runtime,
    ):
        view = run_with_cost(runtime, "lead", 0.4)
        asked = len(server.requests)

    assert view.ended
    assert asked * 0.01 <= 0.4 + 4 * 0.01 + 1e-9


def test_items_of_a_group_take_no_turn_when_others_have_used_up_the_limit_above() -> None:
    def reply(request: Request) -> Reply:
        if request.model == "lead" and request.turn == 0:
            items = {"agent": "leaf", "task": "{item}", "items": [f"item {n}" for n in range(20)], "concurrency": 2}
            return Calls(("map_background_agent", items), usage=TURN)
        if "think" in request.tools:
            return Calls(("think", {"thought": f"thought {request.turn}"}), usage=TURN)
        return Text("done", usage=TURN)

    with ModelServer(reply) as server:
        leaf = {**THINKER, "limits": {"cost": 0.0101}}
        team = priced_team(server, lead={"sub_agents": ["leaf"], **TOOLS}, leaf=leaf)
        with Runtime.from_mapping(team, standby=0) as runtime:
            view = run_with_cost(runtime, "lead", 0.1)
        asked = len(server.requests)

    assert view.status == "failed"
    assert asked * 0.01 <= 0.1 + 3 * 0.01 + 1e-9


def test_a_task_that_is_started_again_has_no_second_last_turn() -> None:
    runtime: Runtime
    killed: list[int] = []

    def reply(request: Request) -> Reply:
        if request.tools:
            return Calls(("think", {"thought": f"thought {request.turn}"}), usage=TURN)
        (view,) = runtime.list()
        if view.pid is not None and not killed:
            killed.append(view.pid)
            os.kill(view.pid, signal.SIGKILL)
        return Text("done", usage=TURN)

    agent = {**THINKER, "restart": {"policy": "transient", "max_restarts": 3, "backoff": 0}}
    with ModelServer(reply) as server, Runtime.from_mapping(priced_team(server, a=agent), standby=0) as runtime:
        view = run_with_cost(runtime, "a", 0.035)
        last_turns = [request for request in server.requests if not request.tools]

    assert (view.status, view.attempts, len(killed), len(last_turns)) == ("failed", 2, 1, 1)
    assert "The limit cost of $0.0350 was reached" in view.reason


# --- what ends a wait for promised budget ---------------------------------------------------------------------------


def promised(*, question: bool) -> dict[str, Any]:
    """Agents of whom the first promises all it has to the second, which may ask it something."""
    asks = [{"type": "ask_parent"}] if question else [{"type": "think"}]
    tools = [{"type": "background_agents", "limits": True, "steer": True}]
    return {"lead": {"sub_agents": ["worker"], "toolsets": tools}, "worker": {"toolsets": asks}}


@pytest.mark.parametrize(
    ("limits", "all_of_it"), [(Limits(cost=1), {"cost": 5}), (Limits(tokens=20000), {"tokens": 10**6})]
)
def test_a_question_ends_the_wait_for_promised_budget_and_the_turn_comes_out_of_it(
    limits: Limits, all_of_it: dict[str, float]
) -> None:
    def reply(request: Request) -> Reply:
        last = str(request.messages[-1]["content"])
        if request.model == "lead" and request.turn == 0:
            return start("worker", **all_of_it)
        asked = re.search(r"waits for your answer to (question_\w+)", last)
        if asked:
            return Calls(("answer_background_agent", {"question": asked[1], "answer": "blue"}), usage=TURN)
        if request.model == "worker" and request.turn == 0:
            return Calls(("ask_parent", {"question": "Which colour?"}), usage=TURN)
        return Text(f"{request.model}: {last}", usage=TURN)

    with (
        ModelServer(reply) as server,
        Runtime.from_mapping(
            priced_team(server, **promised(question=True)), standby=0, question_timeout=600
        ) as runtime,
    ):
        (view,) = runtime.wait([runtime.run("lead", "go", limits=limits)], timeout=PATIENCE)
        results = {each.agent: each.result for each in runtime.list()}
        answering = [request for request in server.requests if request.model == "lead"][1]

    assert (view.status, results["worker"]) == ("completed", "worker: blue")
    assert "it comes out of what is reserved. Answer first.]" in answering.tool_answers[-1]
    assert "| worker: blue" in str(view.result)  # the wait after it is over with the end, which is told at once


def test_a_message_ends_the_wait_for_promised_budget() -> None:
    heard = threading.Event()

    def reply(request: Request) -> Reply:
        if request.model == "worker":
            assert heard.wait(PATIENCE)
            return Text("found", usage=TURN)
        if "Be done" in str(request.messages):
            heard.set()
        return start("worker", cost=5) if request.turn == 0 else Text("done", usage=TURN)

    team = promised(question=False)
    with ModelServer(reply) as server, Runtime.from_mapping(priced_team(server, **team), standby=0) as runtime:
        lead = runtime.run("lead", "go", limits=Limits(cost=0.5))
        server.wait_for_requests(2)
        lead.steer("Be done")
        (view,) = runtime.wait([lead], timeout=PATIENCE)

    assert (view.status, heard.is_set()) == ("completed", True)


def test_what_a_tool_has_answered_is_kept_while_the_next_turn_waits_for_budget() -> None:
    go_on = threading.Event()

    def reply(request: Request) -> Reply:
        if request.model == "worker":
            assert go_on.wait(PATIENCE)
            return Text("found", usage=TURN)
        return start("worker", cost=5) if request.turn == 0 else Text("done", usage=TURN)

    team = promised(question=False)
    team["lead"]["restart"] = {"policy": "transient", "backoff": 0}
    with (
        ModelServer(reply) as server,
        Runtime.from_mapping(priced_team(server, **team), standby=0) as runtime,
    ):
        lead = runtime.run("lead", "go", limits=Limits(cost=0.5))
        wait_until(
            lambda: "Started agent_task_" in str(conversation_in(runtime, lead.id)), "the answer", limit=PATIENCE
        )
        pid = lead.view().pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: lead.view().attempts == 2, "the next attempt", limit=PATIENCE)
        go_on.set()
        (view,) = runtime.wait([lead], timeout=PATIENCE)
        second = [request for request in server.requests if request.model == "lead"][1]

    assert view.status == "completed"
    assert "Started agent_task_" in second.tool_answers[-1]
    assert "effects unknown" not in str(second.messages)
