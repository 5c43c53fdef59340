"""Output: what one task has said, in bounded files. The I/O thread writes them; anyone reads, without the host, too.

It is not in the supervisor's mailbox on purpose: a task that floods its output must fill nobody's queue. It is not in
memory either: output survives the host, and a thousand remembered tasks cost it nothing.

The files of a task are pieces of one stream, named by the offset at which each begins. The first piece is the head, the
others are the tail; when a new one begins, the oldest of the tail goes.

A task's processes write standard output and error directly to its log, at the end (O_APPEND), so that nothing of the
host is in their way. The host cuts a log that has grown too long (`bound_log`).
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Final, NamedTuple

from ...actors.regular_files import Folder, open_to_read

__all__ = ["CUT", "LAST", "LONGEST_LOG", "OutputFiles", "Piece", "bound_log", "log_tail"]

_CONTINUATION: Final = 0x80
"""The two leading bits of a byte that continues a UTF-8 character."""

_TAIL_PIECES: Final = 4
"""Into how many files the tail is cut; one more may be there while it is written."""

LAST: Final = 400
"""Bytes of the last lines of a task, wherever it is not viewed itself."""

CUT: Final = "…"
"""With which the end of a line begins whose beginning is left out."""

_SHORT: Final = 1000
"""Bytes of output that are in memory, too, as long as it has no more: most have not, and are read at their ends."""

LONGEST_LOG: Final = 10_000_000
"""Bytes at which a log is cut; it is looked at a few times a second, and may be longer for that long."""

_CATCHES_UP: Final = 4
"""How often what the writer of a log has written meanwhile is looked for: one who floods is as fast as the copying."""

_KEPT_OF_LOG: Final = 1_000_000
"""Bytes that a cut leaves: the last ones, which tell why a process has ended."""

_MOST_SHOWN: Final = 100_000_000
"""Bytes of the output of an earlier run that are read together: files there may seem to be of any size."""

_DIGITS: Final = 18
"""Digits of an offset at most; more are not converted."""


class Piece(NamedTuple):
    """A part of what a task has said.

    Attributes:
        data: the bytes.
        end: the offset behind them, where to read on.
        missed: bytes right before them that were not kept.
        more: whether there is more to read now.
    """

    data: bytes
    end: int
    missed: int = 0
    more: bool = False


class OutputFiles:
    """The head and the tail of a stream of bytes, with a bound on both together.

    Offsets count all bytes ever written, so a reader can go on where it stopped, and learns what it missed.

    Args:
        folder: where the pieces are; held by the host, so that a folder which takes its name gets nothing.
        task_id: begins their names.
        limit: bytes to keep; on disk up to an eighth more, as the tail goes a piece at a time.
    """

    def __init__(self, folder: Folder | Path, task_id: str, limit: int) -> None:
        self._folder = folder if isinstance(folder, Folder) else Folder(folder)
        self._name = task_id
        self._limit = limit
        self._head_limit = max(1, limit // 2)
        self._tail_limit = max(1, limit - self._head_limit)
        self._piece_limit = max(1, self._tail_limit // _TAIL_PIECES)
        self._lock = threading.Lock()
        self._pieces: list[tuple[int, int]] = []
        self._descriptor = -1
        self._size = 0
        self._fault = ""
        self._short: bytes | None = b""

    @classmethod
    def open(cls, folder: Path, task_id: str) -> OutputFiles:
        """Return the output of a task of an earlier run, as it was left."""
        return cls.open_all(folder, [task_id])[task_id]

    @classmethod
    def open_all(cls, folder: Path, task_ids: Iterable[str]) -> dict[str, OutputFiles]:
        """Return by id the output of each of these tasks of an earlier run, for one look at the folder."""
        pieces: dict[str, list[tuple[int, int]]] = {task_id: [] for task_id in task_ids}
        with contextlib.suppress(OSError), Folder(folder) as held:
            for name in held.names():
                task_id, _, start = name.removesuffix(".out").rpartition(".")
                if task_id not in pieces or not (start.isascii() and start.isdecimal()):
                    continue
                # Names that only look like a piece's are nobody's output: there is one way to write a number.
                if name == _piece_name(task_id, int(start[:_DIGITS])):
                    with contextlib.suppress(OSError):  # it may have fallen out of the tail meanwhile
                        status = held.status(name)
                        if stat.S_ISREG(status.st_mode):
                            pieces[task_id].append((int(start), status.st_size))
        return {task_id: cls._as_left(folder, task_id, sorted(found)) for task_id, found in pieces.items()}

    @classmethod
    def _as_left(cls, folder: Path, task_id: str, pieces: list[tuple[int, int]]) -> OutputFiles:
        output = cls(folder, task_id, 0)
        output._short, output._pieces = None, pieces
        output._size = sum(pieces[-1]) if pieces else 0
        return output

    @property
    def size(self) -> int:
        """Bytes said so far, kept or not."""
        return self._size

    def write(self, data: bytes) -> None:
        """Append; what no longer fits falls out between head and tail. A full disk loses data, which `text` tells."""
        with self._lock:
            view = memoryview(data)
            while view:
                room = self._room()
                if room <= 0:
                    view = view[self._skip(len(view) - self._tail_limit) :]
                    self._begin_piece()
                    room = self._room()
                self._append(view[:room])
                view = view[room:]

    def close(self) -> None:
        """Write no more; reading goes on."""
        with self._lock:
            if self._descriptor >= 0:
                os.close(self._descriptor)
                self._descriptor = -1

    def remove(self) -> None:
        """Remove the files."""
        self.close()
        with self._lock:
            for start, _ in self._pieces:
                self._remove(start)
            self._pieces.clear()

    def text(self, limit: int | None = None) -> str:
        """Return what is kept; if that is more than `limit` bytes, head and tail, with a line for what is left out.

        With a limit of 0 nothing is read, and nothing said of it.
        """
        # A whole piece falls out of the tail at a time, so a little more than the bound may be there.
        most = self._limit or _MOST_SHOWN
        limit = most if limit is None else min(limit, most)
        if limit <= 0:
            return ""
        with self._lock:
            size, pieces, fault = self._size, list(self._pieces), self._fault
            kept = sum(length for _, length in pieces)
            if kept <= limit:
                parts = [(start, self._pread(start, 0, length)) for start, length in pieces]
            else:
                head = limit // 2
                tail = self._last(limit - head)
                parts = [(0, self._first(head)), (size - len(tail), tail)]
        text = _join(parts, size)
        return f"{text}\n\n[The output could not be kept whole: {fault}]\n" if fault else text

    def last_lines(self, limit: int) -> str:
        """Return the last lines that have no more than `limit` bytes together; of a longer one its end, marked so."""
        short = self._short
        if short is not None and len(short) <= limit:
            return _decode_cut(short)
        with self._lock:
            size, data = self._size, self._last(limit + 1)
        if len(data) == size <= limit:
            return _decode_cut(data)
        rest = data.partition(b"\n")[2]
        return _decode_cut(rest) if rest.strip() else f"{CUT}{_decode_cut(data[-limit:])}"

    def read_from(self, offset: int, limit: int = 1_000_000) -> Piece:
        """Return what was said from `offset` on, at most `limit` bytes of it and none beyond a gap."""
        with self._lock:
            for start, length in self._pieces:
                if offset < start + length:
                    begin = max(offset, start)
                    data = self._pread(start, begin - start, min(length - (begin - start), limit))
                    if not data:
                        continue  # somebody has removed it, or put something else there: a gap like any other
                    end = begin + len(data)
                    return Piece(data, end, missed=begin - offset, more=bool(data) and end < self._size)
            return Piece(b"", self._size, missed=self._size - offset)

    def _room(self) -> int:
        if not self._pieces:
            return 0
        start, length = self._pieces[-1]
        return (self._head_limit if start == 0 else self._piece_limit) - length

    def _begin_piece(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
        tail = self._tail()
        while sum(length for _, length in tail[1:]) >= self._tail_limit:
            self._drop(tail.pop(0))
        self._pieces.append((self._size, 0))

    def _skip(self, surplus: int) -> int:
        """Leave out that many bytes, and the tail before them, which would fall out at once; return how many."""
        if surplus <= 0 or not self._pieces:
            return 0
        for piece in self._tail():
            self._drop(piece)
        self._size += surplus
        return surplus

    def _tail(self) -> list[tuple[int, int]]:
        return [piece for piece in self._pieces if piece[0] > 0]

    def _drop(self, piece: tuple[int, int]) -> None:
        self._pieces.remove(piece)
        self._remove(piece[0])

    def _remove(self, start: int) -> None:
        # What stands there may not be ours, such as a folder, and is not missed if it stays.
        with contextlib.suppress(OSError):
            self._folder.remove(self._piece(start))

    def _append(self, data: memoryview) -> None:
        start, length = self._pieces[-1]
        try:
            if self._descriptor < 0:
                self._descriptor = self._folder.make(self._piece(start))
            written = os.write(self._descriptor, data)
        except OSError as error:
            self._fault = error.strerror or str(error)
            written = 0
        if self._short is not None:
            whole = start == 0 and written == len(data) and length + written <= _SHORT
            self._short = self._short + data if whole else None
        self._pieces[-1] = (start, length + written)
        self._size += len(data)
        if written < len(data):
            self._fault = self._fault or "the disk took a part of it only"
            # What is missing is a gap like any other: the next piece begins behind it.
            if self._descriptor >= 0:
                os.close(self._descriptor)
                self._descriptor = -1
            if self._pieces[-1][1] == 0:
                self._pieces.pop()
            self._pieces.append((self._size, 0))

    def _first(self, count: int) -> bytes:
        """Return that many bytes of the beginning, or those before a gap. Called with the lock."""
        data = b""
        for start, length in self._pieces:
            if start != len(data) or len(data) >= count:
                break
            data += self._pread(start, 0, min(length, count - len(data)))
        return data

    def _last(self, count: int) -> bytes:
        """Return that many bytes of the end, or those behind a gap. Called with the lock."""
        data, begin = b"", self._size
        for start, length in reversed(self._pieces):
            if start + length != begin or len(data) >= count:
                break
            take = min(length, count - len(data))
            data = self._pread(start, length - take, take) + data
            begin = start
        return data

    def _pread(self, start: int, offset: int, length: int) -> bytes:
        if not length:
            return b""
        if self._short is not None:
            return self._short[offset : offset + length]
        try:
            if self._descriptor >= 0 and start == self._pieces[-1][0]:
                return os.pread(self._descriptor, length, offset)
            descriptor = self._folder.read(self._piece(start))
            try:
                return os.pread(descriptor, length, offset)
            finally:
                os.close(descriptor)
        except OSError:
            return b""

    def _piece(self, start: int) -> str:
        return _piece_name(self._name, start)


def _piece_name(task_id: str, start: int) -> str:
    return f"{task_id}.{start}.out"


def log_tail(path: str | Path, most: int) -> str:
    """Return the end of a log, `most` bytes of it; empty if it is missing, or no file of its own. In any thread."""
    try:
        descriptor = open_to_read(path)
        try:
            length = os.fstat(descriptor).st_size
            return os.pread(descriptor, most, max(0, length - most)).decode("utf-8", "replace")
        finally:
            os.close(descriptor)
    except OSError:
        return ""


def bound_log(path: str) -> int:
    """Cut a file that has grown too long to its end, under a line that says so; return how long it is; 0 if missing.

    What is written meanwhile is kept, but for what comes between two calls of the kernel, or from one who floods.

    May be called in any thread; a file that is missing is left so, and so is a link, or a file with a second name.
    """
    with contextlib.suppress(OSError):
        length = os.lstat(path).st_size
        if length <= LONGEST_LOG:
            return length
        folder, name = os.path.split(path)
        descriptor = Folder(folder).change(name)
        try:
            size = os.fstat(descriptor).st_size
            end = os.pread(descriptor, _KEPT_OF_LOG, size - _KEPT_OF_LOG)
            # Over what is there, and then cut: its writer, which goes on meanwhile, would be quicker than one that cuts
            # first, and would have the line end up anywhere.
            fcntl.fcntl(descriptor, fcntl.F_SETFL, 0)  # not appended to, for once
            kept = os.pwrite(descriptor, b"[%d bytes were left out here.]\n" % (size - len(end)) + end, 0)
            for _ in range(_CATCHES_UP):
                if not (more := os.pread(descriptor, _KEPT_OF_LOG, size)):
                    break
                size += len(more)
                kept += os.pwrite(descriptor, more, kept)
            os.ftruncate(descriptor, kept)
        finally:
            os.close(descriptor)
        return kept
    return 0


def _join(parts: list[tuple[int, bytes]], size: int) -> str:
    """Decode parts of a stream, joining those that touch and saying what is missing between the others."""
    text = ""
    run, position = b"", 0
    for start, data in parts:
        if start > position:
            text += _decode_cut(run) + f"\n\n[{start - position:,} of {size:,} bytes left out here.]\n\n"
            run = b""
        run += data
        position = start + len(data)
    return text + (_decode_cut(run) if text else run.decode("utf-8", "replace"))


def _decode_cut(data: bytes) -> str:
    """Decode bytes that may begin or end inside a character."""
    # Continuation bytes at the start belong to a character whose beginning is gone.
    start = 0
    while start < min(4, len(data)) and data[start] & 0xC0 == _CONTINUATION:
        start += 1
    return data[start:].decode("utf-8", "replace")
