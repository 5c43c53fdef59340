"""What `multiprocessing` shares with a process, in what the process starts with: pickled here, and found there.

Locks, queues, connections, shared values and a manager's proxies pickle only while a process is being started. Those
with descriptors hand them to the code that starts it. The descriptors travel with the process's first message, and in
the pickle each is its place among them. Nothing here imports `multiprocessing`: who has not imported it has nothing of
it to share.
"""

from __future__ import annotations

import io
import os
import pickle
import sys
from collections.abc import Callable
from functools import cache, partial
from typing import Any, Final, NamedTuple

from ..cpython import tracker_of_multiprocessing
from . import ancillary
from .objects import (
    Packed,
    encode_by_name,
    is_importable,
    is_of_main,
    names_main,
    refuse_what_would_change,
)

__all__ = [
    "Inherited",
    "NotFoundThereError",
    "Spawning",
    "check_number",
    "descriptor_of_tracker",
    "in_memory",
    "pack",
    "pickled",
    "pickled_by_name",
    "received_descriptors",
]

_SHARED: Final = b"multiprocessing"

received_descriptors: Final[list[int]] = []
"""In a process that was started with some: their numbers there."""


class Inherited:
    """A descriptor in a pickle: its place among those that come with the first message."""

    def __init__(self, place: int) -> None:
        self._place = place

    def detach(self) -> int:
        """Return the descriptor's number, in the process that was started; whoever asks owns it."""
        return received_descriptors[self._place]


class Spawning:
    """What `multiprocessing` asks of whoever starts a process while it pickles what it shares.

    Attributes:
        descriptors: those that the process is to be given.
    """

    DupFd = Inherited

    def __init__(self) -> None:
        self.descriptors: list[int] = []

    def duplicate_for_child(self, descriptor: int) -> int:
        """Take a descriptor along; return its place."""
        self.descriptors.append(descriptor)
        return len(self.descriptors) - 1


class _Multiprocessing(NamedTuple):
    """What is called of it, looked up once: an import in a function, of what there is, takes microseconds each time."""

    current_process: Callable[[], Any]
    get_spawning_popen: Callable[[], Any]
    set_spawning_popen: Callable[[Any], None]
    dumps: Callable[[object], Any]
    reducers: dict[type, Any]
    by_name: Callable[[io.BytesIO], Any]


@cache
def _multiprocessing() -> _Multiprocessing:
    from multiprocessing import context, process, reduction  # noqa: PLC0415 - it is imported, or wanted

    pickler: Any = reduction.ForkingPickler
    return _Multiprocessing(
        process.current_process,
        context.get_spawning_popen,
        context.set_spawning_popen,
        pickler.dumps,
        pickler._extra_reducers,  # noqa: SLF001 - since Python 3.4
        type("ByName", (pickler,), {"reducer_override": _find}),
    )


def pack(value: object) -> Packed:
    """Pickle for an actor that is to be started; what only the host's `__main__` knows goes by value.

    Raises:
        Exception: what pickling raises; RuntimeError for what only processes of the start method `fork` can be given.
        ValueError: there are more descriptors than a message can carry.
    """
    authkey = bytes(_multiprocessing().current_process().authkey)
    if data := _pickled_plainly(value):
        return Packed(data, (), authkey)
    spawning = Spawning()
    data = pickled(value, spawning)
    check_number(spawning)
    # What needs the tracker is made by something of that module.
    tracker = descriptor_of_tracker() if _SHARED in data else None
    if tracker is None:
        return Packed(data, spawning.descriptors, authkey)
    return Packed(data, [*spawning.descriptors, tracker], authkey, len(spawning.descriptors))


def _pickled_plainly(value: object) -> bytes:
    """Pickle what has nothing to do with `multiprocessing`, as most actors' arguments; empty for all else.

    Its own pickler takes three times as long. What it shares refuses to be pickled by another, or names its module.
    """
    try:
        data = encode_by_name(value)
    except Exception:  # noqa: BLE001 - whatever it is, it comes again where it is to be told
        return b""
    return b"" if not data or _SHARED in data or _others_share(len(_multiprocessing().reducers)) else data


@cache
def _others_share(_known: int) -> bool:
    """Whether a library has told `multiprocessing` how to share types of its own; looked up when there are more."""
    return any(kind.__module__.partition(".")[0] not in sys.stdlib_module_names for kind in _multiprocessing().reducers)


def descriptor_of_tracker() -> int | None:
    """Return the descriptor that leads to this process's resource tracker; None where none runs."""
    descriptor: int | None = getattr(tracker_of_multiprocessing(), "_fd", None)
    return descriptor


def check_number(spawning: Spawning) -> None:
    """Raise ValueError if there are more descriptors than a message can carry, with one for the tracker."""
    if len(spawning.descriptors) >= ancillary.MOST:
        raise ValueError(
            f"A process can be given {ancillary.MOST - 1} descriptors when it starts, and this would be given "
            f"{len(spawning.descriptors)}. Hand over the others through a queue or a connection."
        )


def pickled(
    value: object,
    spawning: Spawning,
    is_in_main: Callable[[Any], bool] | None = None,
    by_value: dict[str, Any] | None = None,
) -> bytes:
    """Pickle with what `multiprocessing` adds to it; what cannot be pickled by reference goes by value.

    Args:
        value: what to pickle.
        spawning: takes the descriptors.
        is_in_main: whether the process will find a function or a class of the main module by its name; None for one
            that has no such module. What it does not find goes by value.
        by_value: takes what does of the main module, by name.
    """
    module = _multiprocessing()
    kept = len(spawning.descriptors)
    before = module.get_spawning_popen()
    module.set_spawning_popen(spawning)
    try:
        try:
            data = bytes(module.dumps(value)) if is_in_main is None else pickled_by_name(value, is_in_main)
        except (pickle.PicklingError, AttributeError, TypeError, NotFoundThereError):
            data = b""
        if data and (is_in_main is not None or not names_main(data)):
            return data
        del spawning.descriptors[kept:]
        return _by_value(value, is_in_main, by_value)
    finally:
        module.set_spawning_popen(before)


class NotFoundThereError(Exception):
    """The process that is to be started would not find this function or class by its name."""


def pickled_by_name(value: object, is_in_main: Callable[[Any], bool]) -> bytes:
    """Pickle as `multiprocessing` does; raises NotFoundThereError for what is of the main module, and not found there.

    Args:
        value: what to pickle.
        is_in_main: as for `pickled`.
    """
    buffer = io.BytesIO()
    pickler = _multiprocessing().by_name(buffer)
    pickler.is_in_main = is_in_main
    pickler.dump(value)
    return buffer.getvalue()


def _find(pickler: Any, value: Any) -> Any:
    if is_of_main(value) and not pickler.is_in_main(value):
        raise NotFoundThereError(f"{value.__qualname__!r}")
    return NotImplemented


def _by_value(value: object, is_in_main: Callable[[Any], bool] | None, by_value: dict[str, Any] | None) -> bytes:
    from .by_value import encode_shared  # noqa: PLC0415 - rarely needed

    def is_found(part: Any) -> bool:
        """Whether a function or class is found by its name; if not, and it is of the main module, it is kept."""
        if not is_of_main(part):
            return False
        if is_in_main is not None and is_in_main(part):
            return True
        if by_value is not None and part.__qualname__.isidentifier():
            by_value[part.__qualname__] = part
        return False

    return encode_shared(value, is_importable, _refuse, _multiprocessing().reducers, is_found)


_refuse: Final = partial(refuse_what_would_change, shares=True)


def in_memory(data: bytes) -> int:
    """Return a descriptor of a file in memory that holds the data; the caller closes it."""
    descriptor = os.memfd_create("subactors")
    with os.fdopen(descriptor, "wb", closefd=False) as file:
        file.write(data)
    return descriptor
