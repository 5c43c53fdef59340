"""Functions: what stands for a function of the user's in a team, by name or by value.

A team file names it, `package.module:function`. A program that builds its team in Python may give the function itself,
which travels pickled: what both sides can import by its name, all else by value.
"""

from __future__ import annotations

import contextlib
import functools
import linecache
import os
import pickle
import types
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from ...actors import encode_by_name, encode_by_value
from .callables import check_callable, evaluated, label_of, module_of
from .function_by_value import Function, FunctionByValue, GivenFunction
from .references import is_target, resolve

__all__ = [
    "by_value",
    "function_of",
    "given",
    "module_named",
    "name_of",
    "show_sources",
    "sources_of",
]

_MOST_SOURCE: Final = 500_000
"""Characters of source text that go with a function; that of a notebook's cells is some thousand."""


def given(function: Callable[..., Any]) -> Function:
    """Return what stands for a function that a program gives: its name, if another process finds it by that.

    Raises:
        TypeError: it cannot be sent to another process, or is a generator function.
    """
    check_callable(function, "A team")
    target = f"{getattr(function, '__module__', '')}:{getattr(function, '__qualname__', '')}"
    if isinstance(function, types.FunctionType | type) and is_target(target) and encode_by_name(function) is not None:
        return target
    return by_value(function)


def by_value(function: Callable[..., Any]) -> FunctionByValue:
    """Return what stands for a function in a team, where it is to travel with it.

    Raises:
        TypeError: it cannot be sent to another process; the message says why.
    """
    name = label_of(function)
    try:
        pickled = encode_by_name(function)
        sources = {}
        if pickled is None:
            pickled, files = encode_by_value(_with_types(function))
            sources = sources_of(files)
    except Exception as error:
        from .unsendable import describe_unsendable  # noqa: PLC0415 - for programs with such functions

        raise TypeError(describe_unsendable(function, (), error)) from error
    return GivenFunction(name.rpartition(".")[2] or name, module_of(function), pickled, sources, function)


def _with_types(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function with its annotations as types: names that only they have would not go with it."""
    if not isinstance(function, types.FunctionType):
        return function
    copy = types.FunctionType(
        function.__code__, function.__globals__, function.__name__, function.__defaults__, function.__closure__
    )
    functools.update_wrapper(copy, function)
    vars(copy).pop("__wrapped__", None)
    copy.__kwdefaults__ = function.__kwdefaults__
    copy.__annotations__ = dict(function.__annotations__)
    for name, annotation in function.__annotations__.items():
        with contextlib.suppress(TypeError):  # whoever wants it will say so
            copy.__annotations__[name] = evaluated(annotation, function)
    return copy


def sources_of(files: Iterable[str]) -> dict[str, str]:
    """Return the text of what is in no file that another process could read, such as a notebook's cells."""
    sources: dict[str, str] = {}
    room = _MOST_SOURCE
    for file in files:
        if not os.path.exists(file):  # noqa: PTH110 - takes a quarter of the time
            text = "".join(linecache.getlines(file))
            if 0 < len(text) <= room:
                sources[file] = text
                room -= len(text)
    return sources


def show_sources(sources: Mapping[str, str]) -> None:
    """Have tracebacks show such text, in the process that has the code."""
    for file, text in sources.items():
        # Without a time of its own the entry is never looked up again.
        linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)


def name_of(function: Function) -> str:
    """Return a function's own name; it is not imported."""
    if isinstance(function, FunctionByValue):
        return function.name
    return function.rpartition(":")[2].rpartition(".")[2]


def function_of(function: Function, *, what: str) -> Callable[..., Any]:
    """Return the function. Runs its module's code, in the process that is going to call it.

    Args:
        function: what stands for it.
        what: what it is for, as the beginning of a sentence.

    Raises:
        ImportTargetError: it cannot be found; see `resolve`.
        Exception: whatever one that travels by value raises when it is unpickled.
    """
    if isinstance(function, str):
        return resolve(function, what=what)
    show_sources(function.sources)
    found: Callable[..., Any] = pickle.loads(function.pickled)  # noqa: S301 - the host's own program gave it
    return found


def module_named(function: Function) -> str:
    """Return the name of the module of a function's code; empty if it has none."""
    return function.module if isinstance(function, FunctionByValue) else function.partition(":")[0]
