"""Exceptions that cross from a child to the host.

Only Python's own types are made again, and pykka's two; nothing that a child names is ever imported.
"""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from types import FunctionType
from typing import Any, Final, NamedTuple

import pykka

from ..errors import PlainDataError, RemoteError
from .messages import ErrorData

__all__ = ["Packed", "is_of_main", "names_main", "rebuild"]


def rebuild(error: ErrorData) -> Exception:
    """Return the exception that an error's data describes.

    Built-in types keep their type, so that `except ValueError` works across the boundary; all others become
    RemoteError. The other process's traceback is a note on the exception.
    """
    module, _, name = error.type_name.rpartition(".")
    kind: object = None
    if module == "builtins":
        kind = getattr(builtins, name, None)
    elif module.startswith("pykka"):
        kind = {"ActorDeadError": pykka.ActorDeadError, "Timeout": pykka.Timeout}.get(name)
    elif module.startswith("subactors.actors") and name == "PlainDataError":
        kind = PlainDataError
    rebuilt: Exception | None = None
    if isinstance(kind, type) and issubclass(kind, Exception):
        try:
            rebuilt = kind(error.message)
        except TypeError:
            rebuilt = None  # a type whose constructor wants more than a message, such as UnicodeDecodeError
    if rebuilt is None:
        return RemoteError(error.type_name, error.message, error.traceback)
    if error.traceback:
        rebuilt.add_note(f"In the actor's process:\n{error.traceback}")
    return rebuilt


class Packed(NamedTuple):
    """What a process starts with.

    Attributes:
        data: the pickle.
        descriptors: what it names: the host's own, which are to be sent before they are closed.
        authkey: the host's key for connections of `multiprocessing`, if it uses that.
        tracker: which of the descriptors leads to the host's resource tracker, if that runs.
    """

    data: bytes
    descriptors: Sequence[int] = ()
    authkey: bytes | None = None
    tracker: int | None = None


_MAIN: Final = frozenset({"__main__", "__mp_main__"})


def is_of_main(value: Any) -> bool:
    """Return whether a value is a function or a class of the main module, under one of its names; see below."""
    return isinstance(value, FunctionType | type) and getattr(value, "__module__", None) in _MAIN


def names_main(data: bytes) -> bool:
    """Return whether a pickle may name something of the host's main module, of which an actor has none.

    The child has a `__main__` of its own: looking anything up in it would fail there. The other name is the one that
    `multiprocessing` gives to a main script in processes where it is not the program.
    """
    return b"__main__" in data or b"__mp_main__" in data
