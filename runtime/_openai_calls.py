"""Tool calls of one turn, put together from their pieces: decides which piece belongs to which call.

Servers differ in what they send: an index or none, or 0 for all; an id once, with every piece, a new one each time, a
number, or the same for all; arguments as text, in pieces or whole, as an object, or null. Nothing here judges a call:
the name, and arguments that are not JSON, stay as the model wrote them.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ._encodable import encodable
from ._model import ToolCall
from ._openai_opaque import merged, sendable

__all__ = ["ShapeError", "ToolCalls", "new_call_id", "whole_number"]

_NOTHING = ("", "null", "none", "[]", '""', "undefined")
"""How models and servers write that a call has no arguments."""


class ShapeError(Exception):
    """A field of a chunk is not what it is to be; the message says which, and what it is."""


@dataclass
class _Call:
    """A tool call in the making.

    Attributes:
        is_renamed: whether its server gave it a new id with a later piece.
    """

    index: int | None
    id: str = ""
    name: str = ""
    arguments: str = ""
    extra: dict[str, Any] = field(default_factory=dict)
    is_renamed: bool = False

    @property
    def is_complete(self) -> bool:
        """Whether the arguments are a whole object already."""
        return _is_object(self.arguments)


@dataclass(frozen=True)
class _Piece:
    """What one entry of `tool_calls` says, with what is missing or null left empty."""

    index: int | None
    id: str
    name: str
    arguments: str
    extra: dict[str, Any]

    @property
    def is_whole(self) -> bool:
        """Whether its arguments need no further piece, if there are to be any."""
        return not self.arguments or _is_object(self.arguments)


@dataclass
class ToolCalls:
    """The tool calls so far, in the order in which they began."""

    _calls: list[_Call] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self._calls)

    def add(self, entries: object) -> None:
        """Take the `tool_calls` of a piece of a message.

        Raises:
            ShapeError: they are not a list of objects; the message says what they are.
        """
        named: list[_Call] = []
        for piece in _pieces(entries):
            call = self._find(piece)
            # Pieces of one call hardly come together, so a second name in one list is a second call.
            is_second = any(call is other for other in named) and piece.name and not piece.id and piece.is_whole
            if call is None or is_second:
                call = self._begin(piece)
            else:
                self._continue(call, piece)
            if piece.name:
                named.append(call)

    def add_whole(self, entries: object) -> None:
        """Take the `tool_calls` of a whole message, of which some may have come before.

        Raises:
            ShapeError: as `add`.
        """
        before = [(call.id, call.name, call.arguments) for call in self._calls]
        for piece in _pieces(entries):
            if (piece.id, piece.name, piece.arguments) not in before:
                self._begin(piece)

    def finish(self, *, is_cut: bool) -> tuple[ToolCall, ...]:
        """Return the calls, each with an id of its own.

        Args:
            is_cut: whether the answer was cut off: then the last call's arguments may not have come at all.
        """
        used: set[str] = set()
        calls = []
        for call in self._calls:
            if not call.id or call.id in used:
                call.id = new_call_id()
            used.add(call.id)
            if is_cut and call is self._calls[-1] and not call.arguments:
                arguments = "{"  # not JSON, so that the tool is not called without the arguments that it was to get
            else:
                arguments = encodable(_plain(call.arguments))
            extra = sendable(call.extra) if call.extra else None
            calls.append(ToolCall(encodable(call.id), encodable(call.name), arguments, extra))
        return tuple(calls)

    def _begin(self, piece: _Piece) -> _Call:
        call = _Call(piece.index, piece.id, piece.name, piece.arguments, piece.extra)
        self._calls.append(call)
        return call

    def _continue(self, call: _Call, piece: _Piece) -> None:
        if piece.id and call.id and piece.id != call.id:
            call.is_renamed = True
        call.id = call.id or piece.id
        # Some servers repeat the name with every piece.
        call.name = call.name or piece.name
        if call.arguments.strip() == "{}" and piece.arguments.strip():
            call.arguments = piece.arguments  # it only held the place: nothing can follow a whole object
        elif piece.arguments != call.arguments or not call.is_complete:
            call.arguments += piece.arguments
        call.extra = merged(call.extra, piece.extra)

    def _find(self, piece: _Piece) -> _Call | None:
        """Return the call that a piece belongs to; None where it begins one."""
        known = [call for call in self._calls if piece.index is None or call.index == piece.index]
        call = next((call for call in reversed(known) if piece.id and call.id == piece.id), None)
        if call is None and not (piece.id and piece.index is None):
            call = known[-1] if known else None
        return None if call is not None and _begins_another(call, piece) else call


def _begins_another(call: _Call, piece: _Piece) -> bool:
    """Whether a piece that looks like one of `call` begins the next call: all may have the same index, or id."""
    if piece.id and piece.id == call.id:
        # A call that is repeated word for word is the same one.
        is_repeated = (piece.name, piece.arguments) == (call.name, call.arguments)
        return call.is_complete and _is_object(piece.arguments) and not is_repeated
    has_other_name = bool(piece.name and call.name and piece.name != call.name)
    if piece.id and call.id:
        if call.is_renamed:
            return has_other_name or (call.is_complete and _is_object(piece.arguments))
        if call.is_complete:
            return bool(piece.name) or _is_object(piece.arguments)
        return has_other_name or (bool(piece.name) and not call.arguments and piece.is_whole)
    # The same name again is either the next call of the same tool, or a server that repeats the name.
    return has_other_name or (bool(piece.name and piece.arguments) and call.is_complete)


def _pieces(entries: object) -> list[_Piece]:
    if isinstance(entries, str) and isinstance(read := _read(entries), dict | list):
        entries = read
    if isinstance(entries, dict):
        entries = [entries]
    if not isinstance(entries, list):
        raise ShapeError(f"`tool_calls` is {entries!r}, and not a list")
    pieces = []
    for entry in entries:
        if entry is None:
            continue
        if not isinstance(entry, dict):
            raise ShapeError(f"a tool call is {entry!r}, and not an object")
        piece = _piece(entry)
        if piece.id or piece.name or piece.arguments or piece.extra:
            pieces.append(piece)
    return pieces


def _piece(entry: Mapping[str, Any]) -> _Piece:
    # Some servers leave out the object around name and arguments.
    function = entry.get("function") or entry
    if not isinstance(function, dict):
        raise ShapeError(f"the `function` of a tool call is {function!r}, and not an object")
    name, arguments, extra = function.get("name"), function.get("arguments"), entry.get("extra_content")
    if not isinstance(arguments, str):
        arguments = json.dumps(arguments, ensure_ascii=False) if arguments not in (None, []) else ""
    return _Piece(
        index=whole_number(entry.get("index")),
        id=_id(entry.get("id")),
        name="" if name is None else str(name),
        arguments=arguments,
        extra=extra if isinstance(extra, dict) else {},
    )


def _id(value: object) -> str:
    return str(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else ""


def whole_number(value: object) -> int | None:
    """Return a number that may have come as text or with a fraction of zero; None for all else."""
    try:
        return None if isinstance(value, bool) or not isinstance(value, str | int | float) else int(value)
    except (ValueError, OverflowError):
        return None


def _read(text: str) -> Any:
    """Return what a text is in JSON; None if it is none."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _is_object(text: str) -> bool:
    return isinstance(_read(text), dict)


def _plain(arguments: str) -> str:
    """Return arguments as one object where the meaning is plain: none at all, or an object that was encoded twice."""
    text = arguments.strip()
    if text.lower() in _NOTHING:
        return "{}"
    inner = _read(text) if text.startswith('"') else None
    if isinstance(inner, str) and (not inner.strip() or _is_object(inner)):
        return inner.strip() or "{}"
    return arguments


def new_call_id() -> str:
    """Return an id for a tool call whose server gave none."""
    return f"call_{uuid.uuid4().hex[:24]}"
