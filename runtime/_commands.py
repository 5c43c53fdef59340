"""What the commands of the command line do, once their arguments are read. Imported by `cli` when a command runs."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import FrameType
from typing import Any, Final, Self

from ._agent import run_agent
from ._console import Display, JsonLines, LiveTable, PlainLines
from ._errors import CapacityError, SubactorsError
from ._event_loop import OneLoop
from ._model import Message, ToolCall, Turn
from ._report import describe_view, result_text
from ._requirements import check_requirements
from ._runtime import Runtime
from ._team import Team, ToolsetConfig
from ._team_file import check_team
from ._tools import ToolAnswer
from ._views import TaskView

__all__ = ["Interruptible", "check", "dispatch", "run_root"]

_FAILED: Final = 1
_USAGE: Final = 2
_SIGNALLED: Final = 128
"""Added to a signal's number: what shells call a program that it ended."""

_SHOW_CURSOR: Final = b"\x1b[?25h\n"
"""Undoes what the live table does to a terminal."""

_SHOWN_OUTPUT: Final = 10_000
"""Characters of a failed task's output that `dispatch` prints."""


def run_root(team: Team, agent: str, prompt: str, *, as_json: bool, settings: dict[str, Any]) -> int:
    """Run an agent as the orchestrator, in this process, and print its answer; return the exit status.

    An agent that is the user's own code has no loop to run here; it runs as a task.
    """
    check_requirements(team, agent, settings.get("working_dir", ""))
    with Interruptible() as work, Runtime(team, **settings) as runtime:
        in_process = team.agents[agent].entrypoint is None
        with _display(runtime, agent if in_process else None, as_json=as_json) as display:
            try:
                if in_process:
                    answer = work.loop.run(_orchestrate(runtime, agent, prompt, display))
                else:
                    answer = work.loop.run(_run_as_task(runtime, agent, prompt))
            except asyncio.CancelledError:
                _stop_everything(runtime)
                display.failed(agent, "interrupted; every task has been stopped")
                return work.status
            except Exception as error:  # noqa: BLE001 - a python model may raise anything; the user reads a sentence
                _stop_everything(runtime)
                display.failed(agent, str(error) if isinstance(error, SubactorsError) else _sentence(error))
                return _FAILED
            _stop_everything(runtime)
            display.answered(agent, answer)
        return 0


def dispatch(
    team: Team,
    agent: str,
    tasks: Sequence[str],
    expected_output: str | None,
    *,
    as_json: bool,
    settings: dict[str, Any],
) -> int:
    """Run one task for each text, as many at once as may, and print the results in order; return the exit status."""
    check_requirements(team, agent, settings.get("working_dir", ""))
    with Interruptible() as work, Runtime(team, **settings) as runtime:
        with _display(runtime, None, as_json=as_json):
            try:
                views = work.loop.run(_fan_out(runtime, agent, tasks, expected_output))
            except asyncio.CancelledError:
                _stop_everything(runtime)
                return work.status
        if not as_json:
            for view in views:
                _print_result(view)
        return 0 if all(view.status == "completed" for view in views) else _FAILED


def check(path: str, working_dir: str | None = None) -> int:
    """Print what is wrong with a team file, or what of it would run here; return the exit status.

    Args:
        path: the file.
        working_dir: where its agents would work; None: the current directory.
    """
    team, problems = check_team(path)
    for problem in problems:
        print(problem)
    if team is None or problems:
        count = len(problems)
        print(f"{path}: {count} problem{'' if count == 1 else 's'}.", file=sys.stderr)
        return _USAGE
    print(f"{path}: {len(team.agents)} agents, root is {team.root!r}. No problems in the file.")
    from ._readiness import missing_keys, notes_on, would_fail  # noqa: PLC0415 - for this command only

    environ, folder = os.environ, Path(working_dir or Path.cwd())
    faulty: list[str] = []
    keyless: list[str] = []
    for name, agent in team.agents.items():
        what = f"entrypoint {agent.entrypoint}" if agent.model is None else f"model {agent.model.reference}"
        toolsets = ", ".join(map(_toolset_title, agent.toolsets))
        others = ", ".join(model.reference for model in agent.fallback.models)
        extras = [f"fallback {others}"] if others else []
        extras += [f"toolsets {toolsets}"] if toolsets else []
        extras += [f"sub_agents {', '.join(agent.sub_agents)}"] if agent.sub_agents else []
        print(f"  {name}: {'; '.join([what, *extras])}")
        reasons = would_fail(agent, environ, folder)
        faulty += [name] if reasons else []
        for sentence in reasons:
            print(f"  {name}: would not run here: {sentence}")
        keys = [] if reasons else missing_keys(agent, environ)
        keyless += [name] if keys else []
        for sentence in keys:
            # Files are checked where there are no keys, too: said, and no failure of the check.
            print(f"  {name}: not before there is a key: {sentence}")
        for note in notes_on(team, agent, environ, folder):
            print(f"  {name}: {note}")
    for key in team.ignored:
        print(f"  {key}: accepted, and without effect here")
    fit = [name for name in team.agents if name not in {*faulty, *keyless}]
    groups = {"Would run here": fit or ["none"], "Would not": faulty, "Not before there is a key": keyless}
    print(" ".join(f"{title}: {', '.join(names)}." for title, names in groups.items() if names))
    return _FAILED if faulty else 0


def _toolset_title(toolset: ToolsetConfig) -> str:
    if toolset.type != "mcp":
        return toolset.type
    from ._mcp_server import McpServer  # noqa: PLC0415 - for teams that have one

    return f"mcp ({McpServer(**toolset.options['server']).title})"


async def _orchestrate(runtime: Runtime, agent: str, prompt: str, display: Display) -> str:
    return await run_agent(
        runtime.team.agents[agent],
        runtime.surroundings(agent),
        _Listener(agent, display),
        task=prompt,
        expected_output=None,
        is_sub_agent=False,
    )


async def _run_as_task(runtime: Runtime, agent: str, prompt: str) -> str:
    task_id = runtime.run(agent, prompt)
    (view,) = await asyncio.to_thread(runtime.wait, [task_id])
    if view.status != "completed":
        raise SubactorsError(view.reason)
    return result_text(view.result)


async def _fan_out(runtime: Runtime, agent: str, tasks: Sequence[str], expected_output: str | None) -> list[TaskView]:
    """Run the tasks, starting the next whenever there is room; return their views in the order of the texts."""
    ended: dict[str, TaskView] = {}
    order: list[str] = []
    waiting = list(reversed(tasks))
    while len(ended) < len(tasks):
        while waiting:
            try:
                order.append(runtime.run(agent, waiting[-1], expected_output=expected_output))
            except CapacityError:
                if len(order) == len(ended):
                    raise  # nothing runs, so nothing will make room
                break
            waiting.pop()
        running = [task_id for task_id in order if task_id not in ended]
        for view in await asyncio.to_thread(runtime.wait, running, mode="any"):
            ended[view.id] = view
    return [ended[task_id] for task_id in order]


def _print_result(view: TaskView) -> None:
    if view.status == "completed":
        print(f"=== {view.id} {view.agent}: {view.task}")
        print(result_text(view.result))
    else:
        print(f"=== {describe_view(view, _SHOWN_OUTPUT)}")
    print()


class _Listener:
    """Shows what the orchestrator's loop does."""

    def __init__(self, agent: str, display: Display) -> None:
        self._agent = agent
        self._display = display

    def text(self, piece: str) -> None:
        """Text came."""
        self._display.said(self._agent, piece)

    def tool_called(self, call: ToolCall) -> None:
        """Its tools speak for themselves."""

    def tool_answered(self, call: ToolCall, answer: ToolAnswer) -> None:
        """Its tools speak for themselves."""

    def turn_ended(self, turn: Turn, messages_added: Sequence[Message]) -> None:
        """Nobody counts them here."""


class Interruptible:
    """Lets Ctrl-C, SIGTERM and SIGHUP cancel the work; a second one ends this process, and with it all, at once.

    Attributes:
        loop: runs the work.
        status: the exit status that shells expect of a program that a signal ended.
    """

    def __init__(self) -> None:
        self.loop = OneLoop()
        self.status = 0
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            self._before[number] = signal.signal(number, self._interrupt)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _interrupt(self, number: int, _frame: FrameType | None) -> None:
        if self.status:
            if sys.stderr.isatty():
                os.write(sys.stderr.fileno(), _SHOW_CURSOR)
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        self.status = _SIGNALLED + number
        self.loop.cancel()


def _stop_everything(runtime: Runtime) -> None:
    """Stop what still runs, all at once, while the display can show it."""
    running = [view.id for view in runtime.list() if not view.ended]
    if running:
        with ThreadPoolExecutor(len(running), "subactors-stop") as pool:
            list(pool.map(runtime.stop, running))


def _display(runtime: Runtime, orchestrator: str | None, *, as_json: bool) -> Display:
    if as_json:
        return JsonLines(runtime)
    # A dumb terminal cannot be drawn on.
    if sys.stderr.isatty() and os.environ.get("TERM", "dumb") != "dumb":
        return LiveTable(runtime, orchestrator)
    return PlainLines(runtime)


def _sentence(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
