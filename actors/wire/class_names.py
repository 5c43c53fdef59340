"""Class names: what the annotations of a class name, for a process that has not the class's module.

Annotations may be text, or have text in them, which is looked up in the module of the class when somebody wants to know
the types of its fields: `dataclasses`, `msgspec` and `typing.get_type_hints` do. A class that goes by value takes along
what they will look for.
"""

from __future__ import annotations

import sys
import types
import typing
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

__all__ = ["named_by", "put_in_module"]

_TYPES: Final = (type, typing.NewType, typing.TypeVar)


def named_by(kind: type, is_importable: Callable[[str], bool]) -> dict[str, Any]:
    """Return what the text in a class's own annotations names in its module: types, and modules they are taken from.

    Args:
        kind: the class.
        is_importable: whether another process finds a module by its name.
    """
    module = vars(sys.modules.get(kind.__module__) or types.ModuleType(""))
    found: dict[str, Any] = {}
    for text in _texts(vars(kind).get("__annotations__", {}).values()):
        for name in _names(text):
            value = kind if name == kind.__name__ else module.get(name)
            is_module = isinstance(value, types.ModuleType) and is_importable(value.__name__)
            if is_module or isinstance(value, _TYPES) or typing.get_origin(value) is not None:
                found[name] = value
    return found


def put_in_module(kind: type, names: dict[str, Any]) -> None:
    """Have such names found where they are looked for. Runs in the child, whose modules of these names are others."""
    module = sys.modules.setdefault(kind.__module__, types.ModuleType(kind.__module__))
    for name, value in names.items():
        vars(module).setdefault(name, value)


def _texts(annotations: Iterable[Any]) -> Iterator[str]:
    for annotation in annotations:
        if isinstance(annotation, str):
            yield annotation
        elif isinstance(annotation, typing.ForwardRef):
            yield annotation.__forward_arg__
        else:
            yield from _texts(typing.get_args(annotation))


def _names(text: str) -> Iterable[str]:
    try:
        return compile(text, "<annotation>", "eval").co_names
    except (SyntaxError, ValueError):
        return ()
