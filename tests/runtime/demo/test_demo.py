"""The bundled demonstration: its team file, and whole surveys with real task processes."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import pytest
from demo_surveys import SURVEYORS, Listener, rows, small_project, survey
from model_server import Calls, ModelServer, Text
from subactors.runtime import AgentConfig, Runtime, Team, TeamFileError
from subactors.runtime.agent.prompt import starting_messages
from subactors.runtime.agent.run import run_agent
from subactors.runtime.demo import PROMPT, coordinator, load_demo_team, team_text
from subactors.runtime.demo.tasks import listed_in, started_by, viewed_in
from subactors.runtime.tasks.views import TaskList, TaskView, Vitals
from subactors.runtime.tasks.wording import describe_list, describe_view
from subactors.runtime.teamfile.load import check_team


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return small_project(tmp_path / "project")


def orchestrate(team: Team, listener: Listener | None = None, **settings: Any) -> str:
    """Run the coordinator in this process and its team in task processes, in the current folder."""
    with Runtime(team, **settings) as runtime:
        running = run_agent(
            team.agents[team.root],
            runtime._host.surroundings(team.root),
            listener or Listener(),
            task=PROMPT,
            expected_output=None,
            is_sub_agent=False,
        )
        return asyncio.run(running)


# --- the team file ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("crash", [False, True])
def test_the_team_file_has_no_problems(tmp_path: Path, crash: bool) -> None:
    path = tmp_path / "team.yaml"
    path.write_text(team_text(crash=crash))
    team, problems = check_team(path)
    assert not problems
    assert team is not None
    assert not team.ignored
    assert team.root == "coordinator"


@pytest.mark.parametrize(("crash", "agents"), [(False, SURVEYORS), (True, [*SURVEYORS, "duplicates"])])
def test_the_crashing_agent_is_in_the_team_only_when_asked_for(crash: bool, agents: list[str]) -> None:
    assert list(load_demo_team(crash=crash).agents["coordinator"].sub_agents) == agents


def test_every_agent_but_the_crashing_one_takes_another_model() -> None:
    team = load_demo_team(crash=True, model="openai/gpt-4o")
    models = {name: agent.model and agent.model.reference for name, agent in team.agents.items()}
    assert models == dict.fromkeys(["coordinator", *SURVEYORS], "openai/gpt-4o") | {"duplicates": None}


def test_a_wrong_model_reference_is_refused() -> None:
    with pytest.raises(TeamFileError, match="gpt-4o"):
        load_demo_team(model="gpt-4o")


def test_every_agent_has_what_a_real_model_needs_to_know() -> None:
    for agent in load_demo_team(crash=True).agents.values():
        assert agent.description
        assert agent.entrypoint or len(agent.instruction.split()) > 50


def test_importing_it_is_cheap() -> None:
    script = "import sys, subactors.runtime.demo; print([m for m in ('yaml', 'openai', 'asyncio') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", script], check=True, capture_output=True).stdout == b"[]\n"


# --- the coordinator --------------------------------------------------------------------------------------------------


def test_the_coordinator_reads_what_the_tools_say() -> None:
    vitals = Vitals(cpu_percent=12.0, cpu_seconds=0.25, memory_bytes=31_000_000)
    views = [
        TaskView(id="agent_task_1", agent="sizes", task="A", status="running", runtime=1.2, output="One.\nTwo.\n"),
        TaskView(
            id="agent_task_2",
            agent="notes",
            task="B",
            status="completed",
            result_json='"Fine.\\n\\nMore."',
            vitals=vitals,
        ),
        TaskView(
            id="agent_task_3", agent="x", task="C", status="failed", reason="It died.\nHere:\n\nmore", output="Hm."
        ),
    ]
    looks = listed_in(describe_list(TaskList(tasks=views, running=1, max_running=20)))
    assert [(look.task_id, look.agent, look.status, look.runtime, look.said) for look in looks] == [
        ("agent_task_1", "sizes", "running", "1.2 s", "Two."),
        ("agent_task_2", "notes", "completed", "0.0 s", ""),
        ("agent_task_3", "x", "failed", "0.0 s", ""),
    ]
    assert started_by("sizes", "Started agent_task_1: sizes is at work.").task_id == "agent_task_1"
    assert started_by("y", "There is no agent 'y'.").refusal == "There is no agent 'y'."
    _, second, third = (viewed_in(describe_view(view, 30_000)) for view in views)
    assert second is not None
    assert third is not None
    assert (second.status, second.text, second.reason) == ("completed", "Fine.\n\nMore.", "")
    assert (second.cpu, second.memory) == ("0.25 s", "31 MB")
    assert (third.status, third.text, third.reason) == ("failed", "Hm.", "It died.\nHere:\n\nmore")


def test_the_coordinator_starts_every_agent_of_its_team_in_one_turn(project: Path) -> None:
    agent = AgentConfig(name="c", add_environment_info=True)
    messages = starting_messages(
        agent,
        toolset_instructions=(),
        sub_agents=[("sizes", "Measures"), ("colours", "Somebody's own: it counts colours")],
        task=PROMPT,
        expected_output=None,
        today=date(2026, 1, 1),
        working_directory=str(project),
        is_sub_agent=False,
    )
    asyncio.run(coordinator.model(messages, []))
    listed = {"id": "1", "type": "function", "function": {"name": "list_directory", "arguments": '{"path": "."}'}}
    messages += [
        {"role": "assistant", "content": None, "tool_calls": [listed]},
        {"role": "tool", "tool_call_id": "1", "content": "DIR  core\nFILE README.md (12 bytes)"},
    ]
    turn = asyncio.run(coordinator.model(messages, []))
    assert isinstance(turn, dict)
    calls = [call["function"] for call in turn["tool_calls"]]
    assert [call["name"] for call in calls] == ["think", "run_background_agent", "run_background_agent"]
    assert [call["arguments"]["agent"] for call in calls[1:]] == ["sizes", "colours"]


def test_the_survey_puts_together_what_the_agents_found(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project)
    listener = Listener()
    report = orchestrate(load_demo_team(), listener)
    assert report.startswith("# Survey of project\n\n- 8 files in 4 folders, ")
    for agent in SURVEYORS:
        first, _, rest = survey(agent, project).partition("\n")
        assert f"\n- {first}\n" in report
        assert rest.strip() in report
    assert "4 background tasks, started in one turn, each in an operating-system process of its own." in report
    ended = [row[2] for row in rows(report) if row[0] in SURVEYORS]
    assert ended == ["completed"] * 4
    called = [{call.name for call in turn.tool_calls} for turn in listener.turns]
    assert {"think", "run_background_agent"} in called
    assert {"view_background_agent"} in called
    assert any("list_background_agents" in names for names in called)


def test_a_crash_costs_one_part_and_is_told(project: Path) -> None:
    before = {path.name for path in project.iterdir()}
    command = [sys.executable, "-m", "subactors.runtime.cli", "demo", "--crash", str(project)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=50, check=False)
    assert done.returncode == 0, done.stderr
    report = done.stdout
    ended = {row[0]: row[2] for row in rows(report) if len(row) > 2 and row[0] in [*SURVEYORS, "duplicates"]}
    assert ended == dict.fromkeys(SURVEYORS, "completed") | {"duplicates": "failed"}
    _, _, section = report.partition("\n## Files with the same content\n")
    assert "The task's process was ended by SIGSEGV." in section
    assert "Segmentation fault" in section
    assert re.search(r"    In process \d+: 8 files to compare\.\n", section)
    assert "    4 of 8 compared; none with the content of another so far." in section
    for agent in SURVEYORS:
        assert survey(agent, project).partition("\n")[2].strip() in report
    assert {path.name for path in project.iterdir()} == before


def test_a_task_that_is_refused_is_told(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project)
    report = orchestrate(load_demo_team(), max_running=1, max_queued=0)
    assert "- Missing: the longest functions. Agent `functions` could not be started" in report
    assert "1 is the limit" in report
    assert "1 background task, started in one turn" in report


def test_a_demonstration_with_one_slot_takes_longer_and_finds_as_much(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project)
    report = orchestrate(load_demo_team(), max_running=1)
    assert "could not be started" not in report
    for agent in SURVEYORS:
        assert survey(agent, project).partition("\n")[2].strip() in report


def test_agents_that_take_too_long_are_stopped_and_that_is_told(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project)
    monkeypatch.setattr(coordinator, "_MOST_LOOKS", 0)
    monkeypatch.setattr(coordinator, "_FIRST_PAUSE", 0.0)
    report = orchestrate(load_demo_team(), max_running=1)
    assert {row[2] for row in rows(report) if row[0] in SURVEYORS[1:]} == {"stopped"}
    assert "- Missing: open notes. Agent `notes` stopped after " in report


def test_a_team_without_agents_has_an_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    team = load_demo_team()
    alone = msgspec.structs.replace(team.agents["coordinator"], sub_agents=())
    assert "no agent in my team" in orchestrate(msgspec.structs.replace(team, agents={"coordinator": alone}))


def test_an_empty_folder_has_a_survey(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    report = orchestrate(load_demo_team())
    assert report.startswith(f"# Survey of {tmp_path.name}\n\n- There are no files here.\n")


# --- with a real model ------------------------------------------------------------------------------------------------


@pytest.fixture
def server() -> Iterator[ModelServer]:
    starts = [("run_background_agent", {"agent": agent, "task": "Your part."}) for agent in SURVEYORS]
    surveyor = [Calls(("list_directory", {})), Text("I found it.")]
    script = {
        "You lead a survey": [
            Calls(*starts),
            Calls(*[("transfer_task", {"agent": "sizes", "task": "Wait."})]),
            Text("R."),
        ],
        "You measure": surveyor,
        "You find the longest": surveyor,
        "You collect the open notes": surveyor,
        "You find out which packages": surveyor,
    }
    with ModelServer(script) as server:
        yield server


def test_the_same_team_works_with_a_model_server(project: Path, server: ModelServer) -> None:
    command = [sys.executable, "-m", "subactors.runtime.cli", "demo", "--model", "openai/gpt-4o", str(project)]
    environ = {**os.environ, "OPENAI_BASE_URL": server.base_url, "OPENAI_API_KEY": "test"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=50, check=False, env=environ)
    assert (done.returncode, done.stdout) == (0, "R.\n"), done.stderr
    first = server.requests[0]
    assert first.model == "gpt-4o"
    assert {"run_background_agent", "list_directory", "think"} < set(first.tools)
    assert "write_file" not in first.tools
    assert str(project) in first.system
    assert first.messages[-1] == {"role": "user", "content": PROMPT}
