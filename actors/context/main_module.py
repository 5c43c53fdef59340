"""The host's main script in a process of the `multiprocessing` context: run when something of it is wanted, if ever.

The standard start methods but `fork` run it in every process. Here `__main__` is a module that runs it at the first
look for a name: a process whose work is in an imported module never does.
"""

from __future__ import annotations

import pkgutil  # noqa: F401 - what `runpy` imports with its first script: here for all processes at once
import runpy
import sys
import threading
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from ..cpython import inheriting

__all__ = ["prepare_main"]


class _LazyMain(ModuleType):
    """Both `__main__` and `__mp_main__`, as `multiprocessing` has it."""

    def __init__(self, module: str | None, path: str | None) -> None:
        super().__init__("__mp_main__")
        self.__spec__ = ModuleSpec(module, None) if module is not None else None
        if path is not None:
            self.__file__ = path
        self.__dict__["_subactors_run"] = _Run(self, module, path)

    def __getattr__(self, name: str) -> Any:
        run: _Run | None = self.__dict__.get("_subactors_run")
        if run is not None and not (name.startswith("__") and name.endswith("__")) and run.is_over():
            return getattr(self, name)
        raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")


class _Run:
    """The one run of the script."""

    def __init__(self, main: _LazyMain, module: str | None, path: str | None) -> None:
        self._main = main
        self._module = module
        self._path = path
        self._lock = threading.RLock()
        self._runs = False

    def is_over(self) -> bool:
        """Run it, if nobody has; False if this is the run itself, which looks for what it has not defined."""
        with self._lock:
            if self._runs:
                return False
            if "_subactors_run" not in self._main.__dict__:
                return True  # by another thread
            self._runs = True
            try:
                with inheriting():  # so that a script is refused that starts processes when it is imported
                    if self._module is not None:
                        found = runpy.run_module(self._module, run_name="__mp_main__", alter_sys=True)
                    else:
                        assert self._path is not None  # noqa: S101 - one of both there is
                        found = runpy.run_path(self._path, run_name="__mp_main__")
            finally:
                self._runs = False
            del self._main.__dict__["_subactors_run"]
            self._main.__dict__.update(found)
            return True


def prepare_main(module: str | None, path: str | None) -> None:
    """Put the host's main module in the place of the zygote's; see `main_script`.

    Args:
        module: its name, if it was started as a module; None where there is nothing to find in it.
        path: else its file; None as above.
    """
    main = ModuleType("__main__") if module is None and path is None else _LazyMain(module, path)
    sys.modules["__main__"] = sys.modules["__mp_main__"] = main
