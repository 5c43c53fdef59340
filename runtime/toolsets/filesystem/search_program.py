"""Search program: searches files in a process of its own, started by `search`, on the standard library alone.

A process, because a regular expression can take for ever, holds the interpreter's lock meanwhile, and can be stopped
only from outside. It gets a descriptor of the folder to search and follows no link, so it cannot leave that folder; it
reads and never writes. One request comes as JSON on its input. One JSON object a line goes out: `match`, at last
`done`, or `error`.
"""

from __future__ import annotations

import fnmatch
import json
import os
import re
import stat
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["SKIPPED_FOLDERS", "main", "printable"]

SKIPPED_FOLDERS = frozenset(
    {
        ".git",
        ".hg",
        ".svn",
        ".mypy_cache",
        ".nox",
        ".pytest_cache",
        ".ruff_cache",
        ".tox",
        ".venv",
        "__pycache__",
        "node_modules",
        "venv",
    }
)
"""Folders that hold what a tool made or fetched; looked into only when they are asked for by name."""

LARGEST_FILE = 5_000_000
"""Bytes; larger files are data or generated, and are counted, not searched."""

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\ud800-\udfff]")
_TEXT_WIDTH = 240
_TEXT_BEFORE = 80


def printable(text: str) -> str:
    """`text` without lone surrogates and control characters, which file names may hold; tabs stay."""
    return _UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", text)


class Search:
    """One search.

    Args:
        find: where in a line the first match begins, or None.
        worth: whether a file's whole text is worth going through line by line.
        exclude: globs of names and relative paths to leave out.
        most: matches to report; further ones are counted.
        characters: report no more matches once they take this much room.
    """

    def __init__(
        self,
        *,
        find: Callable[[str], int | None],
        worth: Callable[[str], bool],
        exclude: list[str],
        most: int,
        characters: int,
    ) -> None:
        self._find = find
        self._worth = worth
        self._exclude = [pattern.removeprefix("**/").removesuffix("/**").rstrip("/") for pattern in exclude]
        self._most = most
        self._room = characters
        self.done = {"files": 0, "matches": 0, "binary": 0, "large": 0, "unreadable": 0}

    def run(self, top: int, only: str | None) -> None:
        """Search everything below the folder `top`, or only the file of that name in it."""
        if only is not None:
            self._file(top, only, only)
            return
        pending: list[tuple[str, ...]] = [()]
        while pending:
            parts = pending.pop()
            try:
                folder = _opened(top, parts)
            except OSError:
                self.done["unreadable"] += 1
                continue
            try:
                below = []
                for name, is_folder in _entries(folder):
                    path = "/".join((*parts, name))
                    if self._excluded(name, path):
                        continue
                    if not is_folder:
                        self._file(folder, name, path)
                    elif name not in SKIPPED_FOLDERS:
                        below.append((*parts, name))
                pending.extend(reversed(below))
            except OSError:
                self.done["unreadable"] += 1
            finally:
                os.close(folder)

    def _excluded(self, name: str, path: str) -> bool:
        return any(
            fnmatch.fnmatchcase(name, pattern) or fnmatch.fnmatchcase(path, pattern) for pattern in self._exclude
        )

    def _file(self, folder: int, name: str, path: str) -> None:
        try:
            data = _content(folder, name)
        except OSError:
            self.done["unreadable"] += 1
            return
        if data is None:
            return
        if len(data) > LARGEST_FILE:
            self.done["large"] += 1
            return
        if b"\0" in data:
            self.done["binary"] += 1
            return
        self.done["files"] += 1
        text = data.decode("utf-8", "replace")
        if not self._worth(text):
            return
        for number, line in enumerate(text.split("\n"), 1):
            column = self._find(line)
            if column is not None:
                self._match(printable(path), number, column, line)

    def _match(self, path: str, number: int, column: int, line: str) -> None:
        self.done["matches"] += 1
        if self.done["matches"] > self._most or self._room <= 0:
            return
        text = printable(_around(line.rstrip("\r"), column))
        self._room -= len(path) + len(text) + len(f":{number}:{column + 1}: \n")
        _send({"match": {"path": path, "line": number, "column": column + 1, "text": text}})


def _opened(top: int, parts: tuple[str, ...]) -> int:
    """A descriptor of a folder below `top`; component by component, so that no link is followed."""
    descriptor = os.dup(top)
    for part in parts:
        try:
            below = os.open(part, _FOLDER, dir_fd=descriptor)
        finally:
            os.close(descriptor)
        descriptor = below
    return descriptor


def _entries(folder: int) -> Iterator[tuple[str, bool]]:
    """Names in a folder, files before folders, each kind by name, and whether it is a folder; links are left out."""
    with os.scandir(folder) as entries:
        found = [
            (entry.is_dir(follow_symlinks=False), entry.name)
            for entry in entries
            if entry.is_dir(follow_symlinks=False) or entry.is_file(follow_symlinks=False)
        ]
    for is_folder, name in sorted(found):
        yield name, is_folder


def _content(folder: int, name: str) -> bytes | None:
    """A regular file's bytes, at most one more than `LARGEST_FILE`; None if it is not a regular file."""
    descriptor = os.open(name, _FILE, dir_fd=folder)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return None
        return file.read(LARGEST_FILE + 1)


def _around(line: str, column: int) -> str:
    """The part of a long line that shows what is at `column`."""
    if len(line) <= _TEXT_WIDTH:
        return line
    start = max(0, column - _TEXT_BEFORE)
    part = line[start : start + _TEXT_WIDTH]
    return f"{'…' if start else ''}{part}{'…' if start + _TEXT_WIDTH < len(line) else ''}"


def _send(message: dict[str, Any]) -> None:
    # Flushed each time: what was found must be known even if the next line is never finished.
    print(json.dumps(message), flush=True)  # noqa: T201 - standard output is this program's answer


def _limit_cpu(seconds: int) -> None:
    """End by itself should the process that watches the time be killed."""
    import resource  # noqa: PLC0415 - only the program needs it, not who imports the names above

    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    if hard == resource.RLIM_INFINITY or hard > seconds:
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, hard))


def main() -> None:
    """Serve the request on standard input."""
    request = json.load(sys.stdin)
    _limit_cpu(request["cpu_seconds"])
    query: str = request["query"]
    if request["is_regex"]:
        try:
            pattern = re.compile(query)
        except (re.error, RecursionError, OverflowError, MemoryError) as error:
            _send({"error": printable(str(error))})
            return

        def find(line: str) -> int | None:
            match = pattern.search(line)
            return None if match is None else match.start()

        def worth(text: str) -> bool:  # noqa: ARG001 - the same signature as below
            return True
    else:

        def find(line: str) -> int | None:
            column = line.find(query)
            return None if column < 0 else column

        def worth(text: str) -> bool:
            return query in text

    search = Search(
        find=find,
        worth=worth,
        exclude=request["exclude"],
        most=request["most"],
        characters=request["characters"],
    )
    search.run(request["folder"], request["only"])
    _send({"done": search.done})


if __name__ == "__main__":
    main()
