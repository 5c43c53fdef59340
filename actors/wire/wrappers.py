"""Wrappers: what `functools` makes of functions and cannot pickle itself, on its way by value.

That is a cached function, a generic one (`singledispatch`), on Python 3.11 a `cached_property`, and on Python 3.13 a
generic method. Each is made anew, of the function that it was made of. So a cache is empty at first, because what it
holds is of the process that filled it.
"""

from __future__ import annotations

import functools
import sys
import threading
from collections.abc import Callable
from types import FunctionType
from typing import Any, Final

__all__ = ["CachedFunction", "reduce_wrapper"]

CachedFunction: Final = type(functools.cache(len))
"""The class of what `functools.cache` and `functools.lru_cache` make. It is pickled by its name, wherever that is."""

_DISPATCHES: Final = functools.singledispatch(len).__code__  # type: ignore[attr-defined]  # it is a function
"""The code that all generic functions have."""

_CHOOSES: Final = functools.singledispatch(len).dispatch.__code__
"""The code with which generic functions choose. On Python 3.13 a generic method that is bound holds that alone."""

_LOCK: Final = "lock"
"""What a `cached_property` of Python 3.11 holds besides."""

_METHODS: Final = "_method_cache"
"""What a generic method of Python 3.13 holds besides: weak references to objects of this process."""

_OWN: Final = frozenset(
    {"__wrapped__", "cache_parameters", "register", "dispatch", "registry", "_clear_cache"},
)
"""Attributes that a wrapper is made with."""


def reduce_wrapper(value: Any, is_importable: Callable[[str], bool]) -> tuple[Any, ...] | None:
    """Return how a wrapper is made anew, as `__reduce__` does; None for all else, and for one that is found by name.

    Args:
        value: may be anything.
        is_importable: whether another process finds a module by its name.

    Raises:
        TypeError: it does not say what it was made of.
    """
    if isinstance(value, functools.cached_property | functools.singledispatchmethod):
        # A lock is replaced by a new one; a generic method works without its cache, too.
        state = {name: None if name in {_LOCK, _METHODS} else part for name, part in vars(value).items()}
        return _new, (type(value),), state, None, None, _set_property
    if isinstance(value, FunctionType) and value.__code__ is _CHOOSES:
        return _chooser, (_generic(value),)
    is_cached = isinstance(value, CachedFunction)
    if not is_cached and not (isinstance(value, FunctionType) and value.__code__ is _DISPATCHES):
        return None
    if _is_found(value, is_importable):
        return None
    function = getattr(value, "__wrapped__", None)
    if function is None:
        raise TypeError("cannot pickle a cached function that has no attribute __wrapped__ any more")
    others = {name: part for name, part in vars(value).items() if name not in _OWN}
    if is_cached:
        parameters = value.cache_parameters() if hasattr(value, "cache_parameters") else {}
        made = function, value.cache_info().maxsize, parameters.get("typed", False)
        return _cached, made, others, None, None, _set_attributes
    return functools.singledispatch, (function,), ({**value.registry}, others), None, None, _set_registry


def _generic(choose: FunctionType) -> Any:
    """Return a generic function that chooses as another does, of which only that is at hand."""
    cells = dict(zip(choose.__code__.co_freevars, choose.__closure__ or (), strict=True))
    registry = {**cells["registry"].cell_contents}
    generic = functools.singledispatch(registry.pop(object))
    for kind, function in registry.items():
        generic.register(kind, function)
    return generic


def _is_found(value: Any, is_importable: Callable[[str], bool]) -> bool:
    if not is_importable(value.__module__):
        return False
    found: Any = sys.modules.get(value.__module__)
    for name in value.__qualname__.split("."):
        found = getattr(found, name, None)
    return found is value


# --- in the process that it arrives in ------------------------------------------------------------------------------


def _cached(function: Callable[..., Any], maxsize: int | None, typed: bool) -> Any:
    return functools.lru_cache(maxsize, typed)(function)


def _chooser(generic: Any) -> Any:
    return generic.dispatch


def _set_attributes(wrapper: Any, attributes: dict[str, Any]) -> None:
    vars(wrapper).update(attributes)


def _set_registry(wrapper: Any, state: tuple[dict[type, Any], dict[str, Any]]) -> None:
    registry, attributes = state
    for kind, function in registry.items():
        wrapper.register(kind, function)
    vars(wrapper).update(attributes)


def _new(kind: type[Any]) -> Any:
    return object.__new__(kind)


def _set_property(made: Any, attributes: dict[str, Any]) -> None:
    vars(made).update(attributes)
    if _LOCK in attributes:
        made.lock = threading.RLock()
