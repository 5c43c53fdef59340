"""Lent zygotes: the runtimes of a test file share one, because to start one costs more than most tests.

A test file asks for it with `pytestmark = pytest.mark.usefixtures("zygote_for_tasks")`. `"zygote_for_models"` has what
asks a model over HTTP, too, and `"zygote_for_mcp"` also what asks an MCP server. Each task has a process of its own all
the same. A runtime has a zygote of its own if processes are to stand by, or if it would import more than the lent one.

A runtime that has borrowed closes in another way than those of users. So a file whose subject are closes has a test
with `own_zygote`.
"""

from __future__ import annotations

import contextlib
import os
import weakref
from collections.abc import Iterator
from typing import Any, Final

import pytest
from process_listeners import Started
from subactors.actors import ActorProcess, ProcessActor, ProcessSystem, SubactorsError
from subactors.runtime import host
from subactors.runtime.child.preload import modules_of
from subactors.runtime.team.key_variables import Keys
from subactors.runtime.teamfile.load import team_from_mapping

__all__ = ["FOR_MCP", "FOR_MODELS", "FOR_TASKS", "lent"]

_PATIENCE: Final = 10.0
"""Seconds for the processes of a runtime to end."""

_TOOLSETS: Final[list[dict[str, Any]]] = [
    *({"type": kind} for kind in ("background_agents", "think", "todo", "shell", "filesystem", "ask_parent")),
    {"type": "memory", "path": "memory.db"},
    {"type": "python", "functions": ["python_tools:look_up"]},
]

FOR_TASKS: Final[dict[str, Any]] = {
    "agents": {
        "function": {"entrypoint": "entrypoints:echo", "sub_agents": ["python"], "toolsets": _TOOLSETS},
        "python": {"model": "python/python_models:waits", "sub_agents": ["function"], "toolsets": _TOOLSETS},
    }
}
"""A team that has its zygote import what most teams need."""

FOR_MODELS: Final[dict[str, Any]] = {
    "agents": {
        **FOR_TASKS["agents"],
        "model": {
            "model": "m",
            "fallback": {"models": ["m"]},
            "sub_agents": ["function"],
            "toolsets": _TOOLSETS,
        },
    },
    "models": {"m": {"provider": "vllm", "model": "m", "base_url": "http://127.0.0.1:9/v1"}},
}
"""The same, and what asks a model over HTTP."""

FOR_MCP: Final[dict[str, Any]] = {
    **FOR_MODELS,
    "agents": {
        **FOR_MODELS["agents"],
        "client": {
            "model": "m",
            "toolsets": [{"type": "mcp", "command": "x"}, {"type": "script", "shell": {"a": {"cmd": "a"}}}],
        },
    },
}
"""The same, and what asks an MCP server."""


class _Borrowed:
    """What a runtime has for a process system: it has processes of its own in one that outlives it."""

    def __init__(self, system: ProcessSystem) -> None:
        self._system = system
        self._processes: weakref.WeakSet[ActorProcess] = weakref.WeakSet()  # those that have ended may go
        self._is_closed = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._system, name)

    def spawn(self, *args: Any, **kwargs: Any) -> ActorProcess:
        if self._is_closed:
            raise SubactorsError("The process system is closed.")
        process = self._system.spawn(*args, **kwargs)
        self._processes.add(process)
        return process

    def close(self, *, grace: float = 1.0) -> None:
        """End what was started, and nothing else."""
        self._is_closed = True
        self._have_ended(grace)
        for process in [*self._processes]:
            process.kill()
        self._have_ended(_PATIENCE)

    def _have_ended(self, seconds: float) -> None:
        known, mine = self._system._processes, {*self._processes}
        with known._idle:
            known._idle.wait_for(lambda: mine.isdisjoint(known.all()), seconds)


@contextlib.contextmanager
def lent(mapping: dict[str, Any]) -> Iterator[None]:
    """Until the block is left, lend runtimes a zygote that has imported what a team needs."""
    team = team_from_mapping(mapping)
    modules, keys = modules_of(team), Keys(team).names
    system = ProcessSystem(preload=modules, for_many=False, withheld=keys, fenced=True)

    def made(**settings: Any) -> Any:
        does_more = any(settings.get(name) for name in ("folders", "late_preload", "standby"))
        has_more = not {*settings.get("preload", ())} <= {*modules}
        holds_more = not ({*settings.get("withheld", ())} - keys).isdisjoint(os.environ)
        return ProcessSystem(**settings) if does_more or has_more or holds_more else _Borrowed(system)

    Started(system, ProcessActor).reference.stop()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(host, "ProcessSystem", made)
        yield
    system.close()
