"""Building toolsets: makes them from an agent's entries in the team file."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..tasks.gateway import Gateway
from ..team.config import AgentConfig, Settings, ToolsetConfig
from ..team.toolset_kinds import TOOLSETS, Given
from .base import Tool, Toolset
from .letters import Letters
from .transfer import TransferTaskToolset

if TYPE_CHECKING:
    from ..tasks.news import News

__all__ = ["build_toolsets"]

_ORIGINAL = "{ORIGINAL_INSTRUCTIONS}"
"""Stands for the toolset's own instruction in the one that replaces it, as in Docker's agent files."""


def build_toolsets(
    agent: AgentConfig,
    *,
    gateway: Gateway,
    working_directory: Path,
    shared_directory: Path | None = None,
    environ: Mapping[str, str],
    withheld: Collection[str] = (),
    task: Callable[[], object] | None = None,
    settings: Settings,
    is_asked: bool = False,
    letters: Letters | None = None,
    in_loop: bool = False,
) -> list[Toolset]:
    """Return the toolsets of an agent, in the order of its entries; `transfer_task` comes last, with `sub_agents`.

    Args:
        agent: from a checked team.
        gateway: the agent's way to the supervisor.
        working_directory: where its tools work.
        shared_directory: where what is to outlive the agent's own folder is looked up; None: in the same.
        environ: for what its tools start, and what the team file's values refer to.
        withheld: names of variables in it that no program inherits.
        task: returns the task, for functions that want it; None: the agent is no task's.
        settings: the team's.
        is_asked: whether one of its sub-agents may ask it something.
        letters: what is said to its task; None: it has none.
        in_loop: whether a loop of ours calls the tools; else a function's, or a host's.
    """
    given: dict[Given, Any] = {
        "gateway": gateway,
        "working_directory": working_directory,
        "environ": environ,
        "withheld": withheld,
        "task": task,
        "limit": settings.max_answer,
        "settings": settings,
        "is_asked": is_asked,
        "letters": letters,
        "in_loop": in_loop,
    }
    shared = {**given, "working_directory": shared_directory or working_directory}
    toolsets = [
        _chosen(config, shared if TOOLSETS[config.type].in_shared_folder else given) for config in agent.toolsets
    ]
    if agent.sub_agents:
        toolsets.append(TransferTaskToolset(gateway, limit=settings.max_answer))
    return toolsets


def _chosen(config: ToolsetConfig, given: Mapping[Given, Any]) -> Toolset:
    """Build a toolset as the team file chose it: with these tools, this instruction, and whether it may be missing."""

    def build() -> Toolset:
        return _select(config, _build(config, given))

    if not config.optional:
        return build()
    from ..team.lacks import lacks_of  # noqa: PLC0415 - few are
    from .optional import OptionalToolset  # noqa: PLC0415 - as above

    named = config.options.get("name")
    name = f"{config.type} ({named})" if named else config.type
    return OptionalToolset(name, lacks_of(config, given["environ"], given["working_directory"]), build)


def _build(config: ToolsetConfig, given: Mapping[Given, Any]) -> Toolset:
    kind = TOOLSETS[config.type]
    # Imported when used: an agent that has no shell should not pay for one.
    module = importlib.import_module(f"{__package__}.{kind.module}")
    factory: Callable[..., Toolset] = getattr(module, kind.factory)
    arguments = {name: config.tools if name == "tools" else given[name] for name in kind.takes}
    return factory(**arguments, **config.options)


def _select(config: ToolsetConfig, toolset: Toolset) -> Toolset:
    if config.tools is None and config.instruction is None:
        return toolset
    return _SelectedToolset(config, toolset)


class _SelectedToolset(Toolset):
    """A toolset with the tools and the instruction that the team file chose."""

    def __init__(self, config: ToolsetConfig, inner: Toolset) -> None:
        self._inner = inner
        # The names of a server's tools are known to the toolset only, which chooses itself.
        self._names = None if inner.needs_opening else config.tools
        self._instruction = config.instruction
        self.needs_opening = inner.needs_opening
        self._choose_instruction()

    def _choose_instruction(self) -> None:
        own, chosen = self._inner.instruction, self._instruction
        self.instruction = own if chosen is None else chosen.replace(_ORIGINAL, own)

    @property
    def tools(self) -> Sequence[Tool]:
        """The chosen tools, in the toolset's own order."""
        return [tool for tool in self._inner.tools if self._names is None or tool.name in self._names]

    async def open(self) -> None:
        await self._inner.open()
        self._choose_instruction()

    async def at_work(self) -> bool:
        return await self._inner.at_work()

    def tell_by_turns(self) -> None:
        self._inner.tell_by_turns()

    async def news(self, *, answered: bool) -> str:
        return await self._inner.news(answered=answered)

    def take_told(self) -> list[str]:
        return self._inner.take_told()

    async def owed(self, *, wait: bool, known: tuple[str, ...]) -> News | None:
        return await self._inner.owed(wait=wait, known=known)

    def note_asked(self, question_ids: Iterable[str]) -> None:
        self._inner.note_asked(question_ids)

    async def wake(self, *, at_once: bool = False) -> str | None:
        return await self._inner.wake(at_once=at_once)

    async def close(self) -> None:
        await self._inner.close()
