"""Sources: what tests that read the product's sources parse them with."""

from __future__ import annotations

import ast
import contextlib
import gc
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def no_collection() -> Iterator[None]:
    """Pause the garbage collector: it takes longer than the parser, and finds nothing, as trees have no circles."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def parsed(*folders: Path, but: str = "") -> Iterator[tuple[Path, list[ast.AST]]]:
    """Yield each Python file in some folders, in order, with all nodes of its tree: the module itself comes first.

    No tree is kept, because each later collection would look at all of them.

    Args:
        folders: the folders, and all that are in them.
        but: the name of files to leave out.
    """
    for folder in folders:
        for path in sorted(folder.rglob("*.py")):
            if path.name != but:
                with no_collection():
                    nodes = [*ast.walk(ast.parse(path.read_bytes()))]
                yield path, nodes
