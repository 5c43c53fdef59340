"""Python model: a function in the place of a model, for deterministic agents inside the ordinary agent loop.

It calls the function and makes a turn of what the function returns. An exception of the function passes unchanged,
because its author needs to see that reason. Nothing here may block the event loop, whatever the function does.
"""

from __future__ import annotations

import asyncio
import copy
import inspect
import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from ..errors import ModelError
from ..team.references import resolve
from ..text import encodable
from .base import Message, ToolCall, ToolSchema, Turn, Usage
from .openai.calls import new_call_id
from .openai.usage import UsageFigures
from .sendable import for_function

if TYPE_CHECKING:
    from ..team.config import Cost

__all__ = ["PythonModel"]

_ALLOWED = (
    "Return a string (the final answer), an OpenAI assistant message (a dict with `content` and `tool_calls`; it may "
    "have the `usage`, too, as OpenAI's answers have it), or an "
    "iterator of strings (streamed)."
)
_END = object()


class PythonModel:
    """A function `function(messages, tools)`, sync or async; implements `Model`.

    A sync function runs in a worker thread, and so does each step of a sync iterator. Stopping the agent cancels an
    async function; a sync one cannot be interrupted and runs to its end.

    Args:
        target: `package.module:function`.
        cost: what the tokens cost that it reports; None: unknown.

    Raises:
        SubactorsError: there is no such function, or its module cannot be imported.
    """

    def __init__(self, target: str, cost: Cost | None = None) -> None:
        self._target = target
        self._cost = cost
        self._function = resolve(target, what=f"The model 'python/{target}'")

    def take_unreported(self) -> Usage:
        """Nothing: what a function has used, it says with its answer."""
        return Usage()

    async def complete(
        self, messages: Sequence[Message], tools: Sequence[ToolSchema], on_text: Callable[[str], None]
    ) -> Turn:
        """Answer the conversation; see `Model.complete`. What the function raises is raised as it is."""
        # Copies, so that the function can do with them what it likes.
        result = await self._call(copy.deepcopy(for_function(messages)), copy.deepcopy(list(tools)))
        match result:
            case str():
                return self._turn(result, (), on_text)
            case Mapping():
                figures = UsageFigures()
                figures.add(result.get("usage"))
                turn = self._turn(self._content(result), self._tool_calls(result), on_text)
                return msgspec.structs.replace(turn, usage=figures.usage(self._cost))
            case AsyncIterator() | Iterator():
                return await self._streamed(result, on_text)
            case _:
                raise self._error(f"returned {_described(result)}. {_ALLOWED}")

    async def close(self) -> None:
        """Nothing to give back."""

    async def _call(self, messages: list[Message], tools: list[ToolSchema]) -> object:
        function = self._function
        if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
            result = function(messages, tools)
        else:
            result = await asyncio.to_thread(_without_stop_iteration, function, messages, tools)
        # Also what a sync wrapper around an async function returns.
        return await result if inspect.isawaitable(result) else result

    async def _streamed(self, pieces: AsyncIterator[object] | Iterator[object], on_text: Callable[[str], None]) -> Turn:
        text = ""
        while True:
            if isinstance(pieces, AsyncIterator):
                piece = await anext(pieces, _END)
            else:
                piece = await asyncio.to_thread(next, pieces, _END)
            if piece is _END:
                return Turn(content=text, usage=Usage(requests=1))
            if not isinstance(piece, str):
                raise self._error(f"streamed {_described(piece)}; every piece must be a string.")
            if piece := encodable(piece):
                text += piece
                on_text(piece)

    def _turn(self, content: str, tool_calls: tuple[ToolCall, ...], on_text: Callable[[str], None]) -> Turn:
        if content := encodable(content):
            on_text(content)
        return Turn(content=content, tool_calls=tool_calls, usage=Usage(requests=1))

    def _content(self, message: Mapping[str, Any]) -> str:
        if not message.keys() & {"content", "tool_calls"}:
            raise self._error(f"returned a dict with neither `content` nor `tool_calls`. {_ALLOWED}")
        content = message.get("content")
        if content is None:
            return ""
        if not isinstance(content, str):
            raise self._error(f"returned a message whose `content` is {_described(content)}, not a string or None.")
        return content

    def _tool_calls(self, message: Mapping[str, Any]) -> tuple[ToolCall, ...]:
        match message.get("tool_calls"):
            case None:
                return ()
            case [*calls]:
                return tuple(self._tool_call(call) for call in calls)
            case other:
                raise self._error(f"returned a message whose `tool_calls` is {_described(other)}, not a list.")

    def _tool_call(self, call: object) -> ToolCall:
        match call:
            case {"function": {"name": str(name), **function}, **others}:
                arguments = function.get("arguments")
                if arguments is None:
                    arguments = "{}"
                elif isinstance(arguments, Mapping):
                    arguments = self._encoded(name, arguments)
                elif not isinstance(arguments, str):
                    raise self._error(
                        f"called {name!r} with arguments that are {_described(arguments)}, not a dict or JSON text."
                    )
                return ToolCall(id=str(others.get("id") or new_call_id()), name=name, arguments=encodable(arguments))
            case _:
                raise self._error(
                    f"returned a tool call that is {_described(call)}. Each one has the form "
                    '{"function": {"name": "…", "arguments": {…}}}.'
                )

    def _encoded(self, name: str, arguments: Mapping[str, Any]) -> str:
        try:
            return json.dumps(dict(arguments), ensure_ascii=False)
        except (TypeError, ValueError) as error:
            raise self._error(f"called {name!r} with arguments that JSON cannot hold: {error}.") from error

    def _error(self, message: str) -> ModelError:
        return ModelError(f"Model 'python/{self._target}' {message}")


def _without_stop_iteration(
    function: Callable[..., object], messages: list[Message], tools: list[ToolSchema]
) -> object:
    """Call the function in a worker thread.

    A future cannot carry a StopIteration, and on Python 3.11 whoever awaits it would wait for ever; `next(answers)` on
    a list of prepared answers that has run out raises just that.
    """
    try:
        return function(messages, tools)
    except StopIteration as error:
        raise RuntimeError("the function raised StopIteration: an iterator in it has no more items") from error


def _described(value: object) -> str:
    if value is None:
        return "None"
    text = repr(value)
    return f"{text if len(text) <= 80 else text[:79] + '…'} ({type(value).__name__})"  # noqa: PLR2004 - a line's width
