"""Display: what the command line shows while tasks run: a live table, plain lines, or one JSON object a line.

A display only looks: it asks the host and follows its events. Everything it shows goes through `terminal/streams`.
Text for `rich` is cleaned before, and is never markup.
"""

from __future__ import annotations

import contextlib
import functools
import os
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final, Protocol, Self

from ...actors.interrupts import result_of
from ..tasks.events import Event, TaskAsked, TaskEnded, TaskOutput, TaskQueued, TaskRestarting, TaskStarted
from ..tasks.messages import ListTasks
from ..tasks.views import TaskView
from ..tasks.wording import question_text
from ..terminal.streams import OutputLostError, err, out, own_stream
from ..text import duration, json_line, one_line
from .answer import print_answer, without_size
from .json_style import task_event, task_fields
from .task_table import Screen, task_table, words

if TYPE_CHECKING:
    from rich.console import Group
    from rich.live import Live

    from ..host import Host

__all__ = ["Display", "EventFollower", "JsonLines", "LiveTable", "PlainLines", "WaitLines"]

_REFRESH_RATE: Final = 8
"""Frames a second of the live table."""

_LOOK_EVERY: Final = 0.5
"""Seconds between two looks at whether anybody still reads, while there is nothing to tell."""


class Display(Protocol):
    """Shows a host at work; a context manager around the time that it works."""

    def __enter__(self) -> Self:
        """Begin to show."""
        ...

    def __exit__(self, *_: object) -> None:
        """Show how it ended, and stop."""
        ...

    def paused(self) -> contextlib.AbstractContextManager[object]:
        """Draw nothing meanwhile: somebody asks the person at the terminal."""
        ...

    def answered(self, agent: str, text: str) -> None:
        """The root of the run gave its final answer."""
        ...

    def failed(self, agent: str, reason: str) -> None:
        """There will be no answer."""
        ...


class EventFollower:
    """A thread that hands each event to a function.

    Args:
        host: whose events.
        show: is called with each.
        idle: is called now and then while there is none.
    """

    def __init__(self, host: Host, show: Callable[[Any], None], idle: Callable[[], None] = lambda: None) -> None:
        self._stream = host.events()
        self._show = show
        self._idle = idle
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="subactors-display", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Show what has been published until now, and end. May be repeated."""
        self._closing = True
        self._stream.close()
        self._thread.join()

    def _run(self) -> None:
        # When nobody reads any more, whoever runs the tasks hears of it from the outlet, and ends this.
        with contextlib.suppress(OutputLostError):
            while True:
                event = self._stream.next(_LOOK_EVERY)
                if event is not None:
                    self._show(event)
                elif self._closing:
                    return
                else:
                    self._idle()


class WaitLines:
    """A line for each reason why tasks have not begun though they were started, such as that no node is there.

    No event tells it.

    Args:
        host: whose tasks.
    """

    def __init__(self, host: Host) -> None:
        self._host = host
        self._told: set[str] = set()

    def new(self) -> Iterator[str]:
        """Yield a line for each reason that there was not before. Asks the host; not for its own threads."""
        for task in result_of(self._host.ask(ListTasks())).tasks:
            if task.status == "starting" and task.doing and task.doing not in self._told:
                self._told.add(task.doing)
                yield f"{task.id} {one_line(task.agent, 100)}: {one_line(task.doing, 300)}"


class PlainLines:
    """A line on standard error when a task starts, one for each reason why one waits, and one when it ends.

    For pipes and logs.

    Args:
        host: what to show.
        has_root: whether the first task is the root of a run, whose end is told otherwise.
    """

    def __init__(self, host: Host, *, has_root: bool = False) -> None:
        self._root = None if has_root else ""
        self._people = host.people
        self._waits = WaitLines(host)
        self._follower = EventFollower(host, self._show, self._show_what_waits)

    def __enter__(self) -> Self:
        self._follower.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._follower.stop()

    def paused(self) -> contextlib.AbstractContextManager[object]:
        """See `Display`: nothing is drawn."""
        return contextlib.nullcontext()

    def answered(self, agent: str, text: str) -> None:
        """Print it on standard output."""
        del agent
        self._follower.stop()
        print_answer(text)

    def failed(self, agent: str, reason: str) -> None:
        """Say why on standard error."""
        self._follower.stop()
        err.sentence(f"{agent}: {reason}")

    def _show(self, event: object) -> None:
        match event:
            case TaskStarted(task):
                self._root = task.id if self._root is None else self._root
                err.sentence(f"{task.id} {one_line(task.agent, 100)}: started: {one_line(task.task, 100)}")
            case TaskQueued(task):
                place = f"queued at place {task.queue_place}"
                err.sentence(f"{task.id} {one_line(task.agent, 100)}: {place}: {one_line(task.task, 100)}")
            case TaskRestarting(task):
                reason = one_line(task.reason, 300)
                err.sentence(f"{task.id} {one_line(task.agent, 100)}: starts again after a failure: {reason}")
            case TaskAsked(task_id, question) if not self._people.are_there:  # else they are shown it themselves
                err.sentence(f"{task_id} {one_line(question.agent, 100)}: asks: {question_text(question)}")
                if question.text not in question_text(question):
                    err.sentence(f"That is not all, or not as it is: subactors view {task_id}")
                err.sentence(f"It waits for an answer: subactors answer {question.id} TEXT")
            case TaskEnded(task) if task.id != self._root:
                reason = f": {one_line(task.reason, 300)}" if task.reason else ""
                err.sentence(
                    f"{task.id} {one_line(task.agent, 100)}: {task.status} after {duration(task.runtime)}{reason}"
                )
            case _:
                pass

    def _show_what_waits(self) -> None:
        for line in self._waits.new():
            err.sentence(line)


class JsonLines:
    """Every event as one line of JSON on standard output; on standard error a line for each reason why a task waits.

    Args:
        host: what to show.
        has_root: whether the first task is the root of a run; what it says is an event `text`.
        is_quiet: whether nothing is said of what waits.
    """

    def __init__(self, host: Host, *, has_root: bool = False, is_quiet: bool = False) -> None:
        self._root = TaskView(id="", agent="", task="", status="starting")
        self._wants_root = has_root
        self._run = host.folder.path
        self._waits = None if is_quiet else WaitLines(host)
        self._follower = EventFollower(host, self._show, self._show_what_waits)

    def __enter__(self) -> Self:
        self._follower.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._follower.stop()

    def paused(self) -> contextlib.AbstractContextManager[object]:
        """See `Display`: nothing is drawn."""
        return contextlib.nullcontext()

    def answered(self, agent: str, text: str) -> None:
        """An event `answer`, the last one."""
        self._end("answer", agent, text=text)

    def failed(self, agent: str, reason: str) -> None:
        """An event `failed`, the last one."""
        self._end("failed", agent, reason=reason)

    def _end(self, event: str, agent: str, **said: str) -> None:
        self._follower.stop()
        out.line(json_line(task_event(event, task_id=self._root.id, agent=agent, **said)))

    def _show(self, event: Event) -> None:
        if self._wants_root and isinstance(event, TaskStarted):
            self._wants_root, self._root = False, event.task
        fields = event.as_data()
        if isinstance(event, TaskOutput) and event.task_id == self._root.id:
            fields |= {"event": "text", "agent": self._root.agent}
        if "task" in fields:
            fields["task"] = task_fields(fields["task"], self._run, os.getpid())
        out.line(json_line(fields))

    def _show_what_waits(self) -> None:
        out.check()
        for line in () if self._waits is None else self._waits.new():
            err.sentence(line)


class LiveTable:
    """A table of the tasks on standard error, drawn anew several times a second: for terminals.

    Args:
        host: what to show.
    """

    def __init__(self, host: Host) -> None:
        # Imported here: rich is for terminals only.
        from rich.console import Console  # noqa: PLC0415 - see above
        from rich.live import Live  # noqa: PLC0415 - see above

        self._host = host
        self._has_ended = False
        environ = without_size(os.environ)
        self._console = Console(file=own_stream(err), no_color=not err.is_colored, _environ=environ)
        self._unfinished = ""
        self._taking = err.handing_lines_to(self._print_above)
        self._new_live: Callable[[], Live] = functools.partial(
            Live,
            get_renderable=self._table,
            console=self._console,
            refresh_per_second=_REFRESH_RATE,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._live = self._new_live()

    def __enter__(self) -> Self:
        self._live.start()
        self._taking.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._taking.__exit__(None, None, None)
        self._end()
        if self._unfinished:
            err.line(self._unfinished)

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """See `Display`: the table is taken away, and comes again."""
        self._live.transient = True
        self._live.stop()
        try:
            yield
        finally:
            if not self._has_ended:
                # A new one: the old one would draw over as many lines as it was high, which are somebody's words now.
                self._live = self._new_live()
                self._live.start()

    def answered(self, agent: str, text: str) -> None:
        """Print it on standard output, below the table."""
        del agent
        self._end()
        apart = "\n" if out.is_terminal else ""  # from the table, and from what the run has cost
        out.own(apart)
        print_answer(text)
        out.own(apart)

    def failed(self, agent: str, reason: str) -> None:
        """Say why, below the table."""
        self._end()
        err.sentence(f"{agent}: {reason}", style="red")

    def _end(self) -> None:
        self._has_ended = True
        self._live.stop()

    def _print_above(self, text: str) -> None:
        """Print what somebody has to say meanwhile, such as a warning, above the table."""
        *lines, self._unfinished = (self._unfinished + text).split("\n")
        for line in lines:
            self._console.print(words(line), soft_wrap=True)

    def _table(self) -> Group:
        listed = result_of(self._host.ask(ListTasks()))
        screen = Screen(self._console.width, self._console.height, err.encoding, is_poor=not err.has_signs)
        return task_table(listed.tasks, screen)
