"""Languages by file name: what the demonstration counts a file as, and where it can say more about the contents."""

from __future__ import annotations

import posixpath
from typing import Final

__all__ = ["BRACES", "JAVASCRIPT", "KEYWORDS", "language_of"]

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
KEYWORDS: Final = frozenset({"Go", "Kotlin", "PHP", "Rust", "Scala", "Swift"})
"""Languages with a keyword before every function."""

BRACES: Final = JAVASCRIPT | KEYWORDS | {"C", "C#", "C++", "Dart", "Java", "Objective-C"}
"""Languages in which a function's body stands in braces."""


def language_of(path: str) -> str | None:
    """Return the language of a file by its name; None if the name does not tell."""
    name = posixpath.basename(path).lower()
    return _LANGUAGES.get(name) or _LANGUAGES.get(posixpath.splitext(name)[1])
