"""Trace events: a timeline in the format of Chrome's tracing, which Perfetto, Speedscope and others show.

Each task is a process of it, with threads for its attempts, its turns, and its tools. Arrows lead from the tool calls
that have started tasks to these.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from .lanes import in_lanes
from .reading import Part, Row, Timeline
from .words import harmless, name_of

__all__ = ["trace_events"]

_COURSE: Final = 1
_TURNS: Final = 2
_TOOLS: Final = 3
"""Threads of a task; tools that overlap have further ones."""

_STARTING: Final = ("run_background_agent", "map_background_agent", "transfer_task")

_UNSURE: Final = 0.005
"""Seconds by which the journal's times of a task and of the tool call that started it may differ."""


def trace_events(timeline: Timeline) -> str:
    """Return the text of a JSON file; its times are in microseconds since the timeline's beginning."""
    numbers = {row.view.id: number for number, row in enumerate(timeline.rows, 1)}
    events = [event for row in timeline.rows for event in _events(row, numbers[row.view.id])]
    events += _arrows(timeline.rows, numbers)
    about = {"run": timeline.run, "title": harmless(timeline.title), "began": timeline.began}
    return msgspec.json.encode({"displayTimeUnit": "ms", "traceEvents": events, "otherData": about}).decode()


def _events(row: Row, number: int) -> Iterator[dict[str, Any]]:
    view = row.view
    yield _about(number, 0, "process_name", name=name_of(row))
    yield _about(number, 0, "process_sort_index", sort_index=number)
    yield _about(number, _COURSE, "thread_name", name="task")
    whole = {"status": view.status, "reason": harmless(view.reason), "task": harmless(view.task), "id": view.id}
    tokens = {"input_tokens": view.usage.input_tokens, "output_tokens": view.usage.output_tokens}
    took = row.ended - row.began
    yield _slice(number, _COURSE, f"invoke_agent {harmless(view.agent)}", row.began, took, **whole, **tokens)
    for part in row.parts:
        if part.kind not in {"turn", "tool"}:
            yield _slice(number, _COURSE, part.kind, part.began, part.seconds, attempt=part.attempt)
    for kind, first in (("turn", _TURNS), ("tool", _TOOLS)):
        named = set()
        for lane, part in in_lanes(part for part in row.parts if part.kind == kind):
            if lane not in named:
                named.add(lane)
                yield _about(
                    number, first + lane, "thread_name", name=f"{kind}s" if not lane else f"{kind}s {lane + 1}"
                )
            yield _slice(number, first + lane, harmless(part.name) or kind, part.began, part.seconds, **_said(part))
    for at, reason in row.crashes:
        yield {
            **_event(number, _COURSE, "attempt failed", at),
            "ph": "i",
            "s": "p",
            "args": {"reason": harmless(reason)},
        }


def _said(part: Part) -> dict[str, Any]:
    said: dict[str, Any] = {"attempt": part.attempt}
    if any(part.tokens):
        said |= {"input_tokens": part.tokens[0], "output_tokens": part.tokens[1]}
    return said | ({"error": harmless(part.error)} if part.error else {})


def _arrows(rows: Sequence[Row], numbers: Mapping[str, int]) -> Iterator[dict[str, Any]]:
    """Yield the two ends of an arrow to each task from the tool call in which it was started, if that is known."""
    below: dict[str, list[Row]] = {}
    for row in rows:
        below.setdefault(row.view.parent or "", []).append(row)
    for parent in rows:
        tools = in_lanes(part for part in parent.parts if part.kind == "tool")
        calls = sorted(((lane, part) for lane, part in tools if part.name in _STARTING), key=lambda call: call[1].ended)
        for row in below.get(parent.view.id, []):
            found = next((call for call in calls if _is_in(row.began, call[1])), None)
            if found is None:
                continue
            calls.remove(found)  # each starts one
            lane, _ = found
            number = numbers[row.view.id]
            start = _event(numbers[parent.view.id], _TOOLS + lane, "started", row.began)
            yield {**start, "ph": "s", "cat": "start", "id": number}
            yield {**_event(number, _COURSE, "started", row.began), "ph": "f", "bp": "e", "cat": "start", "id": number}


def _is_in(moment: float, part: Part) -> bool:
    return part.began - _UNSURE <= moment <= part.ended + _UNSURE


def _about(number: int, thread: int, what: str, **args: Any) -> dict[str, Any]:
    return {"ph": "M", "pid": number, "tid": thread, "name": what, "args": args}


def _slice(number: int, thread: int, name: str, began: float, seconds: float, **args: Any) -> dict[str, Any]:
    # From the rounded ends, so that what follows does not overlap.
    duration = round((began + seconds) * 1e6) - round(began * 1e6)
    return {**_event(number, thread, name, began), "ph": "X", "dur": duration, "args": args}


def _event(number: int, thread: int, name: str, at: float) -> dict[str, Any]:
    return {"pid": number, "tid": thread, "name": name, "ts": round(at * 1e6)}
