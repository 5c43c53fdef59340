"""Acting: what a person does at the screen of `subactors top`: stops a task, tells it something, answers, resumes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from textual.app import App
from textual.binding import Binding

from ..control.other_hosts import ForeignTask
from ..errors import RuntimeClosedError, SubactorsError
from ..watching import details, steering
from ..watching.model import TaskSeen
from ..watching.resumed import Resumed
from ..watching.watcher import Watcher
from .dialogs import Answering, Resuming, Stopping, Telling
from .listing import Listing
from .table import Table
from .words import short_id, words

__all__ = ["ACTS", "Acting"]

ACTS: Final = (
    Binding("t", "tell", "tell"),
    Binding("r", "resume", "resume"),
    Binding("t", "resume", show=False),
    Binding("a", "answer", "answer"),
    Binding("a", "question", "question"),
    Binding("s", "stop", "stop"),
)
"""The keys. Of those that tell and resume one is there at a time, as not all have room in 80 cells."""

_CHANGING: Final = frozenset({"answer", "tell", "stop", "resume"})


class Acting(App[None]):
    """See the module.

    Attributes:
        root: the state folder.
        read_only: whether nothing can be changed.
        resumed: continues tasks; to be closed.
        listing: what is shown, as rows.
        watcher: keeps the model up to date.
        table: shows the rows.
    """

    listing: Listing
    watcher: Watcher
    table: Table

    def __init__(self, root: Path, *, read_only: bool) -> None:
        super().__init__(ansi_color=True)  # asked for here, because what NO_COLOR means depends on it
        self.root, self.read_only = root, read_only
        self.resumed = Resumed(root)
        self._has_ended = False  # the task that has the keys
        self._next = ("", "")  # the id of the task that goes on with another, and of that one

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Take away the keys that change something where nothing can be changed, and those that do not fit the task."""
        if action in (_CHANGING if self.read_only else {"question"}):
            return False
        if action in {"tell", "resume"} and (action == "resume") != self._has_ended:
            return False
        return super().check_action(action, parameters)

    def current(self) -> TaskSeen | None:
        """Return the task that has the keys; None if none has."""
        return self.listing.tasks.get(self.table.row_id)

    def action_stop(self) -> None:
        """Ask once, and have the task stopped."""
        task = self.current()
        if task is None or task.ended or not task.live:
            self._say("It has ended." if task is not None else "Choose a task.")
            return
        others = self.watcher.model.falls_with(task.id)

        def stop(said: str | None) -> None:
            if said is not None:
                self._act(task.run, task.id, steering.stop, f"{words(task.agent, 60)} {short_id(task.id)} is stopped.")

        self.push_screen(Stopping(task, others), stop)

    def action_tell(self) -> None:
        """Say something to the task."""
        task = self.current()
        if task is None or task.ended or not task.live:
            self._say("It has ended." if task is not None else "Choose a task.")
            return
        if any(each.group == task.id for each in self.listing.tasks.values()):
            self._say("A group hears nothing itself. Choose one of its tasks.")
            return

        def tell(said: str | None) -> None:
            if said is not None:
                self._act(task.run, task.id, lambda found: str(steering.steer(found, said)))

        self.push_screen(Telling(task), tell)

    def action_question(self) -> None:
        """Show what the task asks; if it asks nothing, the oldest question."""
        self.action_answer()

    def action_answer(self) -> None:
        """Answer what the task asks; if it asks nothing, the oldest question."""
        questions = self.listing.questions()
        if not questions:
            self._say("No question waits.")
            return
        question = next((each for each in questions if each.task_id == self.table.row_id), questions[0])
        asker = self.listing.tasks.get(question.task_id)

        def answer(said: str | None) -> None:
            if said is not None:
                run = asker.run if asker is not None else ""
                self._act(run, question.task_id, lambda found: steering.answer(found, question.id, said))

        self.push_screen(Answering(question, read_only=self.read_only), answer)

    def action_resume(self) -> None:
        """Have a task go on that has ended, with or without a word to it."""
        task = self.current()
        if task is None or not task.ended:
            self._say("It has not ended." if task is not None else "Choose a task.")
            return

        def go_on(said: str | None) -> None:
            if said is not None:
                self._say("It is being continued …")
                self.run_worker(self._go_on(task, said), group="acts")

        async def ask() -> None:
            try:
                is_resumable = (await asyncio.to_thread(self._look, task))["resumable"]
            except (SubactorsError, OSError) as error:
                self._say(str(error), fault=True)
                return
            if is_resumable:
                self.push_screen(Resuming(task), go_on)
            else:
                self._say(f"It cannot be continued; `subactors resume {short_id(task.id)}` says why.", fault=True)

        self.run_worker(ask(), group="acts")

    def _look(self, task: TaskSeen) -> dict[str, Any]:
        with details.foreign(self.root, task.run, task.id, "top") as found:
            return details.details(found)

    async def _go_on(self, task: TaskSeen, said: str) -> None:
        try:
            self._next = await asyncio.to_thread(self.resumed.start, task.id, said), task.id
        except (SubactorsError, OSError) as error:
            self._say(str(error), fault=True)
            return
        self._say("It goes on in a run of its own, which ends with `top`.")

    def fit_keys(self) -> None:
        """Have the keys fit the task that has them."""
        task = self.current()
        if self._has_ended != (task is not None and task.ended):
            self._has_ended = not self._has_ended
            self.refresh_bindings()

    def go_on_to(self) -> None:
        """Give the keys to the task that goes on with another, once it is there, if that one still has them."""
        following, before = self._next
        if self.table.row_id != before:
            self._next = ("", "")
        elif following and self.listing.place(following) is not None:
            self.table.go_to(following)
            self._next = ("", "")

    def _act(self, run: str, task_id: str, act: Callable[[ForeignTask], object], done: str = "") -> None:
        """Do something with a task in a thread, and say what came of it."""

        def in_thread() -> str:
            with details.foreign(self.root, run, task_id, "top") as task:
                return str(act(task) or done)

        async def work() -> None:
            try:
                self._say(await asyncio.to_thread(in_thread))
            except (RuntimeClosedError, OSError):
                self._say(f"The host of {short_id(task_id)} is gone, or does not answer.", fault=True)
            except SubactorsError as error:
                self._say(str(error), fault=True)

        self.run_worker(work(), group="acts")

    def _say(self, sentence: str, *, fault: bool = False) -> None:
        if sentence:
            self.notify(words(sentence), severity="error" if fault else "information", markup=False)
