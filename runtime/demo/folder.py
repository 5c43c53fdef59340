"""Folder walk: goes through the working directory with `list_directory`, level by level, and knows what it left out.

Bounded: it does not open folders beyond a number, nor folders that tools made or fetched.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Final

from ..toolsets.filesystem.search_program import SKIPPED_FOLDERS
from .script import Steps, call, turn
from .words import count, named, number

__all__ = ["File", "Folder", "is_made_by_tools", "walk"]

_MOST_TURNS: Final = 300
_CALLS_A_TURN: Final = 2
"""Few, so that a person can watch the walk."""

_ENTRY: Final = re.compile(r"(DIR |FILE|LINK|OTHER) (.+)")
_SIZE: Final = re.compile(r"(.+) \(([\d,]+) bytes\)")
_OMITTED: Final = re.compile(r"\[([\d,]+) of [\d,]+ entries left out here\.\]")

_VISIBLE: Final = frozenset({".ci", ".circleci", ".github", ".gitlab"})
_MADE: Final = SKIPPED_FOLDERS | {"bower_components", "htmlcov", "site-packages"}
_BUILD_OUTPUT: Final = frozenset({"build", "coverage", "dist", "out", "target", "vendor"})
_PROJECT_FILES: Final = frozenset(
    {"CMakeLists.txt", "Cargo.toml", "Makefile", "build.gradle", "build.gradle.kts", "composer.json", "go.mod"}
    | {"package.json", "pom.xml", "pyproject.toml", "setup.cfg", "setup.py"}
)
_TOOLS_MARKS: Final = frozenset({"CACHEDIR.TAG", "pyvenv.cfg"})


@dataclass(frozen=True)
class File:
    """A regular file: path from the working directory, and size in bytes."""

    path: str
    size: int


@dataclass
class Folder:
    """The working directory, as far as it has been listed.

    Attributes:
        files: in the order of the walk, upper levels first.
        folders: how many have been listed, the working directory itself among them.
        skipped: folders that were left out as made by tools.
        unlisted: folders that were left out because there are too many, or could not be listed.
        links: symbolic links, which are not followed.
        omitted: entries of huge folders that the tool did not show.
    """

    files: list[File] = field(default_factory=list)
    folders: int = 0
    skipped: list[str] = field(default_factory=list)
    unlisted: list[str] = field(default_factory=list)
    links: int = 0
    omitted: int = 0

    def summary(self) -> str:
        """Return what has been found so far, in a clause."""
        return f"{count(len(self.files), 'file')} in {count(self.folders, 'folder')}"

    def left_out(self) -> list[str]:
        """Return sentences about what the walk left out."""
        words = []
        if self.skipped:
            words.append(f"Not opened, as made or fetched by tools: {named(self.skipped, 8)}.")
        if self.unlisted:
            words.append(f"Not listed: {named(self.unlisted, 5)}.")
        if self.omitted:
            words.append(f"{count(self.omitted, 'entry', 'entries')} of very large folders are not counted.")
        if self.links:
            words.append(f"{count(self.links, 'symbolic link')} not followed.")
        return words

    def take(self, path: str, answer: str) -> list[str]:
        """Take the listing of a folder; return the folders in it that are to be listed."""
        entries = [found.groups() for line in answer.split("\n") if (found := _ENTRY.fullmatch(line))]
        if not entries and not answer.endswith(" is empty."):
            self.unlisted.append(path)
            return []
        sized = [found for kind, text in entries if kind == "FILE" and (found := _SIZE.fullmatch(text))]
        names = {found[1] for found in sized}
        if path != "." and names & _TOOLS_MARKS:
            self.skipped.append(path)
            return []
        self.folders += 1
        self.links += sum(kind == "LINK" for kind, _ in entries)
        self.omitted += number(omitted[1]) if (omitted := _OMITTED.search(answer)) else 0
        self.files += [File(str(PurePosixPath(path, found[1])), number(found[2])) for found in sized]
        below: list[str] = []
        for name in (text for kind, text in entries if kind == "DIR "):
            (self.skipped if is_made_by_tools(name, names) else below).append(str(PurePosixPath(path, name)))
        return below


def walk(look: Callable[[Sequence[File]], str]) -> Steps[Folder]:
    """List the working directory and what is below it.

    Args:
        look: takes the files that the last turn has found, and returns what the next one says of them.
    """
    folder, waiting, words = Folder(), ["."], "First a look at the folder."
    turns = 0
    while waiting and turns < _MOST_TURNS:
        turns += 1
        paths, waiting = waiting[:_CALLS_A_TURN], waiting[_CALLS_A_TURN:]
        answers = yield turn(words, [call("list_directory", path=path) for path in paths])
        before = len(folder.files)
        waiting += [path for listing in zip(paths, answers, strict=True) for path in folder.take(*listing)]
        words = f"{folder.summary()} so far{look(folder.files[before:])}."
    folder.unlisted += waiting
    return folder


def is_made_by_tools(name: str, beside: set[str]) -> bool:
    """Whether a folder holds what tools made or fetched, by its name and the files that lie beside it."""
    if name in _MADE or name.endswith(".egg-info"):
        return True
    if name.startswith("."):
        return name not in _VISIBLE
    # Such a name means build output only where something is built.
    return name in _BUILD_OUTPUT and bool(beside & _PROJECT_FILES)
