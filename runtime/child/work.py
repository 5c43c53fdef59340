"""Task work: the agent's loop, or the user's entrypoint, on the main thread of the task's process."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pickle
import threading
from collections.abc import Sequence
from pathlib import Path
from types import CoroutineType
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

from ...actors import ForkedError, SupervisorRef
from ..agent.event_loop import CancellableLoop
from ..agent.run import run_agent
from ..agent.surroundings import Surroundings
from ..agent.turn_budget import BudgetWay, TurnBudget
from ..errors import LimitError, OutputSchemaError
from ..models.base import Turn, Usage
from ..runs.result_file import pack_result, write_result
from ..runs.workdir import enter
from ..tasks.failure import describe_error, own_traceback
from ..tasks.gateway import TaskGateway
from ..tasks.messages import Began, Failed, Finished
from ..tasks.plain_data import encode_result
from ..tasks.questions import AskQuestion
from ..tasks.spec import AgentSetup, TaskSpec
from ..team.functions import function_of, module_named
from ..team.references import advise_for_node
from ..team.secrets import blotted
from ..text import encodable
from .current import CurrentTask, set_current
from .entrypoint import EntrypointTask, call_entrypoint, call_function, has_seen_stop
from .interruption import interrupt_in_time, let_interrupt_pass
from .letters import letterbox
from .reporter import Reporter, as_json
from .speech import speech

if TYPE_CHECKING:
    from ..tasks.calls import Call
    from .belongings import Belongings
    from .progress import ProgressReporter
    from .task_way import TaskWay

__all__ = ["TaskWork"]

_making: Final = threading.Lock()
"""Held while something is made that few functions want. Made in the zygote: the others pay nothing."""


class TaskWork:
    """Work of a task. `run` belongs to the main thread, `cancel` to the mailbox thread.

    Args:
        spec: what to do.
        supervisor: hears what happens.
        stop: is set when a stop has been asked for, before `cancel` is called.
    """

    at_work = False
    is_stopping = False
    is_overdue = False

    _way: TaskWay | None = None
    _belongings: Belongings | None = None
    _own_task: EntrypointTask | None = None
    _progress: ProgressReporter | None = None
    _shared: Path | None = None
    """The runtime's working directory, where the task has another."""

    def __init__(self, spec: TaskSpec, supervisor: SupervisorRef, stop: threading.Event) -> None:
        self._spec = spec
        self._supervisor = supervisor
        self._stop = stop
        self._loop = CancellableLoop()

    def run(self) -> Finished:
        """Work to the end and return the last report; raises what the loop or the entrypoint raised."""
        speech.begin(self._supervisor.emit)
        if self._spec.variables:
            os.environ.update(self._spec.variables)
        if self._spec.place:
            advise_for_node(self._spec.place)
        limit = ""
        try:
            result = self._work()
        except asyncio.CancelledError:
            if not self._stop.is_set():
                raise
            return Finished("null", early=True)
        except LimitError as error:
            if self._spec.entrypoint is not None:
                raise  # a function's own
            result, limit = error.result, str(error)
        # Before the result is written: it might be a second one.
        self._supervisor.end_fork()
        return self._finished(result, limit)

    def cancel(self) -> None:
        """End the work early: coroutines at once, a function that does not end by itself after a while.

        May be called more than once, from the main thread too.
        """
        self._loop.cancel()
        letterbox.close()
        interrupt_in_time(self, self._supervisor, self._setup().settings.stop_grace)

    def knows_of_stop(self) -> bool:
        """Whether an entrypoint has seen that it is to stop. Runs in a thread of its own, as does `is_cancelled`."""
        return has_seen_stop(self._spec.id)

    def is_cancelled(self) -> bool:
        """Whether a coroutine has been cancelled, and not only been asked to end."""
        return self._loop.has_cancelled

    def tell_failure(self, error: BaseException) -> None:
        """Report what `run` raised. The host gets its type and text anyway, but no groups, causes and notes."""
        with contextlib.suppress(Exception):  # there may be no memory left for it
            self._supervisor.tell(self._told(error))

    def _told(self, error: BaseException) -> Failed:
        """Return what the host is told of an exception."""
        told = (describe_error(error), own_traceback(error, self._targets()))
        # Libraries quote addresses that they could not reach, keys in them and all.
        reason, traceback = (blotted(text, self._spec.keys.values(), "[key]") for text in told)
        return Failed(reason, traceback, self._arguments(error) if self._spec.call else "")

    def _arguments(self, error: BaseException) -> str:
        """Return the arguments of what a function has raised, as far as they can be sent, and hold no key."""
        from ..tasks.exceptions import pack_arguments  # noqa: PLC0415 - few functions fail

        shown = repr(error.args)
        return pack_arguments(error) if blotted(shown, self._spec.keys.values(), "") == shown else ""

    def _targets(self) -> list[str]:
        """Return where the user's own code begins: `package.module:function`, as the team file has it."""
        if self._spec.call:
            from ..tasks.calls import Call  # noqa: PLC0415 - as in `_call`

            return [Call.decode(self._spec.call).module]
        own = [module_named(self._spec.entrypoint)] if self._spec.entrypoint is not None else []
        return own + [model.name for model in self._setup().agent.models if model.is_function]

    def _finished(self, result: Any, limit: str = "") -> Finished:
        """Return the last report, with a result as its reader will have it: text, or what JSON makes of it."""
        try:
            data = self._encoded(result)
            if self._spec.output_schema and self._spec.entrypoint is not None:  # an agent's loop has looked already
                self._check(data)
            text = pack_result(data, self._spec.max_result)
            if text is None:
                from ..runs.folder import RunFiles  # noqa: PLC0415 - what the host needs of it, each fork would pay for

                # The log is in the run's folder, too; not to send that name as well makes a start cheaper.
                run = RunFiles(Path(self._supervisor.captured_in).parents[1])
                write_result(run.result(self._spec.id), data)
            return Finished(text or "", early=self._stop.is_set(), in_file=text is None, limit=limit)
        except TypeError as error:  # JSON cannot hold it, or nobody could read it
            raise TypeError(f"{_code_of(self._spec)} returned what JSON cannot hold: {error}") from error

    def _encoded(self, result: Any) -> bytes:
        if self._spec.call:
            from ..tasks.chunks import Outcomes  # noqa: PLC0415 - only tasks that are functions have any

            if isinstance(result, Outcomes):
                return result.encode(self._told)
        if self._spec.entrypoint is None and isinstance(result, str):
            result = encodable(result)  # a model's text is worth more than what is odd in it
        return encode_result(result)

    def _check(self, data: bytes) -> None:
        """Refuse what a function has returned, and does not fit the output schema."""
        from ..tasks.output_schema import OutputSchema  # noqa: PLC0415 - for tasks that have a schema

        fault = OutputSchema(self._spec.output_schema).fault(msgspec.json.decode(data))
        if fault:
            raise OutputSchemaError(f"{_code_of(self._spec)} returned what does not fit the output schema: {fault}")

    def way(self) -> TaskWay:
        """Return this task's way to the supervisor, for the verbs. In any thread, as are the next two."""
        from .task_way import TaskWay  # noqa: PLC0415 - few tasks start others

        with _making:
            if self._way is None:
                self._way = TaskWay(self._supervisor, self._setup().settings.max_running)
            return self._way

    def belongings(self) -> Belongings:
        """Return what the function has of its agent: tools and model."""
        from .belongings import Belongings  # noqa: PLC0415 - few functions want any

        with _making:
            if self._belongings is None:
                setup = self._setup()
                around = self._around(setup, self._shared or Path.cwd())
                self._belongings = Belongings(
                    setup.agent, around, Reporter(self._supervisor), has_budget=self._spec.has_budget
                )
            return self._belongings

    def count(self, usage: Usage) -> None:
        """Report what the function has used by ways of its own."""
        Reporter(self._supervisor).turn_ended(Turn("", usage=usage), ())

    def receive(self, timeout: float | None) -> Any:
        """Return what somebody says to the task; in an event loop something to await."""
        if _has_event_loop():
            return letterbox.areceive(self._supervisor, timeout)
        return letterbox.receive(self._supervisor, timeout)

    def ask(
        self,
        question: str,
        choices: Sequence[str],
        timeout: float | None,
        default: str | None,
        to: Literal["owner", "person"],
    ) -> Any:
        """Return the answer to a question; in an event loop something to await."""
        from .questions import Asking  # noqa: PLC0415 - few tasks ask

        is_aside = threading.current_thread() is not threading.main_thread()
        request = AskQuestion(encodable(question), tuple(choices), to, timeout, default, is_aside=is_aside)
        asking = Asking(self._supervisor, request)
        return asking.text() if _has_event_loop() else asking.answer().text

    def progress(self, done: float, total: float | None, note: str) -> None:
        """Report how far the function has come."""
        with _making:
            if self._progress is None:
                from .progress import ProgressReporter  # noqa: PLC0415 - few functions tell

                self._progress = ProgressReporter(self._supervisor)
        self._progress.tell(done, total, note)

    def _close(self) -> None:
        """Close what the user's code has opened, now that it has returned."""
        if self._belongings is not None:
            self._belongings.close()
        if self._way is not None:
            self._way.close()

    def _setup(self) -> AgentSetup:
        setup: AgentSetup = pickle.loads(self._spec.pickled_setup)  # noqa: S301 - the host is trusted
        return setup

    def _around(self, setup: AgentSetup, shared: Path) -> Surroundings:
        """Return what the agent finds around it, once the task's folder is entered."""
        spec = self._spec
        return Surroundings(
            gateway=TaskGateway(self._supervisor),
            sub_agents=setup.sub_agents,
            permissions=setup.permissions,
            settings=setup.settings,
            working_directory=Path.cwd(),
            shared_directory=shared,
            environ={**os.environ, **spec.keys} if spec.keys else os.environ,
            withheld=spec.keys,
            task=self._task,
            is_asked=setup.is_asked,
            letters=letterbox if spec.entrypoint is None else None,
        )

    def emit(self, text: str) -> None:
        """Say what the function says."""
        if speech.held:
            speech.finish_lines()
        try:
            self._supervisor.emit(text)
        except ForkedError:
            speech.write_to_log(text)

    def _work(self) -> Any:
        spec = self._spec
        shared = None
        if spec.entrypoint is None or spec.workdir != "shared":
            shared = self._shared = Path(spec.working_directory or Path.cwd())
        enter(spec.workdir, spec.working_directory, spec.own_folder, spec.id, spec.former_folder)
        if spec.entrypoint is not None and spec.shows_keys:
            for name, value in spec.keys.items():  # after `enter`, which may run git
                os.environ[name] = value
        if spec.traceparent:
            from .traced import trace_work  # noqa: PLC0415 - for hosts that make spans

            trace_work(spec)
        self.at_work = True
        set_current(CurrentTask(spec.id, spec.agent, self._task))
        try:
            if self.is_overdue:
                raise KeyboardInterrupt
            if spec.entrypoint is None:
                assert shared is not None  # noqa: S101 - an agent has a folder, which is set above
                return self._loop.run(self.run_agent(shared))
            if spec.call:
                return self._call()
            function = function_of(spec.entrypoint, what=_code_of(spec))
            return self._returned(call_entrypoint(function, self._task(), spec.data))
        finally:
            self.at_work = False
            set_current(None)
            if self._progress is not None:
                self._progress.flush()
            if self.is_stopping:
                let_interrupt_pass()
            self._close()

    def _call(self) -> Any:
        from ..tasks.calls import Call  # noqa: PLC0415 - for tasks that are functions

        call = Call.decode(self._spec.call)
        if not call.is_chunk:
            return self._call_function(call)
        from .chunk_loop import work_through  # noqa: PLC0415 - for mappings in chunks

        return work_through(
            call, self._supervisor, call=self._call_function, encoded=self._encoded, is_stopped=self._stop.is_set
        )

    def _call_function(self, call: Call) -> Any:
        return self._returned(call_function(call, self._spec.agent))

    def _returned(self, outcome: Any) -> Any:
        return self._loop.run(outcome) if isinstance(outcome, CoroutineType) else outcome

    def _task(self) -> EntrypointTask:
        """Return the task as the user's own code sees it. In any thread, once the function is called."""
        if self._own_task is not None:
            return self._own_task
        spec = self._spec
        self._own_task = EntrypointTask(
            id=spec.id,
            agent=spec.agent,
            text=spec.task,
            data=msgspec.json.decode(spec.data) if spec.data is not None else None,
            expected_output=spec.expected_output,
            inside=self,
            stop=self._stop,
            attempt=spec.attempt,
            traceparent=spec.traceparent,
        )
        return self._own_task

    async def run_agent(self, shared: Path) -> Any:
        """Run the agent's loop; part of `run`, for tasks that have one.

        Args:
            shared: the runtime's working directory.
        """
        spec = self._spec
        setup = self._setup()
        around = self._around(setup, shared)
        if spec.keys and setup.agent.keys and setup.agent.has_own_code:
            os.environ.update(spec.keys)
        way = BudgetWay(around.gateway, self._supervisor.tell) if spec.has_budget else None
        return await run_agent(
            setup.agent,
            around,
            Reporter(self._supervisor),
            task=spec.task,
            expected_output=spec.expected_output,
            is_sub_agent=not spec.is_root,
            conversation=[msgspec.json.decode(message) for message in spec.conversation],
            began=lambda messages: self._supervisor.tell(Began(as_json(messages))),
            output_schema=spec.output_schema,
            budget=TurnBudget(setup.agent, way, setup.limits),
        )


def _has_event_loop() -> bool:
    """Whether the code that calls is async."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _code_of(spec: TaskSpec) -> str:
    """Return what the user's own code is called, as the beginning of a sentence."""
    return f"Function {spec.agent!r}" if spec.call else f"The entrypoint of agent {spec.agent!r}"
