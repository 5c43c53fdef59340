"""Functions: what stands for a function of the user's in a team, by name or by value.

A team file names it, `package.module:function`. A program that builds its team in Python may give the function itself,
which travels pickled: what both sides can import by its name, all else by value.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any, TypeAlias

import msgspec

from ...actors import encode_object
from .references import resolve

__all__ = ["Function", "FunctionByValue", "by_value", "function_of", "name_of"]


class FunctionByValue(msgspec.Struct, frozen=True):
    """A function that a program has given itself.

    Attributes:
        name: its own, without those of what it is defined in.
        module: of its code, for tracebacks; empty if it has none.
        pickled: the function.
    """

    name: str
    module: str
    pickled: bytes


Function: TypeAlias = str | FunctionByValue
"""A target `package.module:function`, or a function that was given."""


def by_value(function: Callable[..., Any]) -> FunctionByValue:
    """Return what stands for a function in a team.

    Raises:
        TypeError: it cannot be sent to another process; the message says why.
    """
    inner = function
    while (wrapped := getattr(inner, "func", None)) is not None:  # functools.partial
        inner = wrapped
    name = getattr(inner, "__name__", None) or type(inner).__name__
    try:
        pickled = encode_object(function)
    except Exception as error:
        raise TypeError(f"{name} cannot be sent to another process: {type(error).__name__}: {error}") from error
    return FunctionByValue(name, getattr(inner, "__module__", None) or "", pickled)


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
    found: Callable[..., Any] = pickle.loads(function.pickled)  # noqa: S301 - the host's own program gave it
    return found
