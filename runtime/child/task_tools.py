"""Task tools: the tools of an agent for its own function, as its model would have them."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..models.base import ToolCall, ToolSchema
from ..tasks.plain_data import NotPlainError, encode_result
from ..toolsets.base import ToolAnswer, ToolBox
from ..toolsets.told import Told

if TYPE_CHECKING:
    from ..agent.loop_thread import LoopThread
    from ..tasks.news import News
    from .reporter import Reporter

__all__ = ["TaskTools"]


class TaskTools:
    """The tools of a task's agent: those of its `toolsets`, and `transfer_task` where it has `sub_agents`.

    They are opened at the first use, and closed at the end of the task. The permissions and bounds are those that hold
    for a model, and the calls are among the task's events. Every method may be called from any thread.

    Args:
        loop: where they work.
        build: makes them.
        reporter: hears of calls.
        acknowledge: tells the supervisor of whose ends the function has been told.
    """

    def __init__(
        self,
        loop: LoopThread,
        build: Callable[[], ToolBox],
        reporter: Reporter,
        acknowledge: Callable[[Sequence[str]], object],
    ) -> None:
        self._loop = loop
        self._told = Told(acknowledge, self._note_asked)
        self._build = build
        self._reporter = reporter
        self._numbers = itertools.count(1)
        self._box: ToolBox | None = None
        self._opening: asyncio.Task[ToolBox] | None = None

    @property
    def schemas(self) -> list[ToolSchema]:
        """The tools in OpenAI's format, for a model. Denied ones are not offered.

        The first use opens the tools and blocks meanwhile, as do `instructions` and `missing`; `aopen` does not.

        Raises:
            ToolsetError: a toolset cannot be opened; the message says why.
        """
        return self._opened().schemas

    @property
    def instructions(self) -> str:
        """What the toolsets add to a system prompt."""
        return "\n\n".join(self._opened().instructions)

    @property
    def missing(self) -> list[str]:
        """The optional toolsets that are missing, and why, a sentence each."""
        return self._opened().missing

    def call(self, name: str, arguments: str | Mapping[str, Any] = "", /, **parameters: Any) -> ToolAnswer:
        """Call a tool, and wait for its answer. Whatever is wrong with the call is an answer, with `is_error`.

        Args:
            name: of the tool.
            arguments: as JSON text, as a model writes it, or as a mapping.
            parameters: more arguments, by name.

        Raises:
            ToolsetError: a toolset cannot be opened; the message says why.
            TypeError: the name is no text, or the arguments are not plain data by their names.
            RuntimeClosedError: the task has come to its end.
        """
        text = _as_json(name, arguments, parameters)
        return self._told.answered(self._loop.run(self._call, name, text, called=name))

    async def acall(self, name: str, arguments: str | Mapping[str, Any] = "", /, **parameters: Any) -> ToolAnswer:
        """As `call`, without holding up the event loop; to cancel the wait ends the call, but stops no task."""
        from ..verbs.awaiting import tool_answer  # noqa: PLC0415 - for functions that are async

        text = _as_json(name, arguments, parameters)
        return self._told.answered(
            await tool_answer(lambda: self._loop.start(self._call, name, text), lambda: self._loop.cut_short(name))
        )

    def notices(self) -> str:
        """Return what is to be told of tasks that have ended since it was asked last, oldest first; empty: nothing.

        It is one block, marked as data and bounded, for the next message to the model. An end that an answer of a tool
        has shown is not in it. What is returned counts as told. Raises as `call`.
        """
        return self._told.notice(self._loop.run(self._owed, self._told.asked, called="notices"))

    async def anotices(self) -> str:
        """As `notices`, without holding up the event loop; cancelled, it has told nothing."""
        from ..verbs.awaiting import future_result  # noqa: PLC0415 - for functions that are async

        starting = self._loop.start(self._owed, self._told.asked)
        return self._told.notice(await future_result(starting, lambda: self._loop.cut_short("notices")))

    async def next_notice(self) -> str:
        """Wait until there is something of that, and return it; empty as soon as nothing that was started runs.

        A wait that is cancelled takes nothing with it: the next one has it.
        """
        from ..verbs.awaiting import tool_answer  # noqa: PLC0415 - for functions that are async

        while True:
            news = await tool_answer(
                lambda: self._loop.start(self._owed, self._told.asked, True),
                lambda: self._loop.cut_short("next_notice"),
            )
            # Somebody else may have been told of it meanwhile.
            if (notice := self._told.notice(news)) or news is None:
                return notice

    async def aopen(self) -> None:
        """Open the tools, without holding up the event loop; raises as `schemas`."""
        from ..verbs.awaiting import future_result  # noqa: PLC0415 - for functions that are async

        await future_result(self._loop.start(self._open), lambda: self._loop.cut_short("the opening"))

    async def close(self) -> None:
        """Close what is open. In the loop of the tools."""
        if self._opening is not None:
            self._opening.cancel()
            await asyncio.wait([self._opening])
        if self._box is not None:
            await self._box.close()

    def _opened(self) -> ToolBox:
        return self._loop.run(self._open)

    async def _open(self) -> ToolBox:
        if self._opening is None:
            self._opening = asyncio.create_task(self._make_ready())
        # Others may wait for it, too.
        return await asyncio.shield(self._opening)

    async def _make_ready(self) -> ToolBox:
        box = self._box = self._build()
        await box.open()
        for sentence in box.missing:
            self._reporter.text(f"[{sentence} The task goes on without it.]\n")
        return box

    def _note_asked(self, question_ids: Sequence[str]) -> None:
        if self._box is not None:
            self._box.note_asked(question_ids)

    async def _owed(self, known: tuple[str, ...] = (), wait: bool = False) -> News | None:
        return await (await self._open()).owed(wait=wait, known=known)

    async def _call(self, name: str, arguments: str) -> ToolAnswer:
        box = await self._open()
        call = ToolCall(f"call_{next(self._numbers)}", name, arguments)
        self._reporter.tool_called(call)
        answer = ToolAnswer(f"{name} failed: it was cancelled.", is_error=True)
        try:
            answer = await box.call(name, arguments)
        finally:
            self._reporter.tool_answered(call, answer)
        return answer


def _as_json(name: str, arguments: str | Mapping[str, Any], parameters: Mapping[str, Any]) -> str:
    if not isinstance(name, str):
        raise TypeError(f"The name of a tool is text, and this is of type {type(name).__name__}.")
    if not isinstance(arguments, str | Mapping):
        raise TypeError(
            f"The arguments of a tool are a mapping, or JSON text, and these are of type {type(arguments).__name__}. "
            "Give one by its name: task.tools.call(name, path=…)."
        )
    if isinstance(arguments, str):
        if not parameters:
            return arguments
        if arguments:
            raise TypeError("Give the arguments of a tool as JSON text, or by name; not both.")
        arguments = {}
    try:
        return encode_result({**arguments, **parameters}).decode()
    except NotPlainError as error:
        raise TypeError(f"An argument of the tool is not plain data: {error}") from None
