"""What is checked in `models` and `providers`, and what a reference to a model means."""

from __future__ import annotations

from typing import Any

import pytest
from subactors.runtime.team.config import Cost
from team_mapping import problem, problems, team


@pytest.mark.parametrize(
    ("reference", "provider", "name"),
    [
        ("openai/gpt-4o", "openai", "gpt-4o"),
        ("OpenAI/gpt-4o", "openai", "gpt-4o"),
        ("dmr/ai/qwen3:latest", "dmr", "ai/qwen3:latest"),
        ("python/package.module:function", "python", "package.module:function"),
        ("house/m", "house", "m"),
        ("House/m", "house", "m"),
        ("named", "openai", "x"),
        ("with/slash", "openai", "y"),
    ],
)
def test_a_reference_means_a_definition_or_what_is_before_and_after_the_first_slash(
    reference: str, provider: str, name: str
) -> None:
    checked = team(
        a={"model": reference},
        models={"named": {"provider": "openai", "model": "x"}, "with/slash": {"provider": "openai", "model": "y"}},
        providers={"House": {"base_url": "https://house/v1"}},
    )
    model = checked.agents["a"].model
    assert model is not None
    assert (model.reference, model.provider, model.name) == (reference, provider, name)


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ("fsat", "There is no model 'fsat' under `models`. Did you mean `fast`?"),
        ("gpt-4o", "Defined are: fast. Write it as `provider/model`"),
        ("opanai/x", "There is no provider 'opanai'. Did you mean `openai`?"),
        ("zzz/x", "Known are: anthropic, atlascloud, azure"),
        ("zzz/x", "Define any other under `providers`, or give the model a `base_url` in `models`."),
        ("amazon-bedrock/x", "There is no provider 'amazon-bedrock'"),
        ("openai/", "names no model"),
        ("/x", "names no provider"),
        ("azure/gpt-4o", "with a `base_url`"),
        ("openai/a,anthropic/b", "Several models in turn are not supported"),
        ("fast,slow", "Several models in turn are not supported"),
        ("python/nothing", "Write it as `python/package.module:function`."),
    ],
)
def test_a_wrong_reference_is_one_problem(reference: str, words: str) -> None:
    models = {"fast": {"provider": "openai", "model": "x"}}
    assert words in problem("agents.a.model", a={"model": reference}, models=models)


@pytest.mark.parametrize(
    ("keys", "path", "words"),
    [
        ({"provider": None}, "", "This model has no `provider`."),
        ({"model": None}, "", "This model has no `model`."),
        ({"providr": "openai", "provider": None}, ".providr", "Did you mean `provider`?"),
        ({"provider": "opanai"}, ".provider", "Did you mean `openai`?"),
        ({"provider": "azure"}, ".provider", "Give the model a `base_url`."),
        ({"provider": "python"}, ".model", "`python/package.module:function`"),
        ({"provider": "python", "model": "m:f", "top_p": 1}, "", "without effect: top_p."),
        ({"base_url": "localhost:8000"}, ".base_url", "begins with http:// or https://"),
        ({"token_key": "sk-1234"}, ".token_key", "never the key"),
        ({"temperature": 2.1}, ".temperature", "must be a number from 0 to 2, not 2.1."),
        ({"temperature": float("nan")}, ".temperature", "must be a number from 0 to 2"),
        ({"top_p": -0.1}, ".top_p", "from 0 to 1"),
        ({"max_tokens": 0}, ".max_tokens", "at least 1"),
        ({"frequency_penalty": -2.5}, ".frequency_penalty", "from -2 to 2"),
        ({"presence_penalty": "1"}, ".presence_penalty", "from -2 to 2, not text."),
        ({"parallel_tool_calls": 1}, ".parallel_tool_calls", "true or false"),
        ({"task_budget": 1000}, ".task_budget", "the bound on a task's tokens"),
        ({"provider_opts": {"runtime_flags": ["-c"]}}, ".provider_opts.runtime_flags", "the flags of the model runner"),
        (
            {"provider_opts": {"api_type": "openai_responses"}},
            ".provider_opts.api_type",
            "Use `openai_chatcompletions`.",
        ),
        ({"provider_opts": {"stream": False}}, ".provider_opts.stream", "is not for `provider_opts`"),
        ({"provider_opts": {"top_p": 1}}, ".provider_opts.top_p", "Move it up, beside `provider_opts`."),
        ({"provider_opts": {"x": float("inf")}}, ".provider_opts.x", "Give a finite number."),
        ({"provider_opts": ["x"]}, ".provider_opts", "must be a mapping"),
        ({"cost": {"input": -1}}, ".cost.input", "from 0 to"),
        ({"cost": {"inputs": 1}}, ".cost.inputs", "Did you mean `input`?"),
        ({"fallback": {"models": ["a/b"]}}, ".fallback", "It belongs in an agent."),
        ({"temprature": 1}, ".temprature", "Did you mean `temperature`?"),
    ],
)
def test_a_wrong_definition_of_a_model_is_one_problem_though_agents_use_it(
    keys: dict[str, Any], path: str, words: str
) -> None:
    definition = {"provider": "openai", "model": "x"} | keys
    assert words in problem(f"models.m{path}", a={"model": "m"}, models={"m": definition})


def test_what_might_be_a_key_is_not_shown() -> None:
    definition = {"provider": "p", "model": "x", "token_key": "sk-secret", "base_url": "https://me:sk-secret@host/v1"}
    found = problems(models={"m": definition})
    assert [path for path, _ in found] == ["models.m.token_key", "models.m.base_url"]
    assert "sk-secret" not in str(found)


@pytest.mark.parametrize("models", ["fast", ["fast"]])
def test_definitions_that_cannot_be_read_are_one_problem_though_agents_use_them(models: Any) -> None:
    assert "must be a mapping" in problem("models", a={"model": "fast"}, models=models)


def test_misspelt_definitions_are_one_problem_though_agents_use_them() -> None:
    problem("model_s", a={"model": "fast"}, model_s={"fast": {"provider": "house", "model": "x"}})
    problem("provider", a={"model": "house/x"}, provider={"house": {"base_url": "https://house/v1"}})


@pytest.mark.parametrize(
    ("definition", "path", "words"),
    [
        ({}, "", "This provider has no `base_url`."),
        ({"base_url": "house"}, ".base_url", "begins with http:// or https://"),
        ({"base_url": "https://house", "token_key": 5}, ".token_key", "must be text"),
        ({"base_url": "https://house", "api_type": "openai_responses"}, ".api_type", "Use `openai_chatcompletions`."),
        ({"base_url": "https://house", "temperature": 1}, ".temperature", "a default of its models"),
        ({"baseurl": "https://house"}, ".baseurl", "Did you mean `base_url`?"),
        ("https://house", "", "must be a mapping"),
    ],
)
def test_a_wrong_provider_is_one_problem_though_models_and_agents_use_it(
    definition: Any, path: str, words: str
) -> None:
    text = problem(
        f"providers.house{path}",
        agents={"a": {"model": "m"}, "b": {"model": "house/y"}},
        models={"m": {"provider": "house", "model": "x"}},
        providers={"house": definition},
    )
    assert words in text


def test_a_model_takes_address_and_key_from_its_provider_unless_it_has_its_own() -> None:
    checked = team(
        agents={"a": {"model": "m"}, "b": {"model": "n"}, "c": {"model": "o"}},
        models={
            "m": {"provider": "house", "model": "x"},
            "n": {"provider": "house", "model": "x", "base_url": "https://other/v1"},
            "o": {"provider": "house", "model": "x", "token_key": "OTHER_KEY"},
        },
        providers={"house": {"base_url": "https://house/v1", "token_key": "HOUSE_KEY"}},
    )
    found = [(agent.model.base_url, agent.model.key_variables) for agent in checked.agents.values() if agent.model]
    assert found == [
        ("https://house/v1", ("HOUSE_KEY",)),
        ("https://other/v1", ()),
        ("https://house/v1", ("OTHER_KEY",)),
    ]


def test_a_file_may_define_a_provider_anew() -> None:
    model = team(a={"model": "openai/x"}, providers={"openai": {"base_url": "https://proxy/v1"}}).agents["a"].model
    assert model is not None
    assert (model.base_url, model.key_variables) == ("https://proxy/v1", ())


def test_provider_options_go_into_the_request_as_they_are_and_null_takes_a_parameter_out() -> None:
    options = {"top_k": 20, "stream_options": None, "reasoning": {"effort": "low", "of": [1, 0.5, True, "x"]}}
    definition = {"provider": "openai", "model": "x", "temperature": 1, "provider_opts": options}
    model = team(a={"model": "m"}, models={"m": definition}).agents["a"].model
    assert model is not None
    assert model.options == {"temperature": 1.0, **options}


def test_a_model_may_say_what_its_tokens_cost() -> None:
    cost = {"input": 3, "output": 15.0, "cache_read": 0.3}
    model = team(a={"model": "m"}, models={"m": {"provider": "openai", "model": "x", "cost": cost}}).agents["a"].model
    assert model is not None
    assert model.cost == Cost(input=3.0, output=15.0, cache_read=0.3)


def test_an_agent_has_models_that_stand_in_for_its_own() -> None:
    fallback = {"models": ["mistral/large", "m"], "retries": 4, "cooldown": "1m30s"}
    agent = team(a={"fallback": fallback}, models={"m": {"provider": "groq", "model": "x"}}).agents["a"]
    assert [model.reference for model in agent.fallback.models] == ["mistral/large", "m"]
    assert (agent.fallback.retries, agent.fallback.cooldown) == (4, 90.0)


@pytest.mark.parametrize(
    ("retries", "cooldown", "expected"),
    [(None, None, (2, 60.0)), (0, 0, (2, 60.0)), (-1, 5, (0, 5.0)), (1, "2s", (1, 2.0))],
)
def test_the_numbers_of_a_fallback_mean_what_they_mean_in_docker_files(
    retries: int | None, cooldown: float | str | None, expected: tuple[int, float]
) -> None:
    agent = team(a={"fallback": {"models": ["openai/x"], "retries": retries, "cooldown": cooldown}}).agents["a"]
    assert (agent.fallback.retries, agent.fallback.cooldown) == expected


@pytest.mark.parametrize(
    ("fallback", "path", "words"),
    [
        ({"models": ["opanai/x"]}, ".models[0]", "Did you mean `openai`?"),
        ({"models": "openai/x"}, ".models", "Put it in brackets"),
        ({"retries": -2}, ".retries", "at least -1"),
        ({"cooldown": "soon"}, ".cooldown", "'soon' is not a duration."),
        ({"cooldown": -1}, ".cooldown", "at least 0"),
        ({"model": ["openai/x"]}, ".model", "Did you mean `models`?"),
    ],
)
def test_a_wrong_fallback_is_one_problem(fallback: dict[str, Any], path: str, words: str) -> None:
    assert words in problem(f"agents.a.fallback{path}", a={"fallback": fallback})


def test_the_form_of_answers_is_asked_of_the_model_and_of_those_that_stand_in_for_it() -> None:
    form = {"name": "report", "strict": True, "schema": {"type": "object", "properties": {"n": {"type": "integer"}}}}
    agent = team(a={"structured_output": form, "fallback": {"models": ["mistral/large"]}}).agents["a"]
    assert agent.model is not None
    for model in (agent.model, *agent.fallback.models):
        assert model.options == {"response_format": {"type": "json_schema", "json_schema": form}}


def test_the_bound_on_old_tool_answers_means_what_it_means_in_docker_files() -> None:
    def bound(value: int | None) -> int:
        return team(a={"max_old_tool_call_tokens": value}).agents["a"].max_old_tool_call_tokens

    assert [bound(value) for value in (None, 0, -1, 500)] == [40_000, 40_000, 0, 500]
