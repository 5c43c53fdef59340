"""Requests: each kind says what it is answered with."""

from __future__ import annotations

from typing import Any, get_args

import msgspec
import pytest
from subactors.runtime.tasks.messages import (
    CheckData,
    ListTasks,
    RateTurn,
    Request,
    RunTask,
    TaskAccepted,
    TaskRequest,
    ViewTask,
)
from subactors.runtime.tasks.news import News, Notice
from subactors.runtime.tasks.next_chunk import ChunkDone, ChunkGiven
from subactors.runtime.tasks.nodes import DrainNode, ListNodes
from subactors.runtime.tasks.past import ResumePast
from subactors.runtime.tasks.questions import Answered, QuestionSettled
from subactors.runtime.tasks.talk import Listening, SteerReceipt
from subactors.runtime.tasks.turns import TurnLeave, Written
from subactors.runtime.tasks.views import TaskList, TaskView
from subactors.runtime.tasks.watching import WatchTasks

VIEW = TaskView(id="agent_task_1", agent="worker", task="work", status="running")


def test_every_kind_of_request_is_one_that_a_task_may_send() -> None:
    # `GroupTask` is made in the host alone, and nobody but the host and its user watches, or sees to nodes.
    known = {kind for kind in _kinds(Request) if kind.__module__.startswith("subactors.runtime.tasks")}
    assert known - {CheckData, ResumePast, WatchTasks, ListNodes, DrainNode} == set(get_args(TaskRequest))


@pytest.mark.parametrize("kind", get_args(TaskRequest))
def test_every_kind_of_request_names_its_reply(kind: type[Request[Any]]) -> None:
    replies = {
        TaskAccepted: TaskAccepted("agent_task_1"),
        TaskView: VIEW,
        RateTurn: RateTurn(),
        SteerReceipt: SteerReceipt("agent_task_1", "queued", "running"),
        Listening: Listening(),
        Answered: Answered("yes"),
        QuestionSettled: QuestionSettled("question_1", "agent_task_1"),
        TurnLeave: TurnLeave(note="Come to an end."),
        Written: Written(),
        ChunkGiven: ChunkGiven(b"call"),
        ChunkDone: ChunkDone(VIEW),
        News: News([Notice("agent_task_1", "worker", "completed", "", 1.0, "done")], more=1, running=2),
    }
    (reply_type,) = get_args(kind.__orig_bases__[0])  # type: ignore[attr-defined]
    reply = replies.get(reply_type, TaskList(tasks=[VIEW], running=1, max_running=20))

    assert kind.decode_reply(msgspec.msgpack.encode(reply)) == reply


@pytest.mark.parametrize(("kind", "reply"), [(RunTask, VIEW), (ViewTask, TaskAccepted("x")), (ListTasks, 1)])
def test_what_is_no_reply_to_a_request_is_refused(kind: type[Request[Any]], reply: object) -> None:
    with pytest.raises(msgspec.ValidationError):
        kind.decode_reply(msgspec.msgpack.encode(reply))


def _kinds(kind: type[Request[Any]]) -> set[type[Request[Any]]]:
    own = {kind} if kind.__struct_config__.tag is not None else set()
    return own.union(*map(_kinds, kind.__subclasses__()))
