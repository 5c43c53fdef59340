"""Adapter base: what every adapter asks of tools, and what every agent of another framework is told of its task."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from ..child.entrypoint import EntrypointTask
    from ..models.base import ToolSchema
    from ..toolsets.base import ToolAnswer

__all__ = ["Tools", "prompt_of"]


class Tools(Protocol):
    """The tools of an agent: `Runtime.toolset` returns some, and an entrypoint finds its own in `task.tools`."""

    @property
    def schemas(self) -> Sequence[ToolSchema]:
        """The tools in OpenAI's format."""
        ...

    @property
    def instructions(self) -> str:
        """What they add to a system prompt."""
        ...

    def call(self, name: str, arguments: str, /) -> ToolAnswer:
        """Call a tool with arguments as JSON text, and wait for its answer."""
        ...

    async def acall(self, name: str, arguments: str, /) -> ToolAnswer:
        """The same, awaited."""
        ...

    def notices(self) -> str:
        """Return what is to be told of the agent's tasks, which counts as told then; empty: nothing."""
        ...

    async def anotices(self) -> str:
        """The same, awaited."""
        ...


def prompt_of(task: EntrypointTask) -> str:
    """Return what an agent is told to do: the task's text, with its data and what is expected of the answer."""
    parts = [task.text]
    if task.data is not None:
        parts.append(f"Data:\n{json.dumps(task.data, ensure_ascii=False)}")
    if task.expected_output:
        parts.append(f"Expected output:\n{task.expected_output}")
    return "\n\n".join(parts)
