"""Folder walk: goes through the working directory with `list_directory`, level by level, and knows what it left out.

Bounded: it does not open folders beyond a number, nor folders that tools made or fetched.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from ..toolsets.filesystem.search_program import SKIPPED_FOLDERS
from .conversation import AnsweredCall, call
from .words import count, listed

__all__ = ["File", "Folder", "is_made_by_tools"]

_MOST_FOLDERS: Final = 600
_CALLS_A_TURN: Final = 40

_ENTRY: Final = re.compile(r"(DIR |FILE|LINK|OTHER) (.+)")
_SIZE: Final = re.compile(r"(.+) \(([\d,]+) bytes\)")
_OMITTED: Final = re.compile(r"\[([\d,]+) of [\d,]+ entries left out here\.\]")

_VISIBLE: Final = frozenset({".ci", ".circleci", ".github", ".gitlab"})
_MADE: Final = frozenset({"bower_components", "htmlcov", "site-packages"})
_BUILD_OUTPUT: Final = frozenset({"build", "coverage", "dist", "out", "target", "vendor"})
_PROJECT_FILES: Final = frozenset(
    {
        "CMakeLists.txt",
        "Cargo.toml",
        "Makefile",
        "build.gradle",
        "build.gradle.kts",
        "composer.json",
        "go.mod",
        "package.json",
        "pom.xml",
        "pyproject.toml",
        "setup.cfg",
        "setup.py",
    }
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
        pending: folders to list next.
        skipped: folders that were left out as made by tools.
        unlisted: folders that were left out because there are too many, or could not be listed.
        links: symbolic links, which are not followed.
        omitted: entries of huge folders that the tool did not show.
    """

    files: list[File] = field(default_factory=list)
    folders: int = 0
    pending: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    unlisted: list[str] = field(default_factory=list)
    links: int = 0
    omitted: int = 0

    @classmethod
    def seen(cls, calls: Sequence[AnsweredCall]) -> Folder:
        """Return what the answers to `list_directory` show."""
        answers = {made.arguments.get("path", "."): made.answer for made in calls if made.name == "list_directory"}
        folder = cls()
        waiting = deque(["."])
        found = 0
        while waiting:
            path = waiting.popleft()
            found += 1
            if path in answers:
                waiting.extend(folder._take(path, answers[path]))
            elif found > _MOST_FOLDERS:
                folder.unlisted.append(path)
            else:
                folder.pending.append(path)
        return folder

    def calls(self) -> list[dict[str, Any]]:
        """Return the calls that list the next folders; none when the walk is over."""
        return [call("list_directory", path=path) for path in self.pending[:_CALLS_A_TURN]]

    def summary(self) -> str:
        """Return what has been found so far, in a clause."""
        return f"{count(len(self.files), 'file')} in {count(self.folders, 'folder')}"

    def progress(self) -> str:
        """Return a sentence about the walk, while it goes on."""
        return f"{self.summary()} so far; looking further down." if self.folders else "First a look at the folder."

    def left_out(self) -> list[str]:
        """Return sentences about what the walk left out."""
        words = []
        if self.skipped:
            words.append(f"Not opened, as made or fetched by tools: {listed(self.skipped, 8)}.")
        if self.unlisted:
            words.append(f"Not listed: {listed(self.unlisted, 5)}.")
        if self.omitted:
            words.append(f"{count(self.omitted, 'entry', 'entries')} of very large folders are not counted.")
        if self.links:
            words.append(f"{count(self.links, 'symbolic link')} not followed.")
        return words

    def _take(self, path: str, answer: str) -> list[str]:
        """Take the listing of a folder; return the folders in it that are to be listed."""
        kinds: dict[str, list[str]] = {"DIR ": [], "FILE": [], "LINK": [], "OTHER": []}
        for line in answer.split("\n"):
            entry = _ENTRY.fullmatch(line)
            if entry is not None:
                kinds[entry[1]].append(entry[2])
        omitted = _OMITTED.search(answer)
        if not any(kinds.values()) and not answer.endswith(" is empty."):
            self.unlisted.append(path)
            return []
        files = [File(sized[1], _number(sized[2])) for text in kinds["FILE"] if (sized := _SIZE.fullmatch(text))]
        names = {file.path for file in files}
        if path != "." and names & _TOOLS_MARKS:
            self.skipped.append(path)
            return []
        self.folders += 1
        self.links += len(kinds["LINK"])
        self.omitted += _number(omitted[1]) if omitted is not None else 0
        self.files += [File(_joined(path, file.path), file.size) for file in files]
        below: list[str] = []
        for name in kinds["DIR "]:
            (self.skipped if is_made_by_tools(name, names) else below).append(_joined(path, name))
        return below


def is_made_by_tools(name: str, beside: set[str]) -> bool:
    """Whether a folder holds what tools made or fetched, by its name and the files that lie beside it."""
    if name in SKIPPED_FOLDERS or name in _MADE or name.endswith(".egg-info"):
        return True
    if name.startswith("."):
        return name not in _VISIBLE
    # Such a name means build output only where something is built.
    return name in _BUILD_OUTPUT and bool(beside & _PROJECT_FILES)


def _joined(folder: str, name: str) -> str:
    return name if folder == "." else f"{folder}/{name}"


def _number(text: str) -> int:
    return int(text.replace(",", ""))
