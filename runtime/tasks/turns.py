"""Turns: what a task's process tells of a turn of its loop before that has ended."""

from __future__ import annotations

from typing import Annotated, TypeAlias

import msgspec

from .request import TaskIds
from .talk import LetterNumbers

__all__ = ["CallAnswered", "CallsBegan", "Messages"]

Messages: TypeAlias = Annotated[list[str], msgspec.Meta(max_length=1_000)]
CallNumber: TypeAlias = Annotated[int, msgspec.Meta(ge=0, lt=1_000)]


class CallsBegan(msgspec.Struct, frozen=True, tag="calls_began"):
    """The tools are about to be called that a turn of the loop asks for. Comes before any of them has an effect.

    Attributes:
        messages: what the conversation grew by so far, each as JSON text; the last is the turn.
        calls: how many calls it has.
        told: tasks of whose ends these messages tell.
        letters: numbers of the letters that are in these messages.
    """

    messages: Messages
    calls: CallNumber
    told: TaskIds = []
    letters: LetterNumbers = []


class CallAnswered(msgspec.Struct, frozen=True, tag="call_answered"):
    """A call of the turn has ended while others of it go on.

    Attributes:
        place: which of the turn's calls, from 0.
        message: the whole answer, as JSON text.
        told: tasks of whose ends it tells.
    """

    place: CallNumber
    message: str
    told: TaskIds = []
