"""How large a file, a class and a function may be, read in the sources."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from sources import parsed

ROOT: Final = next(folder for folder in Path(__file__).parents if (folder / "pyproject.toml").exists())

LARGEST: Final = {"file": 400, "class": 350, "function": 60}
"""Lines, the first and the last included; a function's decorators are not counted."""

EXCEPTIONS: Final[dict[str, str]] = {
    "runtime/supervisor/briefing.py task": "two constructors are called, a line for each field",
}
"""What is larger: a file, or a class or function in it, and why."""


def _sizes(path: Path, nodes: Iterable[ast.AST]) -> Iterator[tuple[str, str, int]]:
    """Yield kind, name and lines of a file and of all classes and functions in it."""
    name = path.relative_to(ROOT).as_posix()
    yield "file", name, len(path.read_text(encoding="utf-8").splitlines())
    for node in nodes:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            kind = "class" if isinstance(node, ast.ClassDef) else "function"
            yield kind, f"{name} {node.name}", (node.end_lineno or node.lineno) - node.lineno + 1


def _too_large() -> dict[str, int]:
    folders = [ROOT / top for top in ("actors", "runtime", "benchmarks", "tests")]
    sizes = (size for path, nodes in parsed(*folders) for size in _sizes(path, nodes))
    return {name: lines for kind, name, lines in sizes if lines > LARGEST[kind]}


def test_no_file_class_or_function_is_larger_than_one_can_hold_in_mind() -> None:
    too_large = _too_large()

    assert {name: lines for name, lines in too_large.items() if name not in EXCEPTIONS} == {}
    assert EXCEPTIONS.keys() - too_large.keys() == set(), "these are not any more"
