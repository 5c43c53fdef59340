"""Arguments: refuses what a verb cannot take, with a sentence, before anything is started or waited for."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

__all__ = ["NotPickled", "check_choice", "check_seconds", "check_whole", "several", "type_name"]

T = TypeVar("T")


def type_name(value: object) -> str:
    """Return what to call the type of a value, as the end of a sentence that begins with its name."""
    return f"of type {type(value).__name__}"


def check_choice(name: str, value: object, choices: Sequence[str]) -> None:
    """Refuse all but some texts.

    Raises:
        TypeError: it is no text.
        ValueError: it is another.
    """
    allowed = f"it must be {', '.join(map(repr, choices[:-1]))} or {choices[-1]!r}."
    if not isinstance(value, str):
        raise TypeError(f"{name} is {type_name(value)}; {allowed}")
    if value not in choices:
        raise ValueError(f"{name} is {value!r}; {allowed}")


def check_whole(name: str, value: object) -> None:
    """Refuse all but whole numbers of at least 1.

    Raises:
        TypeError: it is no whole number.
        ValueError: it is below 1.
    """
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} is {type_name(value)}; it must be a whole number.")
    if value < 1:
        raise ValueError(f"{name} is {value}; it must be at least 1.")


def check_seconds(timeout: object) -> None:
    """Refuse what is not a number of seconds. Below 0 is as 0, as in the standard library; None is without end.

    Raises:
        TypeError: it is no number.
        ValueError: it is not a number, as floats have it.
    """
    if timeout is None:
        return
    if isinstance(timeout, bool) or not isinstance(timeout, int | float):
        raise TypeError(f"timeout is {type_name(timeout)}; it must be a number of seconds, or None.")
    if math.isnan(timeout):
        raise ValueError("timeout is nan; it must be a number of seconds, or None.")


def several(values: Iterable[T], what: str) -> Iterable[T]:
    """Return what can be iterated as it is.

    Raises:
        TypeError: it cannot be.
    """
    given: Any = values
    if hasattr(given, "__aiter__") and not hasattr(given, "__iter__"):
        raise TypeError(
            f"The {what} are an async iterable ({type_name(given)}), which only `AsyncRuntime.map` takes. Elsewhere "
            "give a list of what it yields."
        )
    if not hasattr(given, "__iter__") and not hasattr(given, "__getitem__"):
        raise TypeError(f"Several {what} are wanted, as a list, and this is {type_name(given)}.")
    return values


class NotPickled:
    """What stands for something in this process, and says so when it is pickled. A copy of it is the same."""

    __slots__ = ()

    def __reduce__(self) -> Any:
        remedy = "Give another process the ids of tasks, or their results."
        raise TypeError(f"A {type(self).__name__} cannot be pickled: it is of this process. {remedy}")

    def __copy__(self) -> Any:
        return self

    def __deepcopy__(self, _: object) -> Any:
        return self
