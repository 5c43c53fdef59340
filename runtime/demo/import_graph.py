"""Import graph: resolves what source files import to files of the same folder.

It looks at names and paths only. An import that does not resolve to exactly one file is from outside, or nothing.
"""

from __future__ import annotations

import posixpath
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Final

from . import brace_source, python_source
from .languages import C_FAMILY, JAVASCRIPT, language_of
from .python_source import Import

__all__ = ["COVERED", "Graph", "circles", "import_count", "import_graph"]

COVERED: Final = frozenset({"Python", *JAVASCRIPT, *C_FAMILY})
"""Languages whose imports are understood."""

_SCRIPT_ENDINGS: Final = ("", ".ts", ".tsx", ".mts", ".js", ".jsx", ".mjs", ".cjs", ".d.ts")
_SCRIPT_INDEXES: Final = tuple(f"/index{ending}" for ending in _SCRIPT_ENDINGS if ending)


@dataclass
class Graph:
    """Graph of who imports whom.

    Attributes:
        files: all files that were looked at.
        edges: from a file to the files that it imports.
        at_start: the same, but only for imports that happen when the file itself is imported.
        outside: from a package that is not in the folder to the files that import it.
        unparsable: files that are not valid in their language.
    """

    files: list[str] = field(default_factory=list)
    edges: dict[str, set[str]] = field(default_factory=dict)
    at_start: dict[str, set[str]] = field(default_factory=dict)
    outside: dict[str, set[str]] = field(default_factory=dict)
    unparsable: list[str] = field(default_factory=list)

    def add(self, source: str, target: str, *, at_start: bool) -> None:
        """Note that one file imports another."""
        if source != target:
            self.edges.setdefault(source, set()).add(target)
            if at_start:
                self.at_start.setdefault(source, set()).add(target)


def import_count(texts: Mapping[str, str]) -> int:
    """Return how many names and files some files import."""
    number = 0
    for path, text in texts.items():
        language = language_of(path)
        if language == "Python":
            tree = python_source.parse(text)
            number += sum(1 for _ in python_source.imports(tree)) if tree is not None else 0
        elif language in JAVASCRIPT:
            number += sum(1 for _ in brace_source.imported_paths(text))
        else:
            number += sum(1 for _ in brace_source.included_paths(text))
    return number


def import_graph(texts: Mapping[str, str], roots: Mapping[str, str]) -> Graph:
    """Return the import graph of some files.

    Args:
        texts: by path.
        roots: dotted prefix of module names to the folder that holds these modules, where the project says so; the
            empty prefix is the folder in which top-level modules are.
    """
    graph = Graph(files=list(texts))
    modules = _Modules(texts, roots)
    for path, text in texts.items():
        language = language_of(path)
        if language == "Python":
            _add_python(graph, modules, path, text)
        elif language in JAVASCRIPT:
            _add_script(graph, path, text, texts)
        else:
            _add_includes(graph, path, text, texts)
    return graph


def _add_python(graph: Graph, modules: _Modules, path: str, text: str) -> None:
    tree = python_source.parse(text)
    if tree is None:
        graph.unparsable.append(path)
        return
    for imported in python_source.imports(tree):
        target = modules.find(path, imported)
        if target is not None:
            graph.add(path, target, at_start=imported.at_start)
        elif imported.level == 0:
            top = imported.module.partition(".")[0]
            if top not in sys.stdlib_module_names and not modules.knows(top):
                graph.outside.setdefault(top, set()).add(path)


def _add_script(graph: Graph, path: str, text: str, texts: Mapping[str, str]) -> None:
    for imported, at_start in brace_source.imported_paths(text):
        if imported.startswith(("@/", "~", "#", "node:")):
            continue  # an alias of the project's, or a part of Node.js
        if not imported.startswith("."):
            parts = imported.split("/")
            package = "/".join(parts[:2]) if imported.startswith("@") else parts[0]
            graph.outside.setdefault(package, set()).add(path)
            continue
        base = posixpath.normpath(posixpath.join(posixpath.dirname(path), imported))
        stem, ending = posixpath.splitext(base)
        # TypeScript names the file that it will be compiled to.
        bases = [base, stem] if ending in {".js", ".jsx", ".mjs", ".cjs"} else [base]
        candidates = [b + ending for b in bases for ending in (*_SCRIPT_ENDINGS, *_SCRIPT_INDEXES)]
        target = next((candidate for candidate in candidates if candidate in texts), None)
        if target is not None:
            graph.add(path, target, at_start=at_start)


def _add_includes(graph: Graph, path: str, text: str, texts: Mapping[str, str]) -> None:
    for included in brace_source.included_paths(text):
        beside = posixpath.normpath(posixpath.join(posixpath.dirname(path), included))
        if beside in texts:
            graph.add(path, beside, at_start=True)
            continue
        # Which folders the compiler searches is not known; a path that only one file has is clear all the same.
        elsewhere = [other for other in texts if other == included or other.endswith(f"/{included}")]
        if len(elsewhere) == 1:
            graph.add(path, elsewhere[0], at_start=True)


class _Modules:
    """The Python modules of the folder, under every name that they may be imported by."""

    def __init__(self, paths: Iterable[str], roots: Mapping[str, str]) -> None:
        self._paths = {path for path in paths if language_of(path) == "Python"}
        self._packages = {posixpath.dirname(p) for p in self._paths if posixpath.basename(p).startswith("__init__.")}
        self._by_name: dict[str, list[str]] = {}
        self._top_names: set[str] = set()
        for path in sorted(self._paths):
            for name in set(self._names(path, roots)):
                self._by_name.setdefault(name, []).append(path)
                self._top_names.add(name.partition(".")[0])

    def knows(self, top: str) -> bool:
        """Whether some module's name begins so."""
        return top in self._top_names

    def find(self, importer: str, imported: Import) -> str | None:
        """Return the file that an import means."""
        if imported.level:
            return self._relative(importer, imported)
        if not imported.module or imported.module.partition(".")[0] in sys.stdlib_module_names:
            return None
        if imported.name:
            found = self._named(importer, f"{imported.module}.{imported.name}")
            return found if found is not None else self._named(importer, imported.module)
        return self._named(importer, imported.module)

    def _relative(self, importer: str, imported: Import) -> str | None:
        folder = posixpath.dirname(importer)
        for _ in range(imported.level - 1):
            if not folder:
                return None
            folder = posixpath.dirname(folder)
        base = posixpath.join(folder, *imported.module.split(".")) if imported.module else folder
        # `from . import _module` means the file if there is one, and otherwise what the package itself defines.
        below = self._at(posixpath.join(base, imported.name)) if imported.name else None
        return below or self._at(base)

    def _at(self, base: str) -> str | None:
        candidates = [f"{base}.py", f"{base}.pyi"] if base else []
        candidates += [posixpath.join(base, "__init__.py"), posixpath.join(base, "__init__.pyi")]
        return next((candidate for candidate in candidates if candidate in self._paths), None)

    def _named(self, importer: str, name: str) -> str | None:
        found = self._by_name.get(name, [])
        if len(found) > 1:
            # Several top-level modules of one name, as in folders of tests: the one beside the importer is meant.
            found = [path for path in found if posixpath.dirname(path) == posixpath.dirname(importer)]
        return found[0] if len(found) == 1 else None

    def _names(self, path: str, roots: Mapping[str, str]) -> Iterator[str]:
        for prefix, folder in roots.items():
            relative = posixpath.relpath(path, folder or ".")
            if not relative.startswith(".."):
                yield _dotted(prefix, relative)
        yield _dotted("", path)
        # From the folder that holds the outermost package around it.
        folder = posixpath.dirname(path)
        while folder and folder in self._packages:
            folder = posixpath.dirname(folder)
        yield _dotted("", posixpath.relpath(path, folder or "."))


def _dotted(prefix: str, path: str) -> str:
    parts = list(PurePosixPath(path).with_suffix("").parts)
    if parts[-1] == "__init__":
        del parts[-1]
    return ".".join([*([prefix] if prefix else []), *parts])


def circles(edges: Mapping[str, set[str]]) -> list[list[str]]:
    """Return the groups of files that import each other in a circle: the strongly connected components of two or more.

    Tarjan's algorithm, without recursion.
    """
    numbers: dict[str, int] = {}
    lowest: dict[str, int] = {}
    path: list[str] = []
    on_path: set[str] = set()
    found: list[list[str]] = []
    for start in sorted(edges):
        if start in numbers:
            continue
        work: list[tuple[str, Iterator[str]]] = []
        _enter(start, numbers, lowest, path, on_path)
        work.append((start, iter(sorted(edges.get(start, ())))))
        while work:
            node, successors = work[-1]
            successor = next(successors, None)
            if successor is None:
                work.pop()
                if work:
                    lowest[work[-1][0]] = min(lowest[work[-1][0]], lowest[node])
                if lowest[node] == numbers[node]:
                    group = _leave(node, path, on_path)
                    if len(group) > 1:
                        found.append(sorted(group))
            elif successor not in numbers:
                _enter(successor, numbers, lowest, path, on_path)
                work.append((successor, iter(sorted(edges.get(successor, ())))))
            elif successor in on_path:
                lowest[node] = min(lowest[node], numbers[successor])
    return sorted(found, key=lambda group: (-len(group), group))


def _enter(node: str, numbers: dict[str, int], lowest: dict[str, int], path: list[str], on_path: set[str]) -> None:
    numbers[node] = lowest[node] = len(numbers)
    path.append(node)
    on_path.add(node)


def _leave(node: str, path: list[str], on_path: set[str]) -> Sequence[str]:
    start = path.index(node)
    group = path[start:]
    del path[start:]
    on_path.difference_update(group)
    return group
