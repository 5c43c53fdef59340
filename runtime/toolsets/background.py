"""Background agents: the `background_agents` toolset, a model's view of the supervisor.

It sends typed messages and puts the replies into words. The supervisor knows which tasks there are, and whose. What is
held here is only what this model has been shown.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Final, Literal

import msgspec

from ..errors import SubactorsError, UnknownTaskError
from ..tasks.gateway import Gateway
from ..tasks.messages import (
    AS_USUAL,
    ListTasks,
    RunOptions,
    RunTask,
    StopTasks,
    ViewTask,
    WaitTasks,
)
from ..tasks.news import MOST_KNOWN, News, TakeNews
from ..tasks.notice_wording import describe_news, describe_wait
from ..tasks.views import TaskView
from ..tasks.wording import budget_text, describe_list, describe_stop, describe_view
from ..team.config import Settings
from ..text import encodable, without_tags
from .asking import ask, errors_as_answers
from .base import NoParameters, Tool, ToolAnswer, ToolParameters, Toolset
from .fan_out import FAN_OUT_INSTRUCTION, map_tool
from .instructions import instruction_of, then_of
from .letters import Letters
from .looks import Looks
from .run_parameters import RunParameters, options_of, run_parameters
from .talking import answer_tool, steer_tool

__all__ = [
    "BYTES_FOR_A_CHARACTER",
    "BackgroundAgentsToolset",
    "run_request",
]

_TOGETHER: Final = 0.05
"""Seconds that other ends are waited for, so that those of one moment are told together."""


_FOR_ALL: Final = 1e9
"""Seconds of patience: until nothing runs any more."""

BYTES_FOR_A_CHARACTER = 8
"""How many bytes of output are asked for each character that is shown: four in each half, as UTF-8 may need, so that
the cut to what is shown leaves nothing of an earlier cut."""


class _TaskParameters(ToolParameters, frozen=True):
    """The parameters of the tools that concern one task."""

    task_id: Annotated[str, msgspec.Meta(description="The id that run_background_agent answered.")]


def run_request(parameters: RunParameters, options: RunOptions = AS_USUAL) -> RunTask:
    """Return the request; JSON can hold half characters, which nothing behind it can."""
    expected = parameters.expected_output
    expected = encodable(expected) if expected is not None else None
    return RunTask(parameters.agent, encodable(parameters.task), expected, options=options)


class _WaitParameters(ToolParameters, frozen=True):
    """The parameters of `wait_background_agents`."""

    task_ids: Annotated[
        Annotated[list[str], msgspec.Meta(min_length=1, max_length=100)] | None,
        msgspec.Meta(description="The ids of the tasks; all of yours that have not ended by default."),
    ] = None
    mode: Annotated[
        Literal["all", "any"], msgspec.Meta(description="Whether to wait until all of them have ended, or any.")
    ] = "all"
    timeout: Annotated[
        float, msgspec.Meta(ge=0, le=3600, description="Seconds to wait at most; then you hear who has not ended.")
    ] = 300.0


class BackgroundAgentsToolset(Toolset):
    """The tools of one caller: five, and those that its entry asks for.

    Args:
        gateway: the caller's way to the supervisor.
        settings: the team's: how long an answer may be, how long looks are held, how often an agent is woken.
        notify: whether the caller is told of the ends of its tasks without asking.
        on_finish: what is done with tasks that run when the caller, an agent of ours, gives its last answer.
        schema: whether a task may be started with an output schema.
        limits: whether a task may be started with limits.
        steer: whether it may say something to its tasks while they run.
        is_asked: whether they may ask it something.
        letters: what is said to the caller's task, which is news, too; None: it has none.
        fan_out: whether it may have an agent do many items by one call.
        in_loop: whether the caller's loop is ours, which keeps its answer back, or stops what runs then.
    """

    def __init__(
        self,
        gateway: Gateway,
        *,
        settings: Settings,
        notify: bool = True,
        on_finish: Literal["wait", "stop"] = "wait",
        is_asked: bool = False,
        letters: Letters | None = None,
        schema: bool = False,
        limits: bool = False,
        steer: bool = False,
        fan_out: bool = False,
        in_loop: bool = False,
    ) -> None:
        self.instruction = instruction_of(notify=notify, on_finish=on_finish if in_loop else None)
        self._then = then_of(notify=notify, in_loop=in_loop)
        if fan_out:
            self.instruction += FAN_OUT_INSTRUCTION
        self._more = (
            *(steer_tool(gateway) for _ in range(steer)),
            *(answer_tool(gateway) for _ in range(is_asked)),
            *(map_tool(gateway, schema=schema, limits=limits, notify=notify) for _ in range(fan_out)),
        )
        self._run_parameters = run_parameters(schema=schema, limits=limits)
        self._gateway = gateway
        self._limit = settings.max_answer
        self._max_wakes = settings.max_wakes
        self._patience = settings.poll_wait
        self._looks = Looks(gateway, most=settings.poll_wait, letters=letters, notify=notify)
        self._notify = notify
        self._waits_at_the_end = notify and on_finish == "wait"
        self._is_asked = is_asked
        self._told_by_turns = False
        self._told: list[str] = []
        self._ever_told: set[str] = set()
        self._asked: dict[str, None] = {}
        self._wakes = 0

    @property
    def tools(self) -> Sequence[Tool]:
        """Run, list, view, stop, wait, and what the entry asks for."""
        return (
            Tool(
                name="run_background_agent",
                description=(
                    "Start a task in the background and get its id at once. The agent works in a process of its own "
                    "while you go on. Where no slot is free, the task is queued."
                ),
                parameters=self._run_parameters,
                handler=self._run,
            ),
            Tool(
                name="list_background_agents",
                description="List your tasks, oldest first: status, runtime, tokens, CPU, memory, and slots and queue.",
                parameters=NoParameters,
                handler=self._list,
                polling=True,
            ),
            Tool(
                name="view_background_agent",
                description="Look at one task at any time, in any state: what it has said so far, or its final result.",
                parameters=_TaskParameters,
                handler=self._view,
                polling=True,
            ),
            Tool(
                name="stop_background_agent",
                description="End one task, and the tasks that it has started. What it has said stays readable.",
                parameters=_TaskParameters,
                handler=self._stop,
            ),
            Tool(
                name="wait_background_agents",
                description=(
                    "Wait until tasks have ended, and get the beginning of each result. When the time is over, you get "
                    "what there is; nothing is stopped."
                ),
                parameters=_WaitParameters,
                handler=self._wait,
                polling=True,
            ),
            *self._more,
        )

    async def at_work(self) -> bool:
        """Whether a task of the caller runs, or one that such a task has started."""
        try:
            tasks = await ask(self._gateway, ListTasks())
        except SubactorsError:
            return False  # there is nobody any more who could run one
        return any(not view.ended for view in tasks.tasks)

    # --- what is told between two turns -----------------------------------------------------------------------------

    def tell_by_turns(self) -> None:
        """See `Toolset`."""
        self._told_by_turns = True

    def take_told(self) -> list[str]:
        """See `Toolset`."""
        told, self._told = self._told, []
        return told

    async def news(self, *, answered: bool) -> str:
        """Return the ends that the agent is owed; see `Toolset`. One that has answered is woken by `wake` alone."""
        if answered or not self._notify:
            return ""
        try:
            return self._tell(await ask(self._gateway, self._take(None)))
        except SubactorsError:
            return ""  # the runtime closes: whoever closes it ends this agent, too

    async def owed(self, *, wait: bool, known: tuple[str, ...]) -> News | None:
        """Return the ends that a loop that is not ours is owed; see `Toolset`."""
        while self._notify:
            news = await ask(self._gateway, self._take(_TOGETHER if wait else None, known))
            if news.ended or news.questions:
                self._looks.told(news)
                return news
            if not wait or not news.running:
                break
        return None

    async def wake(self, *, at_once: bool = False) -> str | None:
        """Wait for ends of tasks that run while the agent has given its last answer; see `Toolset`.

        The last time that it is woken, not before all have ended.
        """
        if not self._waits_at_the_end or self._wakes >= self._max_wakes:
            return None
        patience = self._patience if self._wakes + 1 < self._max_wakes else _FOR_ALL
        try:
            news = await ask(self._gateway, self._take(None if at_once else patience))
        except SubactorsError:
            return None
        text = self._tell(news)
        if not text and not news.running:
            return None
        # Those that one message has no room for are told in the next, however often it has been woken.
        self._wakes += bool(text) and not news.more
        return text

    def _tell(self, news: News) -> str:
        shown = [notice for notice in news.ended if notice.task_id not in self._ever_told]
        if not shown and not news.questions:
            return ""
        self._told += [notice.task_id for notice in shown]
        self._ever_told.update(self._told)
        self.note_asked(question.id for question in news.questions)
        self._looks.told(news)
        return describe_news(news, shown=shown)

    def note_asked(self, question_ids: Iterable[str]) -> None:
        """See `Toolset`."""
        self._asked.update(dict.fromkeys(question_ids))
        for question_id in list(self._asked)[:-MOST_KNOWN]:
            self._asked.pop(question_id, None)

    def _take(self, patience: float | None, known: tuple[str, ...] = ()) -> TakeNews:
        return TakeNews(patience, tuple({**self._asked, **dict.fromkeys(known)})[-MOST_KNOWN:], self._is_asked)

    def _seen(self, views: Sequence[TaskView]) -> tuple[str, ...]:
        """Return the ends that an answer shows. They are told when whoever has called has it, and not before.

        What it shows to be asked is told with it.
        """
        self.note_asked(question.id for view in views for question in view.questions)
        seen = tuple(view.id for view in views if view.ended)
        if self._told_by_turns:
            self._told += seen
            self._ever_told.update(seen)
        return seen

    # --- the tools --------------------------------------------------------------------------------------------------

    @errors_as_answers
    async def _run(self, parameters: RunParameters) -> ToolAnswer:
        request = run_request(parameters, options_of(parameters))
        accepted = await ask(self._gateway, msgspec.structs.replace(request, notify=self._notify))
        data: dict[str, Any] = {"task_id": accepted.task_id, "agent": parameters.agent}
        limited = ""
        if accepted.budget is not None:
            data["budget"] = msgspec.to_builtins(accepted.budget)
            limited = f" It may use: {budget_text(accepted.budget)}."
        if accepted.queue_place:
            return ToolAnswer(
                f"Queued {accepted.task_id}: {parameters.agent} starts by itself when a slot is free; it is number "
                f"{accepted.queue_place} in the queue.{limited} {self._then}",
                {**data, "queue_place": accepted.queue_place},
            )
        return ToolAnswer(
            f"Started {accepted.task_id}: {parameters.agent} is at work in the background.{limited} {self._then}", data
        )

    @errors_as_answers
    async def _list(self, _parameters: NoParameters) -> ToolAnswer:
        tasks = await self._looks.list()
        self.note_asked(question.id for view in tasks.tasks for question in view.questions)
        return ToolAnswer(without_tags(describe_list(tasks, may_answer=self._is_asked)), tasks.as_data())

    @errors_as_answers
    async def _view(self, parameters: _TaskParameters) -> ToolAnswer:
        looked_at = (parameters.task_id,)
        await self._looks.hold("view", looked_at)
        limit = self._limit * BYTES_FOR_A_CHARACTER
        request = ViewTask(parameters.task_id, limit, closely=True, peek=True)
        view = await ask(self._gateway, request)
        text = without_tags(describe_view(view, self._limit, may_answer=self._is_asked))
        self._looks.showed([view], "view", looked_at)
        return ToolAnswer(text, view.as_data(), told=self._seen([view]))

    @errors_as_answers
    async def _stop(self, parameters: _TaskParameters) -> ToolAnswer:
        request = StopTasks([parameters.task_id], limit=self._limit, refuse_ended=True, peek=True)
        stopped = await ask(self._gateway, request)
        self._looks.showed(stopped.tasks, "stop")
        return ToolAnswer(without_tags(describe_stop(stopped.tasks)), stopped.as_data(), told=self._seen(stopped.tasks))

    @errors_as_answers
    async def _wait(self, parameters: _WaitParameters) -> ToolAnswer:
        ids = parameters.task_ids
        if ids is None:
            listed = await ask(self._gateway, ListTasks())
            known = {view.id for view in listed.tasks}
            ids = [view.id for view in listed.tasks if not view.ended and view.parent not in known]
        ids = list(dict.fromkeys(ids))
        if not ids:
            return ToolAnswer("None of your tasks runs: there is nothing to wait for.", {"done": True, "tasks": []})
        # One that would wait for less long than a look in vain is one, too.
        await self._looks.hold("wait", ids, less=parameters.timeout)
        request = WaitTasks(
            ids,
            mode=parameters.mode,
            timeout=parameters.timeout,
            limit=self._limit * BYTES_FOR_A_CHARACTER // len(ids),
            peek=True,
            until_asked=self._is_asked,
            known=tuple(self._asked),
        )
        ended = await self._ended(request)
        others: dict[str, TaskView] = {}
        if len(ended) < len(ids):
            others = {view.id: view for view in (await ask(self._gateway, ListTasks())).tasks}
            if late := [view.id for view in others.values() if view.ended and view.id in {*ids} - {*ended}]:
                # They have ended since.
                again = msgspec.structs.replace(request, task_ids=late, timeout=0.0, mode="all")
                ended |= {view.id: view for view in (await ask(self._gateway, again)).tasks}
        self._looks.showed(ended.values(), "wait", ids)
        views = [ended.get(task_id) or others[task_id] for task_id in ids if task_id in ended or task_id in others]
        self.note_asked(question.id for view in views for question in view.questions)
        return ToolAnswer(
            without_tags(describe_wait(views, seen=ended, limit=self._limit, may_answer=self._is_asked)),
            {
                "done": len(ended) == len(ids),
                "tasks": [{**view.as_data(), "done": view.id in ended} for view in views],
            },
            told=self._seen(list(ended.values())),
        )

    async def _ended(self, request: WaitTasks) -> dict[str, TaskView]:
        """Wait for tasks; return those that have ended, by id. Some may be of the run that this one continues."""
        try:
            return {view.id: view for view in (await ask(self._gateway, request)).tasks}
        except UnknownTaskError:
            known = {view.id for view in (await ask(self._gateway, ListTasks())).tasks}
            strangers = [task_id for task_id in request.task_ids if task_id not in known]
            if not strangers:  # forgotten, or come, since
                raise
        views = [await ask(self._gateway, ViewTask(task_id, request.limit, peek=True)) for task_id in strangers]
        former = {view.id: view for view in views}
        if here := [task_id for task_id in request.task_ids if task_id in known]:
            timeout = 0.0 if request.mode == "any" else request.timeout
            rest = msgspec.structs.replace(request, task_ids=here, timeout=timeout)
            former |= {view.id: view for view in (await ask(self._gateway, rest)).tasks}
        return former
