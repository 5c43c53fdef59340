"""Objects on their way from the host to a child: by name what both can import, all else by value.

Nothing here is for the other way: what a child sends is data.
"""

from __future__ import annotations

import contextlib
import importlib.machinery
import io
import os
import pickle
import sys
from collections.abc import Sequence
from types import FunctionType, ModuleType
from typing import Any, Final, NamedTuple

from .singletons import reduce_singleton
from .wrappers import CachedFunction

__all__ = [
    "NEEDED_FOR_CODE",
    "Packed",
    "encode_by_name",
    "encode_by_value",
    "encode_object",
    "is_importable",
    "is_of_main",
    "names_main",
    "refuse_what_would_change",
]

NEEDED_FOR_CODE: Final = "cloudpickle"
"""The module that unpickles what has come by value. Its import takes a process 5 ms and 300 page faults."""

_MAIN: Final = frozenset({"__main__", "__mp_main__"})

_CONNECTIONS: Final = "multiprocessing.connection"

_UNNAMED: Final = (pickle.PicklingError, AttributeError, TypeError)
"""What is raised for an object that has no name of its own, such as a lambda."""


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


def encode_object(value: object) -> bytes:
    """Pickle for the trusted direction, host to child; what a child cannot import by its name travels by value."""
    return encode_by_name(value) or encode_by_value(value)[0]


def encode_by_name(value: object) -> bytes | None:
    """Pickle an object; None if something in it cannot be found by its name in another process.

    Raises:
        Exception: whatever the object raises when it is pickled.
    """
    buffer = io.BytesIO()
    try:
        _ByName(buffer, pickle.HIGHEST_PROTOCOL).dump(value)
    except (_NotByName, *_UNNAMED):
        return None
    return buffer.getvalue()


def encode_by_value(value: object) -> tuple[bytes, set[str]]:
    """Pickle an object with the code that another process would not find; return the names of the files of it, too.

    Raises:
        Exception: it cannot be pickled.
    """
    from .by_value import encode  # noqa: PLC0415 - most hosts never need it

    return encode(value, is_importable, refuse_what_would_change)


def is_of_main(value: Any) -> bool:
    """Return whether a value is a function or a class of the main module, under one of its names; see below."""
    return isinstance(value, FunctionType | CachedFunction | type) and getattr(value, "__module__", None) in _MAIN


def names_main(data: bytes) -> bool:
    """Return whether a pickle may name something of the host's main module, of which an actor has none.

    The child has a `__main__` of its own: looking anything up in it would fail there. The other name is the one that
    `multiprocessing` gives to a main script in processes where it is not the program.
    """
    return b"__main__" in data or b"__mp_main__" in data


def is_importable(name: str) -> bool:
    """Whether a process with this one's module path finds a module by its name, and finds the same file.

    A module without a file of its own, such as one of an extension, is found if its package is.
    """
    if _path_of_answers != sys.path:
        _answers.clear()
        _path_of_answers[:] = sys.path
    module = sys.modules.get(name)
    known = _answers.get(name)
    if known is None or known[0] is not module:
        known = _answers[name] = (module, _is_found(name, module))
    return known[1]


_answers: Final[dict[str, tuple[ModuleType | None, bool]]] = {}
_path_of_answers: Final[list[str]] = []


class _NotByName(Exception):  # noqa: N818 - never leaves this module
    """Something has to travel by value."""


class _ByName(pickle.Pickler):
    """Pickles what another process finds by its name, and gives up at the first thing that it would not find.

    The child has a `__main__` of its own: looking anything of the host's up in it would fail there.
    """

    def reducer_override(self, value: Any) -> Any:
        """See `pickle`: is called for all but what is plain."""
        module = getattr(value, "__module__", None)  # of an object, that of its class
        if isinstance(module, str) and module != "builtins" and not is_importable(module):
            raise _NotByName
        refuse_what_would_change(value)
        return reduce_singleton(value, is_importable) or NotImplemented


def refuse_what_would_change(value: Any, *, shares: bool = False) -> None:
    """Raise TypeError for an end of a pipe, and for an open file but standard output and error.

    They pickle, but would be something else in another process, where nobody would notice. Of an end of a pipe the bare
    number of its descriptor arrives, which is another's there. An open text file that goes by value is read to its end,
    and is a copy. Queues and locks refuse by themselves.

    Args:
        value: what is to be pickled.
        shares: whether descriptors travel, too: so do ends of pipes then.
    """
    if isinstance(value, io.TextIOWrapper) and value is not sys.stdout and value is not sys.stderr:
        raise TypeError(
            f"cannot pickle an open file ({_named(value)}): in another process it would be another file. "
            "Give its path, and open it there."
        )
    connections = None if shares else sys.modules.get(_CONNECTIONS)
    if connections is not None and isinstance(value, getattr(connections, "Connection", ())):
        raise TypeError(
            "cannot pickle an end of a pipe: its descriptor does not travel with a message. "
            "Give it to the process when that is started, or send it over another connection."
        )


def _named(file: io.TextIOWrapper) -> str:
    try:
        return repr(file.name)
    except Exception:  # noqa: BLE001 - it may be over anything
        return "of no name"


def _is_found(name: str, module: ModuleType | None) -> bool:
    if name in _MAIN:
        return False
    spec = getattr(module, "__spec__", None)
    package = name.rpartition(".")[0]
    if not isinstance(spec, importlib.machinery.ModuleSpec):
        # Made by hand: by the package that it is in, or by somebody whom the other process does not know.
        return bool(package) and is_importable(package)
    origin = spec.origin
    if not spec.has_location or origin is None:
        return spec.loader is not None or spec.submodule_search_locations is not None
    root = _root(name, origin)
    if root is not None and root in _folders():
        return True
    return _is_found_by_finders(name, package, origin)


def _folders() -> set[str]:
    """Return the folders on the module path; no relative ones where the current directory has been removed."""
    folders = set()
    for entry in sys.path:
        with contextlib.suppress(FileNotFoundError):
            folders.add(os.path.abspath(entry))  # noqa: PTH100 - takes a third of the time
    return folders


def _root(name: str, origin: str) -> str | None:
    """Return the folder on the path in which a module of that name would have this file; None if in no such."""
    folder, _, file = origin.rpartition(os.sep)
    stem = f"{folder}{os.sep}{file.partition('.')[0]}".removesuffix(f"{os.sep}__init__")
    tail = f"{os.sep}{name.replace('.', os.sep)}"
    return stem.removesuffix(tail) if stem.endswith(tail) else None


def _is_found_by_finders(name: str, package: str, origin: str) -> bool:
    """Whether whoever else finds modules, as for an editable install, finds this one."""
    path = None
    if package:
        if not is_importable(package):
            return False
        path = getattr(sys.modules.get(package), "__path__", None)
    for finder in sys.meta_path:
        try:
            spec = finder.find_spec(name, path)
        except Exception:  # noqa: BLE001, S112 - a finder of others
            continue
        if spec is not None:
            return spec.origin == origin
    return False
