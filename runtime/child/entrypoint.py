"""Entrypoint: the user's own function, called as `function(task)` in the task's process, and what it is given."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Sequence
from types import AsyncGeneratorType, GeneratorType
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol

from ..tasks.entrypoint_data import data_arguments

if TYPE_CHECKING:
    from ..models.base import Usage
    from ..tasks.calls import Call
    from ..verbs.awaited import AsyncVerbs
    from ..verbs.blocking import BlockingVerbs
    from ..verbs.way import Way
    from .belongings import Belongings
    from .task_model import TaskModel
    from .task_tools import TaskTools

__all__ = ["EntrypointTask", "call_entrypoint", "call_function", "has_seen_stop"]

_have_seen_stop: Final[set[str]] = set()
"""Ids of tasks; here, as a task that is not stopped must not pay for a place of its own."""

_GENERATORS: Final = (GeneratorType, AsyncGeneratorType)


class Inside(Protocol):
    """What is behind an entrypoint's task. Every method may be called from any thread."""

    def emit(self, text: str) -> None:
        """Say something."""

    def progress(self, done: float, total: float | None, note: str) -> None:
        """Report how far the function has come."""

    def count(self, usage: Usage) -> None:
        """Report what the function has used by ways of its own."""

    def way(self) -> Way:
        """Return the way to the supervisor."""
        ...

    def belongings(self) -> Belongings:
        """Return what the function has of its agent."""
        ...

    def receive(self, timeout: float | None) -> Any:
        """Return what somebody says to the task; in an event loop something to await."""
        ...

    def ask(
        self,
        question: str,
        choices: Sequence[str],
        timeout: float | None,
        default: str | None,
        to: Literal["owner", "person"],
    ) -> Any:
        """Return the answer to a question; in an event loop something to await."""
        ...


class EntrypointTask:
    """The piece of work that an entrypoint is called with. Every member may be used from any thread of the process.

    Attributes:
        id: the task's id; begins with `agent_task_`.
        agent: name of the agent.
        text: what to do.
        data: what to work on, as plain data; None if nothing was given.
        expected_output: what the answer should look like; None if nothing was said.
        attempt: from 1; more when an earlier process of the task has failed and the team file asks for a restart.
        traceparent: the place of the task's span in its trace, as W3C Trace Context has it: spans of the function's own
            belong below it. Empty where the host program makes no spans.
    """

    def __init__(
        self,
        *,
        id: str,  # noqa: A002 - the name that users read
        agent: str,
        text: str,
        expected_output: str | None,
        inside: Inside,
        stop: threading.Event,
        data: Any = None,
        attempt: int = 1,
        traceparent: str = "",
    ) -> None:
        self.id = id
        self.agent = agent
        self.text = text
        self.data = data
        self.expected_output = expected_output
        self.attempt = attempt
        self.traceparent = traceparent
        # One reference: to make a method of each would touch, and so copy, a page of each in every task.
        self._inside = inside
        self._stop = stop

    @functools.cached_property
    def runtime(self) -> BlockingVerbs:
        """The verbs, blocking, for tasks of this task's own: `run`, `submit`, `map`, `wait`, `stop` and others.

        They reach what this task has started, and what that has. What still runs when this task ends is stopped.
        """
        from ..verbs.blocking import BlockingVerbs  # noqa: PLC0415 - few tasks start others

        return BlockingVerbs(self._inside.way())

    @functools.cached_property
    def async_runtime(self) -> AsyncVerbs:
        """The same verbs, awaited."""
        from ..verbs.awaited import AsyncVerbs  # noqa: PLC0415 - few tasks start others

        return AsyncVerbs(self._inside.way())

    @property
    def tools(self) -> TaskTools:
        """The tools of the agent's `toolsets`, with the permissions and bounds that hold for a model."""
        return self._inside.belongings().tools

    @property
    def model(self) -> TaskModel:
        """The agent's `model`."""
        return self._inside.belongings().model

    @property
    def instruction(self) -> str:
        """The agent's `instruction`, which `task.model` puts before a conversation; empty if it has none."""
        return self._inside.belongings().agent.instruction

    def usage(self, *, input_tokens: int = 0, output_tokens: int = 0, requests: int = 1, cost: float = 0.0) -> None:
        """Count what the function has used by ways of its own, so that limits on tokens and sums hold.

        What goes through `task.model` is counted already.

        Args:
            input_tokens: prompt tokens, cached ones included.
            output_tokens: completion tokens, reasoning included.
            requests: answered requests.
            cost: US dollars.

        Raises:
            ValueError: a figure is below 0, or is no number.
        """
        from ..models.base import checked_usage  # noqa: PLC0415 - for functions that count

        self._inside.count(checked_usage(input_tokens, output_tokens, requests, cost))

    def emit(self, text: str) -> None:
        """Say something: it can be seen at once, and survives whatever happens to the process next.

        Blocks while the host is behind with reading.

        Raises:
            TypeError: it is no text.
        """
        if not isinstance(text, str):
            raise TypeError(f"emit takes text, and this is of type {type(text).__name__}.")
        self._inside.emit(text)

    def progress(self, done: float, total: float | None = None, note: str = "") -> None:
        """Tell how far the task has come: it is in views, events and the live table.

        May be called as often as one likes: what comes within a tenth of a second of what was told is told a little
        later, and of several the last.

        Args:
            done: how much is done, in any unit, from 0. It may be above the total, which often is an estimate: that
                is shown as it is, and counts as all of it.
            total: how much there is to do, in the same; None: nobody knows.
            note: what the task is at; of a longer one the first 200 characters are shown.

        Raises:
            TypeError: that is not numbers and text.
            ValueError: a number is not finite, or below 0, or the total is 0 and something of it done.
        """
        self._inside.progress(done, total, note)

    def receive(self, timeout: float | None = None) -> Any:
        """Wait until somebody says something to the task (`runtime.steer`), and return it, one message a call.

        Messages that came before it is called are there at once, the oldest first. In an async function:
        `await task.receive()`.

        Args:
            timeout: seconds to wait at most; 0: only look; None: without end.

        Returns:
            the text; None if none has come in time, or the task has been asked to stop.

        Raises:
            TypeError, ValueError: the timeout is no number of seconds.
        """
        from ..verbs.arguments import check_seconds  # noqa: PLC0415 - few functions are told anything

        check_seconds(timeout)
        return self._inside.receive(timeout)

    def ask(
        self,
        question: str,
        *,
        choices: Sequence[str] = (),
        timeout: float | None = None,
        default: str | None = None,
        to: Literal["owner", "person"] = "owner",
    ) -> Any:
        """Ask whoever started the task something, and wait for the answer, a text. The task is `waiting` meanwhile.

        Its limit on time stands still. A person may answer, too. In an async function: `await task.ask(…)`.

        Args:
            question: what to ask.
            choices: the answers of which one is to be chosen; empty: any text.
            timeout: seconds to wait at most, up to 30 days; None: as the setting `question_timeout` has it.
            default: the answer that counts then.
            to: `person`: no model is to answer it.

        Raises:
            NoAnswerError: nobody has answered in time, and there is no default; or the task has been asked to stop.
            TypeError, ValueError: an argument has the wrong type, or cannot be.
        """
        from .questions import check_question  # noqa: PLC0415 - few functions ask

        check_question(question, choices, timeout, default, to)
        return self._inside.ask(question, choices, timeout, default, to)

    @property
    def stop_requested(self) -> bool:
        """Whether the task has been asked to stop; a function that returns soon after is not killed.

        One that has not looked by the middle of the grace period is interrupted, by KeyboardInterrupt; one that has,
        near the end of it.
        """
        return self._saw(self._stop.is_set())

    def wait_for_stop(self, timeout: float) -> bool:
        """Sleep up to `timeout` seconds, less if a stop arrives; return whether one has."""
        return self._saw(self._stop.wait(timeout))

    def _saw(self, stop: bool) -> bool:
        if stop:
            _have_seen_stop.add(self.id)
        return stop


def has_seen_stop(task_id: str) -> bool:
    """Whether a task's function has looked, and seen that it is to stop."""
    return task_id in _have_seen_stop


def call_function(call: Call, label: str) -> Any:
    """Call a function that came with its task, as `call_entrypoint` does."""
    function, args, kwargs = call.open()
    return _returned(function(*args, **kwargs), f"Function {label!r}")


def call_entrypoint(function: Callable[..., Any], task: EntrypointTask, data: str | None) -> Any:
    """Call a sync entrypoint, on the calling thread; for an async one return its coroutine.

    Args:
        function: the entrypoint.
        task: its first argument.
        data: of the task, as JSON text, for its second if it has one.
    """
    args, kwargs = data_arguments(function, data, f"the entrypoint of agent {task.agent!r}")
    return _returned(function(task, *args, **kwargs), "The entrypoint")


def _returned(outcome: Any, what: str) -> Any:
    if isinstance(outcome, _GENERATORS):
        raise TypeError(
            f"{what} returned a generator, and a task has one result. Return a list of what it yields; what it is to "
            "say meanwhile, it can print."
        )
    return outcome
