"""Conversations: keeps in the journal what agents and their models say, for what goes on with it later.

A turn takes its places in the conversation when its tools are about to be called: one for itself, and one for the
answer to each call. So the conversation of a process that died shows which calls had begun and have no answer, and what
the others have answered. Used in the supervisor's thread only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, TypeAlias, assert_never

import msgspec

from ...actors import Child
from ..runs import schema
from ..runs.conversation import put_messages
from ..runs.journal import Journal
from ..runs.open_work import delete_call, insert_call
from ..tasks.messages import Began, CallAnswered, CallsBegan, Progressed, ToolAnswered, ToolCalled, TurnEnded
from .attempt import Attempt, ToolCall
from .limits import LimitKeeper
from .task import Task

__all__ = ["Conversations", "Grown"]

Grown: TypeAlias = Began | CallsBegan | CallAnswered | TurnEnded
"""Reports that a conversation grows by."""

_IN_TIME_CHARACTERS: Final = 32_000
"""How long a message may be to go with the next commit; the task is held up until a longer one is written."""


class _Said(msgspec.Struct, frozen=True):
    role: str = ""
    content: Any = None


class Conversations:
    """See the module.

    Args:
        journal: keeps them.
        limits: counts what they grow by.
        charge: has the task that has just reported wait for its next turn, for so many seconds of work.
        postpone: has the report count as one that waits, until what it returns is called.
        end_for_limit: ends a task at once that has reached a limit, for that reason.
    """

    def __init__(
        self,
        journal: Journal,
        limits: LimitKeeper,
        *,
        charge: Callable[[float], None],
        postpone: Callable[[], Callable[[], None]],
        end_for_limit: Callable[[Task, str], None],
    ) -> None:
        self._journal = journal
        self._limits = limits
        self._charge = charge
        self._postpone = postpone
        self._end_for_limit = end_for_limit

    def keep(
        self, task: Task, attempt: Attempt, child: Child, report: Grown, more: Sequence[schema.Statement] = ()
    ) -> None:
        """Write down what a conversation has grown by, what the task has cost so far, and what else is given."""
        answered = task.answered
        placed = _placed(task, attempt, report)
        seconds, limit_reached = self._limits.add_messages(task, [body for _, body in placed])
        self._charge(seconds)
        if limit_reached:
            self._end_for_limit(task, limit_reached)
            return
        statements = [*put_messages(task.id, task.attempts, placed), *more]
        if isinstance(report, CallsBegan | CallAnswered):
            if sum(len(body) for _, body in placed) <= _IN_TIME_CHARACTERS:
                self._journal.write_in_time(statements)
                return
        else:
            statements += schema.note_usage(task.id, task.usage)
            if task.answered != answered and not task.spec.output_schema:
                # It may be kept back for long, and is its result should the host die meanwhile.
                statements += schema.note_answer(task.id, task.answered)
        # What a process that is gone has left is no more than its channel holds, and its end waits for it.
        self._journal.write_later(statements, None if child.process.is_ending else self._postpone())

    def keep_call(self, task: Task, report: ToolCalled | ToolAnswered | Progressed, call: ToolCall | None) -> None:
        """Write down that a tool was called, or that it is not at work any more, with the next commit."""
        if call is None:
            return
        if isinstance(report, ToolAnswered):
            self._journal.write_in_time(delete_call(task.id, task.attempts, call.number))
        else:
            self._journal.write_in_time(insert_call(task.id, task.attempts, call.number, call.name, call.began))


def _placed(task: Task, attempt: Attempt, report: Grown) -> list[tuple[int, str]]:
    """Return the messages of a report with their places in the conversation, from 1; takes new places as needed."""
    match report:
        case Began(messages):
            first = task.message_count + 1
        case CallsBegan(messages, calls):
            first = task.message_count + 1
            task.message_count += len(messages) + calls
            attempt.open_turn = (first, calls)
        case CallAnswered(place, message):
            if attempt.open_turn is None or place >= attempt.open_turn[1]:
                return []
            first, messages = task.message_count - attempt.open_turn[1] + 1 + place, [message]
        case TurnEnded(_, messages):
            if attempt.open_turn is not None:
                first, attempt.open_turn = attempt.open_turn[0], None
            else:
                first = task.message_count + 1
                # A turn without calls: an answer, unless another follows.
                task.answered = _answer_in(messages) or task.answered
        case _:
            assert_never(report)
    task.message_count = max(task.message_count, first - 1 + len(messages))
    # An empty text stands for a message that is there already.
    return [(place, body) for place, body in enumerate(messages, first) if body]


def _answer_in(messages: Sequence[str]) -> str | None:
    """Return what an agent says last in some messages, as a result; None if that is nothing, or no messages."""
    for message in reversed(messages):
        try:
            said = msgspec.json.decode(message, type=_Said)
        except (ValueError, RecursionError):  # of a process that does not keep to the rules
            continue
        if said.role == "assistant":
            return (
                msgspec.json.encode(said.content).decode() if said.content and isinstance(said.content, str) else None
            )
    return None
