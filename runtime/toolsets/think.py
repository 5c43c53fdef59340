"""Think: the `think` tool, a place for a model to reason in the open.

The log belongs to one toolset, and a toolset belongs to one task: tasks may share nothing here, and nothing may outlive
one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import msgspec

from .base import Tool, ToolAnswer, ToolParameters, Toolset

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["ThinkToolset"]

_INSTRUCTION = """\
## Thinking aloud

`think` keeps a log of your thoughts for this task. Use it before a step that is hard to take back and after an answer
that you did not expect: which facts you have, which you only assume, what the task still asks for, what to do next.
It finds nothing out and changes nothing, and nobody else reads it: what matters must also be in your answer."""


class ThinkParameters(ToolParameters, frozen=True):
    """The parameters of `think`."""

    thought: Annotated[str, msgspec.Meta(description="What you think, in as many words as it needs.")]


class ThinkToolset(Toolset):
    """One task's log of thoughts. Called in the event loop of that task only."""

    def __init__(self) -> None:
        self.instruction = _INSTRUCTION
        self._thoughts: list[str] = []

    @property
    def tools(self) -> Sequence[Tool]:
        """The one tool, `think`."""
        return (
            Tool(
                name="think",
                description=(
                    "Add a thought to the log of this task. It has no other effect; the answer is the whole log."
                ),
                parameters=ThinkParameters,
                handler=self._think,
                without_effect=True,
            ),
        )

    async def _think(self, parameters: ThinkParameters) -> ToolAnswer:
        if not parameters.thought.strip():
            return ToolAnswer("The thought is blank. Write down what you think, or go on without.", is_error=True)
        self._thoughts.append(parameters.thought)
        return ToolAnswer("Thoughts so far:\n" + "\n".join(self._thoughts), {"thoughts": list(self._thoughts)})
