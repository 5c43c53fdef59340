"""A file of spans, in this process: what cannot be written costs that span, and no other."""

from __future__ import annotations

import json
import logging
import resource
from pathlib import Path

import pytest
from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanKind, StatusCode
from processes_and_waits import wait_until
from subactors.runtime.telemetry.file import _FileTracer, _Writer

HALF = "\ud83d"
"""Half a character, as a model may send one."""


def begun(writer: _Writer, name: str) -> Span:
    return _FileTracer(writer).start_span(name, context=Context(), kind=SpanKind.INTERNAL, attributes={}, start_time=1)


def name_in(line: str) -> str:
    return str(json.loads(line)["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["name"])


def test_half_characters_anywhere_in_a_span_are_replaced(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    writer = _Writer(tmp_path / "out.jsonl")
    span = begun(writer, f"n{HALF}")
    span.set_attribute(f"k{HALF}", f"v{HALF}")
    span.set_attribute("several", [f"v{HALF}"])
    span.add_event(f"e{HALF}", {f"k{HALF}": HALF})
    span.set_status(StatusCode.ERROR, HALF)
    span.end()
    begun(writer, "next").end()
    writer.close()

    assert [name_in(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()] == ["n\ufffd", "next"]
    assert not caplog.records


def test_a_span_that_cannot_be_encoded_costs_no_other(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    writer = _Writer(tmp_path / "out.jsonl")
    span = begun(writer, "bad")
    span.add_event("e", attributes=5)  # type: ignore[arg-type]
    span.end()
    begun(writer, "next").end()
    writer.close()

    assert [name_in(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()] == ["next"]
    assert "1 of the spans could not be written: AttributeError: " in caplog.text


def test_a_line_that_was_written_in_part_is_counted_and_spoils_no_other(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "out.jsonl"
    writer = _Writer(file)
    begun(writer, "first").end()
    wait_until(lambda: file.stat().st_size > 0, "the first span", 30.0)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (file.stat().st_size + 100, hard))
    try:
        begun(writer, "torn").end()
        wait_until(lambda: writer._lost > 0, "the loss of a span", 30.0)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    begun(writer, "last").end()
    with caplog.at_level(logging.ERROR, "subactors"):
        writer.close()

    first, torn, last = file.read_text().splitlines()
    assert (name_in(first), len(torn), name_in(last)) == ("first", 100, "last")
    assert f"{file} is not whole: 1 of the spans could not be written: File too large." in caplog.text


def test_a_line_that_somebody_else_has_left_torn_spoils_none_of_ours(tmp_path: Path) -> None:
    file = tmp_path / "out.jsonl"
    file.write_text('{"resourceSpans":[{"res')
    writer = _Writer(file)
    begun(writer, "next").end()
    writer.close()

    torn, ours = file.read_text().splitlines()
    assert (torn, name_in(ours)) == ('{"resourceSpans":[{"res', "next")
