"""Task spec: what a task's process is given. Trusted, as all that the host sends."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from ..team.config import AgentConfig, Limits, Settings, Workdir
from ..team.permissions import Permissions
from .talk import Letter

if TYPE_CHECKING:
    from ..team.function_by_value import Function

__all__ = ["AgentSetup", "TaskSpec"]


class AgentSetup(msgspec.Struct, frozen=True, kw_only=True):
    """Setup of an agent: what all of its tasks have in common.

    Attributes:
        agent: the agent.
        sub_agents: name and description of each agent that it may start.
        permissions: the team's.
        settings: the team's settings, after the host's own.
        limits: of each task.
        is_asked: whether an agent that it may start may ask it something.
    """

    agent: AgentConfig
    sub_agents: tuple[tuple[str, str], ...]
    permissions: Permissions
    settings: Settings
    limits: Limits = Limits()
    is_asked: bool = False


class TaskSpec(msgspec.Struct, frozen=True):
    """Everything that a task's process needs to know; the supervisor makes it, the constructor of the actor takes it.

    It is flat, and what only an agent with a model needs is left pickled, once for all tasks of the agent. With an
    `AgentSetup` in it, a start takes 0.1 ms more in the host, and as much and 15 page faults in a task without a model.

    Attributes:
        id: the task's id.
        agent: name of the agent that runs it.
        entrypoint: the agent's; None: it has a model.
        workdir: the agent's.
        pickled_setup: the agent's `AgentSetup`.
        task: what to do.
        expected_output: what the answer should look like.
        working_directory: the runtime's; empty: the current directory of its process.
        own_folder: the folder that the task has to itself; empty if it has none.
        former_folder: the folder that the task had to itself which this one continues; empty if there is none.
        max_result: bytes that its answer may have.
        attempt: from 1; more after a restart.
        conversation: what an earlier attempt's conversation had come to, each message as JSON text; empty: begin anew.
        is_root: whether a person gave the task, and not another agent: then it is the user's message.
        keys: variables that this attempt needs and no process inherits; see `team/key_variables`. They are in no
            representation, and whoever keeps the task keeps it without them.
        shows_keys: whether a function finds them in its environment; the agent's `keys`.
        variables: what else its agent names of the host's environment, and which devices it has; for another machine.
        data: what to work on, as JSON text; None if there is nothing.
        call: a pickled function with its arguments, which is the whole task; else empty.
        output_schema: the JSON schema that its answer must fit, as JSON text; empty: it may be anything.
        has_budget: whether it uses a budget, and asks before each turn.
        letters: what was said to it before this attempt, and no earlier one has taken: the task hears it, however soon
            it ends.
        traceparent: the place of the task's span in its trace, as W3C Trace Context has it; empty: nobody makes spans.
        place: of which its process's machine is a node; empty: it is the host's.
    """

    id: str
    agent: str
    entrypoint: Function | None
    workdir: Workdir
    pickled_setup: bytes
    task: str
    expected_output: str | None = None
    working_directory: str = ""
    own_folder: str = ""
    former_folder: str = ""
    max_result: int = 64_000_000
    attempt: int = 1
    conversation: tuple[str, ...] = ()
    is_root: bool = False
    keys: dict[str, str] = {}
    shows_keys: bool = True
    variables: dict[str, str] = {}
    data: str | None = None
    call: bytes = b""
    output_schema: str = ""
    has_budget: bool = False
    letters: tuple[Letter, ...] = ()
    traceparent: str = ""
    place: str = ""

    def __repr__(self) -> str:
        return f"<TaskSpec {self.id} of {self.agent}>"
