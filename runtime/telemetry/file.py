"""File: writes spans as lines of JSON in the form of OTLP, with neither an SDK nor a collector.

It is as much of a tracer as `Telemetry` uses. A thread of its own writes, because whoever ends a span must not wait for
a disk. Collectors read such files (`otlpjsonfile`), and so does `jq`.
"""

from __future__ import annotations

import importlib.metadata
import logging
import os
import queue
import random
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.trace import Link, Span, SpanContext, SpanKind, Status, StatusCode, TraceFlags

from ...actors.regular_files import open_to_append
from ..text import encodable
from .telemetry import SCOPE, Telemetry
from .wanted import SERVICE

if TYPE_CHECKING:
    from opentelemetry.util.types import Attributes, AttributeValue

__all__ = ["telemetry_to_file"]

logger = logging.getLogger("subactors.runtime")

_MOST_WAITING: Final = 100_000
"""Spans that may wait to be written; what comes while a disk does not answer is lost."""

_MOST_LINKS: Final = 1_000
"""Links, and events, of a span that are written: the first of them."""

_PATIENCE: Final = 5.0
"""Seconds for which the last spans may take to be written."""


def telemetry_to_file(path: Path) -> Telemetry:
    """Return what appends its spans to a file; closing it waits for them.

    Raises:
        OSError: the file cannot be written, or is not a regular one: a link to one is not.
    """
    writer = _Writer(path)
    meter = NoOpMeterProvider().get_meter(SCOPE)
    return Telemetry(_FileTracer(writer), meter, writer.close)


class _Writer:
    """Writes spans to a file, in its own thread."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = os.fdopen(open_to_append(path), "r+b", buffering=0)
        self._head = _head()
        self._spans: queue.SimpleQueue[_FileSpan | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="subactors-spans", daemon=True)
        self._lost = 0
        size = os.fstat(self._file.fileno()).st_size
        # Whoever wrote it before may have been killed amid a line.
        self._is_torn = size > 0 and os.pread(self._file.fileno(), 1, size - 1) != b"\n"
        self._fault = "the disk does not answer"
        self._thread.start()

    def put(self, span: _FileSpan) -> None:
        """Have a span written; returns at once."""
        if self._spans.qsize() < _MOST_WAITING:
            self._spans.put(span)
        else:
            self._lost += 1

    def close(self) -> None:
        """Wait until all is written, close the file, and say how much of it is missing."""
        self._spans.put(None)
        self._thread.join(_PATIENCE)
        # Where the disk does not answer, the None is among those that wait, and the span at the disk is not.
        lost = self._lost + self._spans.qsize()
        if lost:
            logger.error("%s is not whole: %d of the spans could not be written: %s.", self._path, lost, self._fault)

    def _run(self) -> None:
        with self._file:
            while (span := self._spans.get()) is not None:
                try:
                    self._write(msgspec.json.encode(_traces(self._head, span)) + b"\n")
                except OSError as error:
                    self._lost += 1
                    self._fault = error.strerror or str(error)
                except Exception as error:  # noqa: BLE001 - one span that cannot be written costs no other
                    self._lost += 1
                    self._fault = f"{type(error).__name__}: {error}"

    def _write(self, line: bytes) -> None:
        left = memoryview(b"\n" + line if self._is_torn else line)  # so that no line goes on with the next one
        while left:
            left = left[self._file.write(left) :]
            self._is_torn = bool(left)


class _FileTracer:
    """A tracer that samples everything; see `SpanMaker`."""

    def __init__(self, writer: _Writer) -> None:
        self._out = writer
        self._random = random.SystemRandom()

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
        """See `SpanMaker`."""
        above = trace.get_current_span(context).get_span_context()
        parent = above if above.is_valid else None
        trace_id = self._random.getrandbits(128) if parent is None else parent.trace_id
        sampled = TraceFlags(TraceFlags.SAMPLED)
        place = SpanContext(trace_id, self._random.getrandbits(64), is_remote=False, trace_flags=sampled)
        span = _FileSpan(self._out, name, place=place, parent=parent, kind=kind, began=start_time)
        span.set_attributes(attributes or {})
        for link in links:
            span.add_link(link.context, link.attributes)
        return span


class _FileSpan(Span):
    """A span that is written when it ends."""

    def __init__(
        self,
        writer: _Writer,
        name: str,
        *,
        place: SpanContext,
        parent: SpanContext | None,
        kind: SpanKind,
        began: int,
    ) -> None:
        self._out = writer
        self._place = place
        self.name = name
        self.parent = parent
        self.kind = kind
        self.began = began
        self.ended = 0
        self.attributes: dict[str, AttributeValue] = {}
        self.events: list[tuple[int, str, Attributes]] = []
        self.links: list[tuple[SpanContext, Attributes]] = []
        self.status = Status()

    def get_span_context(self) -> SpanContext:
        """See `Span`, as for all of these."""
        return self._place

    def is_recording(self) -> bool:
        """Whether it has not ended."""
        return not self.ended

    def set_attribute(self, key: str, value: AttributeValue) -> None:
        """Set one."""
        self.attributes[key] = value

    def set_attributes(self, attributes: Mapping[str, AttributeValue]) -> None:
        """Set some."""
        self.attributes.update(attributes)

    def add_event(self, name: str, attributes: Attributes = None, timestamp: int | None = None) -> None:
        """Add one."""
        if len(self.events) < _MOST_LINKS:
            self.events.append((timestamp or time.time_ns(), name, attributes))

    def add_link(self, context: SpanContext, attributes: Attributes = None) -> None:
        """Add one."""
        if len(self.links) < _MOST_LINKS:
            self.links.append((context, attributes))

    def update_name(self, name: str) -> None:
        """Change it."""
        self.name = name

    def set_status(self, status: Status | StatusCode, description: str | None = None) -> None:
        """Set it."""
        self.status = status if isinstance(status, Status) else Status(status, description)

    def record_exception(
        self,
        exception: BaseException,
        attributes: Attributes = None,
        timestamp: int | None = None,
        escaped: bool = False,
    ) -> None:
        """Add it as an event."""
        del escaped
        told = {"exception.type": type(exception).__name__, "exception.message": str(exception)}
        self.add_event("exception", {**told, **(attributes or {})}, timestamp)

    def end(self, end_time: int | None = None) -> None:
        """End it, and have it written."""
        if not self.ended:
            self.ended = end_time or time.time_ns()
            self._out.put(self)


_KINDS: Final = {kind: number for number, kind in enumerate(SpanKind, 1)}
_STATUSES: Final = {StatusCode.UNSET: 0, StatusCode.OK: 1, StatusCode.ERROR: 2}
"""Numbers that OTLP has for them."""


def _head() -> dict[str, Any]:
    """Return what all spans have in common."""
    resource = {"service.name": SERVICE, "process.pid": os.getpid()}
    for pair in os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "").split(","):
        name, equals, value = pair.partition("=")
        if equals and name.strip():
            resource[name.strip()] = value.strip()
    resource["service.name"] = os.environ.get("OTEL_SERVICE_NAME") or resource["service.name"]
    scope = {"name": SCOPE, "version": importlib.metadata.version("subactors")}
    return {"resource": {"attributes": _attributes(resource)}, "scope": scope}


def _traces(head: Mapping[str, Any], span: _FileSpan) -> dict[str, Any]:
    """Return a span as a `TracesData` of OTLP."""
    place = span.get_span_context()
    data: dict[str, Any] = {
        "traceId": f"{place.trace_id:032x}",
        "spanId": f"{place.span_id:016x}",
        "name": encodable(span.name),
        "kind": _KINDS[span.kind],
        "startTimeUnixNano": str(span.began),
        "endTimeUnixNano": str(span.ended),
        "attributes": _attributes(span.attributes),
        "events": [
            {"timeUnixNano": str(at), "name": encodable(name), "attributes": _attributes(attributes)}
            for at, name, attributes in span.events
        ],
        "links": [
            {
                "traceId": f"{other.trace_id:032x}",
                "spanId": f"{other.span_id:016x}",
                "attributes": _attributes(attributes),
            }
            for other, attributes in span.links
        ],
        "status": {"code": _STATUSES[span.status.status_code]},
    }
    if span.parent is not None:
        data["parentSpanId"] = f"{span.parent.span_id:016x}"
    if span.status.description:
        data["status"]["message"] = encodable(span.status.description)
    scoped = {"scope": head["scope"], "spans": [data]}
    return {"resourceSpans": [{"resource": head["resource"], "scopeSpans": [scoped]}]}


def _attributes(attributes: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    return [{"key": encodable(key), "value": _value(value)} for key, value in (attributes or {}).items()]


def _value(value: Any) -> dict[str, Any]:
    match value:
        case bool():
            return {"boolValue": value}
        case int():
            return {"intValue": str(value)}
        case float():
            return {"doubleValue": value}
        case _:
            return {"stringValue": encodable(str(value))}
