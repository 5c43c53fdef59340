"""What is done when a module of `multiprocessing` is imported for the first time in this process, if ever.

An actor's process is one of `multiprocessing`, too. But most hosts and actors never import that module, and its import
takes as long as the start of an actor. So nothing here imports it: what has to be said to it is said when somebody else
does.

For that its folder has a finder of its own in `sys.path_importer_cache`, before anybody else has looked there. One in
`sys.meta_path` would be asked at each import of anything, which costs each new process some pages.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

from .cpython import is_being_imported

if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec

__all__ = ["when_imported"]

_PACKAGE: Final = "multiprocessing"
_FOLDER: Final = os.path.join(os.path.dirname(os.__file__), _PACKAGE)  # noqa: PTH118, PTH120 - as the import system has it


def when_imported(name: str, call: Callable[[ModuleType], object]) -> None:
    """Call a function with a module of `multiprocessing`, right after that has been imported: now, if it has been.

    Args:
        name: the module, without the name of the package.
        call: must not raise. Runs in the thread that imports the module.
    """
    name = f"{_PACKAGE}.{name}"
    module = sys.modules.get(name)
    if module is not None and not is_being_imported(module):
        call(module)
        return
    _wanted.setdefault(name, []).append(call)
    finder = sys.path_importer_cache.get(_FOLDER)
    if not isinstance(finder, _Finder):
        sys.path_importer_cache[_FOLDER] = _Finder(finder)


_wanted: Final[dict[str, list[Callable[[ModuleType], object]]]] = {}


class _Finder:
    """Finds what is in the folder as the folder's own finder does, and hears of the end of an import.

    Args:
        finder: the folder's own; None if nobody has looked there yet.
    """

    def __init__(self, finder: Any) -> None:
        self._finder = finder

    def __getattr__(self, name: str) -> Any:
        return getattr(self._folders_own(), name)

    def find_spec(self, name: str, target: ModuleType | None = None) -> ModuleSpec | None:
        """Return where a module is. It is loaded as ever, but that what waits for it is called then."""
        spec: ModuleSpec | None = self._folders_own().find_spec(name, target)
        if spec is not None and spec.loader is not None and name in _wanted:
            spec.loader = _Loader(spec.loader)  # type: ignore[assignment]  # it is one by what it has
        return spec

    def _folders_own(self) -> Any:
        if self._finder is None:
            for hook in sys.path_hooks:
                try:
                    self._finder = hook(_FOLDER)
                except ImportError:
                    continue
                break
        return self._finder


class _Loader:
    """Another loader, with calls after it."""

    def __init__(self, loader: Any) -> None:
        self._loader = loader

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    def exec_module(self, module: ModuleType) -> None:
        """Import the module, and make the calls."""
        module.__loader__ = self._loader
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        self._loader.exec_module(module)
        # Not before: whoever has only looked for the module, or failed to import it, has left them to the next.
        for call in _wanted.pop(module.__name__, ()):
            call(module)
