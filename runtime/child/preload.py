"""Preload: modules imported once for all tasks of a team, in the process that theirs are forked from."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Final

from ..team.providers import may_use_tls
from ..team.toolset_kinds import TOOLSETS
from ..text import one_line

if TYPE_CHECKING:
    from ...actors import ErrorData
    from ..team.config import ModelConfig, Team

__all__ = ["models_of", "modules_of", "tell_of_failure"]

logger = logging.getLogger("subactors.runtime")

_SHOWN_ERROR: Final = 300
"""Characters of a failed import's error that are logged: one line."""


def modules_of(team: Team) -> list[str]:
    """Return what of the runtime itself, and of the libraries under it, the tasks of a team will want."""
    # The streams first, before a module keeps others.
    modules = [
        "subactors.runtime.child.speech:install",
        "subactors.runtime.child.current:install",
        "subactors.runtime.child.actor",
        "subactors.runtime.child.work",
        "subactors.runtime.child.rehearsal",
        "subactors.runtime.tasks.calls",  # any host may submit functions
        "subactors.runtime.tasks.chunks",
        "subactors.runtime.child.chunk_loop",
        "subactors.runtime.tasks.exceptions",  # which may fail
    ]
    if any(agent.model is not None and agent.model.is_function for agent in team.agents.values()):
        modules.append("subactors.runtime.models.python")
    models = models_of(team)
    if models:
        without_tls = not any(may_use_tls(model, os.environ) for model in models)
        modules.append(f"subactors.runtime.models.open:{'preload_without_certificates' if without_tls else 'preload'}")
    if any(agent.fallback.models for agent in team.agents.values()):
        modules.append("subactors.runtime.models.fallback")
    for agent in team.agents.values():
        modules += [
            f"subactors.runtime.toolsets.{TOOLSETS[toolset.type].module}"
            for toolset in agent.toolsets
            if toolset.type != "background_agents"  # every agent has it already
        ]
    if any(agent.model is not None or agent.toolsets for agent in team.agents.values()):
        modules.append("subactors.runtime.toolsets.base:preload")
    functions = [agent for agent in team.agents.values() if agent.entrypoint is not None]
    if any(agent.model is not None or agent.toolsets for agent in functions):
        modules += ["subactors.runtime.child.belongings", "subactors.runtime.verbs.awaiting"]
    if any(agent.sub_agents for agent in functions):
        verbs = [f"subactors.runtime.verbs.{name}" for name in ("blocking", "awaited", "many")]
        modules += ["subactors.runtime.child.task_way", *verbs]
    return list(dict.fromkeys(modules))


def models_of(team: Team) -> list[ModelConfig]:
    """Return the models that are asked with a client: what those need is most of what a zygote imports."""
    return [model for agent in team.agents.values() for model in agent.models if not model.is_function]


def tell_of_failure(entry: str, error: ErrorData) -> None:
    """Log that an entry of the team file's `preload` could not be imported. Runs in the I/O thread."""
    name = error.type_name.rpartition(".")[2]
    what = one_line(f"{name}: {error.message}" if error.message else name, _SHOWN_ERROR)
    logger.warning("runtime.preload: %s could not be imported ahead of the tasks. %s", entry, what)
