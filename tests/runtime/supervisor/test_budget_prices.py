"""What a limit on cost needs to know: the price of each model, and what each turn has used."""

from __future__ import annotations

import json
from typing import Any

import pytest
from first_forms import first_always
from model_server import Calls, ModelServer, Reply, Request, Text
from subactors.runtime import BudgetError, Limits, Runtime
from subactors.runtime.tasks.wording import usage_text
from teams import model, run_and_wait

pytestmark = pytest.mark.usefixtures("zygote_for_models")

PRICES: dict[str, dict[str, float] | None] = {
    "whole": {"input": 1, "output": 2},
    "free": {"input": 0, "output": 0},
    "half": {"input": 1},
    "other_half": {"output": 1, "cache_read": 1},
    "empty": {},
    "none": None,
}


def models(base_url: str = "http://127.0.0.1:9/v1") -> dict[str, dict[str, Any]]:
    """A model for each of the prices."""
    place = {"provider": "acme", "model": "m", "base_url": base_url}
    return {name: place if cost is None else {**place, "cost": cost} for name, cost in PRICES.items()}


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("half", r"half \(its `cost` has no output\)"),
        ("other_half", r"other_half \(its `cost` has no input\)"),
        ("empty", r"empty \(its `cost` has no input and no output\)"),
        ("none", "none"),
        ("fallback", r"half \(its `cost` has no output\)"),
    ],
)
def test_a_model_without_a_whole_price_is_refused_a_limit_on_cost_before_anything_starts(name: str, what: str) -> None:
    agents = {each: {"model": each} for each in PRICES}
    agents["fallback"] = {"model": "whole", "fallback": {"models": ["free", "half"]}}  # type: ignore[dict-item]
    with Runtime.from_mapping({"agents": agents, "models": models()}, standby=0) as runtime:
        with pytest.raises(BudgetError, match=f"Agent '{name}' cannot run with a limit on cost.* cost: {what}[.] Give"):
            runtime.run(name, "go", limits=Limits(cost=1))
        assert not runtime.list()


@pytest.mark.parametrize("name", ["whole", "free"])
def test_a_model_with_a_whole_price_may_have_a_limit_on_cost(name: str) -> None:
    team = {"agents": {name: {"model": name}}, "models": models()}
    with Runtime.from_mapping(team, standby=0) as runtime:
        runtime.stop(runtime.run(name, "go", limits=Limits(cost=1)))


def test_a_group_is_refused_whose_items_would_be() -> None:
    toolsets = [{"type": "background_agents", "fan_out": True}]
    lead = model("follows_a_plan", sub_agents=["none"], toolsets=toolsets, limits={"cost": 1})
    free = {"provider": "python", "model": "python_models:follows_a_plan", "cost": {"input": 0, "output": 0}}
    team = {
        "agents": {"lead": {**lead, "model": "function"}, "none": {"model": "none"}},
        "models": {**models(), "function": free},
    }
    start = {"agent": "none", "task": "{item}", "items": ["a", "b"]}
    with Runtime.from_mapping(team, standby=0) as runtime:
        view = run_and_wait(runtime, "lead", json.dumps([[["map_background_agent", start]], "answers"]))
        assert len(runtime.list()) == 1

    assert "Agent 'none' cannot run with a limit on cost" in str(view.result)


# --- functions in place of models -----------------------------------------------------------------------------------


def test_a_function_without_a_price_is_refused_with_what_can_be_done() -> None:
    team = {"agents": {"a": model("thinks_at_a_price")}}
    with (
        Runtime.from_mapping(team, standby=0) as runtime,
        pytest.raises(BudgetError, match=r"there as \{provider: python, model: 'python_models:thinks_at_a_price'"),
    ):
        runtime.run("a", "go", limits=Limits(cost=1))


def test_a_function_has_a_price_and_says_what_it_has_used() -> None:
    price = {"input": 100, "output": 100}
    team = {
        "agents": {"a": {"model": "function", "toolsets": [{"type": "think"}]}},
        "models": {"function": {"provider": "python", "model": "python_models:thinks_at_a_price", "cost": price}},
    }
    with Runtime.from_mapping(team, standby=0) as runtime:
        for limits in (Limits(cost=0.05), Limits(tokens=500)):
            view = run_and_wait(runtime, "a", limits=limits)
            assert (view.status, view.result) == ("failed", "What there is.")
            assert view.usage.cost == pytest.approx(view.usage.requests / 100)
            assert 4 <= view.usage.requests <= 6


# --- servers that do not say what they count ------------------------------------------------------------------------


@first_always("limits", [Limits(tokens=3000), Limits(cost=0.003)])
@first_always("options", [{}, {"provider_opts": {"stream_options": None}}])
def test_a_server_that_does_not_say_what_it_counts_is_counted_by_an_estimate(
    limits: Limits, options: dict[str, Any]
) -> None:
    def reply(request: Request) -> Reply:
        if "think" in request.tools:
            return Calls(("think", {"thought": f"thought {request.turn} " + "word " * 400}), usage=None)
        return Text("What there is.", usage=None)

    with ModelServer(reply) as server:
        place = {"provider": "acme", "model": "m", "base_url": server.base_url, "cost": {"input": 1, "output": 1}}
        team = {
            "agents": {"a": {"model": "m", "toolsets": [{"type": "think"}]}},
            "models": {"m": {**place, **options}},
        }
        with Runtime.from_mapping(team, standby=0) as runtime:
            view = run_and_wait(runtime, "a", limits=limits)

    assert (view.status, view.result) == ("failed", "What there is.")
    assert "by an estimate, as a model's server does not say what it counts" in view.reason
    assert view.usage.estimated == view.usage.requests == len(server.requests)
    assert len(server.requests) <= 8
    assert usage_text(view.usage).startswith("about ")


def test_what_a_server_says_is_no_estimate() -> None:
    with ModelServer([Text("done", usage=(60, 40))]) as server:
        team = {"agents": {"a": {"model": "whole"}}, "models": models(server.base_url)}
        with Runtime.from_mapping(team, standby=0) as runtime:
            usage = run_and_wait(runtime, "a").usage

    assert (usage.input_tokens, usage.output_tokens, usage.estimated) == (60, 40, 0)
