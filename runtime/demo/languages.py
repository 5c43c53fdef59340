"""Languages by file name: what the demonstration counts a file as, and what it can say about its contents."""

from __future__ import annotations

import posixpath
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["BRACES", "C_FAMILY", "JAVASCRIPT", "language_of"]

_EXTENSIONS: Mapping[str, str] = MappingProxyType(
    {
        extension: language
        for language, extensions in {
            "Assembly": ".s .asm",
            "C": ".c .h",
            "C#": ".cs",
            "C++": ".cc .cpp .cxx .hh .hpp .hxx",
            "CSS": ".css .less .sass .scss",
            "Clojure": ".clj .cljs .cljc",
            "Dart": ".dart",
            "Elixir": ".ex .exs",
            "Erlang": ".erl .hrl",
            "Go": ".go",
            "HTML": ".htm .html",
            "Haskell": ".hs",
            "JSON": ".json",
            "Java": ".java",
            "JavaScript": ".cjs .js .jsx .mjs",
            "Julia": ".jl",
            "Jupyter notebook": ".ipynb",
            "Kotlin": ".kt .kts",
            "Lua": ".lua",
            "Markdown": ".md .markdown",
            "OCaml": ".ml .mli",
            "Objective-C": ".m .mm",
            "PHP": ".php",
            "Perl": ".pl .pm",
            "PowerShell": ".ps1",
            "Protocol Buffers": ".proto",
            "Python": ".py .pyi .pyw",
            "R": ".r",
            "Ruby": ".rb",
            "Rust": ".rs",
            "SQL": ".sql",
            "Scala": ".scala",
            "Shell": ".bash .sh .zsh",
            "Svelte": ".svelte",
            "Swift": ".swift",
            "TOML": ".toml",
            "TeX": ".tex",
            "Terraform": ".tf",
            "TypeScript": ".cts .mts .ts .tsx",
            "Vue": ".vue",
            "XML": ".xml",
            "YAML": ".yaml .yml",
            "Zig": ".zig",
            "configuration": ".cfg .conf .ini",
            "reStructuredText": ".rst",
            "text": ".txt",
        }.items()
        for extension in extensions.split()
    }
)

_NAMES: Mapping[str, str] = MappingProxyType(
    {
        "CMakeLists.txt": "CMake",
        "Containerfile": "Dockerfile",
        "Dockerfile": "Dockerfile",
        "GNUmakefile": "Make",
        "Gemfile": "Ruby",
        "Makefile": "Make",
        "Rakefile": "Ruby",
        "makefile": "Make",
    }
)

JAVASCRIPT = frozenset({"JavaScript", "TypeScript"})
C_FAMILY = frozenset({"C", "C++", "Objective-C"})
BRACES = JAVASCRIPT | C_FAMILY | {"C#", "Dart", "Go", "Java", "Kotlin", "PHP", "Rust", "Scala", "Swift"}
"""Languages in which a function's body stands in braces."""


def language_of(path: str) -> str | None:
    """Return the language of a file by its name; None if the name does not tell."""
    # Not pathlib: it is asked for every file in every turn.
    name = posixpath.basename(path)
    return _NAMES.get(name) or _EXTENSIONS.get(posixpath.splitext(name)[1].lower())
