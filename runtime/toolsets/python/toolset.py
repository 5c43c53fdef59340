"""Python toolset: functions of the team's author as tools. They run in the process of the agent that calls them.

What cannot be a tool is said before the agent begins. What a function raises is an answer to the model, with the part
of the traceback that is in the author's own code.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from ...errors import ToolsetError
from ...tasks.failure import describe_error, own_traceback
from ...tasks.plain_data import NotPlainError, encode_answer
from ...team.function_by_value import Function, FunctionByValue
from ...team.functions import function_of, name_of
from ...team.secrets import blotted
from ...text import bounded, encodable
from ..base import Tool, ToolAnswer, Toolset
from .calls import OutOfTimeError, call
from .docstring import documentation_of
from .signature import Signature

__all__ = ["PythonToolset"]

_LONGEST_DESCRIPTION: Final = 8_000
"""Characters of what a docstring says of a function, for a model."""

_LONGEST_ERROR: Final = 4_000
"""Characters of an exception and its traceback, for a model."""


class _Entry(NamedTuple):
    name: str
    function: Callable[..., Any]
    signature: Signature
    code: str


class PythonToolset(Toolset):
    """Functions as tools. Called in one event loop; calls may run at the same time.

    Args:
        functions: what stands for each of them; see `team/functions`.
        timeout: seconds that a call may take.
        task: returns the task, for functions that want it; None: the agent is no task's.
        environ: where the values of what is withheld are.
        withheld: names of variables whose values no answer shows.

    Raises:
        ImportTargetError: a function cannot be imported.
        ToolsetError: one cannot be a tool.
    """

    def __init__(
        self,
        *,
        functions: Sequence[Function],
        timeout: float = 300.0,
        task: Callable[[], object] | None = None,
        environ: Mapping[str, str] = {},
        withheld: Collection[str] = (),
    ) -> None:
        self._timeout = timeout
        self._task = task
        self._secrets = [environ[name] for name in withheld if name in environ]
        self._tools = tuple(self._tool(function) for function in functions)

    @property
    def tools(self) -> Sequence[Tool]:
        """A tool for each function."""
        return self._tools

    def _tool(self, named: Function) -> Tool:
        name = name_of(named)
        function = _loaded(named)
        description, parameters = documentation_of(function)
        signature = Signature(name, function, parameters)
        if signature.needs_task and self._task is None:
            raise ToolsetError(
                f"The function {name} cannot be a tool here: it wants the task, and this agent is not run as one. Give "
                "that parameter a default of None."
            )
        code = f"{named.module}:{name}" if isinstance(named, FunctionByValue) else named
        return Tool(
            name=name,
            description=bounded(encodable(description or f"The function {name}."), _LONGEST_DESCRIPTION),
            parameters=signature.schema,
            handler=functools.partial(self._call, _Entry(name, function, signature, code)),
        )

    async def _call(self, entry: _Entry, arguments: Mapping[str, Any]) -> ToolAnswer:
        task = self._task() if self._task is not None and entry.signature.takes_task else None
        try:
            args, kwargs = entry.signature.bound(arguments, task)
        except ValueError as error:
            return ToolAnswer(f"Invalid arguments for {entry.name}: {error}", is_error=True)
        try:
            result = await call(
                entry.function, args, kwargs, seconds=self._timeout, name=f"subactors-tool-{entry.name}"
            )
        except OutOfTimeError:
            text = (
                f"{entry.name} has not ended after {self._timeout:g} s. What the call has done, or may still do, is "
                "unknown. The team file's author can give this toolset a longer `timeout`."
            )
            return ToolAnswer(text, is_error=True)
        except asyncio.CancelledError:
            raise  # the agent's, or the function's own: `AgentLoop` tells them apart
        except BaseException as error:  # noqa: BLE001 - whatever a function raises is an answer to a model
            return ToolAnswer(self._failure(entry, error), is_error=True)
        return _answer(entry.name, result)

    def _failure(self, entry: _Entry, error: BaseException) -> str:
        text = f"{entry.name} failed: {describe_error(error)}"
        if traceback := own_traceback(error, [entry.code]):
            text += f"\n\n{traceback}"
        # Libraries quote addresses that they could not reach, keys in them and all.
        return bounded(blotted(text, self._secrets, "[key]"), _LONGEST_ERROR)


def _loaded(named: Function) -> Callable[..., Any]:
    name = name_of(named)
    try:
        function = function_of(named, what=f"The tool {name!r}")
    except ToolsetError:
        raise
    except Exception as error:
        if isinstance(named, str):
            raise
        raise ToolsetError(
            f"The function {name} could not be received: {type(error).__name__}: {error}. What it uses must be there "
            "in the task's process, too."
        ) from error
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise ToolsetError(
            f"The function {name} cannot be a tool: it yields, and a tool has one answer. Return a list."
        )
    return function


def _answer(name: str, result: Any) -> ToolAnswer:
    """Return what a function has returned as an answer: text as it is, other values as JSON."""
    if isinstance(result, ToolAnswer):
        return result
    if result is None:
        return ToolAnswer("(nothing)")
    if isinstance(result, str):
        return ToolAnswer(encodable(str.__str__(result)))
    try:
        data = encode_answer(result)
    except NotPlainError as error:
        return ToolAnswer(f"{name} returned what JSON cannot hold: {error} What it has done is done.", is_error=True)
    return ToolAnswer(data.decode(), msgspec.json.decode(data))
