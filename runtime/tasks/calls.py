"""Calls: functions and their arguments on their way from the host into a task's process.

Code that both sides know goes by its name; all else goes by value, with what a traceback wants to show of it.
"""

from __future__ import annotations

import pickle
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from types import FunctionType
from typing import Any, NamedTuple

from ...actors import encode_by_name, encode_by_value
from ..team.functions import show_sources, sources_of

__all__ = ["Call", "Calls", "call_each", "call_each_async", "encode_call", "modules_of_call"]


class Call(NamedTuple):
    """A function that has come with its task.

    Attributes:
        module: the name of the module that it is of; empty if it is of none.
        sources: the text of code that is in no file, by the name that stands for one.
        payload: function, arguments and keyword arguments, pickled.
        is_chunk: whether it is a chunk of a mapping, whose process asks for the next one when it has returned.
    """

    module: str
    sources: dict[str, str]
    payload: bytes
    is_chunk: bool = False

    @classmethod
    def decode(cls, call: bytes) -> Call:
        """Return what `encode_call` has encoded. Runs in the task's process, as does `open`."""
        return cls(*pickle.loads(call))  # noqa: S301 - the host is trusted

    def open(self) -> tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]:
        """Return function, arguments and keyword arguments; raises whatever they raise when they are unpickled."""
        show_sources(self.sources)
        function, args, kwargs = pickle.loads(self.payload)  # noqa: S301 - the host is trusted
        if isinstance(function, bytes):  # of `Calls`
            function = pickle.loads(function)  # noqa: S301 - the host is trusted
        return function, args, kwargs


class Calls:
    """Many calls of one function, which is pickled once if it goes by value, with what it holds then.

    Args:
        function: see `encode_call`.
        module: see `encode_call`.
        by_value: see `encode_call`.
        are_chunks: see `Call.is_chunk`.
    """

    def __init__(self, function: Callable[..., Any], module: str, *, by_value: bool, are_chunks: bool = False) -> None:
        self._are_chunks = are_chunks
        self._function: Callable[..., Any] | bytes = function
        self._module = module
        self._by_value = by_value
        self._sources: dict[str, str] = {}

    def is_sendable(self) -> bool:
        """Whether the function can be sent, which it is made ready for; raises as `encode_call`."""
        if encode_by_name(self._function) is None:
            if not self._by_value:
                return False
            self._function, files = encode_by_value(self._function)
            self._sources = sources_of(files)
        return True

    def encode(self, args: tuple[Any, ...]) -> tuple[bytes, bool] | None:
        """Return one of the calls; see `encode_call`. The function has been found to be sendable."""
        payload = encode_by_name((self._function, args, {}))
        has_code = isinstance(self._function, bytes)
        sources = self._sources
        if payload is None:
            if not self._by_value:
                return None
            payload, files = encode_by_value((self._function, args, {}))
            has_code, sources = True, {**sources, **sources_of(files)}
        return pickle.dumps((self._module, sources, payload, self._are_chunks)), has_code


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
    # A closure or a lambda of a function has no name by which it could go, which pickle finds out by raising.
    is_local = type(function) is FunctionType and "<locals>" in function.__qualname__
    payload = None if is_local else encode_by_name(call)
    if payload is not None:
        return pickle.dumps((module, {}, payload)), False
    if not by_value:
        return None
    payload, files = encode_by_value(call)
    return pickle.dumps((module, sources_of(files), payload)), True


def modules_of_call(call: bytes) -> list[str]:
    """Return the name of the module that an encoded call's function is of; none if it is of none. Imports nothing."""
    module = Call.decode(call).module
    return [module] if module else []


def call_each(function: Callable[[Any], Any], items: Iterable[Any]) -> list[Any]:
    """Call a function with each of some items. Runs in the task's process."""
    return [function(item) for item in items]


async def call_each_async(function: Callable[[Any], Awaitable[Any]], items: Iterable[Any]) -> list[Any]:
    """As `call_each`, one after the other."""
    return [await function(item) for item in items]
