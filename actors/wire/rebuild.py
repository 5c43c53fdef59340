"""Exceptions that cross from a child to the host.

Only Python's own types are made again, and pykka's two; nothing that a child names is ever imported.
"""

from __future__ import annotations

import builtins

import pykka

from ..errors import PlainDataError, RemoteError
from .messages import ErrorData

__all__ = ["rebuild"]


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
