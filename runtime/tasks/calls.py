"""Calls: functions and their arguments on their way from the host into a task's process.

Code that both sides know goes by its name; all else goes by value, with what a traceback wants to show of it.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from ...actors import encode_by_name, encode_by_value
from ..team.functions import show_sources, sources_of

__all__ = ["Call", "encode_call"]


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
        show_sources(self.sources)
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
    return pickle.dumps((module, sources_of(files), payload)), True
