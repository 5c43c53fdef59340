"""Spending: what a task with a budget asks before each turn of its loop, and tells of one that is under way."""

from __future__ import annotations

import msgspec

from ..models.base import Usage
from .request import Request

__all__ = ["AskTurn", "Spent", "TurnLeave"]


class TurnLeave(msgspec.Struct, frozen=True, omit_defaults=True):
    """Supervisor to a task: whether it may take its next turn.

    Attributes:
        note: what its model should know of its budget; empty if that is nothing new.
        limit: the limit that ends it, as a sentence: the next turn is its last, without tools. Empty: it goes on.
        is_over: whether not even that turn may be taken.
        must_wait: whether it has to ask again, and to wait: what is left is reserved for tasks that have not ended.
    """

    note: str = ""
    limit: str = ""
    is_over: bool = False
    must_wait: bool = False


class AskTurn(Request[TurnLeave], frozen=True, tag="ask_turn"):
    """Asked before a turn by a task that uses a budget of tokens or dollars.

    Attributes:
        wait: whether the answer may wait until tasks end for which the rest is reserved.
    """

    wait: bool = False


class Spent(msgspec.Struct, frozen=True, tag="spent"):
    """A task with a budget to the supervisor: what the turn under way has cost, whose tools are about to be called.

    Its `TurnEnded` has it again.
    """

    usage: Usage
