"""Models that stand in for one that cannot answer, each a server of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from model_server import Chunks, Cut, ModelServer, Refusal, Status, Text
from subactors.runtime.errors import ContextLengthError, ModelError, RefusalError
from subactors.runtime.models.base import Turn, Usage
from subactors.runtime.models.open import open_agent_model
from subactors.runtime.team.config import AgentConfig, Cost, Fallback, ModelConfig

FAILS = Status(500, "on fire", {"x-should-retry": "false"})


def agent(*servers: ModelServer, cooldown: float = 60.0, retries: int = 2, **fields: Any) -> AgentConfig:
    """Make an agent whose first model is at the first server, and those that stand in for it at the others."""
    first, *others = (
        ModelConfig(reference=f"acme/m{n}", provider="acme", name=f"m{n}", base_url=server.base_url, **fields)
        for n, server in enumerate(servers)
    )
    fallback = Fallback(models=tuple(others), retries=retries, cooldown=cooldown)
    return AgentConfig(name="a", model=first, fallback=fallback)


def ask(config: AgentConfig, times: int = 1, on_text: Callable[[str], None] = lambda _: None) -> list[Turn]:
    async def complete() -> list[Turn]:
        model = open_agent_model(config, environ={}, idle_timeout=20.0)
        try:
            return [await model.complete([{"role": "user", "content": "Hello?"}], [], on_text) for _ in range(times)]
        finally:
            await model.close()

    return asyncio.run(complete())


def test_the_next_model_answers_when_one_fails() -> None:
    with ModelServer([FAILS]) as first, ModelServer([FAILS]) as second, ModelServer([Text("here")]) as third:
        assert [turn.content for turn in ask(agent(first, second, third))] == ["here"]


def test_a_model_that_failed_is_passed_over_while_it_cools_down() -> None:
    with ModelServer([FAILS]) as first, ModelServer([Text("a"), Text("b"), Text("c")]) as second:
        turns = ask(agent(first, second), times=3)

        assert [turn.content for turn in turns] == ["a", "b", "c"]
        assert len(first.requests) == 1


def test_a_model_is_asked_again_when_its_cooldown_is_over() -> None:
    with ModelServer([FAILS, Text("back")]) as first, ModelServer([Text("meanwhile")]) as second:
        turns = ask(agent(first, second, cooldown=0.000001), times=2)

    assert [turn.content for turn in turns] == ["meanwhile", "back"]


def test_a_model_that_cools_down_is_asked_when_no_other_can_answer() -> None:
    with ModelServer([FAILS, Text("after all")]) as first, ModelServer([Text("one"), FAILS]) as second:
        turns = ask(agent(first, second), times=2)

    assert [turn.content for turn in turns] == ["one", "after all"]


def test_when_no_model_can_answer_the_error_has_the_reasons_of_all() -> None:
    gone = Status(404, "no such model")
    with ModelServer([FAILS]) as first, ModelServer([gone]) as second, pytest.raises(ModelError) as caught:
        ask(agent(first, second))

    assert "No model could answer." in str(caught.value)
    assert "'acme/m0'" in str(caught.value)
    assert "on fire" in str(caught.value)
    assert "'acme/m1'" in str(caught.value)
    assert "no such model" in str(caught.value)


def test_a_rate_limit_is_not_waited_for_where_another_model_can_answer() -> None:
    busy = Status(429, "slow down", {"retry-after": "100"})
    with ModelServer([busy]) as first, ModelServer([Text("at once")]) as second:
        assert ask(agent(first, second))[0].content == "at once"


def test_all_models_are_waited_for_when_all_are_limited() -> None:
    busy = Status(429, "slow down", {"retry-after-ms": "1"})
    with ModelServer(lambda _: busy) as first, ModelServer([busy, busy, Text("at last")]) as second:
        assert ask(agent(first, second))[0].content == "at last"


def test_each_model_is_tried_again_as_often_as_the_file_says() -> None:
    fails = Status(503, "busy", {"retry-after-ms": "1"})
    with ModelServer([fails] * 4) as first, ModelServer([Text("ok")]) as second:
        ask(agent(first, second, retries=3))

        assert len(first.requests) == 4


def test_an_answer_that_broke_off_is_marked_in_the_output_and_not_part_of_the_next() -> None:
    heard: list[str] = []
    with ModelServer([Cut(after="The ans")]) as first, ModelServer([Text("The answer.")]) as second:
        (turn,) = ask(agent(first, second, retries=0), on_text=heard.append)

    assert turn.content == "The answer."
    assert "".join(heard).startswith("The ans\n[acme/m0 broke off here: ")
    assert "".join(heard).endswith("]\nThe answer.")


def test_what_an_answer_cost_that_broke_off_counts_with_the_next() -> None:
    event = {"choices": [{"delta": {"content": "half"}}], "usage": {"prompt_tokens": 100, "completion_tokens": 1}}
    cost = Cost(input=10_000, output=20_000)
    broken = Chunks(event, {"error": {"message": "overloaded"}})
    with ModelServer([broken]) as first, ModelServer([Text("whole")]) as second:
        (turn,) = ask(agent(first, second, cost=cost, retries=0))

    assert turn.usage == Usage(110, 6, 2, pytest.approx(1.22))


def test_a_refusal_is_an_answer_and_goes_to_no_other_model() -> None:
    with ModelServer([Refusal("I will not.")]) as first, ModelServer([]) as second:
        with pytest.raises(RefusalError, match="I will not"):
            ask(agent(first, second))

        assert second.requests == []


def test_a_conversation_that_is_too_long_for_one_model_goes_to_the_next() -> None:
    long = Status(400, "This model's maximum context length is 10 tokens.")
    with ModelServer([long]) as first, ModelServer([Text("fits")]) as second:
        assert ask(agent(first, second))[0].content == "fits"


def test_a_conversation_that_is_too_long_for_one_and_others_fail_is_too_long() -> None:
    long = Status(400, "This model's maximum context length is 10 tokens.")
    with ModelServer([long]) as first, ModelServer([FAILS]) as second, pytest.raises(ContextLengthError):
        ask(agent(first, second))
