"""Sources: what tests that read the product's sources parse them with."""

from __future__ import annotations

import ast
import contextlib
import gc
import re
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


def parsed(*folders: Path, but: str = "", words: str = "") -> Iterator[tuple[Path, list[ast.AST]]]:
    """Yield each Python file in some folders, in order, with all nodes of its tree: the module itself comes first.

    No tree is kept, because each later collection would look at all of them.

    Args:
        folders: the folders, and all that are in them.
        but: the name of files to leave out.
        words: a pattern; a file in which nothing fits it has nothing that is looked for, and is left out, too.
    """
    for folder in folders:
        for path in sorted(folder.rglob("*.py")):
            if path.name != but and re.search(words, text := path.read_text(encoding="utf-8"), re.MULTILINE):
                with no_collection():
                    nodes = _nodes(ast.parse(text))
                yield path, nodes


def _nodes(tree: ast.AST) -> list[ast.AST]:
    """Return what `ast.walk` yields, in less time."""
    nodes = [tree]
    for node in nodes:
        for value in vars(node).values():
            if isinstance(value, ast.AST):
                nodes.append(value)
            elif isinstance(value, list):
                nodes += [each for each in value if isinstance(each, ast.AST)]
    return nodes
