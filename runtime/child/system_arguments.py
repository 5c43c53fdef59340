"""System arguments: how processes are made for a team, on the host's own machine and on each node."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from ..team.config import Team
from .actor import TaskActor
from .preload import models_of, modules_of
from .rehearsal import rehearsal

__all__ = ["arguments_of_system"]


def arguments_of_system(team: Team, withheld: Collection[str], *, for_many: bool) -> dict[str, Any]:
    """Return arguments of a process system, but for what belongs to one machine; see `ProcessSystem`."""
    return {
        "preload": modules_of(team),
        "standby": team.settings.standby,
        "late_preload": team.settings.preload,
        "rehearsal": (TaskActor, (rehearsal(team),)) if models_of(team) else None,
        "short_rehearsal": (TaskActor, (rehearsal(team, short=True),)),
        # Where nothing is wanted ahead of the tasks, the zygote does nothing ahead of them either.
        "for_many": for_many and team.settings.standby > 0,
        "withheld": withheld,
        "fenced": True,
    }
