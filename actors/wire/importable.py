"""Importable: whether another process would find a module by its name. Nothing is imported for it."""

from __future__ import annotations

import importlib.machinery
import os
import sys
from types import ModuleType
from typing import Final

__all__ = ["is_importable"]


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


def _is_found(name: str, module: ModuleType | None) -> bool:
    if name in {"__main__", "__mp_main__"}:
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
    if root is not None and root in {os.path.abspath(entry) for entry in sys.path}:  # noqa: PTH100 - takes a third of the time
        return True
    return _is_found_by_finders(name, package, origin)


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
