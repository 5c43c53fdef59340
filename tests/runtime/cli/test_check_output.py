"""`subactors check`: its lines and its exit status, for good files and for wrong ones."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_line import subactors, write_team


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_team(tmp_path)


def test_check_of_a_good_file_says_what_it_holds(folder: Path) -> None:
    done = subactors(folder, "check", "team.yaml")
    assert done.returncode == 0
    assert "5 agents, root is 'root'. No problems in the file." in done.stdout
    assert "greeter: entrypoint cli_models:greet" in done.stdout


def test_check_of_a_file_with_six_mistakes_prints_six_messages_and_ends_with_2(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text(
        "agents:\n"
        "  root:\n"
        "    model: nosuchprovider/x\n"  # 3
        "    sub_agents: [ghost]\n"  # 4
        "    toolsets:\n"
        "      - type: shel\n"  # 6
        "  worker:\n"
        "    model: openai/gpt-4o\n"
        "    max_iterations: many\n"  # 9
        "    instructoin: hello\n"  # 10
        "runtime:\n"
        "  max_running: 0\n"  # 12
    )
    done = subactors(tmp_path, "check", "bad.yaml")
    assert done.returncode == 2
    lines = done.stdout.splitlines()
    assert [line.split(":")[1] for line in lines] == ["3", "4", "6", "9", "10", "12"]
    assert [line.split(": ")[1] for line in lines] == [
        "agents.root.model",
        "agents.root.sub_agents[0]",
        "agents.root.toolsets[0].type",
        "agents.worker.max_iterations",
        "agents.worker.instructoin",
        "runtime.max_running",
    ]


def test_check_names_the_keys_that_are_missing_and_the_models_that_stand_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MISTRAL_API_KEY", raising=False)
    monkeypatch.setenv("GROQ_API_KEY", "sk-secret")
    agent = {"model": "groq/llama", "fallback": {"models": ["mistral/large", "ollama/qwen3"]}}
    (tmp_path / "team.yaml").write_text(json.dumps({"agents": {"root": agent}}))
    done = subactors(tmp_path, "check", "team.yaml")

    assert done.returncode == 0
    assert "root: model groq/llama; fallback mistral/large, ollama/qwen3\n" in done.stdout
    assert "root: would do without a model: Model 'mistral/large' needs a key" in done.stdout
    assert "GROQ" not in done.stdout
    assert "sk-secret" not in done.stdout


def test_check_ends_with_1_where_nothing_would_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MISTRAL_API_KEY", "GROQ_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    agents = {"root": {"model": "groq/llama"}, "other": {"model": "mistral/large"}}
    (tmp_path / "team.yaml").write_text(json.dumps({"agents": agents}))
    done = subactors(tmp_path, "check", "team.yaml")
    assert done.returncode == 1
    assert "Would run here: none. Not before there is a key: root, other." in done.stdout

    agents["other"] = {"model": "ollama/qwen3"}
    (tmp_path / "team.yaml").write_text(json.dumps({"agents": agents}))
    assert subactors(tmp_path, "check", "team.yaml").returncode == 0


def test_check_counts_a_single_agent_as_one(tmp_path: Path) -> None:
    (tmp_path / "team.yaml").write_text("agents: {root: {model: ollama/qwen3}}")
    assert ": 1 agent, root is 'root'." in subactors(tmp_path, "check", "team.yaml").stdout


def test_check_shows_an_agents_name_on_one_line(tmp_path: Path) -> None:
    agents = {"root": {"model": "ollama/x"}, "worker\n  root: would not run here": {"model": "ollama/x"}}
    (tmp_path / "team.yaml").write_text(json.dumps({"agents": agents}))
    lines = subactors(tmp_path, "check", "team.yaml").stdout.splitlines()
    assert len(lines) == 5
    assert lines[2].startswith("  worker root: would not run here: model ollama/x")
