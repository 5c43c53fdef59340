"""Unsendable: finds what keeps a call from being sent to another process, and says where it is, and what would do.

It pickles again and again, ever smaller parts. That is for a call that has failed, and bounded.
"""

from __future__ import annotations

import functools
import types
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from ...actors import encode_by_value
from ..text import one_line
from .callables import label_of

__all__ = ["describe_unsendable"]

_DEEPEST: Final = 20
"""Steps from an argument to what is wrong with it."""

_MOST_PARTS: Final = 1_000
"""Parts of one object that are tried."""

_KINDS: Final[dict[str, tuple[str, str]]] = {
    "_thread.lock": ("a thread lock", "Make it in the function."),
    "_thread.RLock": ("a thread lock", "Make it in the function."),
    "_io.TextIOWrapper": ("an open file", "Give the function its path, and open it there."),
    "_io.BufferedReader": ("an open file", "Give the function its path, and open it there."),
    "_io.BufferedWriter": ("an open file", "Give the function its path, and open it there."),
    "_io.BufferedRandom": ("an open file", "Give the function its path, and open it there."),
    "_io.FileIO": ("an open file", "Give the function its path, and open it there."),
    "socket.socket": ("an open socket", "Give the function the address, and connect there."),
    "sqlite3.Connection": ("a connection to a database", "Give the function its path, and connect there."),
    "weakref.WeakKeyDictionary": ("a dictionary of weak references", "Make it in the function."),
    "weakref.WeakValueDictionary": ("a dictionary of weak references", "Make it in the function."),
    "weakref.ReferenceType": ("a weak reference", "Give the function the object itself."),
    "builtins.generator": ("a generator", "Give the function a list of what it yields."),
    "builtins.async_generator": ("a generator", "Give the function a list of what it yields."),
    "builtins.coroutine": ("a coroutine", "Give the function what it returns, once that is there."),
    "subactors.runtime.verbs.task.Task": ("a task", "Give the function its result, or its id."),
    "subactors.runtime.verbs.awaited.AsyncTask": ("a task", "Give the function its result, or its id."),
    "subactors.runtime.runtime.Runtime": ("a runtime", "Make one in the function, if it needs one."),
    "subactors.runtime.async_runtime.AsyncRuntime": ("a runtime", "Make one in the function, if it needs one."),
}
"""What people call objects of these classes, and what to do in their place."""

_REMEDY: Final = "Make it in the function, or give the function what it is made of."


def describe_unsendable(function: Callable[..., Any], arguments: Sequence[tuple[str, Any]], error: Exception) -> str:
    """Return, in sentences, what of a call cannot be sent.

    Args:
        function: what was to be called.
        arguments: what it was to be given, each with what to call it.
        error: with what the call could not be pickled.
    """
    label = label_of(function)
    for place, value in [*arguments, (f"function {label!r}", function)]:
        wrong = _fault_of(value)
        if wrong is not None:
            where, what, reason = _innermost(place, value, wrong)
            name = _kind(what)
            known = _KINDS.get(name)
            kind, remedy = known or (f"of type {type(what).__qualname__} ({_said(reason)})", _REMEDY)
            return f"{label} cannot be sent to a process of its own: {where} is {kind}. {remedy}"
    return f"{label} cannot be sent to a process of its own: {_said(error)}. {_REMEDY}"


def _innermost(place: str, value: object, wrong: Exception) -> tuple[str, object, Exception]:
    """Return where the smallest part is that cannot be pickled, that part, and what was raised for it."""
    for _ in range(_DEEPEST):
        if _kind(value) in _KINDS:
            break
        for number, (step, part) in enumerate(_parts(value)):
            fault = _fault_of(part) if number < _MOST_PARTS else None
            if fault is not None:
                place, value, wrong = step.replace("*", place, 1), part, fault
                break
        else:
            break
    return place, value, wrong


def _fault_of(value: object) -> Exception | None:
    if isinstance(value, str | bytes | int | float | bool | None):
        return None
    try:
        encode_by_value(value)
    except Exception as error:  # noqa: BLE001 - of whatever the object does when it is pickled
        return error
    return None


def _parts(value: Any) -> Iterator[tuple[str, object]]:
    """Yield what an object is made of, with how it is reached; `*` stands for the object itself."""
    match value:
        case dict():
            for key, part in value.items():
                yield f"*[{one_line(repr(key), 60)}]", part
        case list() | tuple():
            for number, part in enumerate(value):
                yield f"*[{number}]", part
        case set() | frozenset():
            for part in value:
                yield "an element of *", part
        case type() | types.ModuleType():
            pass
        case types.FunctionType():
            yield from _parts_of_function(value)
        case types.MethodType() | functools.partial():
            yield from _parts_of_bound(value)
        case _:
            yield from _parts_of_object(value)


def _parts_of_bound(value: types.MethodType | functools.partial[Any]) -> Iterator[tuple[str, object]]:
    if isinstance(value, types.MethodType):
        yield "the object of *", value.__self__
        yield "*", value.__func__
        return
    yield "*", value.func
    yield from ((f"argument {number} of *", part) for number, part in enumerate(value.args, 1))
    yield from ((f"argument {name!r} of *", part) for name, part in value.keywords.items())


def _parts_of_function(function: types.FunctionType) -> Iterator[tuple[str, object]]:
    yield from ((f"a default of *, {part!r},", part) for part in function.__defaults__ or ())
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            yield f"the variable {name!r} of *", cell.cell_contents
        except ValueError:  # it is not set yet
            continue
    for name in _names_of(function.__code__):
        if name in function.__globals__ and function.__globals__[name] is not function:
            yield f"the variable {name!r} of *", function.__globals__[name]


def _names_of(code: types.CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _names_of(constant)


def _parts_of_object(value: object) -> Iterator[tuple[str, object]]:
    attributes = dict(getattr(value, "__dict__", {}))
    for kind in type(value).__mro__:
        slots = getattr(kind, "__slots__", ())
        for name in [slots] if isinstance(slots, str) else slots:
            if hasattr(value, name):
                attributes.setdefault(name, getattr(value, name))
    for name, part in attributes.items():
        yield "*" if name == "__wrapped__" else f"*.{name}", part


def _kind(value: object) -> str:
    return f"{type(value).__module__}.{type(value).__qualname__}"


def _said(error: Exception) -> str:
    return one_line(f"{type(error).__name__}: {error}".removesuffix("."), 300)
