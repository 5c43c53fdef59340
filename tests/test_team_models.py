"""What is checked in `models` and `providers`, and what a reference to a model means."""

from __future__ import annotations

from typing import Any

import pytest
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
        ("zzz/x", "Known are: anthropic, azure"),
        ("zzz/x", "Define any other under `providers`, or give the model a `base_url` in `models`."),
        ("amazon-bedrock/x", "There is no provider 'amazon-bedrock'"),
        ("openai/", "names no model"),
        ("/x", "names no provider"),
        ("azure/gpt-4o", "with a `base_url`"),
        ("openai/a,anthropic/b", "Several models in turn are not supported"),
        ("fast,slow", "Several models in turn are not supported"),
        ("auto", "not supported by this version"),
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
        ({"thinking_budget": "high"}, ".thinking_budget", "the bound on its thinking"),
        ({"provider_opts": {"x": 1}}, ".provider_opts", "what it tells the provider"),
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
