"""Prompt files: the files that `add_prompt_files` puts in an agent's system prompt, such as AGENTS.md.

It reads them when a conversation begins, bounded. The agent works without a file that is missing or cannot be read.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, TextIO

from ...actors.regular_files import open_to_read
from ..text import bounded

__all__ = ["find_prompt_files", "prompt_file_paragraphs"]

_LONGEST: Final = 50_000
"""Characters of one file."""


def find_prompt_files(name: str, working_directory: Path, environ: Mapping[str, str]) -> list[Path]:
    """Return the files that a name stands for, the more general first.

    They are the one in the home folder, and the nearest one in the working directory or a folder above it.
    """
    wanted = Path(name)
    if wanted.is_absolute():
        candidates = [[wanted]]
    else:
        above = [folder / wanted for folder in (working_directory, *working_directory.parents)]
        home = environ.get("HOME")
        candidates = [[Path(home) / wanted] if home else [], above]
    found = [next((path for path in paths if _is_file(path)), None) for paths in candidates]
    return list(dict.fromkeys(path for path in found if path is not None))


def prompt_file_paragraphs(names: Sequence[str], working_directory: Path, environ: Mapping[str, str]) -> list[str]:
    """Return a paragraph for the system prompt for each file that there is."""
    paths = [path for name in names for path in find_prompt_files(name, working_directory, environ)]
    paragraphs = []
    for path in dict.fromkeys(paths):
        # A link is fine: many have one of these files under two names.
        with contextlib.suppress(OSError), _open(path) as file:
            text = file.read(_LONGEST * 2).replace("\0", "\N{REPLACEMENT CHARACTER}").strip()
            if text:
                hint = "The file has the rest."
                paragraphs.append(f'<file path="{path}">\n{bounded(text, _LONGEST, hint=hint)}\n</file>')
    return paragraphs


def _open(path: Path) -> TextIO:
    return os.fdopen(open_to_read(path, follow=True), encoding="utf-8", errors="replace")


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # in a folder that may not be searched
        return False
