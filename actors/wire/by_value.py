"""By value: pickles functions and classes that the child cannot import, code and all. Brings `cloudpickle`."""

from __future__ import annotations

import io
import pickle
import sys
import threading
from collections import ChainMap
from collections.abc import Callable, Mapping
from types import CellType, CodeType, FunctionType, ModuleType
from typing import Any, Final

import cloudpickle

from .class_names import named_by, put_in_module
from .singletons import reduce_singleton
from .structs import is_struct_class, reduce_struct
from .wrappers import reduce_wrapper

__all__ = ["encode", "encode_shared"]

_NO_FILE: Final = "<dynamic-code>"
"""What `cloudpickle` says in place of a file, so that what it makes is the same everywhere."""

_CACHE: Final = "__msgspec_cache__"
"""What `msgspec` notes in a dataclass or a `TypedDict` when it first decodes one."""

_MAKERS: Final = vars(cloudpickle.cloudpickle)
"""Where the functions are that make anew what went by value: half of what is in a pickle of a function."""

_WITH_SETTER: Final = 6
"""Parts of what a class by value is reduced to: how to make it, with what, its state, and what puts that in."""

_lock: Final = threading.RLock()
"""Around what `cloudpickle` knows of modules, which is the same for all threads. What is pickled may pickle, too."""


def encode(
    value: object, is_importable: Callable[[str], bool], refuse: Callable[[Any], object]
) -> tuple[bytes, set[str]]:
    """Pickle an object; see `objects.encode_by_value`.

    Args:
        value: the object.
        is_importable: whether another process finds a module by its name.
        refuse: is called with each part, and raises what is wrong with it.
    """
    return _encode(_ByValue(io.BytesIO(), is_importable, refuse), value)


def encode_shared(
    value: object,
    is_importable: Callable[[str], bool],
    refuse: Callable[[Any], object],
    reducers: Mapping[type, Any],
    is_found: Callable[[Any], bool],
) -> bytes:
    """Pickle as `encode` does, with what `multiprocessing` has to say of how types are shared.

    Args:
        value: the object.
        is_importable: as for `encode`.
        refuse: the same.
        reducers: that, by type; it may grow at any time.
        is_found: whether a function or a class that `cloudpickle` takes by value is to go by its name instead.
    """
    if not _shared_pickler:
        # On the class: a table of an instance is one that cloudpickle does not look at, and the numbers of descriptors
        # would cross as they are. Not a copy: types are registered at any time.
        table = ChainMap(reducers, cloudpickle.Pickler.dispatch_table)  # type: ignore[arg-type]  # it is only read
        _shared_pickler.append(type("Shared", (_ByValue,), {"dispatch_table": table}))
    pickler = _shared_pickler[0](io.BytesIO(), is_importable, refuse)
    pickler.is_found = is_found
    return _encode(pickler, value)[0]


_shared_pickler: Final[list[type[_ByValue]]] = []


def _encode(pickler: _ByValue, value: object) -> tuple[bytes, set[str]]:
    with _lock:
        try:
            pickler.dump(value)
        finally:
            for module in pickler.modules:
                cloudpickle.unregister_pickle_by_value(module)
    return pickler.file.getvalue(), pickler.files


class _ByValue(cloudpickle.Pickler):  # type: ignore[misc]  # it has no type information
    """Pickles by value what is not found by name in another process, and keeps the names of files for tracebacks."""

    def __init__(self, file: io.BytesIO, is_importable: Callable[[str], bool], refuse: Callable[[Any], object]) -> None:
        super().__init__(file, pickle.HIGHEST_PROTOCOL)
        self.file = file
        self._is_importable = is_importable
        self._refuse = refuse
        self.is_found: Callable[[Any], bool] | None = None
        self.files: set[str] = set()
        self.modules: list[ModuleType] = []

    def reducer_override(self, value: Any) -> Any:
        """See `pickle`."""
        if type(value) is CellType or (type(value) is FunctionType and _MAKERS.get(value.__name__) is value):
            return NotImplemented
        self._refuse(value)
        if self.is_found is not None and self.is_found(value):
            return NotImplemented
        if isinstance(value, CodeType):
            make, arguments = self.dispatch_table[CodeType](value)
            self.files.add(value.co_filename)
            return make, tuple([value.co_filename if part == _NO_FILE else part for part in arguments])
        singleton = reduce_singleton(value, self._is_importable)
        if singleton is not None:
            return singleton
        wrapper = reduce_wrapper(value, self._is_importable)
        if wrapper is not None:
            return wrapper
        name = value.__name__ if isinstance(value, ModuleType) else getattr(value, "__module__", None)
        if isinstance(name, str) and name != "__main__" and not self._is_importable(name):
            self._take_by_value(name)
        reduced = super().reducer_override(value)
        if not isinstance(value, type) or reduced is NotImplemented or len(reduced) < _WITH_SETTER:
            return reduced
        if is_struct_class(value):
            reduced = reduce_struct(value)
        make, made, state, _, _, complete = reduced
        _forget_cache(state)
        return make, made, (state, complete, named_by(value, self._is_importable)), None, None, _complete

    def _take_by_value(self, name: str) -> None:
        module = sys.modules.get(name)
        if isinstance(module, ModuleType) and name not in cloudpickle.list_registry_pickle_by_value():
            cloudpickle.register_pickle_by_value(module)
            self.modules.append(module)


def _forget_cache(state: tuple[Any, ...]) -> None:
    """Take out of a class what others have noted there, and what cannot be pickled; they note it again."""
    for part in state:
        if isinstance(part, dict):
            part.pop(_CACHE, None)


def _complete(kind: Any, state: tuple[Any, Callable[[Any, Any], object], dict[str, Any]]) -> None:
    """Finish a class that was made without what may refer to it. Runs in the child."""
    inner, complete, names = state
    complete(kind, inner)
    put_in_module(kind, names)
