"""The model of the agent `imports`: reads the source code and finds out which packages it is built on."""

from __future__ import annotations

import ast
import posixpath
import re
import sys
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from pathlib import PurePosixPath
from typing import Final

from .folder import File, walk
from .reading import JAVASCRIPT, Texts, language_of, text_of
from .script import Steps, scripted
from .words import code, count, listed, paragraphs, table

__all__ = ["model"]

_SHOWN: Final = 10
_SCRIPT_IMPORT: Final = re.compile(
    r"""^[ \t]*(?:import|export)\b[^'"`;()]*?['"]([^'"\n]+)['"]|\b(?:require|import)\s*\(\s*['"]([^'"\n]+)['"]\s*\)""",
    re.MULTILINE,
)
_PROJECT_NAME: Final = re.compile(r"""^\s*"?name"?\s*[=:]\s*"([^"]+)\"""", re.MULTILINE)


def _survey(_prompt: str) -> Steps[str]:
    source = Texts({"Python", *JAVASCRIPT})
    imported: dict[str, set[str]] = {}

    def look(files: Sequence[File]) -> str:
        latest = {path: _packages(path, source) for path in source.read(files)}
        imported.update(latest)
        names = sorted({name for names in latest.values() for name in names})
        return f"; the latest import {listed(names, 3)}" if names else ""

    folder = yield from walk(look)
    own = _modules(source.texts) | _project_names(file.path for file in folder.files)
    used = Counter(name for names in imported.values() for name in names - own)
    left_out = source.left_out()
    files = count(len(source.texts), "file")
    if not used:
        return paragraphs(f"No packages are imported, in {files} of Python or JavaScript.", "\n".join(left_out))
    ranked = sorted(used.items(), key=lambda item: (-item[1], item[0]))
    first, most = ranked[0]
    summary = f"{count(len(used), 'package')} imported by {files}; {code(first, 40)} by the most, {most:,}."
    rows = [[code(name, 40), f"{number:,}"] for name, number in ranked[:_SHOWN]]
    if len(ranked) > _SHOWN:
        left_out.insert(0, f"{len(ranked) - _SHOWN:,} more are not shown.")
    left_out.append("Not counted: the standard library, and what can be imported from this folder.")
    return paragraphs(summary, table(["package", "by files"], rows, numbers=(1,)), "\n".join(left_out))


def _modules(paths: Collection[str]) -> set[str]:
    """Return by which names the files here can be imported: those that are in no package, and outermost packages."""
    packages = {posixpath.dirname(path) for path in paths if posixpath.basename(path).startswith("__init__.")}
    outermost = {posixpath.basename(path) for path in packages if posixpath.dirname(path) not in packages}
    top = {path.partition("/")[0] for path in paths}
    return top | outermost | {PurePosixPath(path).stem for path in paths if posixpath.dirname(path) not in packages}


def _project_names(paths: Iterable[str]) -> set[str]:
    """Return the names of the project itself, where its files have some."""
    texts = [text_of(path) or b"" for path in paths if path in {"pyproject.toml", "package.json"}]
    return {name.replace("-", "_") for text in texts for name in _PROJECT_NAME.findall(text.decode(errors="replace"))}


def _packages(path: str, source: Texts) -> set[str]:
    """Return what a file imports, but for the standard library and relative imports."""
    if language_of(path) != "Python":
        names = [found[1] or found[2] for found in _SCRIPT_IMPORT.finditer(source.texts[path])]
        parts = [name.split("/") for name in names if not name.startswith((".", "/", "~", "#", "@/", "node:"))]
        return {"/".join(name[: 2 if name[0].startswith("@") else 1]) for name in parts}
    found = set()
    for node in ast.walk(source.parsed(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.partition(".")[0])
    return found - sys.stdlib_module_names


model = scripted(_survey)
