"""Dialogs: what is asked before a task is stopped, what is said to one, and what is answered."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Footer, Input, OptionList, Static
from textual.widgets.option_list import Option

from ..tasks.questions import Question
from ..terminal.control_sequences import visible, visible_line
from ..watching.model import TaskSeen
from .words import clock, plural, short_id, words

__all__ = ["Answering", "Resuming", "Stopping", "Telling"]

_NAMED: Final = 12
"""Tasks that fall with a stop which are named; of others there is a count."""

_CSS: Final = """
{name} {{ align: center middle; }}
{name} > Vertical {{
    width: 90%; max-width: 100; height: auto; max-height: 90%;
    border: round ansi_default; padding: 0 1; background: ansi_default;
}}
{name} VerticalScroll {{ height: auto; max-height: 60vh; margin: 0 0 1 0; }}
{name} Static {{ width: 100%; height: auto; }}
{name} OptionList, {name} OptionList:focus {{ height: auto; max-height: 12; border: none; padding: 0; }}
{name} Input, {name} Input:focus {{ border: round ansi_default; }}
"""


class _Dialog(ModalScreen[str | None]):
    """A box over the screen. It returns what was said; None if nothing was."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "leave", "close")]

    def action_leave(self) -> None:
        """Close it; nothing happens."""
        self.dismiss(None)


class _Line(Input):
    """A line that is sent."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter", "submit", "send")]


class Stopping(_Dialog):
    """Asks once whether a task is to be stopped, and names what falls with it.

    Args:
        task: the task.
        others: the tasks that fall with it.
    """

    DEFAULT_CSS = _CSS.format(name="Stopping")
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "stop", "stop"),
        Binding("n", "leave", "let it run"),
    ]

    def __init__(self, task: TaskSeen, others: Sequence[TaskSeen]) -> None:
        super().__init__()
        self._stopped = task
        self._others = others

    def compose(self) -> ComposeResult:
        """Make its parts."""
        task, others = self._stopped, self._others
        text = Text(f"Stop {words(task.agent, 60)} {short_id(task.id)}?\n", style="bold")
        text.append(f"{words(task.task, 200)}\n", style="not bold")
        if others:
            text.append(
                f"\n{plural(len(others), 'task')} that it has started {_end(len(others))} with it:\n", "bold red"
            )
            for other in others[:_NAMED]:
                text.append(f"  {words(other.agent, 40)} {short_id(other.id)} · {words(other.task, 60)}\n", "not bold")
            if len(others) > _NAMED:
                text.append(f"  and {len(others) - _NAMED:,} more\n", "not bold")
        with Vertical():
            with VerticalScroll():
                yield Static(text, markup=False)
            yield Footer(show_command_palette=False)

    def action_stop(self) -> None:
        """Have it stopped."""
        self.dismiss("stop")


def _end(count: int) -> str:
    return "ends" if count == 1 else "end"


class Telling(_Dialog):
    """Takes what is to be said to a task."""

    DEFAULT_CSS = _CSS.format(name="Telling")

    def __init__(self, task: TaskSeen) -> None:
        super().__init__()
        self._told = task

    def compose(self) -> ComposeResult:
        """Make its parts."""
        with Vertical():
            yield Static(
                Text(f"Tell {words(self._told.agent, 60)} {short_id(self._told.id)}", style="bold"), markup=False
            )
            yield _Line(placeholder="tell it something …")
            yield Footer(show_command_palette=False)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Send it."""
        if event.value.strip():
            self.dismiss(event.value)


class Resuming(_Dialog):
    """Takes what is said to a task that goes on, which may be nothing."""

    DEFAULT_CSS = _CSS.format(name="Resuming")

    def __init__(self, task: TaskSeen) -> None:
        super().__init__()
        self._resumed = task

    def compose(self) -> ComposeResult:
        """Make its parts."""
        who = f"Resume {words(self._resumed.agent, 60)} {short_id(self._resumed.id)}"
        with Vertical():
            yield Static(Text(who, style="bold"), markup=False)
            yield _Line(placeholder="say something to go on with …")
            yield Footer(show_command_palette=False)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Send it."""
        self.dismiss(event.value.strip())


class Answering(_Dialog):
    """Shows a question whole, as nobody is to approve what is not seen, and takes an answer.

    Args:
        question: the question.
        read_only: whether it is only shown.
    """

    DEFAULT_CSS = _CSS.format(name="Answering")

    def __init__(self, question: Question, *, read_only: bool = False) -> None:
        super().__init__()
        self.question = question
        self._read_only = read_only

    def compose(self) -> ComposeResult:
        """Make its parts."""
        question = self.question
        verb = "wants to call a tool" if question.kind == "approval" else "asks"
        verb = "asks whoever started it" if question.kind == "question" and question.to == "owner" else verb
        until = f" until {clock(question.deadline)}" if question.deadline else ""
        default = f", then: {visible_line(question.default)}" if question.default is not None else ""
        who = f"{words(question.agent or 'orchestrator', 60)} {short_id(question.task_id)} {verb}{until}{default}"
        with Vertical():
            yield Static(Text(who, style="bold"), markup=False)
            with VerticalScroll():
                yield Static(Text(visible(question.text)), markup=False)
            if self._read_only:
                pass
            elif question.choices:
                yield OptionList(*(Option(Text(visible_line(choice))) for choice in question.choices))
            else:
                yield _Line(placeholder="answer, as JSON" if question.schema else "answer")
            yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        """Give the keys to where the answer is. None is chosen before somebody has chosen it."""
        if self._read_only:
            self.query_one(VerticalScroll).focus()
        elif self.question.choices:
            choices = self.query_one(OptionList)
            choices.highlighted = None
            choices.focus()
        else:
            self.query_one(Input).focus()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Answer with a choice."""
        self.dismiss(self.question.choices[event.option_index])

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Answer with text."""
        if event.value.strip():
            self.dismiss(event.value)
