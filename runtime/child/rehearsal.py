"""Rehearsal: a dummy task that takes the same path as a real one. Standby processes run it ahead of their own.

It is over before the real task comes, and leaves nothing but memory that the process has made its own. The idle zygote
runs it, too. It must never reach anything outside of its process, and start no thread.
"""

from __future__ import annotations

import pickle
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from ...actors import SupervisorRef, encode_plain
from ..tasks.spec import AgentSetup, TaskSpec
from ..team.config import AgentConfig, ModelConfig, Settings, Team, ToolsetConfig
from ..team.permissions import Permissions

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager

    from .entrypoint import EntrypointTask

__all__ = ["rehearsal", "rehearse"]

_CALL: Final = pickle.dumps(("", {}, pickle.dumps((abs, (0,), {}))))
"""A call, as `tasks/calls` encodes it."""


def rehearsal(team: Team, *, short: bool = False) -> TaskSpec:
    """Return a task of a team that rehearses; a short one leaves out what only agents with models do."""
    function = rehearse_briefly if short else rehearse
    agent = AgentConfig(name="rehearsal", entrypoint=f"{__name__}:{function.__name__}")
    return _spec(AgentSetup(agent=agent, sub_agents=(), permissions=team.permissions, settings=team.settings))


def _spec(setup: AgentSetup) -> TaskSpec:
    return TaskSpec(
        id="agent_task_rehearsal",
        agent=setup.agent.name,
        entrypoint=setup.agent.entrypoint,
        workdir=setup.agent.workdir,
        pickled_setup=pickle.dumps(setup),
        task="Rehearse.",
    )


def rehearse(task: EntrypointTask) -> str:
    """Say a word and, if this team has models, be an agent with one that is not there. Runs in the task's process."""
    rehearse_briefly(task)
    _be_an_agent_if_there_are_models()
    return ""


def rehearse_briefly(task: EntrypointTask) -> str:
    """Say a word, and call a function. Runs in the task's process."""
    from .speech import speech  # noqa: PLC0415 - the host, which imports this module, need not pay for it

    try:
        print()  # noqa: T201 - it is said to nobody
        task.emit("")
        _be_a_function()
    finally:
        speech.end()  # the zygote goes on
    return ""


def _be_a_function() -> None:
    # The host, which imports this module, need not pay for it.
    from ..tasks.calls import Call  # noqa: PLC0415
    from .entrypoint import call_function  # noqa: PLC0415

    call_function(Call.decode(_CALL), "rehearsal")


def _be_an_agent_if_there_are_models() -> None:
    models = sys.modules.get("subactors.runtime.models.openai.warm_up")
    if models is not None:
        # The host, which imports this module, need not pay for them.
        from ..agent.event_loop import CancellableLoop  # noqa: PLC0415

        CancellableLoop().run(_be_an_agent(models.canned_model))


async def _be_an_agent(canned_model: Callable[[], AbstractAsyncContextManager[ModelConfig]]) -> None:
    from .work import TaskWork  # noqa: PLC0415 - the host, which imports this module, need not pay for it

    async with canned_model() as config:
        agent = AgentConfig(
            name="rehearsal", model=config, instruction="Rehearse.", toolsets=(ToolsetConfig(type="think"),)
        )
        setup = AgentSetup(agent=agent, sub_agents=(), permissions=Permissions(), settings=Settings())
        await TaskWork(_spec(setup), _Nobody(), threading.Event()).run_agent(Path.cwd())


class _Nobody(SupervisorRef):
    """A supervisor that is not there, for what an agent would tell its own."""

    def __init__(self) -> None:
        pass

    def emit(self, text: str) -> None:
        """Say something to nobody."""

    def tell(self, message: msgspec.Struct) -> None:
        """Encode a report as if it were sent."""
        encode_plain(message)
