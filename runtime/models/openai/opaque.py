"""Opaque fields: fields that a model's server wants back with its message, put together from the pieces of a stream.

Text is joined, lists of details are merged by index, objects by key. Nothing else is changed, and nothing is
interpreted. These fields are never part of the answer, because most of them are reasoning.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from ...text import encodable

__all__ = ["OpaqueFields", "journalable", "merged"]

_TEXTS: Final = ("reasoning_content", "reasoning", "reasoning_text")
_BLOBS: Final = ("reasoning_opaque",)
"""What GitHub's Copilot has beside `reasoning_text`: it comes whole."""
_LISTS: Final = ("reasoning_details", "thinking_blocks")
"""OpenRouter's, and LiteLLM's."""
_EXTRA: Final = "extra_content"

_JOINED: Final = frozenset({"text", "summary", "data", "thinking"})
"""Fields of a detail that come in pieces."""

_AT_ONCE: Final = 100
"""So many details may be in pieces at the same time."""


@dataclass
class OpaqueFields:
    """The opaque fields of one message."""

    _texts: dict[str, Any] = field(default_factory=dict)
    _lists: dict[str, list[Any]] = field(default_factory=dict)
    _extra: dict[str, Any] = field(default_factory=dict)

    @property
    def has_reasoning(self) -> bool:
        """Whether there was any reasoning."""
        return any(self._texts.values()) or any(self._lists.values())

    def add(self, delta: Mapping[str, Any]) -> None:
        """Take the fields of a piece of a message."""
        for name in (*_TEXTS, *_BLOBS):
            piece, so_far = delta.get(name), self._texts.get(name)
            if isinstance(piece, str) and isinstance(so_far, str) and name in _TEXTS:
                self._texts[name] = so_far + piece
            elif piece is not None:
                self._texts[name] = piece
        for name in _LISTS:
            if isinstance(details := delta.get(name), list):
                _add_details(self._lists.setdefault(name, []), details)
        if isinstance(extra := delta.get(_EXTRA), dict):
            self._extra = merged(self._extra, extra)

    def add_whole(self, message: Mapping[str, Any], *, may_be_piece: bool) -> None:
        """Take the fields of a whole message: they are all that there is, unless it is a piece by the wrong name."""
        fields = dict(message)
        for name, so_far in (*self._texts.items(), *self._lists.items()):
            value = fields.get(name)
            if isinstance(value, str) and isinstance(so_far, str) and value.startswith(so_far):
                fields[name] = value.removeprefix(so_far)
            elif so_far and not may_be_piece:
                fields.pop(name, None)
        self.add(fields)

    def finish(self) -> dict[str, Any]:
        """Return the fields as they go back to the server, without those that JSON cannot hold."""
        fields = {**self._texts, **self._lists, _EXTRA: self._extra}
        kept = {name: journalable(value) for name, value in fields.items() if value or name in self._texts}
        return {name: value for name, value in kept.items() if value is not None}


def _add_details(details: list[Any], pieces: list[Any]) -> None:
    """Add pieces that came together: to the details that they belong to, or as new ones."""
    known = len(details)
    for piece in pieces:
        last = len(details) - 1
        for place in range(last, max(last - _AT_ONCE, -1), -1):
            if _continues(piece, details[place], is_last=place == last, is_known=place < known):
                details[place] = _joined(details[place], piece)
                break
        else:
            details.append(piece)


def _continues(piece: object, detail: object, *, is_last: bool, is_known: bool) -> bool:
    """Whether a piece belongs to a detail: of the same type and index, and not with an id of its own.

    Pieces without an index belong to the last detail, until it is signed, if it is text. What is encrypted comes whole,
    so two blobs in one list are two, and without an index they are never one.
    """
    if not isinstance(piece, dict) or not isinstance(detail, dict) or detail.get("type") != piece.get("type"):
        return False
    index, here = piece.get("index"), detail.get("index")
    own, other = piece.get("id"), detail.get("id")
    if index != here or (own and other and own != other):
        return False
    is_blob = bool(piece.get("data")) and bool(detail.get("data"))
    if index is None:
        return is_last and not is_blob and not detail.get("signature")
    return is_known or not is_blob


def _joined(detail: Mapping[str, Any], piece: Mapping[str, Any]) -> dict[str, Any]:
    joined = dict(detail)
    for name, value in piece.items():
        so_far = joined.get(name)
        if name in _JOINED and isinstance(so_far, str) and isinstance(value, str):
            joined[name] = so_far + value
        elif value is not None or name not in joined:
            joined[name] = value
    return joined


def merged(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    """Return both objects as one, and so for objects in them; where both have a value, the second's counts."""
    result = dict(first)
    for name, value in second.items():
        so_far = result.get(name)
        result[name] = merged(so_far, value) if isinstance(so_far, dict) and isinstance(value, dict) else value
    return result


def journalable(value: Any) -> Any:
    """Return a value as it can be journaled and sent: surrogates are joined or replaced; None where it cannot be."""
    try:
        text = encodable(json.dumps(value, ensure_ascii=False, allow_nan=False))
        return json.loads(text, parse_int=_bounded)
    except (ValueError, RecursionError):
        return None


def _bounded(digits: str) -> int:
    number = int(digits)
    if not -(2**63) <= number < 2**63:
        raise ValueError(digits)
    return number
