"""How agents come to the end of a budget: a notice, a last turn without tools, and a result that is kept."""

from __future__ import annotations

import itertools
import re
import threading
from collections.abc import Callable

import pytest
import strict_server_rules
from first_forms import first_always
from model_server import Calls, ModelServer, Reply, Request, Stall, Text
from priced_models import THINKER, TURN
from priced_models import priced_team as team
from processes_and_waits import wait_until
from subactors.runtime import Limits, Runtime, TaskView
from teams import PATIENCE, run_and_wait

pytestmark = pytest.mark.usefixtures("zygote_for_models")


def thinking() -> Callable[[Request], Reply]:
    """A model that thinks as long as it can, and says what it has when it has no tools any more."""
    count = itertools.count(1)

    def reply(request: Request) -> Reply:
        if "think" in request.tools:
            return Calls(("think", {"thought": f"thought {next(count)}"}), text=f"At {request.turn}.", usage=TURN)
        return Text("What there is.", usage=TURN)

    return reply


def think(limits: Limits) -> tuple[TaskView, list[Request]]:
    """Run a model that thinks as long as it can, with limits; return how it ended, and what it was asked."""
    with ModelServer(thinking()) as server, Runtime.from_mapping(team(server, a=THINKER), standby=0) as runtime:
        return run_and_wait(runtime, "a", limits=limits), list(server.requests)


@first_always(
    ("limits", "reason"),
    [
        (Limits(tokens=1050), "The limit tokens of 1,050 was reached: it had used 1,100."),
        (Limits(cost=0.105), "The limit cost of $0.10 was reached: it had used $0.11."),
        (Limits(tokens=1000), "The limit tokens of 1,000 was reached: it had used 1,100."),
    ],
    keep=2,
)
def test_an_agent_is_told_in_time_and_hands_back_what_there_is_in_a_last_turn_without_tools(
    limits: Limits, reason: str
) -> None:
    view, requests = think(limits)

    assert (view.status, view.result) == ("failed", "What there is.")
    assert view.reason.startswith(reason)
    used = view.usage.input_tokens + view.usage.output_tokens
    assert used <= 1100
    assert [bool(request.tools) for request in requests] == [True] * (len(requests) - 1) + [False]
    last = [str(request.messages[-1]["content"]) for request in requests]
    told = [text for text in last if "[Budget:" in text]
    assert len(told) == 2
    assert re.search(r"\((8\d|90) %\) that you may use with all tasks that you start", told[0])
    assert "This is your last turn, and you have no tools any more." in told[1]
    for request in requests:
        strict_server_rules.check(request.messages, short_ids=False)


def test_a_limit_on_turns_is_told_and_ends_with_one_more_turn_without_tools() -> None:
    view, requests = think(Limits(iterations=5))

    assert (view.status, view.result) == ("failed", "What there is.")
    assert view.reason == (
        "The limit iterations of 5 was reached: it had taken 5 turns without a final answer. Raise it where it was "
        "given, in the team file or at the start of the task, or give a smaller task."
    )
    assert [bool(request.tools) for request in requests] == [True] * 5 + [False]
    assert "[Budget: 4 of your 5 turns are over." in requests[4].tool_answers[-1]
    assert "that was the last of your 5 turns with tools." in str(requests[5].messages[-1]["content"])


def test_a_turn_that_goes_beyond_its_limit_is_the_last_and_what_it_said_is_kept() -> None:
    view, requests = think(Limits(tokens=50))

    assert (view.status, view.result, len(requests)) == ("failed", "At 0.", 1)
    assert view.reason == "The limit tokens of 50 was reached: it had used 100."


def test_an_answer_within_the_limit_is_one_and_an_answer_beyond_it_fails_and_is_kept() -> None:
    with (
        ModelServer(lambda _: Text("done", usage=TURN)) as server,
        Runtime.from_mapping(team(server, a={}), standby=0) as runtime,
    ):
        exact = run_and_wait(runtime, "a", limits=Limits(tokens=100))
        beyond = run_and_wait(runtime, "a", limits=Limits(tokens=99))

    assert (exact.status, exact.result) == ("completed", "done")
    assert (beyond.status, beyond.result) == ("failed", "done")
    assert beyond.reason == "The limit tokens of 99 was reached: it had used 100."


def test_an_agent_that_has_promised_all_it_has_waits_until_that_comes_back() -> None:
    is_seen = threading.Event()

    def reply(request: Request) -> Reply:
        if request.model == "worker":
            assert is_seen.wait(PATIENCE)
            return Text("found", usage=TURN)
        if request.turn == 0:
            return Calls(("run_background_agent", {"agent": "worker", "task": "go", "cost": 5}), usage=TURN)
        return Text("done", usage=TURN)

    tools = [{"type": "background_agents", "limits": True}]
    with ModelServer(reply) as server:
        agents = {"lead": {"sub_agents": ["worker"], "toolsets": tools}, "worker": {}}
        with Runtime.from_mapping(team(server, **agents), standby=0) as runtime:
            lead = runtime.run("lead", "go", limits=Limits(cost=0.5))
            wait_until(lambda: lead.view().doing == "waiting for its budget", "it is seen to wait", limit=PATIENCE)
            assert lead.view().doing_began_at is not None
            is_seen.set()
            (view,) = runtime.wait([lead], timeout=PATIENCE)
            worker = next(each for each in runtime.list() if each.agent == "worker")
        second = next(request for request in server.requests if request.model == "lead" and request.turn == 1)

    assert (view.status, view.result, worker.status) == ("completed", "done", "completed")
    assert "It may use: $0.49." in second.tool_answers[-1]
    assert "So your next turn has waited for them.]" in second.tool_answers[-1]


def test_an_agent_does_not_wait_for_what_others_have_promised_to_a_task_that_needs_its_slot() -> None:
    def reply(request: Request) -> Reply:
        if request.model == "worker":
            return Text("found", usage=TURN)
        if request.model == "other" and request.tools:
            return Calls(("think", {"thought": f"thought {request.turn}"}), usage=TURN)
        if request.model == "lead" and request.turn == 0:
            start = {"agent": "worker", "task": "go", "cost": 5}
            other = {"agent": "other", "task": "go"}
            return Calls(("run_background_agent", other), ("run_background_agent", start), usage=TURN)
        return Text("done", usage=TURN)

    tools = [{"type": "background_agents", "limits": True}]
    agents = {"lead": {"sub_agents": ["worker", "other"], "toolsets": tools}, "worker": {}, "other": THINKER}
    with (
        ModelServer(reply) as server,
        Runtime.from_mapping(team(server, **agents), max_running=2, standby=0) as runtime,
    ):
        view = run_and_wait(runtime, "lead", limits=Limits(cost=0.5))
        ends = {each.agent: each.status for each in runtime.list()}

    assert view.ended
    assert ends["worker"] == "completed"
    assert ends["other"] == "failed"


@pytest.mark.parametrize(("max_running", "end"), [(5, "completed"), (3, "failed")])
def test_an_agent_waits_for_what_is_promised_to_another_that_does_not_need_its_slot(max_running: int, end: str) -> None:
    thinking_time = threading.Event()

    def reply(request: Request) -> Reply:
        if request.turn or request.model in {"other", "helper"}:
            return Text("done", usage=TURN)
        if request.model == "lead":
            start = {"agent": "worker", "task": "go", "cost": 5}
            other = {"agent": "other", "task": "go"}
            return Calls(("run_background_agent", other), ("run_background_agent", start), usage=TURN)
        thinking_time.wait(0.5)  # meanwhile the other asks for its first turn
        return Calls(("run_background_agent", {"agent": "helper", "task": "go"}), usage=TURN)

    tools = [{"type": "background_agents", "limits": True}]
    agents = {
        "lead": {"sub_agents": ["worker", "other"], "toolsets": tools},
        "worker": {"sub_agents": ["helper"], "toolsets": tools},
        "helper": {},
        "other": {},
    }
    with (
        ModelServer(reply) as server,
        Runtime.from_mapping(team(server, **agents), max_running=max_running, standby=0) as runtime,
    ):
        lead = run_and_wait(runtime, "lead", limits=Limits(cost=0.5))
        views = {each.agent: each for each in runtime.list()}

    assert (lead.status, views["worker"].status, views["helper"].status) == ("completed",) * 3
    assert views["other"].status == end, views["other"].reason
    if end == "failed":
        assert re.search(
            r"they had used \$0\.\d+, \$0\.\d+ were reserved for tasks that had not ended", views["other"].reason
        )


def test_two_agents_that_each_need_what_is_promised_to_the_other_do_not_wait_for_each_other() -> None:
    def reply(request: Request) -> Reply:
        if request.model == "lead" and request.turn == 0:
            y = {"agent": "y", "task": "go", "tokens": 850}
            x = {"agent": "x", "task": "go", "cost": 0.985}
            return Calls(("run_background_agent", x), ("run_background_agent", y), usage=TURN)
        return Text("done", usage=TURN)

    tools = [{"type": "background_agents", "limits": True}]
    with ModelServer(reply) as server:
        agents = {"lead": {"sub_agents": ["x", "y"], "toolsets": tools}, "x": {}, "y": {}}
        with Runtime.from_mapping(team(server, **agents), standby=0) as runtime:
            lead = run_and_wait(runtime, "lead", limits=Limits(tokens=1000, cost=1.0))
            ends = {each.agent: each for each in runtime.list()}

    assert (lead.status, lead.result) == ("completed", "done")
    assert sorted([ends["x"].status, ends["y"].status]) == ["completed", "failed"]


def test_a_limit_on_time_cuts_tools_short_and_leaves_time_for_a_last_turn() -> None:
    def reply(request: Request) -> Reply:
        if "shell" in request.tools:
            return Calls(("shell", {"cmd": "echo begun; sleep 600", "timeout": 600}), ("shell", {"cmd": "echo quick"}))
        return Text("What there is.")

    agent = {"toolsets": [{"type": "shell"}]}
    with ModelServer(reply) as server, Runtime.from_mapping(team(server, a=agent), standby=0) as runtime:
        view = run_and_wait(runtime, "a", limits=Limits(wall_clock=10))
        told = str(server.requests[1].messages[-1]["content"])

    assert (view.status, view.result) == ("failed", "What there is.")
    assert re.fullmatch(
        r"The limit wall_clock of 10 s was reached: it had run for [\d.]+ s, and the rest is for its last turn\.",
        view.reason,
    )
    assert "shell was cut short, because the time of the task is up." in told
    assert "quick" in told
    assert "You have no tools any more. Hand back what there is" in told


@pytest.mark.parametrize("tool", [[], pytest.param(["wait_background_agents"], marks=pytest.mark.slow)])
def test_while_an_answer_is_kept_back_time_is_left_for_a_last_turn_that_knows_the_ends(tool: list[str]) -> None:
    def reply(request: Request) -> Reply:
        if request.turn == 0:
            starts = [("run_background_agent", {"agent": name, "task": f"from {name}"}) for name in ("quick", "slow")]
            return Calls(*starts, text="At first.")
        if tool and request.tools:
            return Calls((tool[0], {}))
        return Text("An answer." if request.tools else "What there is.")

    agents = {
        "lead": {"sub_agents": ["quick", "slow"], "toolsets": [{"type": "background_agents"}]},
        "quick": {"model": None, "entrypoint": "entrypoints:echo"},
        "slow": {"model": None, "entrypoint": "entrypoints:waits"},
    }
    with ModelServer(reply) as server, Runtime.from_mapping(team(server, **agents), standby=0) as runtime:
        view = run_and_wait(runtime, "lead", limits=Limits(wall_clock=8))
        *_, last = list(server.requests)

    assert (view.status, view.result) == ("failed", "What there is.")
    assert "and the rest is for its last turn" in view.reason
    assert not last.tools
    told = "\n".join(str(message.get("content")) for message in last.messages)
    assert "(quick): completed after" in told
    assert "from quick" in told
    assert "You have no tools any more. Hand back what there is" in told


@pytest.mark.slow
def test_an_answer_counts_that_comes_when_the_rest_of_the_time_is_for_a_last_turn() -> None:
    late = threading.Event()

    def reply(request: Request) -> Reply:
        if request.model == "lead":
            late.wait(3.2)  # the time that a model takes; nothing is waited for
        return Text("An answer.")

    lead = {"sub_agents": ["b"], "toolsets": [{"type": "background_agents"}]}
    with ModelServer(reply) as server, Runtime.from_mapping(team(server, lead=lead, b={}), standby=0) as runtime:
        run_and_wait(runtime, "b")  # the first task of a host takes its time
        view = run_and_wait(runtime, "lead", limits=Limits(wall_clock=6))

    assert (view.status, view.result) == ("completed", "An answer."), view.reason


def test_a_short_limit_on_time_is_told_before_its_last_turn() -> None:
    def reply(request: Request) -> Reply:
        threading.Event().wait(0.2)  # the time that a model takes; nothing is waited for
        return Calls(("think", {"thought": f"thought {request.turn}"})) if request.tools else Text("What there is.")

    with ModelServer(reply) as server, Runtime.from_mapping(team(server, a=THINKER), standby=0) as runtime:
        view = run_and_wait(runtime, "a", limits=Limits(wall_clock=10))
        told = [str(request.messages[-1]["content"]) for request in server.requests]

    assert (view.status, view.result) == ("failed", "What there is.")
    assert sum("s are kept for a last turn without tools. Come to an end.]" in each for each in told) == 1
    assert "You have no tools any more." in told[-1]


def test_what_was_said_is_kept_where_the_time_is_too_short_for_a_last_turn() -> None:
    def reply(request: Request) -> Reply:
        if request.model == "b":
            return Text("warm")
        if request.turn:
            return Stall()
        return Calls(("think", {"thought": "a thought"}), text="So far.")

    with ModelServer(reply) as server, Runtime.from_mapping(team(server, a=THINKER, b={}), standby=0) as runtime:
        run_and_wait(runtime, "b")  # the first task of a host takes its time
        view = run_and_wait(runtime, "a", limits=Limits(wall_clock=8))

    assert (view.status, view.result) == ("failed", "So far.")
    assert re.fullmatch(
        r"The limit wall_clock of 8 s was reached: it had run for [\d.]+ s, too short for a last turn\.", view.reason
    )


def test_functions_that_ask_their_models_go_beyond_a_limit_by_one_turn_of_each_at_most() -> None:
    asks = {"entrypoint": "spending_entrypoints:asks_on"}
    agents = {"lead": {**asks, "sub_agents": ["worker"]}, "worker": asks}
    with ModelServer(lambda _: Text("no", usage=TURN)) as server:
        with Runtime.from_mapping(team(server, **agents), standby=0) as runtime:
            view = run_and_wait(runtime, "lead", "lead", limits=Limits(cost=0.105))
        asked = len(server.requests)

    assert view.status == "failed"
    assert "The limit cost of $0.10 was reached: it had used $0.1" in view.reason
    assert 11 <= asked <= 12


# --- three levels ---------------------------------------------------------------------------------------------------


def hungry(limits: dict[str, float] | None) -> Callable[[Request], Reply]:
    """Models of three levels that come to no end: those of the lowest think, the others start two more at each turn."""
    count = itertools.count(1)

    def reply(request: Request) -> Reply:
        below = {"top": "middle", "middle": "low"}.get(request.model)
        number = next(count)
        if not request.tools:
            return Text(f"{request.model} hands back", usage=TURN)
        if below is None:
            return Calls(("think", {"thought": f"thought {number}"}), usage=TURN)
        start = {"agent": below, "task": f"piece {number}", **(limits or {})}
        return Calls(("run_background_agent", start), ("run_background_agent", start), usage=TURN)

    return reply


@first_always("limits", [None, {"cost": 0.06}, {"cost": 9.0}], ids=["shared", "reserved", "all reserved"])
def test_three_levels_with_a_limit_on_cost_go_beyond_it_by_one_turn_of_each_at_most(
    limits: dict[str, float] | None,
) -> None:
    tools = {"toolsets": [{"type": "background_agents", "limits": True}]}
    with ModelServer(hungry(limits)) as server:
        agents = {
            "top": {"sub_agents": ["middle"], **tools},
            "middle": {"sub_agents": ["low"], **tools},
            "low": THINKER,
        }
        with Runtime.from_mapping(team(server, **agents), standby=0, max_running=8) as runtime:
            view = run_and_wait(runtime, "top", limits=Limits(cost=0.4))
            views = runtime.list()
        asked = len(server.requests)

    assert view.status == "failed"
    assert "The limit cost of $0.40 was reached" in view.reason
    assert view.result == "top hands back"
    assert 0.3 <= view.total_usage.cost <= asked * 0.01 + 1e-9
    assert asked * 0.01 <= 0.4 + 8 * 0.01 + 1e-9  # those that were stopped in a turn, too
    assert sum(each.usage.cost for each in views) == pytest.approx(view.total_usage.cost)
    if limits == {"cost": 0.06}:
        assert max(each.total_usage.cost for each in views if each.agent == "low") <= 0.07 + 1e-9
