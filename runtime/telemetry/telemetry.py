"""Telemetry: spans and metrics of a host's tasks.

The host makes and ends them, of what tasks report, with the times at which it heard of that. So a task that is killed
has its span, and no process of a task needs an SDK. Each task is a trace of its own; what has started it, and it, have
links to each other.
"""

from __future__ import annotations

import functools
import importlib.metadata
import logging
import os
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, ParamSpec, Protocol, TypeVar

from opentelemetry import metrics, trace
from opentelemetry.context import Context
from opentelemetry.trace import Link, Span, SpanKind, Status, StatusCode

from ..runs.steps import Step
from ..text import one_line
from .content import asks_for_content, messages_of_answer, messages_of_task, messages_of_turn
from .instruments import Instruments
from .values import BeginningTask, EndedTask, attributes_of_model, nanoseconds

if TYPE_CHECKING:
    from opentelemetry.util.types import Attributes

__all__ = ["SCOPE", "SpanMaker", "Telemetry"]

logger = logging.getLogger("subactors.runtime")

SCOPE: Final = "subactors"
"""The name under which an SDK knows these spans and metrics."""

_MOST_CALLS: Final = 100
"""Tools of a task whose spans are begun and not ended."""

_REASON: Final = 500
"""Characters of a task's reason in the status of its span."""

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


def _harmless(method: Callable[Parameters, Result]) -> Callable[Parameters, Result | None]:
    """Keep what an SDK raises from the supervisor: no task may come to harm by being looked at. It is said once."""
    has_failed = False

    @functools.wraps(method)
    def guarded(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Result | None:
        nonlocal has_failed
        try:
            return method(*args, **kwargs)
        except Exception:
            level = logging.DEBUG if has_failed else logging.ERROR
            has_failed = True
            logger.log(level, "OpenTelemetry could not take something of a task; its spans lack it.", exc_info=True)
            return None

    return guarded


class SpanMaker(Protocol):
    """What is needed of a tracer."""

    def start_span(
        self,
        name: str,
        *,
        context: Context,
        kind: SpanKind,
        attributes: Attributes,
        links: Sequence[Link] = (),
        start_time: int,
    ) -> Span:
        """Begin a span; times are in nanoseconds since the epoch."""
        ...


class _TracedTask:
    """A task that has not ended.

    Attributes:
        span: its root.
        context: in which its other spans are.
        begun: what is known of it from its start.
        calls: the spans of the tools that it is in, by the id of the call.
        is_queued: whether it waits for a slot.
    """

    def __init__(self, span: Span, begun: BeginningTask) -> None:
        self.span = span
        self.context = trace.set_span_in_context(span, Context())
        self.begun = begun
        self.calls: dict[str, Span] = {}
        self.is_queued = begun.is_queued

    def end_calls(self, kind: str) -> None:
        """End the spans of tools whose end nobody has told: the process is gone."""
        for span in self.calls.values():
            _end(span, _error(kind), time.time())
        self.calls.clear()


class Telemetry:
    """See the module. For the supervisor's thread only, but for `close`. No method raises.

    Args:
        tracer: makes the spans.
        meter: makes the metrics.
        close: is called when no task is left.

    Attributes:
        has_content: whether what tasks are asked, say and answer is wanted, too.
    """

    def __init__(self, tracer: SpanMaker, meter: metrics.Meter, close: Callable[[], None] = lambda: None) -> None:
        self._tracer = tracer
        self._instruments = Instruments(meter)
        self._close = close
        self._tasks: dict[str, _TracedTask] = {}
        self.has_content = asks_for_content(os.environ)

    @classmethod
    def of_sdk(cls) -> Telemetry:
        """Return one that uses the SDK of the program."""
        version = importlib.metadata.version("subactors")
        return cls(trace.get_tracer(SCOPE, version), metrics.get_meter(SCOPE, version))

    @_harmless
    def accepted(self, begun: BeginningTask) -> str:
        """Begin the span of a task; return its place in its trace, as `traceparent` has it (W3C Trace Context)."""
        starter = self._starter(begun)
        links = [Link(starter.get_span_context(), {"subactors.link": "started_by"})] if starter is not None else []
        span = self._tracer.start_span(
            f"invoke_agent {begun.agent}",
            context=Context(),
            kind=SpanKind.INTERNAL,
            attributes=_attributes_of_task(begun, has_content=self.has_content),
            links=links,
            start_time=nanoseconds(begun.began),
        )
        self._tasks[begun.id] = _TracedTask(span, begun)
        place = span.get_span_context()
        if starter is not None and starter.is_recording():
            starter.add_link(place, {"subactors.link": "started", "subactors.task.id": begun.id})
        if begun.is_queued:
            self._instruments.queue(1)
            span.add_event("queued", timestamp=nanoseconds(begun.began))
        else:
            self._instruments.alive(1)
        return f"00-{place.trace_id:032x}-{place.span_id:016x}-{place.trace_flags:02x}" if place.is_valid else ""

    def _starter(self, begun: BeginningTask) -> Span | None:
        """Return the span that a task is started in."""
        parent = self._tasks.get(begun.parent or "")
        if parent is None:
            span: Span | None = begun.span
            return span
        return parent.calls.get(begun.calling, parent.span)

    @_harmless
    def started(self, task_id: str, at: float) -> None:
        """Note that a task that was queued has a slot."""
        if task := self._tasks.get(task_id):
            task.is_queued = False
            task.span.add_event("started", timestamp=nanoseconds(at))
            self._instruments.queue(-1)
            self._instruments.alive(1)

    @_harmless
    def ready(self, task_id: str, seconds: float, attempt: int) -> None:
        """Note that a process of a task is at work, so many seconds after the task had its slot."""
        if task := self._tasks.get(task_id):
            task.span.add_event("running", {"subactors.task.attempt": attempt}, time.time_ns())
            if attempt == 1:
                self._instruments.started(seconds, task.begun.agent)

    @_harmless
    def tool_called(self, task_id: str, call_id: str, name: str, arguments: str) -> None:
        """Begin the span of a tool."""
        task = self._tasks.get(task_id)
        if task is None or len(task.calls) >= _MOST_CALLS or call_id in task.calls:
            return
        attributes = {
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": name,
            "gen_ai.tool.type": "function",
            "gen_ai.tool.call.id": call_id,
            "gen_ai.agent.name": task.begun.agent,
            "subactors.task.id": task_id,
        }
        if self.has_content:
            attributes["gen_ai.tool.call.arguments"] = arguments
        task.calls[call_id] = self._tracer.start_span(
            f"execute_tool {name}",
            context=task.context,
            kind=SpanKind.INTERNAL,
            attributes=attributes,
            start_time=time.time_ns(),
        )

    @_harmless
    def tool_ended(self, task_id: str, call_id: str, step: Step, answer: str) -> None:
        """End the span of a tool; one that was not begun is not."""
        task = self._tasks.get(task_id)
        if task is None:
            return
        error = _error(step.error)
        self._instruments.called(step.ended - step.began, task.begun.agent, step.name, error)
        if (span := task.calls.pop(call_id, None)) is not None:
            if self.has_content and answer:
                span.set_attribute("gen_ai.tool.call.result", answer)
            _end(span, error, step.ended)

    @_harmless
    def turn_ended(self, task_id: str, step: Step, message: str) -> None:
        """Make the span of a turn; `message` is what the model has said, as JSON text."""
        task = self._tasks.get(task_id)
        if task is None:
            return
        models = task.begun.models
        model = next((each for each in models if each.reference == step.name), models[0] if models else None)
        told = attributes_of_model(model) if model is not None else {}
        error = _error(step.error)
        tokens = {"input": step.input_tokens, "output": step.output_tokens}
        self._instruments.asked(step.ended - step.began, told, error, tokens)
        attributes: dict[str, Any] = {
            "gen_ai.operation.name": "chat",
            **told,
            "gen_ai.agent.name": task.begun.agent,
            "gen_ai.conversation.id": task_id,
            "gen_ai.request.stream": model is not None and not model.is_function,
            **{f"gen_ai.usage.{kind}_tokens": count for kind, count in tokens.items() if count},
        }
        if self.has_content and message:
            attributes["gen_ai.output.messages"] = messages_of_turn(message)
        name = f"chat {model.name}" if model is not None else "chat"
        span = self._tracer.start_span(
            name,
            context=task.context,
            kind=SpanKind.CLIENT,
            attributes=attributes,
            start_time=nanoseconds(step.began),
        )
        _end(span, error, step.ended)

    @_harmless
    def restarting(self, task_id: str, kind: str, reason: str) -> None:
        """Note that an attempt of a task has failed, or come to its end, and another will follow."""
        if task := self._tasks.get(task_id):
            task.end_calls(kind)
            attributes = {"error.type": kind, "exception.message": one_line(reason, _REASON)}
            task.span.add_event("restarting", attributes, time.time_ns())
            self._instruments.restarted(task.begun.agent, kind)

    @_harmless
    def ended(self, task_id: str, end: EndedTask) -> None:
        """End the span of a task."""
        task = self._tasks.pop(task_id, None)
        if task is None:
            return
        task.end_calls(end.kind or "ended")
        if task.is_queued:
            self._instruments.queue(-1)
        else:
            self._instruments.alive(-1)
        self._instruments.ended(end.ended - task.begun.began, task.begun.agent, end.status, end.kind)
        span = task.span
        span.set_attributes(
            {
                "subactors.task.status": end.status,
                "subactors.task.attempts": end.attempts,
                "gen_ai.usage.input_tokens": end.usage.input_tokens,
                "gen_ai.usage.output_tokens": end.usage.output_tokens,
            }
        )
        if end.usage.cost:
            span.set_attribute("subactors.usage.cost", end.usage.cost)
        if self.has_content and end.result is not None:
            span.set_attribute("gen_ai.output.messages", messages_of_answer(end.result))
        _end(span, _error(end.kind), end.ended, one_line(end.reason, _REASON), is_failure=end.status == "failed")

    @_harmless
    def close(self) -> None:
        """End what has not ended: the supervisor is gone. After all other calls."""
        for task in self._tasks.values():
            task.end_calls("host closed")
            _end(task.span, _error("host closed"), time.time())
        self._tasks.clear()
        self._close()


def _attributes_of_task(begun: BeginningTask, *, has_content: bool) -> dict[str, Any]:
    attributes = {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.agent.name": begun.agent,
        "gen_ai.conversation.id": begun.id,
        "subactors.task.id": begun.id,
        "subactors.run": begun.run,
    }
    if begun.models:
        attributes |= attributes_of_model(begun.models[0])
    if begun.parent is not None:
        attributes["subactors.task.parent"] = begun.parent
    if begun.continues:
        attributes["subactors.task.continues"] = begun.continues
    if has_content:
        attributes["gen_ai.input.messages"] = messages_of_task(begun.text)
    return attributes


def _error(kind: str) -> Mapping[str, str]:
    return {"error.type": kind} if kind else {}


def _end(span: Span, error: Mapping[str, str], at: float, why: str = "", *, is_failure: bool = True) -> None:
    if error:
        span.set_attributes(error)
        if is_failure:
            span.set_status(Status(StatusCode.ERROR, why or None))
    span.end(nanoseconds(at))
