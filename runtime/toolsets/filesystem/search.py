"""Search: searches the contents of files in a process of its own, which is killed when its time is up.

It must never match in this process: see `search_program` for why.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import msgspec

from ....actors import MARK
from ..head_and_tail import HeadAndTail
from ..process_group import ProcessGroup
from .folders import FileError, Place, explained, kind, opened_folder

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

__all__ = ["Counts", "Found", "Match", "search"]

_PROGRAM = Path(__file__).with_name("search_program.py")

_INHERITED = frozenset({MARK, "LD_LIBRARY_PATH", "LANG", "LC_ALL", "TMPDIR"})
"""The variables that the search may need. It reads what others wrote, and does not need the task's own."""


class Match(msgspec.Struct, frozen=True):
    """One line that matches, by its first match; `line` and `column` count from 1, in characters."""

    path: str
    line: int
    column: int
    text: str


class Counts(msgspec.Struct, frozen=True):
    """Counts of a search: files searched, lines that match, files left out and why."""

    files: int
    matches: int
    binary: int
    large: int
    unreadable: int


class Found(msgspec.Struct, frozen=True):
    """Matches of a search; `counts` is None when it was stopped because its time was up."""

    matches: list[Match]
    counts: Counts | None


class _Message(msgspec.Struct, frozen=True):
    """A message of the search program; exactly one of the three."""

    match: Match | None = None
    done: Counts | None = None
    error: str | None = None


async def search(
    place: Place,
    query: str,
    *,
    is_regex: bool,
    exclude: Sequence[str],
    most: int,
    characters: int,
    timeout: float,  # noqa: ASYNC109 - what was found by then is kept, so a cancellation will not do
) -> Found:
    """Search one file, or all files below a folder.

    Args:
        place: the file or folder.
        query: text, or a regular expression, to find within a line.
        is_regex: which of the two it is.
        exclude: globs of names and of paths relative to the folder.
        most: matches to report.
        characters: room for them.
        timeout: seconds after which the search is stopped, with what it has found.

    Raises:
        FileError: the place cannot be searched, or the expression is wrong.
    """
    # Not in a thread: it is less work than starting a process, and a cancelled thread could not hand it over.
    top, only = _opened(place)
    # Each match is some JSON around its text, and every character of the text may need six.
    output = HeadAndTail(8 * characters + 200 * most + 65_536)
    request = {
        "folder": top,
        "only": only,
        "query": query,
        "is_regex": is_regex,
        "exclude": list(exclude),
        "most": most,
        "characters": characters,
        "cpu_seconds": int(timeout) + 2,
    }
    try:
        group = _started(request, top, output)
    except OSError as error:
        raise FileError(f"The search could not be started: {error}.") from None
    finally:
        os.close(top)
    timed_out = False
    try:
        timed_out = not await group.exited(timeout)
    finally:
        await group.end()
    text = output.excerpt().head
    matches, counts = _parsed(text, place, only=only is not None, whole=not timed_out)
    if counts is None and not timed_out:
        raise FileError(f"The search ended too early: {text.strip()[-500:] or 'it said nothing'}")
    return Found(matches, counts)


def _started(request: Mapping[str, Any], top: int, output: HeadAndTail) -> ProcessGroup:
    """Start the program that searches below an open folder, or in it.

    Raises:
        OSError: it cannot be started.
    """
    with tempfile.TemporaryFile() as stdin:
        stdin.write(json.dumps(request).encode())
        stdin.seek(0)
        return ProcessGroup.start(
            [sys.executable, "-I", "-S", str(_PROGRAM)],
            output=output.feed,
            environ={name: value for name, value in os.environ.items() if name in _INHERITED},
            stdin=stdin.fileno(),
            descriptors=(top,),
        )


def _opened(place: Place) -> tuple[int, str | None]:
    """A descriptor of the folder to search, and the name of the one file to search in it."""
    with explained(place):
        what = "directory"
        if place.parts:
            with opened_folder(place.parent) as folder:
                what = kind(os.stat(place.name, dir_fd=folder, follow_symlinks=False).st_mode)
        if what == "directory":
            with opened_folder(place) as folder:
                return os.dup(folder), None
        if what == "file":
            with opened_folder(place.parent) as folder:
                return os.dup(folder), place.name
    raise FileError(f"{place.shown} is neither a file nor a folder.")


def _parsed(text: str, place: Place, *, only: bool, whole: bool) -> tuple[list[Match], Counts | None]:
    """Return the program's message, with paths as the model may use them; raises FileError with its complaint."""
    matches: list[Match] = []
    counts: Counts | None = None
    for line in text.splitlines():
        try:
            message = msgspec.json.decode(line, type=_Message)
        except msgspec.MsgspecError:
            if whole:
                return matches, None
            continue  # the line that it was killed in
        if message.error is not None:
            raise FileError(
                f"Invalid regular expression: {message.error}. To find it as plain text, leave out is_regex."
            )
        if message.match is not None:
            path = place.shown if only else (PurePosixPath(place.shown) / message.match.path).as_posix()
            matches.append(msgspec.structs.replace(message.match, path=path))
        counts = message.done or counts
    return matches, counts
