"""Parameters of requests: under the names, and with the values, that the model at hand takes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
from model_server import ModelServer, Reply, Request, Status, Text
from subactors.runtime.errors import ModelError
from subactors.runtime.models.open import open_model
from subactors.runtime.models.openai.parameters import Parameters
from subactors.runtime.models.thinking import thinking_parameters
from subactors.runtime.team.config import ModelConfig


def parameters(name: str, provider: str = "openai", budget: int | str | None = None, **options: Any) -> dict[str, Any]:
    config = ModelConfig(reference="m", provider=provider, name=name, options=options, thinking_budget=budget)
    return Parameters(config).now


def refuses(*names: str, shape: str = "openai") -> Callable[[Request], Reply]:
    """Make a server that refuses some parameters in the way of a provider."""

    def reply(request: Request) -> Reply:
        for name in names:
            if name in request.body:
                words = f"Unsupported parameter: '{name}' is not supported with this model."
                bodies = {
                    "openai": {"error": {"message": words, "param": name, "code": "unsupported_parameter"}},
                    "words": {"error": {"message": words}},
                    "pydantic": {"detail": [{"loc": ["body", name], "msg": "Extra inputs are not permitted"}]},
                }
                return Status(422 if shape == "pydantic" else 400, body=json.dumps(bodies[shape]))
        return Text("ok")

    return reply


def ask(server: ModelServer, times: int = 1, on_text: Callable[[str], None] = lambda _: None, **fields: Any) -> None:
    config = ModelConfig(reference="m", provider="acme", base_url=server.base_url, **{"name": "large", **fields})

    async def complete() -> None:
        model = open_model(config, environ={}, idle_timeout=20.0)
        try:
            for _ in range(times):
                await model.complete([{"role": "user", "content": "Hello?"}], [], on_text)
        finally:
            await model.close()

    asyncio.run(complete())


@pytest.mark.parametrize(
    "name",
    ["o1", "o3-mini", "o4-mini-2025-04-16", "gpt-5", "gpt-5-mini", "gpt-5.1-codex", "gpt-6", "openai/gpt-5", "gpt5",
     "openrouter/openai/o3", "openai.gpt-5", "ft:gpt-5-nano:acme", "GPT-5", "o10"],
)  # fmt: skip
def test_the_limit_of_a_reasoning_model_has_its_new_name(name: str) -> None:
    for provider in ("openai", "azure", "openrouter", "acme"):
        assert parameters(name, provider, max_tokens=800) == {"max_completion_tokens": 800}


@pytest.mark.parametrize(
    "name", ["gpt-4o", "gpt-35-turbo", "gpt-4.1", "llama-o1x", "gpt-oss-20b", "claude-opus-5", "qwen3"]
)
def test_the_limit_of_any_other_model_keeps_its_name(name: str) -> None:
    assert parameters(name, max_tokens=800) == {"max_tokens": 800}


def test_a_limit_that_the_file_gives_under_the_new_name_wins() -> None:
    assert parameters("o3", max_tokens=800, max_completion_tokens=900) == {"max_completion_tokens": 900}


@pytest.mark.parametrize("name", ["o3", "gpt-5-mini", "openai/o4-mini"])
def test_a_model_that_never_takes_a_temperature_gets_none(name: str) -> None:
    assert parameters(name, temperature=0.2, top_p=0.9) == {}


@pytest.mark.parametrize("name", ["gpt-5-chat-latest", "gpt-5.2", "gpt-4o"])
def test_a_model_that_may_take_a_temperature_gets_it(name: str) -> None:
    assert parameters(name, temperature=0.2) == {"temperature": 0.2}


@pytest.mark.parametrize("shape", ["openai", "words", "pydantic"])
def test_a_limit_that_a_server_refuses_is_sent_under_its_other_name_from_then_on(shape: str) -> None:
    said: list[str] = []
    with ModelServer(refuses("max_tokens", shape=shape)) as server:
        ask(server, times=2, on_text=said.append, options={"max_tokens": 800})

        assert [request.body.get("max_completion_tokens") for request in server.requests] == [None, 800, 800]
    assert "".join(said).startswith("[m: It takes no `max_tokens`, and is asked again with `max_completion_tokens`.]\n")


def test_a_server_that_knows_the_old_name_only_gets_that() -> None:
    with ModelServer(refuses("max_completion_tokens")) as server:
        ask(server, name="gpt-5", options={"max_tokens": 800})

        assert server.requests[-1].body["max_tokens"] == 800


def test_a_server_that_takes_neither_name_is_not_asked_for_ever() -> None:
    with ModelServer(refuses("max_tokens", "max_completion_tokens")) as server:
        with pytest.raises(ModelError, match="not supported with this model"):
            ask(server, options={"max_tokens": 800})

        assert len(server.requests) == 2


def test_what_a_server_refuses_of_sampling_and_thinking_is_left_out() -> None:
    with ModelServer(refuses("temperature", "reasoning_effort")) as server:
        ask(server, options={"temperature": 0.2, "top_k": 4}, thinking_budget="high")

        assert server.requests[-1].body["top_k"] == 4
        assert len(server.requests) == 3


def test_a_parameter_of_the_authors_own_is_not_left_out() -> None:
    with ModelServer(refuses("top_k")) as server, pytest.raises(ModelError, match="top_k"):
        ask(server, options={"top_k": 4})


def test_a_request_that_is_wrong_for_another_reason_is_not_changed() -> None:
    wrong = Status(400, body='{"error": {"message": "temperature: must be below 1", "param": "temperature"}}')
    with ModelServer([wrong]) as server, pytest.raises(ModelError, match="must be below 1"):
        ask(server, options={"temperature": 1.5})


@pytest.mark.parametrize(
    ("provider", "model", "budget", "expected"),
    [
        ("openai", "gpt-5", "high", {"reasoning_effort": "high"}),
        ("openai", "gpt-5", "none", {"reasoning_effort": "minimal"}),
        ("openai", "gpt-5.1", "none", {"reasoning_effort": "none"}),
        ("openai", "gpt-5.1", "minimal", {"reasoning_effort": "low"}),
        ("openai", "o3", 0, {"reasoning_effort": "low"}),
        ("openai", "o3", 10_000, {"reasoning_effort": "medium"}),
        ("openai", "gpt-5", "adaptive", {}),
        ("openai", "gpt-4o", "high", {}),
        ("azure", "my-deployment", "medium", {"reasoning_effort": "medium"}),
        ("anthropic", "claude-sonnet-4-5", 2000, {"thinking": {"type": "enabled", "budget_tokens": 2000}}),
        ("anthropic", "claude-sonnet-4-5", 5, {"thinking": {"type": "enabled", "budget_tokens": 1024}}),
        ("anthropic", "claude-sonnet-4-5", "low", {"thinking": {"type": "enabled", "budget_tokens": 2048}}),
        ("anthropic", "claude-opus-4-6", "low", {"thinking": {"type": "adaptive"}, "output_config": {"effort": "low"}}),
        ("anthropic", "claude-opus-4-6", "adaptive", {"thinking": {"type": "adaptive"}}),
        ("anthropic", "claude-opus-4-6", "none", {"thinking": {"type": "disabled"}}),
        ("google", "gemini-3-pro", "low", {"reasoning_effort": "low"}),
        ("google", "gemini-2.5-flash", 0, {"extra_body": {"google": {"thinking_config": {"thinking_budget": 0}}}}),
        ("openrouter", "qwen/qwen3", 3000, {"reasoning": {"max_tokens": 3000}}),
        ("openrouter", "qwen/qwen3", "high", {"reasoning": {"effort": "high"}}),
        ("deepseek", "deepseek-chat", "none", {"thinking": {"type": "disabled"}}),
        ("vllm", "qwen3", "none", {"chat_template_kwargs": {"enable_thinking": False}}),
        ("vllm", "qwen3", "minimal", {"reasoning_effort": "low"}),
        ("ollama", "gpt-oss", "none", {"reasoning_effort": "none"}),
        ("acme", "large", "adaptive/high", {"reasoning_effort": "high"}),
        ("acme", "large", -1, {}),
    ],
)
def test_a_thinking_budget_becomes_what_the_provider_has_for_it(
    provider: str, model: str, budget: int | str, expected: dict[str, Any]
) -> None:
    assert thinking_parameters(provider, model, budget) == expected


def test_the_authors_own_parameter_wins_over_the_thinking_budget() -> None:
    assert parameters("gpt-5", budget="high", reasoning_effort="low") == {"reasoning_effort": "low"}
