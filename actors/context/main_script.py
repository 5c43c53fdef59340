"""Main script: what of the host's `__main__` a process of the `multiprocessing` context finds by its name.

Such a process runs the script itself, once something of it is looked for, under the name `__mp_main__`. So it finds
what the script defines, but for what it defines only where `__name__` is `__main__`. There is nothing to run for what
comes from no file, and nothing is run again that is not written for it: the `__main__.py` of a package or a folder
without a guard. What is not found goes by value.
"""

from __future__ import annotations

import ast
import stat
import sys
from functools import lru_cache
from importlib.util import decode_source
from pathlib import Path
from typing import Any, Final, NamedTuple

__all__ = ["MainScript", "main_script"]


class MainScript(NamedTuple):
    """See the module.

    Attributes:
        module: name of the module that others run; None where there is none.
        path: the script that they run, else.
        missing: names that it defines in the host alone.
    """

    module: str | None
    path: str | None
    missing: frozenset[str]

    @property
    def is_whole(self) -> bool:
        """Whether others find all that it defines."""
        return not self.missing and (self.module is not None or self.path is not None)

    def has(self, value: Any) -> bool:
        """Whether others find a function or a class of the main module by its name."""
        names: list[str] = value.__qualname__.split(".")
        if (self.module is None and self.path is None) or names[0] in self.missing:
            return False
        found: Any = sys.modules.get("__main__")
        for name in names:
            found = getattr(found, name, None)
        return found is value


def main_script() -> MainScript:
    """Return what it is at this moment: it may have been edited, and is run as it is then."""
    main = sys.modules.get("__main__")
    module: str | None = getattr(getattr(main, "__spec__", None), "name", None)
    file = getattr(main, "__file__", None)
    known = _look_into(file) if file is not None and main is not None else None
    is_program = module is not None and module.rpartition(".")[2] == "__main__"
    if is_program and (known is None or not known.has_guard):
        # Written to be run, and to do its work then. The standard start methods do not run these either.
        return _NONE
    if is_program and module == "__main__":  # a folder that was given to the interpreter
        module = None
    missing = known.missing if known is not None else frozenset()
    if module is not None:
        return MainScript(module, None, missing)
    if file is None or not Path(file).is_file() or Path(file).stem == "ipython":
        return _NONE
    return MainScript(None, str(Path(file).absolute()), missing)


_NONE: Final = MainScript(None, None, frozenset())


class _Known(NamedTuple):
    """What the source says: whether it has a guard, and what it defines nowhere but under that."""

    has_guard: bool
    missing: frozenset[str]


def _look_into(file: str) -> _Known | None:
    try:
        status = Path(file).stat()
        if not stat.S_ISREG(status.st_mode):
            return None  # a pipe, which has been read, and which nobody may ever write to again
        return _read(file, status.st_mtime_ns, status.st_size)
    except (OSError, SyntaxError, ValueError, RecursionError):
        return None  # a compiled file, one that is gone, or of an archive


@lru_cache(maxsize=4)
def _read(file: str, _changed: int, _size: int) -> _Known:
    names = _Names()
    names.visit(ast.parse(decode_source(Path(file).read_bytes())))
    return _Known(names.has_guard, frozenset(names.guarded - names.everywhere))


class _Names(ast.NodeVisitor):
    """Collects the names that a module binds: everywhere, and where it is the program alone."""

    def __init__(self) -> None:
        self.has_guard = False
        self.everywhere: set[str] = set()
        self.guarded: set[str] = set()
        self._names = self.everywhere

    def visit_If(self, node: ast.If) -> None:
        """Look into a guard, or any other condition."""
        if not _is_guard(node.test):
            self.generic_visit(node)
            return
        self.has_guard = True
        before, self._names = self._names, self.guarded
        for statement in node.body:
            self.visit(statement)
        self._names = before
        for statement in node.orelse:
            self.visit(statement)

    def visit_Name(self, node: ast.Name) -> None:
        """Take a variable."""
        if isinstance(node.ctx, ast.Store):
            self._names.add(node.id)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        """Take a class; what is in it is its own."""
        self._names.add(node.name)

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        """Take a function, and what it would define for the module if it were called: in the host it may have been."""
        self._names.add(node.name)
        for part in ast.walk(node):
            if isinstance(part, ast.Global):
                self.guarded.update(part.names)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        """Take it as any other."""
        self.visit_FunctionDef(node)


def _is_guard(test: ast.expr) -> bool:
    """Whether a condition holds where the module is the program alone, as `__name__ == "__main__"` does."""
    if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.And):
        return any(_is_guard(part) for part in test.values)
    if not isinstance(test, ast.Compare) or len(test.ops) != 1 or not isinstance(test.ops[0], ast.Eq):
        return False
    sides = [test.left, test.comparators[0]]
    return any(isinstance(side, ast.Name) and side.id == "__name__" for side in sides) and any(
        isinstance(side, ast.Constant) and side.value == "__main__" for side in sides
    )
