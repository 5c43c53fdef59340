"""Tool calls of one turn, put together from their pieces: decides which piece belongs to which call.

Servers differ in what they send: an index or none, or 0 for all; an id once, with every piece, a new one each time, a
number, or the same for all; arguments as text, in pieces or whole, as an object, or null. Nothing here judges a call:
the name, and arguments that are not JSON, stay as the model wrote them.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ...text import encodable
from ..base import ToolCall
from .call_arguments import CallArguments, is_object, read
from .opaque import journalable, merged

__all__ = ["ShapeError", "ToolCalls", "new_call_id", "whole_number"]

_NOTHING = ("", "null", "none", "[]", '""', "undefined")
"""How models and servers write that a call has no arguments."""


class ShapeError(Exception):
    """A field of a chunk is not what it is to be.

    Args:
        sentence: says so, with `{value}` for what it is, and `{kind}` for its type.
        value: what it is, as the server sent it. Never part of the message: it may hold a key, and be of any length.
    """

    def __init__(self, sentence: str, value: object) -> None:
        super().__init__(sentence)
        self._sentence = sentence
        self._value = value

    def told(self, shown: Callable[[str], str]) -> str:
        """Return the sentence; `shown` makes the text of a server fit for it."""
        return self._sentence.format(value=shown(repr(self._value)), kind=type(self._value).__name__)


@dataclass
class _Call:
    """A tool call in the making.

    Attributes:
        is_renamed: whether its server gave it a new id with a later piece.
    """

    index: int | None
    arguments: CallArguments
    id: str = ""
    name: str = ""
    extra: dict[str, Any] = field(default_factory=dict)
    is_renamed: bool = False

    @property
    def is_complete(self) -> bool:
        """Whether the arguments are a whole object already."""
        return self.arguments.is_object


@dataclass(frozen=True)
class _Piece:
    """One entry of `tool_calls`; a missing or null field is empty."""

    index: int | None
    id: str
    name: str
    arguments: str
    extra: dict[str, Any]

    @property
    def is_whole(self) -> bool:
        """Whether its arguments need no further piece, if there are to be any."""
        return not self.arguments or self.is_object

    @property
    def is_object(self) -> bool:
        """Whether its arguments are a whole object."""
        return is_object(self.arguments)


@dataclass
class ToolCalls:
    """The tool calls so far, in the order in which they began."""

    _calls: list[_Call] = field(default_factory=list)
    _by_index: dict[int | None, _Call] = field(default_factory=dict)
    _by_id: dict[tuple[int | None, str], _Call] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self._calls)

    def add(self, entries: object) -> None:
        """Take the `tool_calls` of a piece of a message.

        Raises:
            ShapeError: they are not a list of objects; the message says what they are.
        """
        named: set[int] = set()
        for piece in _pieces(entries):
            call = self._find(piece)
            # Pieces of one call hardly come together, so a second name in one list is a second call.
            is_second = id(call) in named and piece.name and not piece.id and piece.is_whole
            if call is None or is_second:
                call = self._begin(piece)
            else:
                self._continue(call, piece)
            if piece.name:
                named.add(id(call))

    def add_whole(self, entries: object) -> None:
        """Take the `tool_calls` of a whole message; some of them may have come before.

        Raises:
            ShapeError: as `add`.
        """
        before = [(call.id, call.name, call.arguments.text) for call in self._calls]
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
            text = call.arguments.text
            # `{` is not JSON, so that the tool is not called without the arguments that it was to get.
            arguments = "{" if is_cut and call is self._calls[-1] and not text else encodable(_plain(text))
            extra = journalable(call.extra) if call.extra else None
            calls.append(ToolCall(encodable(call.id), encodable(call.name), arguments, extra))
        return tuple(calls)

    def _begin(self, piece: _Piece) -> _Call:
        call = _Call(piece.index, CallArguments(piece.arguments), piece.id, piece.name, piece.extra)
        self._calls.append(call)
        self._by_index[piece.index] = self._by_index[None] = call
        self._note_id(call)
        return call

    def _note_id(self, call: _Call) -> None:
        if call.id:
            self._by_id[call.index, call.id] = self._by_id[None, call.id] = call

    def _continue(self, call: _Call, piece: _Piece) -> None:
        if piece.id and call.id and piece.id != call.id:
            call.is_renamed = True
        # Some servers repeat the name with every piece.
        if not call.name or _continues_name(call, piece):
            call.name += piece.name
        if piece.id and not call.id:
            call.id = piece.id
            self._note_id(call)
        if call.arguments.holds_place and piece.arguments.strip():
            call.arguments = CallArguments(piece.arguments)  # nothing can follow a whole object
        elif not call.arguments.equals(piece.arguments) or not call.is_complete:
            call.arguments.add(piece.arguments)
        call.extra = merged(call.extra, piece.extra)

    def _find(self, piece: _Piece) -> _Call | None:
        """Return the call that a piece belongs to; None where it begins one."""
        call = self._by_id.get((piece.index, piece.id))
        if call is None and not (piece.id and piece.index is None):
            call = self._by_index.get(piece.index)
        return None if call is not None and _begins_another(call, piece) else call


def _begins_another(call: _Call, piece: _Piece) -> bool:
    """Whether a piece that looks like one of `call` begins the next call: all may have the same index, or id.

    What a call has so far is judged last, as that takes longest.
    """
    if piece.id and piece.id == call.id:
        # A call that is repeated word for word is the same one.
        is_repeated = piece.name == call.name and call.arguments.equals(piece.arguments)
        return piece.is_object and not is_repeated and call.is_complete
    has_other_name = bool(piece.name and call.name and piece.name != call.name)
    if piece.id and call.id:
        if call.is_renamed:
            return has_other_name or (piece.is_object and call.is_complete)
        if (piece.name or piece.is_object) and call.is_complete:
            return True
        return has_other_name or (bool(piece.name) and not call.arguments and piece.is_whole)
    # The same name again is either the next call of the same tool, or a server that repeats the name.
    is_other = has_other_name and not _continues_name(call, piece)
    return is_other or (bool(piece.name and piece.arguments) and call.is_complete)


def _continues_name(call: _Call, piece: _Piece) -> bool:
    """Whether a piece has the rest of the name: of a call that has an id of its own, before its arguments begin."""
    return bool(call.id and not piece.id and piece.index is not None and not call.arguments) and piece.name != call.name


def _pieces(entries: object) -> list[_Piece]:
    if isinstance(entries, str) and isinstance(parsed := read(entries), dict | list):
        entries = parsed
    if isinstance(entries, dict):
        # Some languages write a list as an object whose keys are its indices.
        entries = list(entries.values()) if all(map(str.isdecimal, entries)) else [entries]
    if not isinstance(entries, list):
        raise ShapeError("`tool_calls` is {value}, and not a list", entries)
    pieces = []
    for entry in entries:
        if entry is None:
            continue
        if not isinstance(entry, dict):
            raise ShapeError("a tool call is {value}, and not an object", entry)
        piece = _piece(entry)
        if piece.id or piece.name or piece.arguments or piece.extra:
            pieces.append(piece)
    return pieces


def _piece(entry: Mapping[str, Any]) -> _Piece:
    # Some servers leave out the object around name and arguments.
    function = entry.get("function") or entry
    if not isinstance(function, dict):
        raise ShapeError("the `function` of a tool call is {value}, and not an object", function)
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


def _plain(arguments: str) -> str:
    """Return arguments as one object where the meaning is plain: none at all, or an object that was encoded twice."""
    text = arguments.strip()
    if text.lower() in _NOTHING:
        return "{}"
    inner = read(text) if text.startswith('"') else None
    if isinstance(inner, str) and (not inner.strip() or is_object(inner)):
        return inner.strip() or "{}"
    if isinstance(found := read(text), dict) and read(text, strict=True) is None:
        return json.dumps(found, ensure_ascii=False)  # with line breaks in its strings as JSON has them
    return arguments


def new_call_id() -> str:
    """Return an id for a tool call whose server gave none."""
    return f"call_{uuid.uuid4().hex[:24]}"
