"""What is imported once for all tasks of a team: as much as they need, and no more."""

from __future__ import annotations

from typing import Any

import pytest
from subactors.runtime.child.preload import modules_of
from subactors.runtime.teamfile.load import team_from_mapping

CERTIFICATES = "subactors.runtime.models.open:preload"


@pytest.fixture(autouse=True)
def _no_address(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_BASE_URL", "OLLAMA_HOST"):
        monkeypatch.delenv(name, raising=False)


def modules(model: str | dict[str, Any], **agent: Any) -> list[str]:
    mapping = {"agents": {"a": {"model": "m", **agent}}, "models": {"m": model}} if isinstance(model, dict) else None
    return modules_of(team_from_mapping(mapping or {"agents": {"a": {"model": model, **agent}}}))


def test_certificates_are_loaded_for_a_provider_with_tls() -> None:
    assert CERTIFICATES in modules("openai/gpt-4o")


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/v1", " http://localhost:8000 "])
def test_none_are_loaded_where_the_environment_points_elsewhere(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", url)
    assert CERTIFICATES not in modules("openai/gpt-4o")
    assert CERTIFICATES in modules("openai/gpt-4o", fallback={"models": ["mistral/large"]})


def test_an_address_in_the_file_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:1/v1")
    assert CERTIFICATES in modules({"provider": "openai", "model": "x", "base_url": "https://127.0.0.1:1/v1"})
    assert CERTIFICATES not in modules({"provider": "vllm", "model": "x", "base_url": "http://127.0.0.1:1/v1"})


def test_a_team_without_models_loads_no_model_client() -> None:
    team = team_from_mapping({"agents": {"a": {"entrypoint": "somewhere:work"}}})
    assert not any(".models." in module or "toolsets" in module for module in modules_of(team))
