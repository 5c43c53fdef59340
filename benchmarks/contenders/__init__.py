"""The contenders by name, in the order of tables. A module is imported only when its contender is asked for."""

from __future__ import annotations

import importlib
from typing import Final

from .base import Contender

__all__ = ["CONTENDERS", "NODES", "contender_class"]

CONTENDERS: Final = {
    "floor": "floor:Floor",
    "subactors": "subactors_runtime:Subactors",
    "subactors-standby": "subactors_runtime:SubactorsStandby",
    "actors": "subactors_actors:Actors",
    "actors-standby": "subactors_actors:ActorsStandby",
    "context": "context:Context",
    "forkserver": "stdlib:ForkServer",
    "spawn": "stdlib:Spawn",
    "executor": "pools:Executor",
    "pebble": "pools:Pebble",
    "loky": "pools:Loky",
    "ray": "ray_actors:Ray",
    "asyncio": "in_process:InProcess",
}

NODES: Final = {
    "node-tcp": "nodes:OverTcp",
    "node-tls": "nodes:OverTls",
    "node-ssh": "nodes:OverSsh",
    "node-ray": "nodes:OnRay",
}
"""Those of the benchmark of nodes alone."""


def contender_class(name: str) -> type[Contender]:
    """Return a contender's class."""
    module, _, attribute = (NODES.get(name) or CONTENDERS[name]).partition(":")
    found: type[Contender] = getattr(importlib.import_module(f"{__name__}.{module}"), attribute)
    return found
