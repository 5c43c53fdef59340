"""Files: reads, writes, lists and removes files inside allowed folders; the blocking work behind the filesystem tools.

Everything here runs in a worker thread, takes a `Place`, and raises FileError with a sentence for the model. Reads are
bounded; a write is whole or does not happen. Nothing here may follow a link or wait for a device.
"""

from __future__ import annotations

import heapq
import json
import os
import secrets
import stat
import time
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import msgspec

from ..head_and_tail import HeadAndTail
from .folders import FileError, Place, explained, kind, opened_file, opened_folder, require_regular
from .search_program import SKIPPED_FOLDERS, printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = [
    "Entry",
    "FileText",
    "Replacement",
    "edit_text",
    "list_folder",
    "make_folder",
    "read_text",
    "remove_folder",
    "tree",
    "write_text",
]

_CHUNK = 65_536
_READ_SECONDS = 10.0
_LARGEST_EDIT = 10_000_000
_NODE_OVERHEAD = 60
"""Characters of `children`, `omitted` and `unopened` in a tree, at most, for one entry."""
_SMALLEST_NODE = 25


class FileText(msgspec.Struct, frozen=True):
    """Text that was read of a file.

    Attributes:
        path: the file, as the model may name it.
        content: the lines asked for; the head and tail of them, with a line between, when they are too long.
        lines: how many lines the file has.
        first_line: the first of the lines asked for, from 1.
        last_line: the last of them that there is.
        exact: whether the content is UTF-8; where it is not, U+FFFD stands for what could not be read.
    """

    path: str
    content: str
    lines: int
    first_line: int
    last_line: int
    exact: bool


class Entry(msgspec.Struct, frozen=True):
    """One entry of a folder: `type` is `file`, `directory`, `link` or `other`; `size` is in bytes, 0 but for files."""

    name: str
    type: str
    size: int
    target: str = ""


class Replacement(msgspec.Struct, frozen=True):
    """One edit: the text that must occur exactly once, and what takes its place."""

    old: str
    new: str


def read_text(place: Place, *, first: int, count: int | None, limit: int) -> FileText:
    """Read lines of a text file in one pass and bounded memory.

    Args:
        place: the file.
        first: the first line wanted, from 1.
        count: how many lines; None for all.
        limit: bytes of content; of more, the head and the tail are kept.
    """
    kept = HeadAndTail(limit)
    newlines = 0
    last_byte = b""
    deadline = time.monotonic() + _READ_SECONDS
    with explained(place), opened_file(place) as (descriptor, status):
        while chunk := os.read(descriptor, _CHUNK):
            if not last_byte and b"\0" in chunk:
                raise FileError(_binary(place, status.st_size))
            if time.monotonic() > deadline:
                raise FileError(f"{place.shown} has {status.st_size:,} bytes; reading it took too long.")
            here = chunk.count(b"\n")
            start = _after_newlines(chunk, first - 1 - newlines, here)
            end = len(chunk) if count is None else _after_newlines(chunk, first - 1 + count - newlines, here)
            kept.feed(chunk[start:end])
            newlines += here
            last_byte = chunk[-1:]
    lines = newlines + (last_byte not in (b"", b"\n"))
    if first > max(lines, 1):
        raise FileError(f"{place.shown} has {lines:,} lines; offset {first:,} is past its end.")
    last = lines if count is None else min(lines, first + count - 1)
    content, exact = _shown_lines(kept, first, last)
    if "\0" in content:
        raise FileError(_binary(place, status.st_size))
    return FileText(place.shown, content, lines, first, last, exact)


def _binary(place: Place, size: int) -> str:
    return f"{place.shown} is a binary file of {size:,} bytes; its content is not shown."


def _after_newlines(chunk: bytes, count: int, newlines: int) -> int:
    """The index behind the `count`-th of a chunk's newlines, or the chunk's length where there are fewer."""
    if count > newlines:
        return len(chunk)
    index = 0
    for _ in range(count):
        index = chunk.index(b"\n", index) + 1
    return index


def _shown_lines(kept: HeadAndTail, first: int, last: int) -> tuple[str, bool]:
    """Return what was kept of the lines `first` to `last`, cut at line ends if there are any, a word on the gap."""
    excerpt = kept.excerpt()
    if not excerpt.left_out:
        return excerpt.head, excerpt.exact
    head, tail = excerpt.head, excerpt.tail
    whole_head, newline, _ = head.rpartition("\n")
    _, _, whole_tail = tail.partition("\n")
    if not newline or not whole_tail:
        note = f"[{excerpt.left_out:,} of {kept.total:,} bytes left out here, in lines too long to be read in parts.]"
        return f"{head}\n\n{note}\n\n{tail}", excerpt.exact
    resume = first + whole_head.count("\n") + 1
    until = last - whole_tail.count("\n") - (not whole_tail.endswith("\n"))
    note = f"[Lines {resume:,} to {until:,} left out here; read on with offset={resume}.]"
    return f"{whole_head}\n\n{note}\n\n{whole_tail}", excerpt.exact


def write_text(place: Place, content: str) -> tuple[int, bool]:
    """Write a whole file, with its parent folders; the number of bytes, and whether the file is new."""
    data = _encoded(content)
    if not place.parts:
        raise FileError(f"{place.shown} is a folder, not a file.")
    with explained(place), opened_folder(place.parent, create=True) as folder:
        existing = _status(folder, place)
        _replace(folder, place, data, existing)
    return len(data), existing is None


def edit_text(place: Place, edits: Sequence[Replacement]) -> list[int]:
    """Replace texts in a file, one after the other, all or none; the line at which each was found."""
    with explained(place):
        with opened_file(place) as (descriptor, status):
            text = _editable(place, descriptor, status)
        lines = []
        for number, edit in enumerate(edits, 1):
            text, line = _edited(text, edit, number, place)
            lines.append(line)
        data = _encoded(text)
        with opened_folder(place.parent) as folder:
            existing = _status(folder, place)
            if existing is None or _version(existing) != _version(status):
                raise FileError(
                    f"{place.shown} was changed by somebody else meanwhile; nothing was written. Read it again."
                )
            _replace(folder, place, data, existing)
    return lines


def _editable(place: Place, descriptor: int, status: os.stat_result) -> str:
    """The file's text; raises FileError when writing it back could change anything else."""
    if status.st_size > _LARGEST_EDIT:
        raise FileError(
            f"{place.shown} has {status.st_size:,} bytes; only files up to {_LARGEST_EDIT:,} can be edited."
        )
    with os.fdopen(descriptor, "rb", closefd=False) as file:
        data = file.read()
    if b"\0" in data:
        raise FileError(f"{place.shown} is a binary file of {len(data):,} bytes and cannot be edited as text.")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise FileError(
            f"{place.shown} is not UTF-8 (byte {error.start:,}); editing it as text would damage it."
            " Nothing was written."
        ) from None


def _edited(text: str, edit: Replacement, number: int, place: Place) -> tuple[str, int]:
    """`text` with one edit made, and the line at which it was; raises FileError that says which edit fails and why."""
    failed = f"Edit {number} of {place.shown} failed, and none was made:"
    if not edit.old:
        raise FileError(f"{failed} oldText is empty. Give the text to replace; write_file makes a new file.")
    found = text.find(edit.old)
    if found < 0:
        reason = "oldText does not occur in the file. Read it again and copy the text exactly, white space included."
        if "\r\n" in text and edit.old.replace("\n", "\r\n") in text:
            reason = r"the file's lines end in \r\n; write \r\n in oldText and newText."
        raise FileError(f"{failed} {reason}")
    line = text.count("\n", 0, found) + 1
    again = text.find(edit.old, found + 1)
    if again >= 0:
        second = text.count("\n", 0, again) + 1
        raise FileError(
            f"{failed} oldText occurs more than once, first in lines {line} and {second}."
            " Add text around it until it occurs once."
        )
    return text[:found] + edit.new + text[found + len(edit.old) :], line


def _encoded(content: str) -> bytes:
    try:
        return content.encode("utf-8")
    except UnicodeEncodeError as error:
        raise FileError(
            f"The content has half a surrogate pair at character {error.start + 1:,}, which no file can hold."
            " Nothing was written."
        ) from None


def _version(status: os.stat_result) -> tuple[int, int, int]:
    return status.st_ino, status.st_mtime_ns, status.st_size


def _status(folder: int, place: Place) -> os.stat_result | None:
    """The status of a file that may be replaced, None if there is none; raises FileError for one that may not."""
    try:
        status = os.stat(place.name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None
    require_regular(status, place)
    # Replacing needs the folder's permission only; the file's own is what its owner meant.
    if not os.access(place.name, os.W_OK, dir_fd=folder):
        raise FileError(f"{place.shown} is read-only.")
    return status


def _replace(folder: int, place: Place, data: bytes, existing: os.stat_result | None) -> None:
    """Put a file of this content in place, at once, with the mode of the one it replaces."""
    temporary = f".{secrets.token_hex(8)}.tmp"
    mode = 0o666 if existing is None else 0o600
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode, dir_fd=folder)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            if existing is not None:
                os.fchmod(descriptor, stat.S_IMODE(existing.st_mode))
        os.rename(temporary, place.name, src_dir_fd=folder, dst_dir_fd=folder)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary, dir_fd=folder)
        raise


def list_folder(place: Place, most: int) -> tuple[list[Entry], int]:
    """The first `most` entries of a folder by name, and how many there are."""
    with explained(place), opened_folder(place) as folder:
        names, total = _first_names(folder, most)
        return [_entry(folder, name) for name in names], total


def _first_names(folder: int, most: int) -> tuple[list[str], int]:
    """The first names of a folder in order, without holding all of them, and their number."""
    total = 0

    def counted(entries: os._ScandirIterator[str]) -> Iterator[str]:
        nonlocal total
        for entry in entries:
            total += 1
            yield entry.name

    with os.scandir(folder) as entries:
        names = heapq.nsmallest(most, counted(entries))
    return names, total


def _entry(folder: int, name: str) -> Entry:
    try:
        status = os.stat(name, dir_fd=folder, follow_symlinks=False)
        what = kind(status.st_mode)
        target = os.readlink(name, dir_fd=folder) if what == "link" else ""
    except OSError:  # gone since its name was read
        return Entry(printable(name), "other", 0)
    return Entry(printable(name), what, status.st_size if what == "file" else 0, printable(target))


def tree(place: Place, *, max_depth: int, limit: int) -> dict[str, Any]:
    """A folder as nested `{"name", "type", "children"}`, upper levels first, so that what is cut is the depth.

    A folder that was not looked into has `unopened` in place of children, one that was not listed whole has `omitted`,
    the number of entries that are missing. The JSON text is not longer than `limit` characters by much.
    """
    root: dict[str, Any] = {"name": place.shown, "type": "directory"}
    room = limit - _cost(root)
    pending = deque([(root, place)])
    while pending:
        node, folder_place = pending.popleft()
        depth = len(folder_place.parts) - len(place.parts)
        if depth >= max_depth or room <= 0 or (depth and folder_place.name in SKIPPED_FOLDERS):
            node["unopened"] = True
            continue
        try:
            with explained(folder_place), opened_folder(folder_place) as folder:
                names, total = _first_names(folder, max(1, room // _SMALLEST_NODE))
                modes = [_entry(folder, name).type for name in names]
        except FileError:
            if node is root:
                raise
            node["unopened"] = True
            continue
        children: list[dict[str, Any]] = []
        for name, what in zip(names, modes, strict=True):
            child = {"name": printable(name), "type": what}
            room -= _cost(child)
            if room <= 0:
                break
            children.append(child)
            if what == "directory":
                pending.append((child, folder_place.child(name)))
        node["children"] = children
        if len(children) < total:
            node["omitted"] = total - len(children)
    return root


def _cost(node: dict[str, Any]) -> int:
    return len(json.dumps(node, ensure_ascii=False)) + (_NODE_OVERHEAD if node["type"] == "directory" else 0)


def make_folder(place: Place) -> bool:
    """Make a folder and what is missing above it; tells whether it is new."""
    with explained(place):
        with suppress(FileNotFoundError), opened_folder(place):
            return False
        with opened_folder(place, create=True):
            return True


def remove_folder(place: Place) -> None:
    """Remove an empty folder."""
    if not place.parts:
        raise FileError(f"{place.shown} is where this toolset works; it cannot be removed.")
    with explained(place), opened_folder(place.parent) as parent:
        with opened_folder(place) as folder, os.scandir(folder) as entries:
            count = sum(1 for _ in entries)
        if count:
            raise FileError(f"{place.shown} is not empty (entries: {count:,}); only empty folders can be removed.")
        os.rmdir(place.name, dir_fd=parent)
