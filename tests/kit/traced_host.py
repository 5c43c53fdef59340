"""A host program with an SDK of OpenTelemetry; prints, as JSON, its spans, its metrics, and how its tasks ended."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import psutil
from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter, SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from subactors.runtime import Runtime
from traced_team import TEAM


def main() -> None:
    """Set up the SDK, run the team, kill one of its tasks, and print."""
    spans, points = InMemorySpanExporter(), InMemoryMetricReader()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    # It has a thread of its own.
    provider.add_span_processor(BatchSpanProcessor(ConsoleSpanExporter(out=Path(os.devnull).open("w"))))  # noqa: SIM115 - it is open as long as the program
    trace.set_tracer_provider(provider)
    metrics.set_meter_provider(MeterProvider([points]))
    with Runtime.from_mapping(TEAM, standby=0, max_running=4) as runtime:
        with trace.get_tracer("the program").start_as_current_span("the program's own"):
            root = runtime.run("root", "go")
        while not any(view.agent == "waiting" and "waiting" in view.output for view in runtime.list()):
            time.sleep(0.01)
        waiting = next(view for view in runtime.list() if view.agent == "waiting")
        assert waiting.pid is not None
        threads = [len([*Path(f"/proc/{pid}/task").iterdir()]) for pid in _zygotes(waiting.pid)]
        os.kill(waiting.pid, signal.SIGKILL)
        runtime.wait([root])
        views = {
            view.id: {"agent": view.agent, "status": view.status, "result": view.result} for view in runtime.list()
        }
    data = points.get_metrics_data()
    assert data is not None
    told = {"spans": [_plain(span) for span in spans.get_finished_spans()], "views": views, "threads": threads}
    told["metrics"] = {
        metric.name: json.loads(metric.to_json())["data"]["data_points"]
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    }
    sys.stdout.write(json.dumps(told))


def _zygotes(task: int) -> list[int]:
    """Return the process ids between a task's and this program's."""
    above = psutil.Process(task).parents()
    return [process.pid for process in above[: [process.pid for process in above].index(os.getpid())]]


def _plain(span: ReadableSpan) -> dict[str, Any]:
    context, parent = span.get_span_context(), span.parent
    assert context is not None
    return {
        "trace": f"{context.trace_id:032x}",
        "id": f"{context.span_id:016x}",
        "parent": f"{parent.span_id:016x}" if parent is not None else None,
        "name": span.name,
        "kind": span.kind.name,
        "status": span.status.status_code.name,
        "began": span.start_time,
        "ended": span.end_time,
        "attributes": dict(span.attributes or {}),
        "links": [f"{link.context.span_id:016x}" for link in span.links],
        "events": [event.name for event in span.events],
    }


if __name__ == "__main__":
    main()
