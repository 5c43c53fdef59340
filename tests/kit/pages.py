"""Pages: the documents of the repository, and the fenced blocks in them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final, NamedTuple

ROOT: Final = next(folder for folder in Path(__file__).parents if (folder / "pyproject.toml").exists())

_FENCE: Final = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_MARK: Final = re.compile(r"<!-- not run: ([^>]+) -->\s*\Z")
_FILE: Final = re.compile(r"^# ([\w-][\w./-]*\.\w+)$")
_SECTION: Final = re.compile(r"^#+ (.+)$", re.MULTILINE)


class Block(NamedTuple):
    """A fenced block.

    Attributes:
        page: the page's name, without its ending.
        section: the heading above it.
        kind: the word behind its fence.
        text: what it holds.
        mark: why it is not run, as the comment before it says; empty if there is none.
    """

    page: str
    section: str
    kind: str
    text: str
    mark: str

    @property
    def file(self) -> str | None:
        """The file beside the page's others that it is, by its first line; None if it is none of them."""
        named = _FILE.match(self.text.partition("\n")[0])
        return named[1] if named is not None else None


def blocks(path: Path) -> list[Block]:
    """Return the blocks of a page, in their order."""
    text = path.read_text()
    found = []
    end = 0
    for fence in _FENCE.finditer(text):
        mark = _MARK.search(text[end : fence.start()])
        # Lines of a program that begin as headings do are within fences: those before are taken out.
        headings = _SECTION.findall(_FENCE.sub("", text[: fence.start()]))
        section = headings[-1] if headings else ""
        found.append(Block(path.stem, section, fence[1], fence[2], mark[1] if mark is not None else ""))
        end = fence.end()
    return found


def guide(name: str) -> Path:
    """Return the file of a page: one of `docs/`, or README."""
    return ROOT / "README.md" if name == "README" else ROOT / "docs" / f"{name}.md"
