"""Steps: each verb once, as a generator of requests. Whoever drives it waits for the replies: blocking, or awaiting.

    def view(task_id):                          def drive(steps):
        view = yield ViewTask(task_id)              request = next(steps)
        return view                                 request = steps.send(reply_to(request)) …

Nothing here waits, and nothing here knows a thread or an event loop. The alternative, the blocking form with threads
around it, costs a thread for each wait; the other, the awaitable form in a loop of its own, costs the blocking form two
hand-overs, and an import of asyncio.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, TypeVar, get_args

from ..errors import RuntimeClosedError, UnknownTaskError
from ..tasks.ends import TaskFailed, TaskStopped
from ..tasks.messages import (
    CheckData,
    ListTasks,
    Request,
    ResumeTask,
    RunTask,
    StopTasks,
    TaskAccepted,
    ViewTask,
    WaitTasks,
)
from ..tasks.questions import LONGEST_ANSWER, AnswerQuestion, QuestionSettled
from ..tasks.talk import LONGEST_LETTER, SteerReceipt, SteerTask
from ..tasks.views import TaskList, TaskView
from ..text import encodable
from .arguments import check_choice, check_seconds, type_name

if TYPE_CHECKING:
    from ..tasks.nodes import NodeList, NodeView
    from .way import Way

__all__ = [
    "OUTPUT_OF_FAILED",
    "Mode",
    "Steps",
    "answer",
    "drain",
    "ended",
    "forgotten",
    "list_tasks",
    "nodes",
    "result_of_view",
    "resume",
    "run",
    "seen_ends",
    "steer",
    "stop",
    "view",
    "wait",
]

OUTPUT_OF_FAILED: Final = 100_000
"""Bytes of what a failed task has said that go with the error."""

T = TypeVar("T")

Steps: TypeAlias = Generator[Request[Any], Any, T]
"""A verb at work: yields requests, is sent their replies, or thrown what they were refused with, and returns."""

Mode: TypeAlias = Literal["all", "any"]


def run(request: RunTask, check: CheckData | None = None) -> Steps[TaskAccepted]:
    """Start a task.

    Args:
        request: what to start.
        check: what to ask before.

    Raises:
        NotOfTypeError: the check says no.
    """
    if check is not None:
        yield check
    accepted: TaskAccepted = yield request
    return accepted


def resume(way: Way, task_id: str, message: str | None) -> Steps[TaskAccepted]:
    """Continue a task that has ended, of this run or of another.

    Args:
        way: finds it where it is of another run.
        task_id: the task.
        message: what it is to do now; None: what it was at.

    Raises:
        TypeError: the message is no text.
    """
    if message is not None and not isinstance(message, str):
        raise TypeError(f"message is {type_name(message)}; it must be text, or None.")
    message = None if message is None else encodable(message)
    try:
        accepted: TaskAccepted = yield ResumeTask(task_id, message)
    except UnknownTaskError:
        former = way.former(task_id)
        if former is None:
            raise
        from ..tasks.past import ResumePast  # noqa: PLC0415 - for programs that continue earlier runs

        accepted = yield ResumePast(former.past, str(former.run), message)
        former.note_continued()
    return accepted


def list_tasks() -> Steps[list[TaskView]]:
    """Return all tasks, oldest first."""
    listed: TaskList = yield ListTasks()
    return listed.tasks


def view(
    task_id: str, past: Callable[[str], TaskView | None], limit: int | None = None, *, closely: bool = False
) -> Steps[TaskView]:
    """Return one task.

    Args:
        task_id: the task.
        past: returns a task of an earlier run; None if there is none.
        limit: bytes of output wanted; None: all.
        closely: see `ViewTask`.
    """
    try:
        found: TaskView = yield ViewTask(task_id, limit, closely=closely)
    except UnknownTaskError:
        earlier = past(task_id)
        if earlier is None:
            raise
        return earlier
    return found


def wait(task_ids: Sequence[str] | None, mode: Mode, timeout: float | None) -> Steps[list[TaskView]]:
    """Return those of some tasks that have ended, once all have, or any, or the time is over; None: of all."""
    check_choice("mode", mode, get_args(Mode))
    check_seconds(timeout)
    if task_ids is None:
        task_ids = [view.id for view in (yield from list_tasks())]
    if not task_ids:
        return []
    ended: TaskList = yield WaitTasks(list(task_ids), mode, timeout)
    return ended.tasks


def stop(task_ids: Sequence[str]) -> Steps[list[TaskView]]:
    """Stop tasks, all at once; returns them, in the order given, when they are gone."""
    if not task_ids:
        return []
    stopped: TaskList = yield StopTasks(list(task_ids))
    views = {view.id: view for view in stopped.tasks}
    return [views[task_id] for task_id in task_ids]


def nodes() -> Steps[list[NodeView]]:
    """Return the machines of all places."""
    from ..tasks.nodes import ListNodes  # noqa: PLC0415 - for programs that have places

    listed: NodeList = yield ListNodes()
    return listed.nodes


def drain(name: str, *, stop: bool) -> Steps[NodeView | None]:
    """Have a node take no new task; returns it as it is then, or None if it is gone."""
    if not isinstance(name, str):
        raise TypeError(f"name is {type_name(name)}; it must be the name of a node.")
    from ..tasks.nodes import DrainNode  # noqa: PLC0415 - as above

    listed: NodeList = yield DrainNode(name, stop)
    return listed.nodes[0] if listed.nodes else None


def steer(task_id: str, message: str) -> Steps[SteerReceipt]:
    """Say something to a task."""
    if not isinstance(message, str):
        raise TypeError(f"The message is {type_name(message)}; it must be text.")
    if not message.strip():
        raise ValueError("The message is empty.")
    _check_length("message", message, LONGEST_LETTER)
    receipt: SteerReceipt = yield SteerTask(task_id, encodable(message))
    return receipt


def answer(question: str, text: str) -> Steps[QuestionSettled]:
    """Answer a question."""
    if not isinstance(text, str):
        raise TypeError(f"The answer is {type_name(text)}; it must be text.")
    _check_length("answer", text, LONGEST_ANSWER)
    settled: QuestionSettled = yield AnswerQuestion(question, encodable(text))
    return settled


def _check_length(what: str, text: str, most: int) -> None:
    if len(text) > most:
        raise ValueError(f"The {what} has {len(text):,} characters; {most:,} may be.")


def ended(task_id: str, timeout: float | None, known: TaskView | None) -> Steps[TaskView]:
    """Wait for a task, and return it; of what it has said, a part if it has no result, and else nothing.

    Args:
        task_id: the task.
        timeout: seconds; None: without end.
        known: as it ended, if that is known.

    Raises:
        TimeoutError: it has not ended after `timeout` seconds.
    """
    check_seconds(timeout)
    if known is None:
        try:
            listed: TaskList = yield WaitTasks([task_id], "all", timeout, limit=0)
        except UnknownTaskError:
            raise UnknownTaskError(forgotten(task_id)) from None
        if not listed.tasks:
            raise TimeoutError(f"Task {task_id} has not ended after {timeout:g} s; it goes on.")
        known = listed.tasks[0]
    if known.status == "completed" or known.output:
        return known
    try:
        view: TaskView = yield ViewTask(task_id, limit=OUTPUT_OF_FAILED)
    except (UnknownTaskError, RuntimeClosedError):
        return known  # forgotten, or closed, meanwhile
    return view


def forgotten(task_id: str) -> str:
    """Return why nothing is known of a task any more."""
    return f"Task {task_id} has ended, its result has been read, and it is forgotten by now."


def seen_ends(reply: object) -> list[str]:
    """Return the ids of the ended tasks that whoever asked has seen with a reply, unless that is to a `ListTasks`.

    A list shows no results.
    """
    match reply:
        case TaskView():
            return [reply.id] if reply.ended else []
        case TaskList():
            return [view.id for view in reply.tasks if view.ended]
        case _:
            return []


def result_of_view(view: TaskView) -> object:
    """Return the result of a task that has ended.

    Raises:
        TaskFailed: it has failed.
        TaskStopped: it was stopped.
        StateError: its result is in a file, and that is gone or damaged.
    """
    match view.status:
        case "failed":
            raise TaskFailed(view)
        case "stopped":
            raise TaskStopped(view)
        case _:
            return view.result
