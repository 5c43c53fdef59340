"""Handles: what a program holds of a task that it has started. A handle keeps nothing alive, and costs nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

from ..errors import UnknownTaskError
from ..tasks.messages import WaitTasks
from ..tasks.questions import Question
from ..tasks.views import TERMINAL, Status, TaskView
from .arguments import NotPickled, several, type_name
from .inbox import ReplyInto
from .steps import forgotten, result_of_view
from .way import Way

__all__ = [
    "QuestionRef",
    "TaskHandle",
    "TaskRef",
    "TaskRefs",
    "check_kind",
    "id_of",
    "ids_given",
    "question_id",
    "several_tasks",
]


class TaskHandle(NotPickled):
    """What the handles of both forms have in common. Equal to another of the same task, and to the task's id.

    Every member may be used from any thread, unless it says otherwise.

    Attributes:
        id: the task's id; begins with `agent_task_`. It is also what `str` returns.
        agent: name of the agent, or of the function.
        end: the task as it ended, once this handle knows; the verbs keep it here.
    """

    __slots__ = ("__weakref__", "_way", "agent", "end", "id")

    def __init__(self, task_id: str, agent: str, way: Way) -> None:
        self.id = task_id
        self.agent = agent
        self._way = way
        self.end: TaskView | None = None
        way.held.add(self)

    def __str__(self) -> str:
        return self.id

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.id} of {self.agent}>"

    def __eq__(self, other: object) -> bool:
        if isinstance(other, TaskHandle):
            return self.id == other.id
        return self.id == other if isinstance(other, str) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.id)

    @property
    def status(self) -> Status:
        """What the task is at now; returns at once.

        Raises:
            UnknownTaskError: it has ended and was read, and is forgotten by now.
        """
        if self.end is not None:
            return self.end.status
        status = self._way.status(self.id)
        if status is None:
            raise UnknownTaskError(forgotten(self.id))
        return status

    def done(self) -> bool:
        """Whether it has ended; returns at once."""
        if self.end is None:
            status = self._way.status(self.id)
            return status is None or status in TERMINAL
        return True

    def _have_called(self, function: Callable[[Any], object], call: Callable[[Callable[[], object]], object]) -> None:
        """Have a function called with this handle, by a way of calling, when the task has ended."""
        if not callable(function):
            raise TypeError(f"A function is wanted, to be called with the task, and this is {type_name(function)}.")

        def ended(_reply: object) -> None:
            call(lambda: function(self))

        self._way.send(WaitTasks([self.id], limit=0, peek=True), ReplyInto(ended))

    def _result(self, view: TaskView, kind: Any) -> Any:
        self.end = view
        result = result_of_view(view)
        if kind is None:
            return result
        from ..tasks.decoding import decode_as  # noqa: PLC0415 - for programs that name a type

        return decode_as(kind, result, f"The result of {self.id} ({self.agent})")


def check_kind(kind: Any) -> None:
    """Refuse, before anybody waits, what no result can be decoded as.

    Raises:
        TypeError: it is no type, or one that no plain data can become.
    """
    if kind is not None:
        from ..tasks.decoding import check_decodable  # noqa: PLC0415 - for programs that name a type

        check_decodable(kind)


TaskRef: TypeAlias = TaskHandle | str
"""A task: its handle, or its id."""

TaskRefs: TypeAlias = TaskRef | Iterable[TaskRef]
"""A task, or several."""


QuestionRef: TypeAlias = Question | TaskHandle | str
"""A question: itself, its id, or the task that has asked it."""


def question_id(question: QuestionRef) -> str:
    """Return the id of a question, or of the task that has asked it.

    Raises:
        TypeError: it is none.
    """
    return question.id if isinstance(question, Question) else id_of(question)


def ids_of(tasks: Iterable[TaskRef]) -> list[str]:
    """Return the ids of tasks.

    Raises:
        TypeError: it is one task, and not several, or something in it is no task.
    """
    return [id_of(task) for task in several_tasks(tasks)]


def ids_given(*given: TaskRefs) -> list[str]:
    """Return the ids of tasks that are given one by one, or as lists; raises as `ids_of`."""
    ids: list[str] = []
    for part in given:
        if part in ("all", "any"):  # no id, and where a mode would stand
            raise TypeError(f"A mode is given by its name: mode={part!r}.")
        ids += [str(part)] if isinstance(part, str | TaskHandle) else ids_of(part)
    return ids


def several_tasks(tasks: Iterable[TaskRef]) -> Iterable[TaskRef]:
    """Return tasks as they are.

    Raises:
        TypeError: it is one task, and not several, or nothing of the kind.
    """
    if isinstance(tasks, str | TaskHandle):
        raise TypeError(f"Several tasks are wanted, as a list: [{tasks}].")
    return several(tasks, "tasks")


def id_of(task: TaskRef) -> str:
    """Return the id of a task.

    Raises:
        TypeError: it is none.
    """
    if not isinstance(task, str | TaskHandle):
        raise TypeError(f"A task's handle or id is wanted, not {type(task).__name__}.")
    return str(task)
