"""Tools: what a model sees of them, schemas in, answers out.

A tool call never raises. Whatever is wrong with it becomes an answer that says so and how to do better: an unknown
tool, arguments that are not JSON or have the wrong type, a denied tool, a handler that failed. The reader is a model,
and can try again. Nothing here knows of processes or of the supervisor.
"""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from ..errors import ToolsetError
from ..models.base import ToolSchema
from ..models.tool_names import plain_name
from ..team.permissions import Permissions, unasked
from ..text import bounded, one_line
from .parameters import fields_of, given_arguments, parse_arguments, schema_of

if TYPE_CHECKING:
    from ..tasks.news import News

__all__ = ["NoParameters", "Tool", "ToolAnswer", "ToolBox", "ToolParameters", "Toolset", "preload"]

_SHOWN_NAME = 100
"""Characters of a name that no tool has, in the answer to its call."""


class ToolAnswer(msgspec.Struct, frozen=True):
    """Answer of a tool call.

    Attributes:
        text: what the model reads.
        data: the same for programs: plain data, or None where there is nothing but text.
        is_error: whether the call failed; the text then says what to do.
        told: tasks whose ends it shows. The turn that it is of tells of them (`Toolset.tell_by_turns`), or whoever has
            called the tool says that he has it (`Gateway.acknowledge`).
    """

    text: str
    data: Any = None
    is_error: bool = False
    told: tuple[str, ...] = ()


class ToolParameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Base of the parameters of tools; a parameter that it does not know is an error for the model."""


class NoParameters(ToolParameters, frozen=True):
    """The parameters of a tool that has none."""


class Tool(msgspec.Struct, frozen=True):
    """One tool.

    Attributes:
        name: what the model calls it.
        description: what it does, for the model.
        parameters: a frozen `msgspec.Struct` with `forbid_unknown_fields`; fields without a default are required, and
            `Annotated[..., msgspec.Meta(description=...)]` describes each to the model. Or a JSON schema of an object,
            where whoever answers the call checks the arguments.
        handler: awaited with an instance of `parameters`, or with the arguments as a mapping if that is a schema, in
            the event loop of the agent that called.
        polling: whether it only looks at what changes by itself. Such calls may be repeated, as long as their toolset's
            `at_work` says that something changes.
        without_effect: whether it neither changes nor finds out anything, as `think`.
    """

    name: str
    description: str
    parameters: type[msgspec.Struct] | Mapping[str, Any]
    handler: Callable[[Any], Awaitable[ToolAnswer]]
    polling: bool = False
    without_effect: bool = False

    @property
    def schema(self) -> ToolSchema:
        """The tool in OpenAI's format, with the parameters' JSON schema inlined."""
        schema = self.parameters if isinstance(self.parameters, Mapping) else schema_of(self.parameters)
        return {
            "type": "function",
            "function": {"name": self.name, "description": self.description, "parameters": dict(schema)},
        }


class Toolset(ABC):
    """A group of tools with one lifetime: that of the task (or orchestrator) that it was built for.

    Attributes:
        instruction: a paragraph for the system prompt; may be empty.
        needs_opening: whether `open` has to be awaited before it has tools.
        optional: whether its agent starts without it where it cannot be had.
        missing: why it is not there, as a sentence; empty if it is.
    """

    instruction: str = ""
    needs_opening: bool = False
    optional: bool = False
    missing: str = ""

    @property
    @abstractmethod
    def tools(self) -> Sequence[Tool]:
        """The tools, in a stable order; those of a toolset that `needs_opening`, once it is open."""

    async def open(self) -> None:  # noqa: B027 - most toolsets are ready as they are
        """Make ready what `needs_opening`; called once, in the event loop that will call the tools.

        Raises:
            ToolsetError: it cannot be; the message says why. `close` is called all the same.
        """

    def leave_out(self, reason: str) -> None:
        """Do without the toolset, for this reason; called of one that is `optional`."""
        self.missing = reason

    async def news(self, *, answered: bool) -> str:
        """Return what the agent is to be told between two turns, as one block of text; empty if there is nothing.

        Args:
            answered: whether it has given its last answer, which does not count then if there is something.
        """
        del answered
        return ""

    async def at_work(self) -> bool:
        """Whether something that its polling tools look at may still change; called in their event loop."""
        return True

    def tell_by_turns(self) -> None:  # noqa: B027 - most toolsets have no news
        """Let what their answers show be told by turns: `take_told` is called at the end of each."""

    def take_told(self) -> list[str]:
        """Return the tasks of whose ends the agent has been told since the last call."""
        return []

    async def owed(self, *, wait: bool, known: tuple[str, ...]) -> News | None:
        """Return what a loop that is not ours is to be told; None if nothing. Ends stay owed until it says it was.

        Args:
            wait: whether to wait until there is something; not where nothing can come.
            known: ids of the questions that it has been told of.
        """
        del wait, known
        return None

    def note_asked(self, question_ids: Iterable[str]) -> None:  # noqa: B027 - most toolsets ask nothing
        """Take note of questions that such a loop has been told of. May be called from any thread."""

    async def wake(self, *, at_once: bool = False) -> str | None:
        """Wait until its agent, which has given its last answer, is to be woken, and return what it is told then.

        Empty: another toolset may have something. None: there is nothing to wait for, and the answer counts.

        Args:
            at_once: whether not to wait: its time is up. Then it is told what there is.
        """
        del at_once
        return None

    async def close(self) -> None:  # noqa: B027 - most toolsets hold nothing
        """Give back what the toolset holds; called once, in the event loop that called the tools."""


class ToolBox:
    """All tools of one agent: the schemas for its model, and the way to call them.

    Args:
        toolsets: what the agent has; of two tools with one name the first wins.
        permissions: which calls may be made.
        limit: characters of one answer that reach the model.
        approve: asks a person about a call, given its tool, the pattern by which that is to be, and the arguments, and
            returns why it must not be made; empty if it may. None: there is nobody.
    """

    def __init__(
        self,
        toolsets: Sequence[Toolset],
        *,
        permissions: Permissions = Permissions(),  # noqa: B008 - a frozen value
        limit: int = 30_000,
        approve: Callable[[str, str, Mapping[str, Any]], Awaitable[str]] | None = None,
    ) -> None:
        self._approve = approve
        self._toolsets = tuple(toolsets)
        self._limit = limit
        self._permissions = permissions
        self._tools: dict[str, Tool] = {}
        self._denied: set[str] = set()
        for toolset in self._toolsets:
            if not toolset.needs_opening:
                self._add(toolset)

    def _add(self, toolset: Toolset) -> None:
        denied = {tool.name for tool in toolset.tools if self._permissions.denies_tool(tool.name)}
        twice = [tool.name for tool in toolset.tools if tool.name in self._tools and tool.name not in denied]
        if twice and toolset.needs_opening:
            raise ToolsetError(
                f"Two toolsets have a tool {twice[0]!r}. Give the MCP server's toolset a `name`, which then "
                "stands before the names of its tools, or choose from them with `tools`."
            )
        self._denied |= denied
        for tool in toolset.tools:
            if tool.name not in denied:
                self._tools.setdefault(tool.name, tool)

    @property
    def needs_opening(self) -> bool:
        """Whether `open` has to be awaited before all tools are there."""
        return any(toolset.needs_opening for toolset in self._toolsets)

    async def open(self) -> None:
        """Open the toolsets that need it, all at once; `close` is owed whatever happens.

        Raises:
            ToolsetError: one that is not optional cannot be opened, or has a tool of another's name.
        """
        import asyncio  # noqa: PLC0415 - who imports the runtime for something else need not pay for it

        closed = [toolset for toolset in self._toolsets if toolset.needs_opening]
        opening = [asyncio.create_task(toolset.open()) for toolset in closed]
        try:
            await asyncio.gather(*opening)
        except BaseException:
            for task in opening:
                task.cancel()
            await asyncio.gather(*opening, return_exceptions=True)
            raise
        for toolset in closed:
            try:
                self._add(toolset)
            except ToolsetError as error:
                if not toolset.optional:
                    raise
                toolset.leave_out(str(error))

    @property
    def schemas(self) -> list[ToolSchema]:
        """The tools in OpenAI's format; denied ones are not offered."""
        return [tool.schema for tool in self._tools.values()]

    @property
    def instructions(self) -> list[str]:
        """The paragraphs that the toolsets add to the system prompt."""
        return [toolset.instruction for toolset in self._toolsets if toolset.instruction]

    @property
    def missing(self) -> list[str]:
        """The missing optional toolsets, and why: a sentence each."""
        return [toolset.missing for toolset in self._toolsets if toolset.missing]

    def is_polling(self, name: str) -> bool:
        """Whether repeating a call of this tool is ordinary."""
        tool = self._tool(name)
        return tool is not None and tool.polling

    def has_effect(self, name: str) -> bool:
        """Whether a call of this tool may change something, or find something out."""
        tool = self._tool(name)
        return tool is not None and not tool.without_effect

    def may_change(self, name: str) -> bool:
        """Whether a call of this tool may change something, so that to make it again is not the same as once."""
        return self.has_effect(name) and not self.is_polling(name)

    async def at_work(self) -> bool:
        """Whether something that polling tools look at may still change."""
        looking = [toolset for toolset in self._toolsets if any(tool.polling for tool in toolset.tools)]
        for toolset in looking:
            if await toolset.at_work():
                return True
        return False

    async def news(self, *, answered: bool) -> str:
        """Return what all toolsets have to tell between two turns; see `Toolset`."""
        return "\n\n".join([text for toolset in self._toolsets if (text := await toolset.news(answered=answered))])

    async def owed(self, *, wait: bool = False, known: tuple[str, ...] = ()) -> News | None:
        """Return what the first toolset has that has something; see `Toolset`."""
        for toolset in self._toolsets:
            if (news := await toolset.owed(wait=wait, known=known)) is not None:
                return news
        return None

    def note_asked(self, question_ids: Iterable[str]) -> None:
        """See `Toolset`."""
        for toolset in self._toolsets:
            toolset.note_asked(question_ids)

    def tell_by_turns(self) -> None:
        """See `Toolset`."""
        for toolset in self._toolsets:
            toolset.tell_by_turns()

    def take_told(self) -> list[str]:
        """See `Toolset`."""
        return [task_id for toolset in self._toolsets for task_id in toolset.take_told()]

    async def wake(self) -> str:
        """Return what the agent has to know before its last answer counts; empty: that counts. May take long."""
        for toolset in self._toolsets:
            while (told := await toolset.wake()) is not None:
                told = told or await self.news(answered=True)
                if told:
                    return told
        return ""

    async def wake_at_once(self) -> str | None:
        """Return what the agent has to know whose time is up, which may be nothing; None: its last answer counts."""
        kept_back = False
        for toolset in self._toolsets:
            if (told := await toolset.wake(at_once=True)) is not None:
                kept_back = True
                if told := told or await self.news(answered=True):
                    return told
        return "" if kept_back else None

    async def call(self, name: str, arguments: str) -> ToolAnswer:
        """Call a tool with arguments as JSON text; answers, and never raises but on cancellation."""
        tool = self._tool(name)
        if tool is None:
            return self._no_such_tool(name)
        name = tool.name
        try:
            parameters = parse_arguments(tool.parameters, arguments)
        except ValueError as error:
            return ToolAnswer(f"Invalid arguments for {name}: {error}", is_error=True)
        refusal = await self._refusal(name, given_arguments(parameters))
        if refusal:
            return ToolAnswer(refusal, is_error=True)
        try:
            answer = await tool.handler(parameters)
        except Exception as error:  # noqa: BLE001 - a tool that fails must not end the agent that called it
            return ToolAnswer(f"{name} failed: {type(error).__name__}: {error}", is_error=True)
        return msgspec.structs.replace(answer, text=bounded(answer.text, self._limit))

    async def _refusal(self, name: str, given: Mapping[str, Any]) -> str:
        """Return why a call must not be made, which a person may have said; empty if it may be."""
        asking = self._permissions.asked_by(name, given)
        denial = self._permissions.denial(name, given)
        if denial or asking is None:
            return denial
        return unasked(name, asking) if self._approve is None else await self._approve(name, asking, given)

    async def close(self) -> None:
        """Close every toolset; what one raises does not keep the others open.

        Those that `open` made ready are closed all at once, as each may take a moment; then the others, the last first.
        """
        import asyncio  # noqa: PLC0415 - who imports the runtime for something else need not pay for it

        opened = [toolset.close() for toolset in self._toolsets if toolset.needs_opening]
        await asyncio.gather(*opened, return_exceptions=True)
        for toolset in reversed([toolset for toolset in self._toolsets if not toolset.needs_opening]):
            try:
                await toolset.close()
            except Exception:  # noqa: BLE001, S112 - the task's outcome is decided; nothing to report it to
                continue

    def _tool(self, name: str) -> Tool | None:
        """Return the tool that a model means; several write its name in a form of their own."""
        return self._tools.get(name) or self._tools.get(plain_name(name))

    def _no_such_tool(self, name: str) -> ToolAnswer:
        if {name, plain_name(name)} & self._denied:
            return ToolAnswer(f"Tool {plain_name(name)!r} is denied by the team file's permissions.", is_error=True)
        available = ", ".join(self._tools) or "none"
        missing = "".join(f" {sentence}" for sentence in self.missing)
        shown = one_line(name, _SHOWN_NAME)
        return ToolAnswer(f"There is no tool {shown!r}. Available tools: {available}.{missing}", is_error=True)


def preload() -> None:
    """Make the schemas of all tools that are loaded, once for all processes that are forked from this one.

    And what their parameters are parsed by: what annotations mean takes Python's parser, 75 pages of a process.
    """
    kinds = ToolParameters.__subclasses__()
    for kind in kinds:
        kinds.extend(kind.__subclasses__())
        schema_of(kind)
        fields_of(kind)
        with contextlib.suppress(msgspec.ValidationError):
            msgspec.convert(None, kind)
