"""Changes: rows of tasks by their ids, and which of their fields have changed since when.

Whoever comes back with a cursor is told what has changed since, and nothing else. It costs as much as has changed.
"""

from __future__ import annotations

import os
from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, Generic, NamedTuple, TypeVar

import msgspec
from msgspec.structs import astuple, replace

__all__ = ["ChangeLog", "Changed", "Row"]

_GONE: Final = 10_000
"""Ids of rows that are gone which are kept; who comes back from before that begins anew."""


class Row(msgspec.Struct, frozen=True):
    """Base of rows: whatever has an id."""

    id: str


RowType = TypeVar("RowType", bound=Row)


class Changed(NamedTuple):
    """What has changed since a cursor.

    Attributes:
        cursor: the place behind it.
        reset: whether these are all rows: the cursor was of another log, or too old.
        changed: of each row its id, and the fields that have changed; new ones in the order in which they came.
        gone: ids of rows that are not there any more.
    """

    cursor: str
    reset: bool
    changed: list[dict[str, Any]]
    gone: list[str]

    @property
    def is_empty(self) -> bool:
        """Whether nothing has."""
        return not (self.reset or self.changed or self.gone)


class _Entry(Generic[RowType]):
    """A row: the version it came with, the last one that changed it, and that of each field that has changed since."""

    __slots__ = ("changed", "latest", "number", "row")

    def __init__(self, row: RowType, number: int) -> None:
        self.row = row
        self.number = number
        self.latest = number
        self.changed: dict[str, int] = {}


class ChangeLog(Generic[RowType]):
    """See the module. For one thread at a time.

    Attributes:
        version: grows with each change.
    """

    def __init__(self) -> None:
        self.version = 0
        self._token = os.urandom(4).hex()
        self._entries: OrderedDict[str, _Entry[RowType]] = OrderedDict()  # the last changed last
        self._gone: deque[tuple[int, str]] = deque()
        self._oldest = 0

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, row_id: str) -> bool:
        return row_id in self._entries

    def __iter__(self) -> Iterator[RowType]:
        """Yield the rows in the order in which they came."""
        return (entry.row for entry in sorted(self._entries.values(), key=lambda entry: entry.number))

    @property
    def cursor(self) -> str:
        """The place behind all changes."""
        return f"{self._token}-{self.version}"

    def get(self, row_id: str) -> RowType | None:
        """Return a row; None if there is none."""
        entry = self._entries.get(row_id)
        return entry.row if entry is not None else None

    def put(self, row: RowType) -> bool:
        """Take a row as it is now; return whether anything of it has changed."""
        entry = self._entries.get(row.id)
        if entry is None:
            self.version += 1
            self._entries[row.id] = _Entry(row, self.version)
            return True
        if row is entry.row:
            return False
        fields = zip(row.__struct_fields__, astuple(entry.row), astuple(row), strict=True)
        return self._note(entry, row, [name for name, was, now in fields if was is not now and was != now])

    def change(self, row_id: str, values: Mapping[str, Any]) -> RowType:
        """Take some fields of a row that is there, and return it as it is now. Cheaper than `put`."""
        entry = self._entries[row_id]
        row = entry.row
        changed = {name: now for name, now in values.items() if getattr(row, name) != now}
        if changed:
            self._note(entry, replace(row, **changed), changed)
        return entry.row

    def _note(self, entry: _Entry[RowType], row: RowType, fields: Iterable[str]) -> bool:
        changed = dict.fromkeys(fields, self.version + 1)
        if changed:
            self.version += 1
            entry.row, entry.latest = row, self.version
            entry.changed |= changed
            self._entries.move_to_end(row.id)
        return bool(changed)

    def drop(self, row_id: str) -> None:
        """Note that a row is gone."""
        if self._entries.pop(row_id, None) is None:
            return
        self.version += 1
        self._gone.append((self.version, row_id))
        if len(self._gone) > _GONE:
            self._oldest = self._gone.popleft()[0]

    def since(self, cursor: str) -> Changed:
        """Return what has changed since a cursor; all rows, if it is not one of this log's, or too old."""
        token, _, number = cursor.partition("-")
        version = int(number) if token == self._token and number.isdecimal() and len(number) < 20 else -1  # noqa: PLR2004 - as long as numbers get
        if not self._oldest <= version <= self.version:
            return Changed(self.cursor, True, [_whole(row) for row in self], [])
        entries = []
        for entry in reversed(self._entries.values()):
            if entry.latest <= version:
                break
            entries.append(entry)
        entries.sort(key=lambda entry: entry.number)
        gone = []
        for dropped, row_id in reversed(self._gone):
            if dropped <= version:
                break
            if row_id not in self._entries:
                gone.append(row_id)
        return Changed(self.cursor, False, [_part(entry, version) for entry in entries], gone)


def _whole(row: Row) -> dict[str, Any]:
    return dict(zip(row.__struct_fields__, astuple(row), strict=True))


def _part(entry: _Entry[Any], version: int) -> dict[str, Any]:
    row = entry.row
    if entry.number > version:
        return _whole(row)
    return {"id": row.id, **{name: getattr(row, name) for name, changed in entry.changed.items() if changed > version}}
