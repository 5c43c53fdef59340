"""Filesystem tools: what a model may ask for, and how the answers read.

Confined to the working directory and the folders that the team file allows (`folders`). They must never block the event
loop with file work (`files` runs in worker threads), and no answer may grow with what is on the disk.
"""

from __future__ import annotations

import asyncio
import json
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import msgspec

from ..base import Tool, ToolAnswer, Toolset
from .files import (
    Entry,
    FileText,
    Replacement,
    edit_text,
    list_folder,
    make_folder,
    read_text,
    remove_folder,
    tree,
    write_text,
)
from .folders import AllowedFolders, FileError
from .git_guard import refuse_git
from .parameters import (
    DirectoryTreeParameters,
    EditFileParameters,
    ListDirectoryParameters,
    PathsParameters,
    ReadFileParameters,
    ReadMultipleFilesParameters,
    SearchFilesContentParameters,
    WriteFileParameters,
)
from .search import Found, search
from .search_program import LARGEST_FILE, printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from .folders import Place

__all__ = ["FilesystemToolset"]

_ROOM_FOR_NOTES = 600
"""Characters of an answer that are not content, so that an answer is cut in one place only."""
_MOST_ENTRIES = 500
_MOST_MATCHES = 300


class FilesystemToolset(Toolset):
    """Files in a working directory and some further folders. Called in any thread's event loop; calls may overlap.

    Args:
        working_directory: where relative paths begin; always allowed.
        allow: further folders that may be used: absolute, relative to the working directory or beginning with `~`.
        readonly: offer only the tools that change nothing.
        allow_git: change what git reads its configuration from, too: below any `.git`, and in bare repositories.
        limit: characters of an answer.
        search_timeout: seconds that one search in contents may take.
    """

    def __init__(
        self,
        *,
        working_directory: Path,
        allow: Sequence[str] = (),
        readonly: bool = False,
        allow_git: bool = False,
        limit: int = 30_000,
        search_timeout: float = 20.0,
    ) -> None:
        self._folders = AllowedFolders(working_directory, allow)
        self._readonly = readonly
        self._allow_git = allow_git
        self._room = max(1, limit - _ROOM_FOR_NOTES)
        self._search_timeout = search_timeout
        # Two edits of one turn run in two threads: the second must see what the first has written.
        self._writing = threading.Lock()
        first, *further = self._folders.roots
        also = f" Besides it, these folders may be used: {', '.join(map(str, further))}." if further else ""
        changes = (
            "Nothing can be changed."
            if readonly
            else "Read a file before you edit it; `edit_file` changes parts, `write_file` replaces all of it."
            + ("" if allow_git else " What git keeps in `.git` cannot be changed.")
        )
        self.instruction = (
            f"## Files\n\nRelative paths begin in the working directory, {first}.{also} Nothing outside can be reached."
            f" {changes} Find the place with `search_files_content` before you read a long file, and read the part you"
            " need with `offset` and `limit`."
        )

    @property
    def tools(self) -> Sequence[Tool]:
        """The tools that read, and those that write unless the toolset is read-only."""
        return self._reading_tools() if self._readonly else (*self._reading_tools(), *self._writing_tools())

    def _reading_tools(self) -> Sequence[Tool]:
        return (
            Tool(
                name="read_file",
                description="Read a text file, or some lines of it. Of a long file the middle is left out;"
                " the answer says how to read on.",
                parameters=ReadFileParameters,
                handler=self._read_file,
            ),
            Tool(
                name="read_multiple_files",
                description="Read several text files at once. One that cannot be read does not hinder the others.",
                parameters=ReadMultipleFilesParameters,
                handler=self._read_multiple_files,
            ),
            Tool(
                name="list_directory",
                description="List what a folder holds: DIR, FILE with its size, LINK with its target, OTHER.",
                parameters=ListDirectoryParameters,
                handler=self._list_directory,
            ),
            Tool(
                name="directory_tree",
                description="Show a folder and what is below it as JSON: name, type, children. A folder not looked into"
                " (.git, node_modules and the like) is marked unopened, one not listed whole has the number omitted.",
                parameters=DirectoryTreeParameters,
                handler=self._directory_tree,
            ),
            Tool(
                name="search_files_content",
                description="Find text or a regular expression in files, line by line; answers"
                " path:line:column: text. Leaves out binary and very large files, links, and folders such as .git.",
                parameters=SearchFilesContentParameters,
                handler=self._search_files_content,
            ),
        )

    def _writing_tools(self) -> Sequence[Tool]:
        return (
            Tool(
                name="write_file",
                description="Write a file as a whole, in place of what is there; missing folders are made.",
                parameters=WriteFileParameters,
                handler=self._write_file,
            ),
            Tool(
                name="edit_file",
                description="Replace texts in a file. Each oldText must occur once. All edits are made, or none.",
                parameters=EditFileParameters,
                handler=self._edit_file,
            ),
            Tool(
                name="create_directory",
                description="Make folders, with the missing ones above them. One that exists is left as it is.",
                parameters=PathsParameters,
                handler=self._create_directory,
            ),
            Tool(
                name="remove_directory",
                description="Remove empty folders.",
                parameters=PathsParameters,
                handler=self._remove_directory,
            ),
        )

    async def _read_file(self, parameters: ReadFileParameters) -> ToolAnswer:
        def read() -> ToolAnswer:
            place = self._folders.place(parameters.path)
            file = read_text(place, first=parameters.offset, count=parameters.limit, limit=self._room)
            return ToolAnswer(_file_text(file), msgspec.structs.asdict(file))

        return await _answered(read)

    async def _read_multiple_files(self, parameters: ReadMultipleFilesParameters) -> ToolAnswer:
        def read() -> ToolAnswer:
            texts: list[str] = []
            data: list[dict[str, Any]] = []
            room = self._room
            for number, path in enumerate(parameters.paths):
                # What a short file does not need is there for those that follow.
                share = room // (len(parameters.paths) - number) - _ROOM_FOR_NOTES // 2
                try:
                    file = read_text(self._folders.place(path), first=1, count=None, limit=max(1, share))
                except FileError as error:
                    text = f"Error: {error}"
                    data.append({"path": printable(path), "error": str(error)})
                else:
                    text = _file_text(file)
                    data.append(msgspec.structs.asdict(file))
                texts.append(f"=== {printable(path)} ===\n{text}")
                room -= len(texts[-1]) + 2
            return ToolAnswer("\n\n".join(texts), data, is_error=all("error" in file for file in data))

        return await _answered(read)

    async def _list_directory(self, parameters: ListDirectoryParameters) -> ToolAnswer:
        def listed() -> ToolAnswer:
            place = self._folders.place(parameters.path)
            entries, total = list_folder(place, _MOST_ENTRIES)
            lines: list[str] = []
            room = self._room
            for entry in entries:
                line = _entry_line(entry)
                room -= len(line) + 1
                if room < 0:
                    break
                lines.append(line)
            if len(lines) < total:
                lines.append(f"[{total - len(lines):,} of {total:,} entries left out here.]")
            text = "\n".join(lines) or f"{place.shown} is empty."
            return ToolAnswer(text, [msgspec.structs.asdict(entry) for entry in entries])

        return await _answered(listed)

    async def _directory_tree(self, parameters: DirectoryTreeParameters) -> ToolAnswer:
        def shown() -> ToolAnswer:
            root = tree(self._folders.place(parameters.path), max_depth=parameters.max_depth, limit=self._room)
            return ToolAnswer(json.dumps(root, ensure_ascii=False), root)

        return await _answered(shown)

    async def _search_files_content(self, parameters: SearchFilesContentParameters) -> ToolAnswer:
        if not parameters.query:
            return ToolAnswer("The query is empty. Give the text or the regular expression to find.", is_error=True)
        if not parameters.is_regex and "\n" in parameters.query:
            return ToolAnswer("Files are searched line by line: the query must not hold a line break.", is_error=True)
        try:
            place = await asyncio.to_thread(self._folders.place, parameters.path)
            found = await search(
                place,
                parameters.query,
                is_regex=parameters.is_regex,
                exclude=parameters.exclude_patterns,
                most=_MOST_MATCHES,
                characters=self._room,
                timeout=self._search_timeout,
            )
        except FileError as error:
            return ToolAnswer(str(error), is_error=True)
        return ToolAnswer(
            _found_text(found, place.shown, self._search_timeout),
            [msgspec.structs.asdict(match) for match in found.matches],
        )

    async def _write_file(self, parameters: WriteFileParameters) -> ToolAnswer:
        def written() -> ToolAnswer:
            with self._to_change(parameters.path) as place:
                size, created = write_text(place, parameters.content)
            text = f"{'Wrote the new file' if created else 'Replaced'} {place.shown}: {size:,} bytes."
            return ToolAnswer(text, {"path": place.shown, "bytes": size, "created": created})

        return await _answered(written)

    async def _edit_file(self, parameters: EditFileParameters) -> ToolAnswer:
        def edited() -> ToolAnswer:
            with self._to_change(parameters.path) as place:
                lines = edit_text(place, [Replacement(edit.old_text, edit.new_text) for edit in parameters.edits])
            where = ", ".join(map(str, lines))
            text = f"Edited {place.shown}: {len(lines)} {'edit' if len(lines) == 1 else 'edits'}, at line {where}."
            return ToolAnswer(text, {"path": place.shown, "lines": lines})

        return await _answered(edited)

    async def _create_directory(self, parameters: PathsParameters) -> ToolAnswer:
        def made(path: str) -> str:
            with self._to_change(path) as place:
                is_new = make_folder(place)
            return f"Made {place.shown}." if is_new else f"{place.shown} exists already."

        return await _answered(lambda: _each(parameters.paths, made))

    async def _remove_directory(self, parameters: PathsParameters) -> ToolAnswer:
        def removed(path: str) -> str:
            with self._to_change(path) as place:
                remove_folder(place)
            return f"Removed {place.shown}."

        return await _answered(lambda: _each(parameters.paths, removed))

    @contextmanager
    def _to_change(self, path: str) -> Iterator[Place]:
        """Yield a place that may be changed; nothing else is, meanwhile. Blocking."""
        place = self._folders.place(path)
        with self._writing:
            if not self._allow_git:
                refuse_git(place)
            yield place


async def _answered(work: Callable[[], ToolAnswer]) -> ToolAnswer:
    """Do blocking work in a worker thread; what it refuses is the answer."""
    try:
        return await asyncio.to_thread(work)
    except FileError as error:
        return ToolAnswer(str(error), is_error=True)


def _each(paths: Sequence[str], work: Callable[[str], str]) -> ToolAnswer:
    """Do the same for each path and say for each how it went; an error if one failed."""
    lines, data = [], []
    for path in paths:
        try:
            line, failed = work(path), False
        except FileError as error:
            line, failed = str(error), True
        lines.append(line)
        data.append({"path": printable(path), "ok": not failed})
    return ToolAnswer("\n".join(lines), data, is_error=any(not entry["ok"] for entry in data))


def _file_text(file: FileText) -> str:
    notes = []
    if not file.content:
        return f"({file.path} is empty.)"
    if (file.first_line, file.last_line) != (1, file.lines):
        notes.append(f"[Lines {file.first_line:,} to {file.last_line:,} of {file.lines:,}.]")
    if not file.exact:
        notes.append(
            "[Not valid UTF-8: \N{REPLACEMENT CHARACTER} stands for what could not be read; do not write it back.]"
        )
    return "\n".join([file.content.removesuffix("\n") + "\n", *notes]) if notes else file.content


def _entry_line(entry: Entry) -> str:
    match entry.type:
        case "directory":
            return f"DIR  {entry.name}"
        case "file":
            return f"FILE {entry.name} ({entry.size:,} bytes)"
        case "link":
            return f"LINK {entry.name} -> {entry.target}"
        case _:
            return f"OTHER {entry.name}"


def _found_text(found: Found, where: str, timeout: float) -> str:
    """The matches, and what a reader must know about those that are not there."""
    lines = [f"{match.path}:{match.line}:{match.column}: {match.text}" for match in found.matches]
    counts = found.counts
    if counts is None:
        lines.append(
            f"[Stopped after {timeout:g} s; there may be more. Search a smaller folder, leave files out with"
            " excludePatterns, or use a simpler expression.]"
        )
        return "\n".join(lines)
    if not found.matches:
        lines.append(f"No matches in {where} ({counts.files:,} files searched).")
    elif counts.matches > len(found.matches):
        lines.append(
            f"[{len(found.matches):,} of {counts.matches:,} matching lines shown."
            " Search a smaller folder, or for something more precise.]"
        )
    skipped = [
        f"{number:,} {reason}"
        for number, reason in (
            (counts.binary, "binary"),
            (counts.large, f"larger than {LARGEST_FILE // 1_000_000} MB"),
            (counts.unreadable, "unreadable"),
        )
        if number
    ]
    if skipped:
        lines.append(f"[Not searched: {', '.join(skipped)}.]")
    return "\n".join(lines)
