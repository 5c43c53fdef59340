"""Calls: functions and their arguments on their way from the host into a task's process.

Code that both sides know goes by its name; all else goes by value, with what a traceback wants to show of it.
"""

from __future__ import annotations

import linecache
import os
import pickle
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from ...actors import encode_by_name, encode_by_value

__all__ = ["Call", "encode_call"]

_MOST_SOURCE: Final = 500_000
"""Characters of source text that go with a call; that of a notebook's cells is some thousand."""


class Call(NamedTuple):
    """A function that has come with its task.

    Attributes:
        module: the name of the module that it is of; empty if it is of none.
        sources: the text of code that is in no file, by the name that stands for one.
        payload: function, arguments and keyword arguments, pickled.
    """

    module: str
    sources: dict[str, str]
    payload: bytes

    @classmethod
    def decode(cls, call: bytes) -> Call:
        """Return what `encode_call` has encoded. Runs in the task's process, as does `open`."""
        return cls(*pickle.loads(call))  # noqa: S301 - the host is trusted

    def open(self) -> tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]:
        """Return function, arguments and keyword arguments; raises whatever they raise when they are unpickled."""
        for file, text in self.sources.items():
            # Without a time of its own the entry is never looked up again.
            linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
        function, args, kwargs = pickle.loads(self.payload)  # noqa: S301 - the host is trusted
        return function, args, kwargs


def encode_call(
    function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any], module: str, *, by_value: bool
) -> tuple[bytes, bool] | None:
    """Return a function and its arguments for a task's process, and whether code is in that.

    Args:
        function: what to call.
        args: its arguments.
        kwargs: its keyword arguments.
        module: the name of the module that it is of.
        by_value: whether code that the process could not import may go with it; else None is returned for such.

    Raises:
        Exception: something in it cannot be pickled.
    """
    call = (function, tuple(args), dict(kwargs))
    payload = encode_by_name(call)
    if payload is not None:
        return pickle.dumps((module, {}, payload)), False
    if not by_value:
        return None
    payload, files = encode_by_value(call)
    return pickle.dumps((module, _sources(files), payload)), True


def _sources(files: Iterable[str]) -> dict[str, str]:
    """Return the text of what is in no file that the task's process could read, such as a notebook's cells."""
    sources: dict[str, str] = {}
    room = _MOST_SOURCE
    for file in files:
        if not os.path.exists(file):  # noqa: PTH110 - takes a quarter of the time
            text = "".join(linecache.getlines(file))
            if 0 < len(text) <= room:
                sources[file] = text
                room -= len(text)
    return sources
