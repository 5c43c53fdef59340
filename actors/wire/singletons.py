"""Singletons: objects that others tell by their identity, such as `dataclasses.MISSING`, on their way by name.

A copy of one is another object: a class whose fields have copies of `MISSING` for their defaults is a broken class.
Those with a way of their own, such as members of an enum, say themselves where they are found.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterable
from typing import Any

__all__ = ["reduce_singleton"]


def reduce_singleton(value: Any, is_importable: Callable[[str], bool]) -> tuple[Any, ...] | None:
    """Return how another process finds a singleton, as `__reduce__` does; None for all else.

    It is one if it has no state, and is a variable of a module that the other process finds: of the module of its
    class, or of any if its class is `object`.

    Args:
        value: may be anything.
        is_importable: whether another process finds a module by its name.
    """
    kind: Any = type(value)
    if (
        kind.__reduce_ex__ is not object.__reduce_ex__
        or kind.__reduce__ is not object.__reduce__
        or kind.__new__ is not object.__new__
        or getattr(value, "__dict__", None)
        or any(vars(base).get("__slots__") for base in kind.__mro__)
    ):
        return None
    homes: Iterable[str] = [*sys.modules] if kind is object else [kind.__module__]
    for home in homes:
        name = _name_in(home, value)
        if name is not None and is_importable(home):
            return _found, (home, name)
    return None


def _name_in(home: str, value: object) -> str | None:
    variables = getattr(sys.modules.get(home), "__dict__", {})
    return next((name for name, found in [*variables.items()] if found is value), None)


def _found(home: str, name: str) -> object:
    """Return a variable of a module. Runs in the child."""
    return getattr(importlib.import_module(home), name)
