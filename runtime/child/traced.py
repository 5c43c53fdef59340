"""Traced: tells the code of a task, and the programs that it starts, where the task is in a trace of OpenTelemetry."""

from __future__ import annotations

import logging
import os
from typing import Any, Final

from ..tasks.spec import TaskSpec

__all__ = ["trace_work"]

_VARIABLE: Final = "TRACEPARENT"
"""Where programs look for the span that they are started in."""


def trace_work(spec: TaskSpec) -> None:
    """Put the place of a task's span into the environment, and with the task's names into each log record.

    The names of the ids are those that the instrumentation of `logging` has. Runs in the task's process, once.
    """
    os.environ[_VARIABLE] = spec.traceparent
    _, trace_id, span_id, _ = spec.traceparent.split("-")
    told = {
        "otelTraceID": trace_id,
        "otelSpanID": span_id,
        "subactors_task": spec.id,
        "subactors_agent": spec.agent,
    }
    make = logging.getLogRecordFactory()

    def record(*args: Any, **kwargs: Any) -> logging.LogRecord:
        made = make(*args, **kwargs)
        made.__dict__.update({name: value for name, value in told.items() if name not in made.__dict__})
        return made

    logging.setLogRecordFactory(record)
