"""Task work: the agent's loop, or the user's entrypoint, on the main thread of the task's process."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import inspect
import json
import os
import pickle
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from ...actors import ForkedError, SupervisorRef
from ..agent.event_loop import CancellableLoop
from ..agent.run import run_agent
from ..agent.surroundings import Surroundings
from ..models.base import Message, ToolCall, Turn
from ..runs.result_file import pack_result, write_result
from ..runs.workdir import enter
from ..tasks.failure import describe_error, own_traceback
from ..tasks.gateway import TaskGateway
from ..tasks.messages import AgentSetup, Began, Failed, Finished, TaskSpec, ToolAnswered, ToolCalled, TurnEnded
from ..tasks.plain_data import encode_result
from ..team.references import resolve
from ..team.secrets import blotted
from ..text import bounded, encodable
from ..toolsets.base import ToolAnswer
from .entrypoint import EntrypointTask, call_entrypoint, call_function, has_seen_stop
from .interruption import interrupt_in_time, let_interrupt_pass
from .speech import speech

if TYPE_CHECKING:
    from ..verbs.way import Way

__all__ = ["TaskWork"]

_REPORTED_ANSWER = 2000
"""Characters of a tool's answer that the host is told; the model gets all of it."""

_REPORTED_NAME = 200
"""Characters of a tool's name, and of a call's id, that the host is told."""

_REPORTED_ARGUMENTS = 20_000
"""Characters of a tool call's arguments that the host is told."""


_REPORTED_MESSAGES: Final = 4_000_000
"""Characters of what a turn adds to the conversation that the host is told, for a restart: half a frame."""

_LONGEST_ESCAPE: Final = 16
"""Characters that one may become in JSON (12), and some for what is around it."""


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

    def __init__(self, spec: TaskSpec, supervisor: SupervisorRef, stop: threading.Event) -> None:
        self._spec = spec
        self._supervisor = supervisor
        self._stop = stop
        self._loop = CancellableLoop()

    def run(self) -> Finished:
        """Work to the end and return the last report; raises what the loop or the entrypoint raised."""
        speech.begin(self._supervisor.emit)
        try:
            result = self._work()
        except asyncio.CancelledError:
            if not self._stop.is_set():
                raise
            return Finished("null", early=True)
        # Before the result is written: it might be a second one.
        self._supervisor.end_fork()
        return self._finished(result)

    def cancel(self) -> None:
        """End the work early: coroutines at once, a function that does not end by itself after a while.

        May be called more than once, from the main thread too.
        """
        self._loop.cancel()
        setup: AgentSetup = pickle.loads(self._spec.pickled_setup)  # noqa: S301 - the host is trusted
        interrupt_in_time(self, self._supervisor, setup.settings.stop_grace)

    def knows_of_stop(self) -> bool:
        """Whether an entrypoint has seen that it is to stop. Runs in a thread of its own, as does `is_cancelled`."""
        return has_seen_stop(self._spec.id)

    def is_cancelled(self) -> bool:
        """Whether a coroutine has been cancelled, and not only been asked to end."""
        return self._loop.has_cancelled

    def tell_failure(self, error: BaseException) -> None:
        """Report what `run` raised. The host gets its type and text anyway, but no groups, causes and notes."""
        with contextlib.suppress(Exception):  # there may be no memory left for it
            told = (describe_error(error), own_traceback(error, self._targets()))
            # Libraries quote addresses that they could not reach, keys in them and all.
            reason, traceback = (blotted(text, self._spec.keys.values(), "[key]") for text in told)
            self._supervisor.tell(Failed(reason, traceback))

    def _targets(self) -> list[str]:
        """Return where the user's own code begins: `package.module:function`, as the team file has it."""
        if self._spec.call:
            from ..tasks.calls import Call  # noqa: PLC0415 - as in `_work`

            return [Call.decode(self._spec.call).module]
        if self._spec.entrypoint is not None:
            return [self._spec.entrypoint]
        setup: AgentSetup = pickle.loads(self._spec.pickled_setup)  # noqa: S301 - the host is trusted
        return [model.name for model in setup.agent.models if model.is_function]

    def _finished(self, result: Any) -> Finished:
        """Return the last report, with a result as its reader will have it: text, or what JSON makes of it."""
        try:
            data = encode_result(result)
            text = pack_result(data, self._spec.max_result)
            if text is None:
                from ..runs.folder import RunFiles  # noqa: PLC0415 - what the host needs of it, each fork would pay for

                # The log is in the run's folder, too; not to send that name as well makes a start cheaper.
                run = RunFiles(Path(self._supervisor.captured_in).parents[1])
                write_result(run.result(self._spec.id), data)
            return Finished(text or "", early=self._stop.is_set(), in_file=text is None)
        except TypeError as error:  # JSON cannot hold it, or nobody could read it
            raise TypeError(f"{_code_of(self._spec)} returned what JSON cannot hold: {error}") from error

    def _way(self) -> Way:
        """Return this task's way to the supervisor, for the verbs."""
        from .task_way import TaskWay  # noqa: PLC0415 - few tasks start others

        setup: AgentSetup = pickle.loads(self._spec.pickled_setup)  # noqa: S301 - the host is trusted
        return TaskWay(self._supervisor, setup.settings.max_running)

    def _emit(self, text: str) -> None:
        if speech.held:
            speech.finish_lines()
        try:
            self._supervisor.emit(text)
        except ForkedError:
            speech.write_to_log(text)

    def _work(self) -> Any:
        spec = self._spec
        shared = Path(spec.working_directory or Path.cwd()) if spec.entrypoint is None else None
        enter(spec.workdir, spec.working_directory, spec.own_folder, spec.id)
        if spec.entrypoint is not None and spec.keys:  # mostly there are none
            os.environ.update(spec.keys)  # after `enter`, which may run git
        self.at_work = True
        try:
            if self.is_overdue:
                raise KeyboardInterrupt
            if spec.entrypoint is None:
                assert shared is not None  # noqa: S101 - see above
                return self._loop.run(self.run_agent(shared))
            if spec.call:
                from ..tasks.calls import Call  # noqa: PLC0415 - for tasks that are functions

                outcome = call_function(Call.decode(spec.call), spec.agent)
            else:
                outcome = call_entrypoint(resolve(spec.entrypoint, what=_code_of(spec)), self._entrypoint_task())
            return self._loop.run(outcome) if inspect.iscoroutine(outcome) else outcome
        finally:
            self.at_work = False
            if self.is_stopping:
                let_interrupt_pass()

    def _entrypoint_task(self) -> EntrypointTask:
        spec = self._spec
        return EntrypointTask(
            id=spec.id,
            agent=spec.agent,
            text=spec.task,
            data=msgspec.json.decode(spec.data) if spec.data is not None else None,
            expected_output=spec.expected_output,
            emit=self._emit,
            stop=self._stop,
            way=self._way,
            attempt=spec.attempt,
        )

    async def run_agent(self, shared: Path) -> str:
        """Run the agent's loop; part of `run`, for tasks that have one.

        Args:
            shared: the runtime's working directory.
        """
        spec = self._spec
        setup: AgentSetup = pickle.loads(spec.pickled_setup)  # noqa: S301 - the host is trusted
        environ = {**os.environ, **spec.keys} if spec.keys else os.environ
        if spec.keys and setup.agent.keys and setup.agent.has_own_code:
            os.environ.update(spec.keys)
        around = Surroundings(
            gateway=TaskGateway(self._supervisor),
            sub_agents=setup.sub_agents,
            permissions=setup.permissions,
            settings=setup.settings,
            working_directory=Path.cwd(),
            shared_directory=shared,
            environ=environ,
            withheld=spec.keys,
            task=functools.cache(self._entrypoint_task),
        )
        return await run_agent(
            setup.agent,
            around,
            _Reporter(self._supervisor),
            task=spec.task,
            expected_output=spec.expected_output,
            is_sub_agent=not spec.is_root,
            conversation=[msgspec.json.decode(message) for message in spec.conversation],
            began=lambda messages: self._supervisor.tell(Began(_as_json(messages))),
        )


def _code_of(spec: TaskSpec) -> str:
    """Return what the user's own code is called, as the beginning of a sentence."""
    return f"Function {spec.agent!r}" if spec.call else f"The entrypoint of agent {spec.agent!r}"


class _Reporter:
    """Tells the supervisor what the loop does."""

    def __init__(self, supervisor: SupervisorRef) -> None:
        self._supervisor = supervisor

    def text(self, piece: str) -> None:
        """Text of the model is the task's output."""
        if speech.held:
            speech.finish_lines()
        self._supervisor.emit(piece)

    def tool_called(self, call: ToolCall) -> None:
        """Report."""
        arguments = encodable(bounded(call.arguments, _REPORTED_ARGUMENTS))
        self._supervisor.tell(ToolCalled(_cut(call.id), _cut(call.name), arguments))

    def tool_answered(self, call: ToolCall, answer: ToolAnswer) -> None:
        """Report the beginning of the answer."""
        text = encodable(answer.text[:_REPORTED_ANSWER])
        self._supervisor.tell(ToolAnswered(_cut(call.id), _cut(call.name), text, answer.is_error))

    def turn_ended(self, turn: Turn, messages_added: Sequence[Message]) -> None:
        """Report what it cost, and what the conversation grew by."""
        self._supervisor.tell(TurnEnded(turn.usage, _as_json(messages_added)))


def _cut(name: str) -> str:
    return encodable(name[:_REPORTED_NAME])


def _as_json(messages: Sequence[Message]) -> list[str]:
    encoded = [encodable(json.dumps(message, ensure_ascii=True)) for message in messages]
    if sum(map(len, encoded)) <= _REPORTED_MESSAGES:
        return encoded
    share = _REPORTED_MESSAGES // len(encoded)
    return [
        text if len(text) <= share else json.dumps(_shortened(message, share))
        for message, text in zip(messages, encoded, strict=True)
    ]


def _shortened(message: Message, limit: int) -> Message:
    """Return as much of a message as can be kept if its JSON text may have no more than that many characters."""
    kept: Message = {name: message[name] for name in ("role", "tool_call_id") if name in message}
    calls = message.get("tool_calls") or []
    share = limit // (_LONGEST_ESCAPE * (len(calls) + 1))
    content = message.get("content")
    if content is None or isinstance(content, str):
        kept["content"] = content and bounded(encodable(content), share)
    else:
        kept["content"] = bounded(json.dumps(content), share)
    if calls:
        kept["tool_calls"] = [_shortened_call(call, share) for call in calls]
    return kept


def _shortened_call(call: Message, limit: int) -> Message:
    function = call["function"]
    arguments = function["arguments"] if len(function["arguments"]) <= limit else "{}"
    return {
        "id": _cut(call["id"]),
        "type": "function",
        "function": {"name": _cut(function["name"]), "arguments": encodable(arguments)},
    }
