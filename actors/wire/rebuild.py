"""What crosses as what it was: exceptions from a child to the host, and objects from the host to a child.

Of exceptions only Python's own types are made again, and pykka's two; nothing that a child names is ever imported.
"""

from __future__ import annotations

import builtins
import pickle

import pykka

from ..errors import PlainDataError, RemoteError
from .messages import ErrorData

__all__ = ["encode_object", "rebuild"]


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


def encode_object(value: object) -> bytes:
    """Pickle for the trusted direction, host to child; what only the host's `__main__` knows travels by value."""
    try:
        data = pickle.dumps(value)
    except (pickle.PicklingError, AttributeError, TypeError):
        data = b""
    # The child has a `__main__` of its own: looking anything up in it would fail there.
    if data and b"__main__" not in data:
        return data
    import cloudpickle  # noqa: PLC0415 - most hosts never need it

    return bytes(cloudpickle.dumps(value))
