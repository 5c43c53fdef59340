"""Library: `openai`, imported without what takes most of the time of its import and is of no use here.

That is the modules of its types, as requests are posted as plain data and answers are read as such; and trio, where it
is installed, for which `httpcore2` has a way of its own. A tool or a framework in the same process has both as ever,
whole and from wherever it imports them: they are imported when it first looks at them.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import sys
import threading
from collections.abc import Iterator, Sequence
from importlib.abc import Loader
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Final

__all__ = ["get_platform", "openai"]

_LATE: Final = frozenset({"openai.types", "openai.types.chat", "openai.types.responses", "openai.types.shared"})
"""Packages whose own modules only gather names from the many modules inside. The library needs a few of those."""

_loaders: Final[dict[str, Loader]] = {}
"""The loaders of packages that nobody has looked at yet."""

_looking: Final = threading.RLock()
"""Who looks at a package loads it alone. It is one lock for all of them, as each looks at others."""


class _LatePackage(ModuleType):
    """A package whose own module is run when a name is looked for that is not there."""

    def __getattr__(self, name: str) -> object:
        if _is_wanted(name):
            with _looking:
                if name not in vars(self) and self.__name__ in _loaders:
                    self._gather()
                if name in vars(self):
                    return vars(self)[name]
        raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")

    def _gather(self) -> None:
        loader = _loaders.pop(self.__name__)
        try:
            loader.exec_module(self)
        except BaseException:
            _loaders[self.__name__] = loader
            raise
        self.__class__ = ModuleType  # type: ignore[assignment]  # modules may change theirs


class _StandIn(ModuleType):
    """Stands for a module with those that have imported it too early, and has it imported when they use it."""

    def __getattr__(self, name: str) -> object:
        if not _is_wanted(name):
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        self.leave()
        return getattr(importlib.import_module(self.__name__), name)

    def leave(self) -> None:
        """Give the place to the module itself: who imports it from now on gets that."""
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]


def _is_wanted(name: str) -> bool:
    """Return whether it is a name that a module may have: the import system and others ask for names of their own."""
    return not name.startswith("__") or name == "__all__"


class _LateLoader(Loader):
    """Another loader, which is asked later."""

    def __init__(self, loader: Loader) -> None:
        self._loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _LatePackage(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        module.__loader__ = self._loader
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        _loaders[module.__name__] = self._loader


class _Finder:
    """Finds the packages as ever, and has them loaded late."""

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None = None, _target: ModuleType | None = None) -> ModuleSpec | None:
        spec = PathFinder.find_spec(name, path) if name in _LATE else None
        if spec is not None and spec.loader is not None:
            spec.loader = _LateLoader(spec.loader)
        return spec


@contextlib.contextmanager
def _late_packages() -> Iterator[None]:
    sys.meta_path.insert(0, _Finder)
    try:
        yield
    finally:
        sys.meta_path.remove(_Finder)


@contextlib.contextmanager
def _trio_later() -> Iterator[None]:
    if "trio" in sys.modules or importlib.util.find_spec("trio") is None:
        yield
        return
    sys.modules["trio"] = stand_in = _StandIn("trio")
    try:
        yield
    finally:
        stand_in.leave()


with _late_packages(), _trio_later():
    import httpcore2  # noqa: F401 - the library would import it at its first request
    import openai
    from openai._base_client import get_platform
