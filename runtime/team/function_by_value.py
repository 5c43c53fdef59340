"""Function by value: what stands for a function that a program has given, and that goes wherever its team goes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import msgspec

__all__ = ["Function", "FunctionByValue", "GivenFunction"]


class FunctionByValue(msgspec.Struct, frozen=True):
    """A function that a program has given itself, and that another process would not find by its name.

    Attributes:
        name: its own, without those of what it is defined in.
        module: of its code, for tracebacks; empty if it has none.
        pickled: the function.
        sources: the text of its code that is in no file, by the name that stands for one.
    """

    name: str
    module: str
    pickled: bytes
    sources: dict[str, str] = {}

    def __str__(self) -> str:
        return f"function {self.name!r}"


class GivenFunction(FunctionByValue, frozen=True):
    """The same in the process of the program that has given it: with the function itself. It travels without.

    To unpickle a function where it was pickled would put its classes, as they were, over those that the program has.

    Attributes:
        function: what was given.
    """

    function: Callable[..., Any] | None = None

    def __reduce__(self) -> tuple[type[FunctionByValue], tuple[Any, ...]]:
        return FunctionByValue, (self.name, self.module, self.pickled, self.sources)


Function: TypeAlias = str | FunctionByValue
"""A target `package.module:function`, or a function that was given."""
