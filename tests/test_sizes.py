"""How large a file, a class and a function may be, read in the sources."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Final

ROOT: Final = next(folder for folder in Path(__file__).parents if (folder / "pyproject.toml").exists())

LARGEST: Final = {"file": 400, "class": 350, "function": 60}
"""Lines, the first and the last included; a function's decorators are not counted."""

EXCEPTIONS: Final[dict[str, str]] = {}
"""What is larger: a file, or a class or function in it, and why."""


def _sizes(path: Path) -> Iterator[tuple[str, str, int]]:
    """Yield kind, name and lines of a file and of all classes and functions in it."""
    source = path.read_text(encoding="utf-8")
    name = path.relative_to(ROOT).as_posix()
    yield "file", name, len(source.splitlines())
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            kind = "class" if isinstance(node, ast.ClassDef) else "function"
            yield kind, f"{name} {node.name}", (node.end_lineno or node.lineno) - node.lineno + 1


def _too_large() -> dict[str, int]:
    paths = [path for top in ("actors", "runtime", "benchmarks", "tests") for path in (ROOT / top).rglob("*.py")]
    return {name: lines for path in paths for kind, name, lines in _sizes(path) if lines > LARGEST[kind]}


def test_no_file_class_or_function_is_larger_than_one_can_hold_in_mind() -> None:
    too_large = _too_large()

    assert {name: lines for name, lines in too_large.items() if name not in EXCEPTIONS} == {}
    assert EXCEPTIONS.keys() - too_large.keys() == set(), "these are not any more"
