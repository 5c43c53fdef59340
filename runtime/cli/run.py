"""Running commands: `run`, `resume`, `dispatch` and `check`, with arguments read. Imported when one is called."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Final, Literal

from ...actors.interrupts import result_of
from ..errors import CapacityError
from ..host import Host
from ..supervisor.outcome import ended_owner
from ..tasks.gateway import Caller
from ..tasks.messages import ListTasks, RunOptions, RunTask, StopTasks, ViewTask, WaitTasks
from ..tasks.past import ResumePast, check_resumable
from ..tasks.views import TaskList, TaskView
from ..tasks.wording import describe_view, result_text
from ..team.config import Team
from ..team.requirements import check_requirements
from ..terminal.interruptible import Interrupted, Interruptible
from ..terminal.streams import err, out
from ..text import encodable
from .afterwards import cost_of_root, cost_together, say_what_next
from .answer import can_draw, print_answer
from .arguments import agent_of
from .display import Display, JsonLines, LiveTable, PlainLines
from .manner import manner
from .prompt import prompting

if TYPE_CHECKING:
    from ..control.former import FormerTask

__all__ = ["dispatch_tasks", "resume_root", "run_root"]

_FAILED: Final = 1
_USAGE: Final = 2
_LEAST_TASK: Final = 20
"""Characters of a task's text above its answer, on a terminal that has no room for them."""

_SHOWN_OUTPUT: Final = 10_000
"""Characters of a failed task's output that `dispatch` prints."""


def run_root(
    team: Team,
    agent: str,
    prompt: str,
    *,
    as_json: bool,
    settings: dict[str, Any],
    place: str | None = None,
    has_dashboard: bool = False,
) -> int:
    """Run an agent as the root of a run, in a task of its own, and print its answer; return the exit status.

    Args:
        team: the team.
        agent: the agent.
        prompt: what it is asked.
        as_json: whether events are to be printed.
        settings: of the host.
        place: see `RunOptions`.
        has_dashboard: whether a dashboard shows the run.
    """
    request = RunTask(agent, encodable(prompt), options=RunOptions(place=place))
    return _run(team, agent, request, as_json=as_json, settings=settings, has_dashboard=has_dashboard)


def resume_root(team: Team, former: FormerTask, message: str | None, *, as_json: bool, settings: dict[str, Any]) -> int:
    """Continue a task of another run as the root of a new one, and print its answer; return the exit status."""
    past, message = former.past, None if message is None else encodable(message)
    check_resumable(past, message)
    return _run(
        team,
        agent_of(team, past.agent),
        ResumePast(past, str(former.run), message),
        as_json=as_json,
        settings=settings,
        accepted=former.note_continued,
    )


def _run(
    team: Team,
    agent: str,
    request: RunTask | ResumePast,
    *,
    as_json: bool,
    settings: dict[str, Any],
    accepted: Callable[[], None] = lambda: None,
    has_dashboard: bool = False,
) -> int:
    options = request.options if isinstance(request, RunTask) else request.past.options
    check_requirements(team, agent, settings.get("working_dir", ""), None if options is None else options.place)
    with Interruptible() as work, Host(team, for_many=False, **settings) as host:
        with (
            _display(host, as_json=as_json, has_root=True) as display,
            _dashboard(host, is_wanted=has_dashboard),
            prompting(host, display.paused) as ask_no_more,
        ):
            # As a person asks, the agent finds the prompt as the user's message, and takes up no room of its tasks.
            root = result_of(host.ask(request, Caller(is_person=True))).task_id
            accepted()
            try:
                work.result_of(_ended(host, [root]))
                _wait_for_the_rest(host, work)
            except Interrupted:
                _stop_all(host, work.cause)
            ask_no_more()
            view = result_of(host.ask(ViewTask(root)))
            if view.status == "completed":
                # Also where the interrupt came when it had answered.
                display.answered(agent, result_text(view))
            elif work.status and view.status == "stopped":
                display.failed(agent, f"interrupted by {work.cause}; every task has been stopped")
            else:
                display.failed(agent, view.reason)
        if view.traceback and not as_json:
            err.line(view.traceback)
        if view.status != "completed" and view.has_result and not as_json:
            # Of a limit it knew, or after a failure that came behind its answer: it has been paid for.
            err.sentence("What it had come to before that:")
            print_answer(result_text(view))
        if not manner.quiet:
            _name_cut_off(host)
            err.sentence(cost_of_root(view))
            if not as_json:
                # A function has no conversation that could go on.
                can_resume = bool(team.folders) and team.agents[agent].entrypoint is None
                state_dir = settings.get("state_dir")
                say_what_next(_tasks(host), view, host.folder.path, state_dir, can_resume=can_resume)
        return work.status or (0 if view.status == "completed" else _FAILED)


def dispatch_tasks(
    team: Team,
    agent: str,
    tasks: Sequence[str],
    expected_output: str | None,
    *,
    as_json: bool,
    settings: dict[str, Any],
    place: str | None = None,
) -> int:
    """Run one task for each text, as many at once as may, and print the results in order; return the exit status."""
    check_requirements(team, agent, settings.get("working_dir", ""), place)
    expected = None if expected_output is None else encodable(expected_output)
    requests = [RunTask(agent, encodable(task), expected, options=RunOptions(place=place)) for task in tasks]
    began = time.monotonic()
    with Interruptible() as work, Host(team, for_many=False, **settings) as host:
        with _display(host, as_json=as_json) as display, prompting(host, display.paused):
            try:
                views = _fan_out(host, work, requests)
                _wait_for_the_rest(host, work)
            except Interrupted:
                _stop_all(host, work.cause)
                return work.status
        if not manner.quiet:
            _name_cut_off(host)
        if not as_json:
            for view in views:
                _print_result(view)
            if not manner.quiet:
                err.sentence(cost_together(views, time.monotonic() - began))
                say_what_next(_tasks(host), None, host.folder.path, settings.get("state_dir"))
        return 0 if all(view.status == "completed" for view in views) else _FAILED


def _tasks(host: Host) -> list[TaskView]:
    return result_of(host.ask(ListTasks())).tasks


def _ended(host: Host, task_ids: Sequence[str], mode: Literal["all", "any"] = "all") -> Future[TaskList]:
    """Return at once; the future holds the tasks when all, or any, have ended, and then they count as read."""
    return host.ask(WaitTasks(list(task_ids), mode))


def _stop_all(host: Host, by: str) -> None:
    """Stop all tasks at the same time, and wait until they are gone; `by` is who asks, for their reasons."""
    caller = Caller(title=by)
    for stopping in [host.ask(StopTasks([view.id], limit=0), caller) for view in _tasks(host) if not view.ended]:
        result_of(stopping)


def _wait_for_the_rest(host: Host, work: Interruptible) -> None:
    """Wait until the tasks are gone that are being stopped, as what had started them has ended."""
    work.result_of(_ended(host, [view.id for view in _tasks(host) if not view.ended]))


def _name_cut_off(host: Host) -> None:
    """Say on standard error which tasks were still at work when what had started them ended."""
    cut_off: dict[str, list[str]] = {}
    for view in _tasks(host):
        owner = ended_owner(view.reason) if view.status == "stopped" else ""
        if owner:
            cut_off.setdefault(owner, []).append(f"{view.id} ({view.agent})")
    for owner, tasks in cut_off.items():
        were = "1 task was" if len(tasks) == 1 else f"{len(tasks)} tasks were"
        err.sentence(f"When {owner} ended, {were} still at work and so stopped: {', '.join(tasks)}.")


def _fan_out(host: Host, work: Interruptible, requests: Sequence[RunTask]) -> list[TaskView]:
    """Run tasks, starting the next whenever there is room; return their views in the order of the requests."""
    ended: dict[str, TaskView] = {}
    order: list[str] = []
    waiting = list(reversed(requests))
    while len(ended) < len(requests):
        while waiting:
            try:
                order.append(result_of(host.ask(waiting[-1])).task_id)
            except CapacityError:
                if len(order) == len(ended):
                    raise  # nothing runs, so nothing will make room
                break
            waiting.pop()
        running = [task_id for task_id in order if task_id not in ended]
        for view in work.result_of(_ended(host, running, "any")).tasks:
            ended[view.id] = view
    return [ended[task_id] for task_id in order]


def _print_result(view: TaskView) -> None:
    if view.status == "completed":
        head = f"=== {view.id} {view.agent}: "
        columns = out.columns
        out.line(head + (view.task if columns is None else out.cut(view.task, max(_LEAST_TASK, columns - len(head)))))
        print_answer(result_text(view))
    else:
        out.prose(f"=== {describe_view(view, _SHOWN_OUTPUT)}")
    out.line()


def _dashboard(host: Host, *, is_wanted: bool) -> contextlib.AbstractContextManager[None]:
    if not is_wanted:
        return contextlib.nullcontext()
    from .dashboard import dashboard_beside  # noqa: PLC0415 - for those who ask for it

    return dashboard_beside(host)


def _display(host: Host, *, as_json: bool, has_root: bool = False) -> Display:
    if as_json:
        return JsonLines(host, has_root=has_root, is_quiet=manner.quiet)
    if manner.quiet or manner.verbose:
        from .narration import NarratedLines, QuietLines  # noqa: PLC0415 - for those who ask for it

        return NarratedLines(host) if manner.verbose else QuietLines()
    if can_draw():
        return LiveTable(host)
    return PlainLines(host, has_root=has_root)
