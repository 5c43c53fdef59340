"""Blocking starts: those of the blocking verbs that start a task, and return as soon as it is accepted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...actors import RestartPolicy
from ..tasks.messages import RunTask
from ..team.config import Limits, Workdir
from . import steps
from .driving import drive
from .handle import TaskRef, id_of
from .request import call_request, options_of, run_request
from .task import Task
from .way import Verbs

__all__ = ["BlockingStarts"]


class BlockingStarts(Verbs):
    """See the module, and `BlockingVerbs`."""

    def run(
        self,
        agent: str,
        task: str,
        *,
        expected_output: str | None = None,
        data: Any = None,
        limits: Limits | None = None,
        restart: RestartPolicy | None = None,
        workdir: Workdir | None = None,
        place: str | None = None,
        near: TaskRef | None = None,
        key: str | None = None,
        output_schema: Any = None,
    ) -> Task:
        """Start a task of an agent and return at once, while its process is still starting.

        Args:
            agent: its name.
            task: what to do.
            expected_output: what the answer should look like.
            data: what to work on, as plain data; the agent's function finds it in `task.data`.
            limits: narrow those of the agent, for this task.
            restart: replaces the agent's policy, for this task.
            workdir: replaces the agent's, for this task: `shared`, `private` or `worktree`.
            place: replaces the agent's, for this task: the name of a place, or empty for the host's own machine.
            near: a task, on whose node this one is to run if it can; else where its place puts it. Without a place of
                its own, by `place`, its agent or the settings, it runs at the place of that task.
            key: names this piece of work, in up to 500 characters. A second call with the same key starts nothing and
                returns the same task, whatever it is given; for another agent or function it is an error.
            output_schema: what the answer must be: a JSON schema, or a type (dataclass, msgspec struct, TypedDict,
                pydantic model, or an annotation of these). The model is told. An answer that does not fit is sent back
                to it once, with what is wrong and where; then the task fails, for a reason that begins with `schema: `.
                `result(type=…)` makes an object of what fits.

        Raises:
            UnknownAgentError: the team has no such agent.
            EmptyTaskError: there is nothing to do.
            CapacityError: as many tasks run and are queued, or have ended unread, as may.
            RunError: the key is that of another agent's task, or of a function's; or there is no such place.
            RequirementError: the agent, or one it may start, needs something this machine lacks.
            OutputSchemaError: the output schema cannot be used.
            TypeError, ValueError: an argument has the wrong type, or cannot be.
        """
        options = options_of(limits, restart, workdir, key=key, output_schema=output_schema, place=place, near=near)
        return self._start(run_request(agent, task, expected_output, data, options))

    def submit(
        self,
        function: Callable[..., Any],
        /,
        *args: Any,
        name: str | None = None,
        limits: Limits | None = None,
        restart: RestartPolicy | None = None,
        workdir: Workdir | None = None,
        place: str | None = None,
        near: TaskRef | None = None,
        key: str | None = None,
        output_schema: Any = None,
        **kwargs: Any,
    ) -> Task:
        """Run a function in a process of its own, and return at once. Its result becomes plain data.

        Args:
            function: any callable, sync or async.
            args: its arguments.
            name: what the task is called, as one line of up to 200 characters: a longer one is cut, and line breaks
                become spaces. None: the function's name.
            limits: what the task may use.
            restart: when it is started again; None: never.
            workdir: where it works: `shared`, `private` or `worktree`; None: in the runtime's working directory.
            place: name of the place where it runs; empty: the host's own machine; None: where the settings say.
            near: see `run`.
            key: see `run`.
            output_schema: see `run`; what the function returns is checked.
            kwargs: its keyword arguments.

        Raises:
            TypeError, ValueError: it, or an argument, cannot be sent to another process, or an option cannot be.
            CapacityError: as many tasks run and are queued, or have ended unread, as may.
            RunError: the key is that of an agent's task, or of a function of another name; or there is no such place.
        """
        options = options_of(limits, restart, workdir, key=key, output_schema=output_schema, place=place, near=near)
        return self._start(call_request(function, args, kwargs, name, options, by_value=self._way.sends_code))

    def resume(self, task: TaskRef, message: str | None = None) -> Task:
        """Continue a task of an agent that has ended, with its conversation, from its last finished turn.

        It is a new task, which says in `continues` whose conversation it has. A tool call that had begun and not ended
        has the answer *effects unknown*; those that had ended are not made again. Its limits count anew.

        Args:
            task: one that has completed, failed or was stopped; of this run, or of another in the same state folder
                whose host was closed or has died.
            message: what it is to do now, as words of the user. None: it goes on with what it was at, which one that
                has completed cannot.

        Raises:
            UnknownTaskError: there is no such task.
            RunError: it has not ended, is a function's, or is being continued already; and what `run` raises.
            StateError: the journal that has its conversation cannot be read.
        """
        accepted = drive(self._way, steps.resume(self._way, id_of(task), message))
        return self._begun(accepted.task_id, accepted.agent)

    def _start(self, request: RunTask) -> Task:
        accepted = drive(self._way, steps.run(request, self._way.data_check(request)))
        if accepted.is_shared:
            self._way.held.claim(accepted.task_id)  # to its end: no group that asks for it, too, is to stop it
        return self._handle(accepted.task_id, request.agent)

    def _begun(self, task_id: str, agent: str) -> Task:
        """Return the handle of a task that these verbs have started."""
        return self._handle(task_id, agent)

    def _handle(self, task_id: str, agent: str) -> Task:
        """Return the handle of a task: the one that there is, if it is alive."""
        known = self._way.held.handle(task_id)
        return known if isinstance(known, Task) else Task(task_id, agent, self._way)
