"""App: the screen of `subactors top`. It asks hosts in threads, and draws a few times a second what has changed."""

from __future__ import annotations

import asyncio
import signal
import time
from pathlib import Path
from typing import ClassVar, Final

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, Vertical
from textual.events import Resize
from textual.widgets import Footer, Input, Static

from ..tasks.questions import Question
from ..terminal.control_sequences import visible
from ..watching.watcher import Watcher
from .acting import ACTS, Acting
from .columns import Drawer, counted
from .listing import Listing
from .pane import Pane
from .table import WHOLE, Head, Table
from .theme import THEME
from .words import amount, dollars, plural, short_id, words

__all__ = ["Top"]

TICK: Final = 0.2
"""Seconds between two looks at what has changed."""

_SECOND: Final = 1.0
"""Seconds after which all that is in sight is drawn anew, as times go on."""

_BESIDE: Final = 60
_MOST_BESIDE: Final = 0.42
"""Cells that a task needs beside the table, which keeps all its columns; and the share of a line that it takes at most.
Where a line has no room for both, the task is below."""

_ASKED: Final = 3
"""Questions that are shown above the table."""

_FILTER: Final = "words of agent, id, text or status; also status:failed, agent:reader, run:8f1a"


class _Filter(Input):
    """The field of the filter."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "submit", "keep"),
        Binding("escape", "app.close", "clear"),
    ]


class Top(Acting):
    """See the module.

    Attributes:
        listing: what is shown, as rows.
        watcher: keeps the model up to date.
        pane: shows one task.

    Args:
        root: the state folder.
        only: the name of the only run that is shown; None: all.
        past: whether runs are shown, too, that were over before.
        read_only: whether nothing can be changed.
    """

    ENABLE_COMMAND_PALETTE = False
    TITLE = "subactors top"
    CSS = f"""
    #totals {{ height: 1; }}
    #questions {{ height: auto; max-height: {_ASKED + 1}; }}
    #questions {{ display: none; }}
    #filter {{ display: none; height: 1; border: none; padding: 0; }}
    #filter.shown {{ display: block; }}
    Input > .input--cursor {{ color: ansi_bright_white; background: ansi_blue; text-style: underline; }}
    #work {{ layout: vertical; height: 1fr; }}
    #work.wide {{ layout: horizontal; }}
    #tasks {{ width: 1fr; height: 1fr; }}
    #empty {{ display: none; height: auto; }}
    Pane {{ height: 60%; width: 1fr; border-left: none; border-top: solid ansi_default; padding: 0; }}
    .wide #why {{ max-height: 9; }}
    .wide Pane {{ height: 1fr; border-left: solid ansi_default; border-top: none; padding: 0 0 0 1; }}
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "filter", "filter", key_display="/"),
        Binding("o", "output", "output"),
        Binding("v", "view(1)", "view"),
        Binding("V", "view(-1)", "view before", show=False),
        *ACTS,
        Binding("p", "past", "past"),
        Binding("q", "quit", "quit"),
        Binding("escape", "close", "close", show=False),
        Binding("ctrl+z", "suspend_process", "suspend", show=False),
        Binding("ctrl+c", "interrupt", "quit", show=False, priority=True),
    ]

    def __init__(self, root: Path, *, only: str | None = None, past: bool = False, read_only: bool = False) -> None:
        super().__init__(root, read_only=read_only)
        self.register_theme(THEME)
        self.theme = THEME.name
        self.listing = Listing()
        self._starts_with_past = past
        self._has_changed = True
        self._drawn_at = 0.0
        self._is_looking = False
        self._wants_pane = False
        self._warned = 0
        self._asked_now = ""
        self.watcher = Watcher(root, self._ring, face="top", only=only)
        drawer = Drawer(self.listing, self.watcher.model.samples)
        head = Head(drawer)
        self.table = Table(self.listing, drawer, head)
        self.pane = Pane(root, self.listing)
        self._head = head
        self._totals = Static(id="totals", markup=False)
        self._questions = Static(id="questions", markup=False)
        self._empty = Static(id="empty", markup=False)
        self._filter = _Filter(id="filter", placeholder=_FILTER)
        self._work = Container(id="work")

    # --- what there is ----------------------------------------------------------------------------------------------

    def compose(self) -> ComposeResult:
        """Make the parts of the screen."""
        yield self._totals
        yield self._questions
        yield self._filter
        with self._work:
            with Vertical(id="tasks"):
                yield self._head
                yield self._empty
                yield self.table
            yield self.pane
        yield Footer(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        """Begin to look."""
        self.table.focus()
        self._arrange(self.size.width)
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, self._end, signal.SIGTERM)
        self.run_worker(self._begin(former=self._starts_with_past), group="looking")
        self.set_interval(TICK, self.tick)

    async def _begin(self, *, former: bool) -> None:
        self.watcher.begin(former=former)
        await asyncio.to_thread(self.watcher.wait_for_first_look)
        self._is_looking = True
        if former:
            self.listing.show_past(True)
        self._has_changed = True
        self.tick()

    async def on_unmount(self) -> None:
        """End what has been continued here, and the threads that watch."""
        await asyncio.to_thread(self.resumed.close)
        await asyncio.to_thread(self.watcher.close)

    def _end(self, number: int) -> None:
        self.exit(return_code=128 + number)

    def on_resize(self, event: Resize) -> None:
        """Show the task that is open beside the table, or below it."""
        self._arrange(event.size.width)

    def _arrange(self, width: int) -> None:
        room = width - WHOLE
        self._work.set_class(room >= _BESIDE, "wide")
        self.pane.styles.width = min(room, int(width * _MOST_BESIDE)) if room >= _BESIDE else "1fr"
        self.pane.display = self._wants_pane and self.current() is not None
        self.pane.turn_to(self.current())
        self.pane.tick()

    # --- what changes -----------------------------------------------------------------------------------------------

    def _ring(self) -> None:
        """Something has changed; in any thread."""
        self._has_changed = True

    def tick(self) -> None:
        """Draw what has changed; once a second all that is in sight, as times go on."""
        if not self.table.is_attached:
            return  # it is ending
        changed: set[str] = set()
        if self._has_changed:
            self._has_changed = False
            changed = self.listing.take(self.watcher.model)
        is_due = time.monotonic() - self._drawn_at >= _SECOND
        if self.listing.lay_out():
            self.table.laid_out()
        elif is_due:
            self.table.refresh()
        else:
            self.table.changed(changed)
        self.go_on_to()
        self.fit_keys()
        if is_due or changed:
            self._drawn_at = time.monotonic() if is_due else self._drawn_at
            self._tell_totals()
            self.pane.tick()

    def _tell_totals(self) -> None:
        total = self.listing.total
        parts = ["subactors", counted(total)]
        parts.append(f"Σ {amount(total.tokens)} tokens {dollars(total.cost)}".rstrip() if total.tokens else "")
        if self.listing.past:
            parts.append("past runs, too")
        text = Text("   ".join(filter(None, parts)), no_wrap=True, overflow="ellipsis")
        self._totals.update(text, layout=False)
        questions = self.listing.questions()
        asked = _asked(questions, read_only=self.read_only)
        if asked.plain != self._asked_now:
            self._asked_now = asked.plain
            self._questions.update(asked)
            self._questions.display = bool(questions)
        self._empty.display = not self.listing.rows
        if not self.listing.rows:
            self._empty.update(Text(self._none_word(), "dim"))
        self._warned, new = self.watcher.warnings_after(self._warned)
        for warning in new:
            self.notify(words(warning), severity="warning", markup=False)

    def _none_word(self) -> str:
        if not self._is_looking:
            return "Looking …"
        if self.listing.is_filtered:
            return "Nothing fits the filter."
        return f"No runs in {words(str(self.root))}." if self.listing.past else "Nothing runs now. `p` shows past runs."

    # --- the task that is meant -------------------------------------------------------------------------------------

    def on_table_moved(self) -> None:
        """Show the task, if one is open."""
        self.fit_keys()
        if self._wants_pane:
            self._arrange(self.size.width)

    def on_table_opened(self) -> None:
        """Show a task; fold a run."""
        if self.current() is None:
            self.table.action_fold()
        elif not self.pane.display:
            self._show_pane(True)
        else:
            self.pane.body.focus()

    def _show_pane(self, shown: bool) -> None:
        if shown and self.current() is None:
            self._say("Choose a task.")
            return
        self._wants_pane = shown
        self._arrange(self.size.width)
        if not shown:
            self.table.focus()

    # --- keys -------------------------------------------------------------------------------------------------------

    def action_output(self) -> None:
        """Show what the task says, or do not."""
        self._show_pane(not self.pane.display)

    def action_view(self, step: int) -> None:
        """Show another view of the task: its conversation, its result or its attempts."""
        if self.pane.display:
            self.pane.turn(step)
        else:
            self._show_pane(True)

    def action_filter(self) -> None:
        """Give the keys to the filter."""
        self._filter.add_class("shown")
        self._filter.focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Filter, as it is typed."""
        if event.input is self._filter:
            self.listing.filter(event.value)
            self.tick()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Leave the filter as it is."""
        if event.input is self._filter:
            self._filter.set_class(bool(event.value.strip()), "shown")
            self.table.focus()

    def action_close(self) -> None:
        """Give the keys back to the table; then take the filter away, then the task."""
        if self._filter.has_class("shown"):
            self._filter.value = ""
            self._filter.remove_class("shown")
            self.table.focus()
        elif not self.table.has_focus:
            self.table.focus()
        elif self.pane.display:
            self._show_pane(False)

    def action_past(self) -> None:
        """Show runs, too, that were over before; or do not."""
        if self.listing.past:
            self.listing.show_past(False)
            self.tick()
        else:
            self.notify("Reading past runs …", markup=False)
            self.run_worker(self._begin(former=True), group="looking")

    def action_interrupt(self) -> None:
        """End, as Ctrl-C ends other commands."""
        self._end(signal.SIGINT)


def _asked(questions: list[Question], *, read_only: bool) -> Text:
    """Return the first questions, a line each, and how many there are."""
    text = Text(no_wrap=True, overflow="ellipsis")
    if not questions:
        return text
    waits = "waits" if len(questions) == 1 else "wait"
    key = "`a` shows more" if read_only else "`a` answers"
    text.append(f"{plural(len(questions), 'question')} {waits} for you: {key}", "bold yellow")
    for question in questions[:_ASKED]:
        text.append(f"\n  ? {words(question.agent or 'orchestrator', 40)} {short_id(question.task_id)}  ", "yellow")
        text.append(words(visible(question.text)))
    return text
