"""Chunks: the items of a mapping that one process works through, of which each fails by itself.

Of this, each process of a function looks for `Outcomes`, so nothing is imported here that the zygote has not.
"""

from __future__ import annotations

import traceback
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import msgspec

from .messages import Failed
from .plain_data import encode_result

__all__ = ["Outcomes", "collect_each", "collect_each_async"]


class Outcomes:
    """What came of each item of a chunk, in the task's process: its result as JSON text, or what it raised."""

    def __init__(self) -> None:
        self._each: list[bytes | BaseException] = []

    def add(self, result: Any) -> None:
        """Take a result; one that is not plain data is a failure of its item."""
        try:
            self._each.append(encode_result(result))
        except TypeError as error:
            self._each.append(TypeError(f"The function returned what JSON cannot hold: {error}"))

    def add_error(self, error: BaseException) -> None:
        """Take what the function raised for an item, without what its frames hold."""
        traceback.clear_frames(error.__traceback__)
        self._each.append(error)

    def encode(self, told: Callable[[BaseException], Failed]) -> bytes:
        """Return all of it as JSON text.

        Args:
            told: what to tell the host of an exception.
        """
        return msgspec.json.encode([_encoded(each, told) for each in self._each])


def _encoded(outcome: bytes | BaseException, told: Callable[[BaseException], Failed]) -> dict[str, Any]:
    if isinstance(outcome, bytes):
        return {"result": msgspec.Raw(outcome)}
    failed = told(outcome)
    kind = type(outcome)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    return {
        "error": name,
        "reason": failed.reason,
        "traceback": failed.traceback,
        "arguments": failed.arguments,
    }


def collect_each(function: Callable[[Any], Any], items: Iterable[Any]) -> Outcomes:
    """Call a function with each of some items, whatever it raises for one. Runs in the task's process."""
    outcomes = Outcomes()
    for item in items:
        try:
            result = function(item)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - it is told as the failure of its item
            outcomes.add_error(error)
        else:
            outcomes.add(result)
    return outcomes


async def collect_each_async(function: Callable[[Any], Awaitable[Any]], items: Iterable[Any]) -> Outcomes:
    """As `collect_each`, one after the other."""
    outcomes = Outcomes()
    for item in items:
        try:
            result = await function(item)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - as above
            outcomes.add_error(error)
        else:
            outcomes.add(result)
    return outcomes
