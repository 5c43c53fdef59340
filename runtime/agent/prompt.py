"""Prompt: the conversation that an agent starts with.

It puts together what the team file, the toolsets and the task say, and adds only words that connect them. It reads
nothing but whether the working directory is under version control.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from ..models.base import Message
from ..team.config import AgentConfig

__all__ = ["starting_messages"]

_MEMBERSHIP = (
    "You work as a member of a team of agents. Another agent gave you the task below, and your last answer is all that "
    "it gets to see of your work. "
)
_NOT_SAID = "Nobody can answer questions: decide for yourself what is not said."
_MAY_ASK = "What is not said, and matters, you may ask; else decide for yourself."
_ASKING = frozenset({"ask_parent", "user_prompt"})
"""Toolsets by which an agent asks."""

_FORM = (
    "A program reads your last answer: it must be one JSON value that fits the JSON schema below, and nothing else, no "
    "words before or after it."
)


def starting_messages(
    agent: AgentConfig,
    *,
    toolset_instructions: Sequence[str],
    files: Sequence[str] = (),
    sub_agents: Sequence[tuple[str, str]],
    task: str,
    expected_output: str | None,
    today: date,
    working_directory: str,
    is_sub_agent: bool,
    output_schema: str = "",
) -> list[Message]:
    """Return the messages that the agent's conversation begins with.

    There is one system message at most, because the chat templates of several models refuse a second one. A sub-agent
    finds its task at the end of it, and a user's message to go ahead. The agent that a person talks to finds the task
    as the user's message.

    Args:
        agent: whose conversation it is.
        toolset_instructions: what its toolsets add to the system prompt.
        files: what `add_prompt_files` adds to it.
        sub_agents: name and description of each agent that it may start.
        task: what to do; for the agent that a person talks to, the person's prompt.
        expected_output: what the result should look like, if given.
        today: for `add_date`.
        working_directory: for `add_environment_info`.
        is_sub_agent: whether another agent gave the task.
        output_schema: the JSON schema that the answer must fit; empty: it may be anything.
    """
    system = _system_prompt(agent, [*toolset_instructions, *files], sub_agents, today, working_directory)
    wish = f"{task}\n\nExpected output: {expected_output}" if expected_output else task
    form = f"{_FORM}\n<output_schema>\n{output_schema}\n</output_schema>" if output_schema else ""
    if is_sub_agent:
        # Last, so that the tasks of one agent have the same beginning, which servers cache.
        system = "\n\n".join(filter(None, (system, _assignment(agent, task, expected_output), form)))
        wish = "Go ahead with your task now."
    elif form:
        wish = f"{wish}\n\n{form}"
    messages: list[Message] = [{"role": "system", "content": system}] if system else []
    return [*messages, {"role": "user", "content": wish}]


def _system_prompt(
    agent: AgentConfig,
    additions: Sequence[str],
    sub_agents: Sequence[tuple[str, str]],
    today: date,
    working_directory: str,
) -> str:
    paragraphs = [agent.instruction]
    if sub_agents:
        paragraphs.append(_team_paragraph(agent, sub_agents))
    paragraphs.extend(additions)
    if agent.add_date:
        paragraphs.append(f"Today is {today:%A}, {today.isoformat()}.")
    if agent.add_environment_info:
        paragraphs.append(_environment(Path(working_directory)))
    return "\n\n".join(stripped for paragraph in paragraphs if (stripped := paragraph.strip()))


def _team_paragraph(agent: AgentConfig, sub_agents: Sequence[tuple[str, str]]) -> str:
    ways = ["call `transfer_task` to hand over a task and wait for its result"]
    if any(toolset.type == "background_agents" for toolset in agent.toolsets):
        ways.append("call `run_background_agent` to start a task that runs while you go on")
    introduction = (
        f"You lead a team. To give work to one of its agents, {', or '.join(ways)}. An agent sees nothing of this "
        "conversation, so put all that it has to know into the task. The agents of your team:"
    )
    return "\n".join([introduction, *(_entry(name, description) for name, description in sub_agents)])


def _entry(name: str, description: str) -> str:
    return f"- {name}: {' '.join(description.split())}" if description else f"- {name}"


def _assignment(agent: AgentConfig, task: str, expected_output: str | None) -> str:
    may_ask = any(toolset.type in _ASKING for toolset in agent.toolsets)
    paragraphs = [_MEMBERSHIP + (_MAY_ASK if may_ask else _NOT_SAID), f"<task>\n{task}\n</task>"]
    if expected_output:
        paragraphs.append(f"<expected_output>\n{expected_output}\n</expected_output>")
    return "\n\n".join(paragraphs)


def _environment(working_directory: Path) -> str:
    # A worktree or submodule has a file of that name. `Path.exists` raises where a parent may not be searched.
    folders = (working_directory, *working_directory.parents)
    under_git = any(os.path.exists(folder / ".git") for folder in folders)  # noqa: PTH110 - see above
    return "\n".join(
        [
            "Your environment:",
            f"- working directory: {working_directory}",
            f"- in a git repository: {'yes' if under_git else 'no'}",
            f"- operating system: {platform.system()} {platform.release()}",
            f"- processor architecture: {platform.machine()}",
        ]
    )
