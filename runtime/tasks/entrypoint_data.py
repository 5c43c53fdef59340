"""Entrypoint data: what a function wants of its task's data, and the data as that.

A function whose second parameter is annotated gets it decoded as that. It is the same in a task's process, which is
going to call the function, and before, where somebody wants to know whether it can.
"""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

import msgspec

from ..team.callables import evaluated
from .decoding import decode_as

__all__ = ["DataParameter", "data_arguments", "data_parameter"]

_DATA: Final = "data"


class DataParameter(NamedTuple):
    """The second parameter of an entrypoint.

    Attributes:
        name: its name.
        kind: its annotation; None: it has none, and takes plain data as it is.
        by_name: whether it is given by its name.
        required: whether the function cannot be called without it.
    """

    name: str
    kind: Any
    by_name: bool
    required: bool


def data_parameter(function: Callable[..., Any]) -> DataParameter | None:
    """Return the parameter that takes the task's data; None if there is none.

    Without an annotation it is one only if the function could not be called otherwise.
    """
    code = getattr(function, "__code__", None)
    # Looked at first, as most have one parameter, and a signature takes many times as long.
    if isinstance(code, types.CodeType) and code.co_argcount + code.co_kwonlyargcount < 2 and not _is_wrapped(function):  # noqa: PLR2004 - the task, and what follows
        return None
    try:
        parameters = list(inspect.signature(function).parameters.values())[1:2]
    except (TypeError, ValueError):  # of a builtin
        return None
    if not parameters or parameters[0].kind in {inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD}:
        return None
    (second,) = parameters
    required = second.default is second.empty
    if second.annotation is second.empty and not required:
        return None
    kind = None if second.annotation is second.empty else evaluated(second.annotation, function)
    return DataParameter(second.name, kind, second.kind is second.KEYWORD_ONLY, required)


def data_arguments(
    function: Callable[..., Any], data: str | None, what: str
) -> tuple[tuple[Any, ...], Mapping[str, Any]]:
    """Return what a function is given beside its task.

    Args:
        function: the entrypoint.
        data: of its task, as JSON text; None: there is none.
        what: what the function is, such as `the entrypoint of agent 'writer'`.

    Raises:
        NotOfTypeError: the data is not what the function takes.
        TypeError: the function cannot be called without, and there is none.
    """
    parameter = data_parameter(function)
    if parameter is None:
        return (), {}
    if data is None:
        if parameter.required:
            raise TypeError(
                f"There is no data for {parameter.name!r}, without which {what} cannot be called. "
                "Give it with the task: run(agent, text, data=…)."
            )
        return (), {}
    value = msgspec.json.decode(data)
    if parameter.kind is not None:
        value = decode_as(parameter.kind, value, f"The data for {what}", _DATA)
    return ((), {parameter.name: value}) if parameter.by_name else ((value,), {})


def _is_wrapped(function: Callable[..., Any]) -> bool:
    return hasattr(function, "__wrapped__") or hasattr(function, "__signature__")
