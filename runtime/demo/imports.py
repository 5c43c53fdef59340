"""The model of the agent `imports`: reads the source code and answers with who imports whom."""

from __future__ import annotations

import posixpath
import tomllib
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

from ..models.base import Message, ToolSchema
from .conversation import answered_calls, folder_name, turn
from .folder import Folder
from .import_graph import COVERED, Graph, circles, import_count, import_graph
from .languages import BRACES, language_of
from .reading import Reading, choose
from .words import cell, count, listed, paragraphs, table

__all__ = ["model"]

_SHOWN: Final = 8
_SHOWN_CIRCLES: Final = 3
_SHOWN_IN_CIRCLE: Final = 8
_PROJECT: Final = "pyproject.toml"


def model(messages: Sequence[Message], _tools: Sequence[ToolSchema]) -> Message | str:
    """List the folder, read the source files, answer with the import graph."""
    calls = answered_calls(messages)
    folder = Folder.seen(calls)
    if folder.pending:
        return turn(folder.progress(), folder.calls())
    project = [file for file in folder.files if file.path == _PROJECT]
    chosen = choose([*project, *(file for file in folder.files if language_of(file.path) in COVERED)])
    reading = Reading(chosen.files, messages)
    if reading.calls():
        return turn(_progress(reading, len(chosen.files)), reading.calls())
    texts = {path: text for path, text in reading.texts.items() if path != _PROJECT}
    roots = _roots(reading.texts.get(_PROJECT, ""))
    if "__init__.py" in texts:
        # The folder itself is a package, which its modules may well be imported from by its name.
        roots[folder_name(messages)] = "."
    graph = import_graph(texts, roots)
    uncovered = Counter(
        language for file in folder.files if (language := language_of(file.path)) in BRACES - COVERED and language
    )
    return _answer(graph, uncovered, [*chosen.left_out(), *reading.left_out()])


def _roots(project: str) -> dict[str, str]:
    """Return which folders hold which modules, as setuptools is told in pyproject.toml, and `src`."""
    roots = {"": "src"}
    try:
        document: Any = tomllib.loads(project)
    except tomllib.TOMLDecodeError:
        return roots
    for key in ("tool", "setuptools", "package-dir"):
        document = document.get(key) if isinstance(document, Mapping) else None
    if isinstance(document, Mapping):
        roots |= {prefix: posixpath.normpath(path) for prefix, path in document.items() if isinstance(path, str)}
    return roots


def _progress(reading: Reading, files: int) -> str:
    if not reading.texts:
        return f"{count(files, 'file')} may import each other; reading."
    latest = {path: text for path, text in reading.latest.items() if path != _PROJECT}
    return (
        f"{len(reading.texts)} of {count(files, 'file')} read; the latest have {count(import_count(latest), 'import')}."
    )


def _answer(graph: Graph, uncovered: Mapping[str, int], left_out: list[str]) -> str:
    if graph.unparsable:
        left_out.append(f"No valid Python, hence not in it: {listed(graph.unparsable, 3)}.")
    if uncovered:
        others = ", ".join(f"{count(number, 'file')} of {language}" for language, number in sorted(uncovered.items()))
        left_out.append(f"Imports are understood for Python, JavaScript, TypeScript and C; not in it are {others}.")
    if not graph.files:
        return paragraphs("No source code whose imports I understand.", "\n".join(left_out))
    edges = [(source, target) for source, targets in graph.edges.items() for target in targets]
    parts = [_summary(graph, edges)]
    imported = Counter(target for _, target in edges)
    if imported:
        rows = [
            [cell(path, 80), f"{number:,}", f"{len(graph.edges.get(path, ())):,}"]
            for path, number in sorted(imported.items(), key=lambda item: (-item[1], item[0]))[:_SHOWN]
        ]
        parts.append(table(["imported most", "by files", "imports files"], rows, numbers=(1, 2)))
    parts.append(_circles(graph))
    if graph.outside:
        outside = sorted(graph.outside.items(), key=lambda item: (-len(item[1]), item[0]))
        names = [f"{cell(name, 40)} ({len(paths)})" for name, paths in outside]
        parts.append(f"Packages from outside, with the number of files that import them: {listed(names, 10)}.")
    return paragraphs(*parts, "\n".join(left_out))


def _summary(graph: Graph, edges: Sequence[tuple[str, str]]) -> str:
    if not edges:
        return f"{count(len(graph.files), 'source file')}, none of which imports another."
    imported = Counter(target for _, target in edges)
    path, number = min(imported.items(), key=lambda item: (-item[1], item[0]))
    return (
        f"{count(len(edges), 'import')} between {count(len(graph.files), 'source file')}; {cell(path, 80)} is imported "
        f"by the most, {number:,}."
    )


def _circles(graph: Graph) -> str:
    found = circles(graph.at_start)
    if not found:
        return "No files import each other in a circle." if graph.edges else ""
    lines = [
        f"Circles of imports, counting those that happen when a file is imported: {len(found):,}."
        + (f" The {_SHOWN_CIRCLES} largest:" if len(found) > _SHOWN_CIRCLES else "")
    ]
    lines += [f"- {count(len(group), 'file')}: {listed(group, _SHOWN_IN_CIRCLE)}" for group in found[:_SHOWN_CIRCLES]]
    return "\n".join(lines)
