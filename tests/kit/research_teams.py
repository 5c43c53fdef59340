"""Research teams: an orchestrator in the host and its researchers, with the model server's part of the conversation."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from model_server import Calls, ModelServer, Reply, Request, Text
from subactors.runtime import Runtime, TaskView, ToolAnswer
from subactors.runtime.agent.run import run_agent
from subactors.runtime.models.base import Message, ToolCall, Turn, Usage
from teams import run_and_wait

TEAM = """\
agents:
  coordinator:
    model: openai/gpt-4o
    description: Orchestrates parallel research
    instruction: Fan out research tasks and synthesize results.
    sub_agents: [researcher]
    toolsets:
      - type: background_agents
      - type: think

  researcher:
    model: openai/gpt-4o
    description: Web researcher
    instruction: Research topics thoroughly.
    toolsets:
      - type: think
"""
COORDINATOR = "Fan out research tasks"
RESEARCHER = "Research topics thoroughly"
AGAIN = "\n[The answer broke off here, and is asked for again.]\n"
KEY = "sk-of-a-test"


def point_to(server: ModelServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have models answered by a server, from now on."""
    monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)


def point_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have models neither an address nor a key."""
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)


@contextlib.contextmanager
def research_runtime(folder: Path) -> Iterator[Runtime]:
    """One for many tests: loading a model client takes its zygote a second. Where models are, the environment says."""
    path = folder / "team.yaml"
    path.write_text(TEAM)
    with Runtime.from_file(path, max_tasks=10_000, standby=0) as runtime, ModelServer([Text("warm up")]) as server:
        with pytest.MonkeyPatch.context() as patch:
            point_to(server, patch)
            run_and_wait(runtime, "researcher")
        yield runtime


class Heard:
    """What an orchestrator's loop has told."""

    def __init__(self) -> None:
        self.text_so_far = ""
        self.answers: list[tuple[str, ToolAnswer]] = []
        self.usage = Usage()

    def text(self, piece: str) -> None:
        self.text_so_far += piece

    def calls_begin(self, turn: Turn, messages_added: Sequence[Message], told: Sequence[str] = ()) -> None:
        pass

    async def calls_written(self) -> None:
        pass

    def tool_called(self, call: ToolCall) -> None:
        pass

    def tool_answered(self, call: ToolCall, answer: ToolAnswer) -> None:
        self.answers.append((call.name, answer))

    def turn_ended(self, turn: Turn, messages_added: Sequence[Message], *_: Any) -> None:
        del messages_added
        self.usage += turn.usage


def orchestrate(runtime: Runtime, prompt: str = "Compare A with B.", heard: Heard | None = None) -> str:
    """Run the coordinator in this process, as the command line does, and return its answer."""
    return asyncio.run(
        run_agent(
            runtime.team.agents["coordinator"],
            runtime._host.surroundings("coordinator"),
            heard or Heard(),
            task=prompt,
            expected_output=None,
            is_sub_agent=False,
        )
    )


Answering = Callable[[Request], Reply]


class Research:
    """A script: the coordinator starts a task for each topic, looks until all have ended, and repeats what it saw.

    Args:
        topics: what the researchers are asked.
        researcher: answers the researchers' requests.
    """

    def __init__(self, *topics: str, researcher: Answering) -> None:
        self.topics = topics
        self.researcher = researcher
        self.ids: list[str] = []
        self.looks = 0

    def __call__(self, request: Request) -> Reply:
        if RESEARCHER in request.system:
            return self.researcher(request)
        assert COORDINATOR in request.system
        if request.turn == 0:
            return Calls(*[("run_background_agent", {"agent": "researcher", "task": topic}) for topic in self.topics])
        if request.turn == 1:
            self.ids = re.findall(r"Started (agent_task_\w+)", "\n".join(request.tool_answers))
        elif all(re.search(r"  (completed|failed|stopped)  ", answer) for answer in request.tool_answers):
            return Text("\n".join(request.tool_answers), usage=(100, 50))
        self.looks += 1
        return Calls(*[("view_background_agent", {"task_id": task_id}) for task_id in self.ids])


def views_of(runtime: Runtime, script: Research) -> list[TaskView]:
    return [runtime.view(task_id) for task_id in script.ids]
