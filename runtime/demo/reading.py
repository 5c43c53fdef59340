"""Reading: the texts of source files, as far as a survey goes, and what it does not cover."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Final

from ...actors.regular_files import open_to_read
from .folder import File
from .languages import language_of
from .words import count, listed, size

__all__ = ["Texts", "content_of", "text_of"]

_MOST_BYTES: Final = 50_000_000
_LARGEST_FILE: Final = 250_000


def content_of(path: str, most: int) -> bytes | None:
    """Return the content of a regular file of at most so many bytes; None for anything else."""
    try:
        with os.fdopen(open_to_read(path), "rb") as file:
            content = file.read(most + 1)
    except OSError:
        return None
    return content if len(content) <= most else None


def text_of(path: str, most: int) -> bytes | None:
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
    """

    languages: Collection[str]
    texts: dict[str, str] = field(default_factory=dict)
    too_large: list[str] = field(default_factory=list)
    beyond: int = 0
    unreadable: list[str] = field(default_factory=list)
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
            if (data := text_of(file.path, _LARGEST_FILE)) is None:
                self.unreadable.append(file.path)
            else:
                latest[file.path] = data.decode(errors="replace")
        self.texts |= latest
        return latest

    def left_out(self) -> list[str]:
        """Return sentences about what is not read, or could not be."""
        sentences = {
            f"Not read, as larger than {size(_LARGEST_FILE)}: {listed(self.too_large, 3)}.": self.too_large,
            f"Not read, as this survey stops at {size(_MOST_BYTES)}: {count(self.beyond, 'file')}.": self.beyond,
            f"Could not be read as text: {listed(self.unreadable, 3)}.": self.unreadable,
        }
        return [words for words, happened in sentences.items() if happened]
