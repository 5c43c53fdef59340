"""References to the environment in models, and models that are chosen by the keys at hand."""

from __future__ import annotations

from typing import Any

import pytest
from subactors.runtime.errors import ModelError
from subactors.runtime.team.config import ModelConfig
from subactors.runtime.team.expansion import template_fault
from subactors.runtime.team.providers import endpoint, may_use_tls, resolved
from team_mapping import problem, problems, team

ENVIRON = {"NAME": " large ", "HOST": "http://gpu:8000/v1", "LEVEL": "4", "EMPTY": "", "NESTED": "${env.NAME}"}


def model(**fields: Any) -> ModelConfig:
    return ModelConfig(**{"reference": "m", "provider": "vllm", "name": "x", "base_url": "http://a/v1", **fields})


def in_place(**fields: Any) -> ModelConfig:
    return resolved(model(**fields), ENVIRON)


def test_name_address_and_options_take_what_the_environment_holds() -> None:
    options = {"a": {"b": ["${env.LEVEL}", 1, None]}, "stop": "${env.NO || 'end'}"}
    config = in_place(name="acme/${env.NAME}", base_url="${env.HOST}", options=options)

    assert (config.name, config.base_url) == ("acme/ large", "http://gpu:8000/v1")
    assert config.options == {"a": {"b": ["4", 1, None]}, "stop": "end"}


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"name": "${env.NO}"}, "The environment variable NO is not set"),
        ({"base_url": "${env.NO}"}, "The environment variable NO is not set"),
        ({"options": {"a": ["${env.NO}"]}}, "The environment variable NO is not set"),
        ({"name": "${env.EMPTY}"}, "is empty"),
        ({"base_url": "${env.NAME}"}, "is not a URL"),
        ({"base_url": "http://u:${env.LEVEL}@a/v1"}, "holds a user name or password"),
        ({"name": "${env.NESTED}"}, "nothing is put in place of"),
        ({"name": "${other}"}, "nothing is put in place of"),
    ],
)
def test_what_the_environment_does_not_hold_is_an_error_that_says_what(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(ModelError, match=words):
        in_place(**fields)


def test_certificates_are_a_matter_of_the_address_in_the_variable() -> None:
    assert not may_use_tls(model(base_url="${env.HOST}"), ENVIRON)
    assert may_use_tls(model(base_url="${env.NO}"), ENVIRON)


@pytest.mark.parametrize("text", ["${MODEL}", "a${env.A", "${env.A.B}", "${headers.X}", "${env.A || B}", "${}"])
def test_a_reference_that_nothing_replaces_is_found(text: str) -> None:
    assert template_fault(text) is not None


def test_references_that_are_replaced_are_no_fault() -> None:
    assert template_fault("a $5 {x} ${env.A}-${env.B || 'c'}") is None


@pytest.mark.parametrize(
    ("mapping", "path"),
    [
        ({"models": {"m": {"provider": "vllm", "model": "${M}"}}}, "models.m.model"),
        ({"models": {"m": {"provider": "vllm", "model": "x", "base_url": "${M}"}}}, "models.m.base_url"),
        (
            {"models": {"m": {"provider": "vllm", "model": "x", "provider_opts": {"a": [{"b": "${env.A"}]}}}},
            "models.m.provider_opts.a[0].b",
        ),
        ({"providers": {"m": {"base_url": "http://${HOST}/v1"}}}, "providers.m.base_url"),
        ({"a": {"model": "openai/${M}"}}, "agents.a.model"),
    ],
)
def test_a_reference_that_nothing_replaces_is_a_problem_of_the_file(mapping: dict[str, Any], path: str) -> None:
    assert "Write ${env.NAME}" in problem(path, **mapping)


@pytest.mark.parametrize(
    ("model", "path"),
    [
        ({"provider_opts": {"${env.A}": 1}}, "models.m.provider_opts"),
        ({"provider_opts": {"a": {"${env.A}": 1}}}, "models.m.provider_opts.a"),
        ({"provider": "${env.A}"}, "models.m.provider"),
        ({"token_key": "${env.A}"}, "models.m.token_key"),
        ({"temperature": "${env.A}"}, "models.m.temperature"),
    ],
)
def test_a_reference_where_nothing_is_replaced_is_a_problem(model: dict[str, Any], path: str) -> None:
    models = {"m": {"provider": "vllm", "model": "x", "base_url": "http://a/v1", **model}}
    ((found, _),) = problems(models=models)
    assert found.startswith(path)


@pytest.mark.parametrize("reference", ["${env.M}", "${env.M || 'openai/gpt-4o'}"])
def test_a_model_whose_provider_is_in_a_variable_is_a_problem(reference: str) -> None:
    assert "has no provider yet" in problem("agents.a.model", a={"model": reference})


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        (("ANTHROPIC_API_KEY", "OPENAI_API_KEY"), "anthropic"),
        (("OPENAI_API_KEY", "GOOGLE_API_KEY"), "openai"),
        (("GEMINI_API_KEY", "MISTRAL_API_KEY"), "google"),
        (("MISTRAL_API_KEY", "GROQ_API_KEY"), "mistral"),
        (("GROQ_API_KEY", "DEEPSEEK_API_KEY"), "groq"),
        (("GITHUB_TOKEN",), "dmr"),
        ((), "dmr"),
    ],
)
def test_auto_is_the_first_provider_in_dockers_order_whose_key_is_there(keys: tuple[str, ...], expected: str) -> None:
    model = team(a={"model": "auto"}).agents["a"].model
    environ = dict.fromkeys(keys, "k" * 20)
    assert model is not None
    chosen = resolved(model, environ)

    assert chosen.provider == expected
    assert endpoint(model, environ).api_key == ("k" * 20 if keys and expected != "dmr" else None)
    assert chosen.name
    assert chosen.reference.startswith(f"auto ({expected}/")


def test_an_empty_key_is_none() -> None:
    environ = {"ANTHROPIC_API_KEY": " ", "OPENAI_API_KEY": "k"}
    assert resolved(ModelConfig(reference="auto", provider="auto", name="auto"), environ).provider == "openai"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("high", "high"),
        ("None", "none"),
        (8000, 8000),
        ("8000", 8000),
        (-1, -1),
        (0, 0),
        ("adaptive/low", "adaptive/low"),
    ],
)
def test_a_thinking_budget_is_tokens_or_a_level(given: int | str, expected: int | str) -> None:
    models = {"m": {"provider": "openai", "model": "gpt-5", "thinking_budget": given}}
    config = team(a={"model": "m"}, models=models).agents["a"].model
    assert config is not None
    assert config.thinking_budget == expected


@pytest.mark.parametrize("given", ["lots", -2, 1.5, [1], "adaptive/ultra", {"effort": "high"}])
def test_any_other_thinking_budget_is_one_problem(given: Any) -> None:
    models = {"m": {"provider": "openai", "model": "gpt-5", "thinking_budget": given}}
    assert problem("models.m.thinking_budget", a={"model": "m"}, models=models)


def test_a_thinking_budget_that_leaves_no_room_for_an_answer_is_a_problem() -> None:
    models = {"m": {"provider": "anthropic", "model": "c", "thinking_budget": 4000, "max_tokens": 4000}}
    assert "leaves no room" in problem("models.m.thinking_budget", a={"model": "m"}, models=models)
