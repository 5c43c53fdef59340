"""Where requests for a model go, and with which key."""

from __future__ import annotations

import pytest
from subactors.runtime.errors import ModelError
from subactors.runtime.team.config import ModelConfig
from subactors.runtime.team.providers import PROVIDERS, Endpoint, endpoint, url_fault
from subactors.runtime.teamfile.load import team_from_mapping

SECRET = "sk-very-secret"  # noqa: S105 - a made-up one, to look for in texts


def model(reference: str, **definition: object) -> ModelConfig:
    """The model of a checked team, by reference or by a definition under `models`."""
    mapping: dict[str, object] = {"agents": {"root": {"model": reference}}}
    if definition:
        mapping["models"] = {reference: definition}
    config = team_from_mapping(mapping).agents["root"].model
    assert config is not None
    return config


def test_every_provider_with_an_address_gives_an_endpoint_for_its_key() -> None:
    for name, provider in PROVIDERS.items():
        if not provider.base_url:
            continue
        environ = dict.fromkeys(provider.key_variables[-1:], SECRET)
        found = endpoint(model(f"{name}/some-model"), environ)
        assert found == Endpoint(provider.base_url, SECRET if provider.key_variables else None)
        assert url_fault(found.base_url) is None


def test_the_table_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        PROVIDERS["own"] = PROVIDERS["openai"]  # type: ignore[index]


def test_a_missing_key_is_an_error_that_names_the_variable() -> None:
    with pytest.raises(ModelError, match=r"'openai/gpt-4o' needs a key.*OPENAI_API_KEY"):
        endpoint(model("openai/gpt-4o"), {})


def test_an_empty_key_counts_as_missing() -> None:
    with pytest.raises(ModelError, match="GROQ_API_KEY"):
        endpoint(model("groq/llama"), {"GROQ_API_KEY": "  "})


def test_of_two_variables_the_error_names_both_and_the_first_that_is_set_wins() -> None:
    config = model("google/gemini-2.5-pro")
    with pytest.raises(ModelError, match="GOOGLE_API_KEY or GEMINI_API_KEY"):
        endpoint(config, {})
    assert endpoint(config, {"GEMINI_API_KEY": "second"}).api_key == "second"
    assert endpoint(config, {"GOOGLE_API_KEY": "first", "GEMINI_API_KEY": "second"}).api_key == "first"


def test_a_provider_without_keys_needs_none() -> None:
    assert endpoint(model("ollama/qwen3"), {}) == Endpoint("http://localhost:11434/v1", None)


def test_the_environment_moves_openai_and_the_key_is_then_optional() -> None:
    environ = {"OPENAI_BASE_URL": "http://127.0.0.1:4000/v1/"}
    assert endpoint(model("openai/gpt-4o"), environ) == Endpoint("http://127.0.0.1:4000/v1", None)
    with_key = endpoint(model("openai/gpt-4o"), environ | {"OPENAI_API_KEY": SECRET})
    assert with_key.api_key == SECRET


def test_the_environment_moves_no_other_provider() -> None:
    environ = {"OPENAI_BASE_URL": "http://127.0.0.1:4000/v1", "XAI_API_KEY": SECRET}
    assert endpoint(model("xai/grok"), environ).base_url == "https://api.x.ai/v1"


def test_an_address_in_the_file_wins_over_the_environment() -> None:
    config = model("fast", provider="openai", model="gpt-4o", base_url="http://127.0.0.1:5000/v1")
    found = endpoint(config, {"OPENAI_BASE_URL": "http://127.0.0.1:4000/v1", "OPENAI_API_KEY": SECRET})
    assert found.base_url == "http://127.0.0.1:5000/v1"


def test_the_default_address_written_into_the_file_wins_too_and_keeps_its_key() -> None:
    config = model("fast", provider="openai", model="gpt-4o", base_url="https://api.openai.com/v1/")
    found = endpoint(config, {"OPENAI_BASE_URL": "http://127.0.0.1:4000/v1", "OPENAI_API_KEY": SECRET})
    assert found == Endpoint("https://api.openai.com/v1/", SECRET)


@pytest.mark.parametrize("provider", ["openai", "anthropic", "some-server"])
def test_a_server_of_ones_own_gets_no_key_that_the_file_does_not_name(provider: str) -> None:
    config = model("fast", provider=provider, model="m", base_url="http://127.0.0.1:5000/v1")
    found = endpoint(config, {"OPENAI_API_KEY": SECRET, "ANTHROPIC_API_KEY": SECRET})
    assert found == Endpoint("http://127.0.0.1:5000/v1", None)


def test_a_token_key_names_the_variable_of_the_key() -> None:
    config = model("fast", provider="openai", model="m", base_url="http://127.0.0.1:5000/v1", token_key="MY_KEY")  # noqa: S106 - a name
    assert endpoint(config, {"MY_KEY": SECRET}).api_key == SECRET
    with pytest.raises(ModelError, match="MY_KEY"):
        endpoint(config, {"OPENAI_API_KEY": SECRET})


def test_azure_takes_the_address_from_the_file_and_its_own_key() -> None:
    config = model("fast", provider="azure", model="gpt-4o", base_url="https://mine.openai.azure.com/openai/v1")
    found = endpoint(config, {"AZURE_API_KEY": SECRET})
    assert found == Endpoint("https://mine.openai.azure.com/openai/v1", SECRET)


def test_the_environment_moves_the_model_runner_of_docker() -> None:
    found = endpoint(model("dmr/ai/qwen3"), {"MODEL_RUNNER_HOST": "http://runner:1234/"})
    assert found == Endpoint("http://runner:1234/engines/v1", None)


@pytest.mark.parametrize(
    ("host", "root"),
    [
        ("gpu", "http://gpu:11434"),
        ("gpu:80", "http://gpu:80"),
        (":8080", "http://localhost:8080"),
        ("0.0.0.0:1", "http://localhost:1"),
        ("[::1]:1", "http://[::1]:1"),
        ("https://gpu/proxy/", "https://gpu/proxy"),
    ],
)
def test_the_variable_of_ollama_moves_its_models_as_it_moves_its_own_programs(host: str, root: str) -> None:
    assert endpoint(model("ollama/qwen3"), {"OLLAMA_HOST": host}).base_url == f"{root}/v1"


def test_an_address_in_the_environment_that_is_none_is_an_error_that_names_the_variable() -> None:
    with pytest.raises(ModelError, match="OPENAI_BASE_URL"):
        endpoint(model("openai/gpt-4o"), {"OPENAI_BASE_URL": "localhost:4000", "OPENAI_API_KEY": SECRET})


def test_white_space_around_a_key_is_no_part_of_it() -> None:
    assert endpoint(model("openai/gpt-4o"), {"OPENAI_API_KEY": f" {SECRET}\n"}).api_key == SECRET


@pytest.mark.parametrize("key", [f"{SECRET}\nmore", f"{SECRET} more", f"{SECRET}é"])
def test_a_key_that_cannot_be_sent_is_refused_without_being_shown(key: str) -> None:
    with pytest.raises(ModelError, match="OPENAI_API_KEY") as caught:
        endpoint(model("openai/gpt-4o"), {"OPENAI_API_KEY": key})
    assert SECRET not in str(caught.value)


def test_an_endpoint_does_not_show_its_key() -> None:
    assert SECRET not in repr(Endpoint("https://host/v1", SECRET))


@pytest.mark.parametrize(
    "url", ["", "host/v1", "ftp://host/v1", "https://", "http://[::1", "http://host:port/v1", "https://user:pw@host/v1"]
)
def test_what_is_no_address_has_a_fault(url: str) -> None:
    assert url_fault(url) is not None


@pytest.mark.parametrize("url", ["https://host", "http://127.0.0.1:8000/v1/", "http://[::1]:8000/v1"])
def test_an_address_has_no_fault(url: str) -> None:
    assert url_fault(url) is None
