"""Library: `openai`, imported without the modules of its types, which are two thirds of the time of its import.

Nothing here uses them: requests are posted as plain data, and answers are read as such. A tool or a framework in the
same process gets them whole, from wherever it imports them, when it first looks at one.
"""

from __future__ import annotations

import contextlib
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
        # The import system, `pickle` and others ask all modules for names of their own.
        is_wanted = not name.startswith("__") or name == "__all__"
        with _looking if is_wanted else contextlib.nullcontext():
            loader = _loaders.pop(self.__name__, None) if is_wanted else None
            if loader is not None:
                try:
                    loader.exec_module(self)
                except BaseException:
                    _loaders[self.__name__] = loader
                    raise
                self.__class__ = ModuleType  # type: ignore[assignment]  # modules may change theirs
            if name in vars(self):
                return vars(self)[name]
        raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")


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


with _late_packages():
    import openai
    from openai._base_client import get_platform
