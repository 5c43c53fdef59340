"""Callables: what a callable is called, and what makes it one that no task can run."""

from __future__ import annotations

import functools
import inspect
import types
from collections.abc import Callable, Mapping
from typing import Any

from ..text import LONGEST_NAME, encodable, one_line

__all__ = ["check_callable", "check_own_keywords", "evaluated", "label_of", "module_of"]


def check_callable(function: object, what: str) -> None:
    """Refuse what cannot be called, and what yields in place of returning.

    Raises:
        TypeError: it is so.
    """
    if not callable(function):
        raise TypeError(f"{what} wants a function, not {type(function).__name__}.")
    code = getattr(_innermost(function), "__code__", None)
    if isinstance(code, types.CodeType) and code.co_flags & (inspect.CO_GENERATOR | inspect.CO_ASYNC_GENERATOR):
        raise TypeError(
            f"{label_of(function)} is a generator function. A task has one result: return a list, or what makes it "
            "small. What it is to say meanwhile, it can print."
        )


def check_own_keywords(function: Callable[..., Any], given: Mapping[str, Any]) -> None:
    """Refuse keywords of `submit` that may have been meant for the function.

    Args:
        function: what to call.
        given: the keywords of `submit`, by name; those that are None have not been given.

    Raises:
        TypeError: the function has a parameter of such a name.
    """
    names = [name for name, value in given.items() if value is not None]
    if not names:
        return
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):  # of a builtin, which has none to look at
        return
    for name in names:
        if name in parameters and parameters[name].kind is not inspect.Parameter.POSITIONAL_ONLY:
            label = label_of(function)
            raise TypeError(
                f"{name} is a keyword of submit, and a parameter of {label}, too. To give it to the function, submit "
                f"functools.partial({label}, {name}=...)."
            )


def label_of(function: object, name: str | None = None) -> str:
    """Return what a task that calls a function is called.

    Args:
        function: what is called.
        name: what the program calls it; None: as the function is called.

    Raises:
        TypeError: the name is no text.
        ValueError: it is empty.
    """
    if name is None:
        inner = _unbound(function)
        name = getattr(inner, "__qualname__", None) or getattr(inner, "__name__", None)
        if not isinstance(name, str):
            name = type(inner).__qualname__
        name = name.rpartition("<locals>.")[2] or name
    elif not isinstance(name, str):
        raise TypeError(f"The name of a task is text, not {type(name).__name__}.")
    elif not name.strip():
        raise ValueError("The name of a task is empty. Leave it out, and it is the function's.")
    return encodable(one_line(name, LONGEST_NAME))


def module_of(function: object) -> str:
    """Return the name of the module that a function is of; empty if it is of none, or of this package."""
    module = getattr(_unbound(function), "__module__", None)
    return module if isinstance(module, str) and not module.startswith("subactors.") else ""


def evaluated(annotation: Any, function: Callable[..., Any]) -> Any:
    """Return an annotation that its module has left as text, as the type that it names.

    Raises:
        TypeError: it cannot be looked up.
    """
    if not isinstance(annotation, str):
        return annotation
    inner: Any = inspect.unwrap(function)
    while not isinstance(inner, types.FunctionType):
        inner = getattr(inner, "func", None) or getattr(inner, "__func__", None) or vars(type(inner)).get("__call__")
        if inner is None:
            return annotation
    try:
        cells = zip(inner.__code__.co_freevars, inner.__closure__ or (), strict=True)
        names = {name: cell.cell_contents for name, cell in cells}
        return eval(annotation, inner.__globals__, names)  # noqa: S307 - its own code
    except Exception as error:
        raise TypeError(
            f"The annotation {annotation!r} cannot be looked up where the function is called: {error}. Have its "
            "names in the module itself, outside of functions and of `if TYPE_CHECKING`."
        ) from error


def _unbound(function: object) -> Any:
    """Return a function without what `functools.partial` has bound to it."""
    while isinstance(function, functools.partial):
        function = function.func
    return function


def _innermost(function: object) -> Any:
    """Return the function whose code makes what a call returns; None for what is not of this kind."""
    function = _unbound(function)
    if isinstance(function, type):
        return None
    if not isinstance(function, types.FunctionType | types.MethodType | types.BuiltinFunctionType):
        function = vars(type(function)).get("__call__")
    return function.__func__ if isinstance(function, types.MethodType) else function
