"""Reading: source files by language, their texts as far as a survey goes, and what it does not cover."""

from __future__ import annotations

import ast
import os
import posixpath
import warnings
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Final

from ...actors.regular_files import open_to_read
from .folder import File
from .words import count, named, size

__all__ = ["JAVASCRIPT", "Texts", "content_of", "language_of", "text_of"]

_ENDINGS: Final = """\
Assembly: .s .asm | C: .c .h | C#: .cs | C++: .cc .cpp .cxx .hh .hpp .hxx | CSS: .css .less .sass .scss
Clojure: .clj .cljs .cljc | Dart: .dart | Elixir: .ex .exs | Erlang: .erl .hrl | Go: .go | HTML: .htm .html
Haskell: .hs | JSON: .json | Java: .java | JavaScript: .cjs .js .jsx .mjs | Julia: .jl | Jupyter notebook: .ipynb
Kotlin: .kt .kts | Lua: .lua | Markdown: .md .markdown | OCaml: .ml .mli | Objective-C: .m .mm | PHP: .php
Perl: .pl .pm | PowerShell: .ps1 | Protocol Buffers: .proto | Python: .py .pyi .pyw | R: .r | Ruby: .rb | Rust: .rs
SQL: .sql | Scala: .scala | Shell: .bash .sh .zsh | Svelte: .svelte | Swift: .swift | TOML: .toml | TeX: .tex
Terraform: .tf | TypeScript: .cts .mts .ts .tsx | Vue: .vue | XML: .xml | YAML: .yaml .yml | Zig: .zig
configuration: .cfg .conf .ini | reStructuredText: .rst | text: .txt | CMake: cmakelists.txt
Dockerfile: containerfile dockerfile | Make: gnumakefile makefile | Ruby: gemfile rakefile
"""
_LANGUAGES: Final = {
    ending: language.strip()
    for entry in _ENDINGS.replace("\n", "|").split("|")
    for language, _, endings in [entry.partition(":")]
    for ending in endings.split()
}
JAVASCRIPT: Final = frozenset({"JavaScript", "TypeScript"})

_MOST_BYTES: Final = 50_000_000
_LARGEST_FILE: Final = 250_000


def language_of(path: str) -> str | None:
    """Return the language of a file by its name; None if the name does not tell."""
    name = posixpath.basename(path).lower()
    return _LANGUAGES.get(name) or _LANGUAGES.get(posixpath.splitext(name)[1])


def content_of(path: str, most: int) -> bytes | None:
    """Return the content of a regular file of at most so many bytes; None for anything else."""
    try:
        with os.fdopen(open_to_read(path), "rb") as file:
            content = file.read(most + 1)
    except OSError:
        return None
    return content if len(content) <= most else None


def text_of(path: str, most: int = _LARGEST_FILE) -> bytes | None:
    """Return the content of such a file, if it may be text."""
    content = content_of(path, most)
    return None if content is None or b"\0" in content else content


@dataclass
class Texts:
    """Files in some languages that have been read.

    Attributes:
        languages: what is read.
        texts: by path.
        too_large: paths of files that are not read because of their size.
        beyond: how many files are not read because there are too many.
        unreadable: paths of files that are not text, or could not be opened.
        no_python: paths of files that `parsed` could not parse.
    """

    languages: Collection[str]
    texts: dict[str, str] = field(default_factory=dict)
    too_large: list[str] = field(default_factory=list)
    beyond: int = 0
    unreadable: list[str] = field(default_factory=list)
    no_python: list[str] = field(default_factory=list)
    _room: int = _MOST_BYTES

    def read(self, files: Sequence[File]) -> dict[str, str]:
        """Read those of some files that are in one of the languages; return their texts."""
        latest = {}
        for file in files:
            if language_of(file.path) not in self.languages:
                continue
            if file.size > min(_LARGEST_FILE, self._room):
                self.too_large += [file.path] if file.size > _LARGEST_FILE else []
                self.beyond += file.size <= _LARGEST_FILE
                continue
            self._room -= file.size
            if (data := text_of(file.path)) is None:
                self.unreadable.append(file.path)
            else:
                latest[file.path] = data.decode(errors="replace")
        self.texts |= latest
        return latest

    def parsed(self, path: str) -> ast.Module:
        """Return the syntax tree of a text that has been read; an empty one if it is not Python."""
        try:
            with warnings.catch_warnings():
                # What the parser thinks of somebody else's code belongs into nobody's output.
                warnings.simplefilter("ignore")
                return ast.parse(self.texts[path])
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            self.no_python.append(path)
            return ast.Module([], [])

    def left_out(self) -> list[str]:
        """Return sentences about what is not read, or could not be."""
        sentences = {
            f"Not read, as larger than {size(_LARGEST_FILE)}: {named(self.too_large, 3)}.": self.too_large,
            f"Not read, as this survey stops at {size(_MOST_BYTES)}: {count(self.beyond, 'file')}.": self.beyond,
            f"Could not be read as text: {named(self.unreadable, 3)}.": self.unreadable,
            f"No valid Python, hence not in it: {named(self.no_python, 3)}.": self.no_python,
        }
        return [words for words, happened in sentences.items() if happened]
