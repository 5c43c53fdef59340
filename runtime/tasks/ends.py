"""Ends: what a program is raised when it wants the result of a task that has none."""

from __future__ import annotations

from ..errors import SubactorsError
from ..text import one_line
from .views import TaskView

__all__ = ["TaskFailed", "TaskStopped"]


class _WithoutResult(SubactorsError):  # noqa: N818 - nobody catches it by this name
    """Base of both.

    Attributes:
        view: the task as it ended, with the head and the tail of its output.
    """

    def __init__(self, view: TaskView) -> None:
        super().__init__(view)  # and not its text: it is pickled, where it is, by what it was made of
        self.view = view

    @property
    def task_id(self) -> str:
        """The task's id."""
        return self.view.id

    @property
    def reason(self) -> str:
        """Why it ended so."""
        return self.view.reason

    @property
    def output(self) -> str:
        """What it had said, head and tail."""
        return self.view.output

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.view.id} of {self.view.agent}: {one_line(self.view.reason, 200)}>"

    def __str__(self) -> str:
        """Return what happened, and the user's own traceback if there is one."""
        said = f"{self.view.id} ({self.view.agent}) {self.view.status}: {self.view.reason}"
        return f"{said}\n\n{self.view.traceback}" if self.view.traceback else said


class TaskFailed(_WithoutResult):
    """A task whose result is wanted has failed."""

    @property
    def traceback(self) -> str:
        """Where the user's own code failed: its own frames only; empty if it did not."""
        return self.view.traceback


class TaskStopped(_WithoutResult):
    """A task whose result is wanted was stopped."""
