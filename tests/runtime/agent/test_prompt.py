from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

from subactors.runtime.agent.prompt import starting_messages
from subactors.runtime.models.base import Message
from subactors.runtime.team.config import AgentConfig, ToolsetConfig


def start(agent: AgentConfig, **fields: Any) -> list[Message]:
    defaults: dict[str, Any] = {
        "toolset_instructions": [],
        "sub_agents": [],
        "task": "Find the needle.",
        "expected_output": None,
        "today": date(2026, 2, 3),
        "working_directory": "/somewhere",
        "is_sub_agent": False,
    }
    return starting_messages(agent, **(defaults | fields))


def test_the_agent_a_person_talks_to_has_its_instruction_and_the_persons_prompt() -> None:
    assert start(AgentConfig(name="root", instruction="You find things.\n")) == [
        {"role": "system", "content": "You find things."},
        {"role": "user", "content": "Find the needle."},
    ]


def test_without_anything_to_say_there_is_no_system_message() -> None:
    assert [message["role"] for message in start(AgentConfig(name="root"))] == ["user"]


def test_a_sub_agent_has_its_instruction_and_its_task_in_one_system_message_then_a_word_to_go_ahead() -> None:
    messages = start(
        AgentConfig(name="finder", instruction="You find things."), is_sub_agent=True, expected_output="One line."
    )

    assert [message["role"] for message in messages] == ["system", "user"]
    assert messages[0]["content"].startswith("You find things.\n\nYou work as a member of a team")
    assert "Find the needle." in messages[0]["content"]
    assert "One line." in messages[0]["content"]
    assert "Find the needle." not in messages[1]["content"]


def test_a_sub_agent_without_an_instruction_has_one_system_message_too() -> None:
    messages = start(AgentConfig(name="finder"), is_sub_agent=True)

    assert [message["role"] for message in messages] == ["system", "user"]
    assert messages[0]["content"].startswith("You work as a member of a team")


def test_without_an_expected_output_nothing_is_said_of_one() -> None:
    messages = start(AgentConfig(name="finder"), is_sub_agent=True)

    assert "expected_output" not in messages[0]["content"]


def test_instructions_of_toolsets_follow_the_agents_own() -> None:
    [system, _] = start(
        AgentConfig(name="root", instruction="You find things."), toolset_instructions=["Think.", "", "Look."]
    )

    assert system["content"] == "You find things.\n\nThink.\n\nLook."


def test_sub_agents_are_listed_with_their_descriptions() -> None:
    [system, _] = start(AgentConfig(name="root"), sub_agents=[("finder", "Finds\nthings."), ("keeper", "")])

    assert "- finder: Finds things.\n- keeper" in system["content"]
    assert "transfer_task" in system["content"]
    assert "run_background_agent" not in system["content"]


def test_the_background_tools_are_named_where_the_agent_has_them() -> None:
    agent = AgentConfig(name="root", toolsets=(ToolsetConfig(type="background_agents"),))

    [system, _] = start(agent, sub_agents=[("finder", "")])

    assert "run_background_agent" in system["content"]


def test_the_date_is_given_where_it_is_asked_for() -> None:
    [system, _] = start(AgentConfig(name="root", add_date=True))

    assert system["content"] == "Today is Tuesday, 2026-02-03."


def test_the_environment_is_given_where_it_is_asked_for(tmp_path: Path) -> None:
    folder = tmp_path / "project" / "src"
    folder.mkdir(parents=True)
    (tmp_path / "project" / ".git").mkdir()

    [system, _] = start(AgentConfig(name="root", add_environment_info=True), working_directory=str(folder))

    assert f"working directory: {folder}" in system["content"]
    assert "in a git repository: yes" in system["content"]


def test_a_folder_outside_of_any_repository_is_said_to_be_so(tmp_path: Path) -> None:
    [system, _] = start(AgentConfig(name="root", add_environment_info=True), working_directory=str(tmp_path))

    assert "in a git repository: no" in system["content"]
