"""What a process that stands by does ahead of its task: a task that comes to nothing, by the way that real ones go.

It is over before the real one comes, and leaves nothing but memory that is the process's own already. It must never
reach out of the process, but to itself.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from ._messages import TaskSpec
from ._team import AgentConfig, Team

if TYPE_CHECKING:
    from ._entrypoint import EntrypointTask

__all__ = ["rehearsal", "rehearse"]


def rehearsal(team: Team) -> TaskSpec:
    """Return a task of a team that rehearses."""
    return TaskSpec(
        id="agent_task_rehearsal",
        agent=AgentConfig(name="rehearsal", entrypoint=f"{__name__}:rehearse"),
        task="Rehearse.",
        expected_output=None,
        sub_agents=(),
        permissions=team.permissions,
        settings=team.settings,
    )


def rehearse(task: EntrypointTask) -> str:
    """Say a word, and ask a model that is not there if this team has models. Runs in the task's process."""
    task.emit("")
    models = sys.modules.get("subactors.runtime._openai_model")
    if models is not None:
        from ._event_loop import OneLoop  # noqa: PLC0415 - the host, which imports this module, need not pay for it

        OneLoop().run(models.rehearse())
    return ""
