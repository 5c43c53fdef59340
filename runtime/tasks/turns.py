"""Turns: what a task asks about the turns of its loop, and tells of one before that has ended."""

from __future__ import annotations

from typing import Annotated, TypeAlias

import msgspec

from ..models.base import Usage
from .request import Request, TaskIds
from .talk import LetterNumbers

__all__ = [
    "AskTurn",
    "Asked",
    "AwaitWritten",
    "CallAnswered",
    "CallsBegan",
    "Messages",
    "Spent",
    "TurnLeave",
    "Written",
]

Messages: TypeAlias = Annotated[list[str], msgspec.Meta(max_length=1_000)]
CallNumber: TypeAlias = Annotated[int, msgspec.Meta(ge=0, lt=1_000)]


class Asked(msgspec.Struct, frozen=True, omit_defaults=True):
    """How a model was asked for a turn.

    Attributes:
        seconds: how long it took to answer, retries and waits for its rate limit included.
        model: see `Turn`.
        error: see `Turn`.
    """

    seconds: Annotated[float, msgspec.Meta(ge=0.0, le=1e9)] = 0.0
    model: Annotated[str, msgspec.Meta(max_length=200)] = ""
    error: Annotated[str, msgspec.Meta(max_length=200)] = ""


class CallsBegan(msgspec.Struct, frozen=True, tag="calls_began"):
    """The tools are about to be called that a turn of the loop asks for. Comes before any of them has an effect.

    Attributes:
        messages: what the conversation grew by so far, each as JSON text; the last is the turn.
        calls: how many calls it has.
        told: tasks of whose ends these messages tell.
        letters: numbers of the letters that are in these messages.
        asked: how the turn came about.
    """

    messages: Messages
    calls: CallNumber
    told: TaskIds = []
    letters: LetterNumbers = []
    asked: Asked = Asked()


class Written(msgspec.Struct, frozen=True):
    """Supervisor to the asker: the journal has what you have told, or cannot be written now."""


class AwaitWritten(Request[Written], frozen=True, tag="await_written"):
    """Asked before calls that may change something: answered when the journal has all that the task has told.

    Else the host could die with the calls made, and whoever goes on with the task would make them again.
    """


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


class TurnLeave(msgspec.Struct, frozen=True, omit_defaults=True):
    """Supervisor to a task: whether it may take its next turn.

    Attributes:
        note: what its model should know of its budget; empty if that is nothing new.
        limit: the limit that ends it, as a sentence: the next turn is its last, without tools. Empty: it goes on.
        is_over: whether not even that turn may be taken.
        must_wait: whether it has to ask again, and to wait: what is left is reserved for tasks that have not ended.
        seconds: how long it may run still; None: without end.
    """

    note: str = ""
    limit: str = ""
    is_over: bool = False
    must_wait: bool = False
    seconds: float | None = None


class AskTurn(Request[TurnLeave], frozen=True, tag="ask_turn"):
    """Asked before a turn by a task that uses a budget of tokens, dollars or time.

    Attributes:
        wait: whether the answer may wait until tasks end for which the rest is reserved.
        only_time: whether nothing is asked but how long it may run still.
    """

    wait: bool = False
    only_time: bool = False


class Spent(msgspec.Struct, frozen=True, tag="spent"):
    """A task with a budget to the supervisor: what the turn under way has cost, whose tools are about to be called.

    Its `TurnEnded` has it again.
    """

    usage: Usage
