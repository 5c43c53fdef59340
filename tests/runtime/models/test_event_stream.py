from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from subactors.runtime.models.openai.event_stream import NOT_JSON, EventDecoder, StreamEvent


def events_of(*pieces: bytes) -> list[StreamEvent]:
    decoder = EventDecoder()
    events = [event for piece in pieces for event in decoder.feed(piece)]
    return [*events, *decoder.finish()]


def data_of(*pieces: bytes) -> list[Any]:
    return ["DONE" if event.is_done else event.data for event in events_of(*pieces)]


def byte_by_byte(body: bytes) -> Sequence[bytes]:
    return [body[place : place + 1] for place in range(len(body))]


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"], ids=["LF", "CRLF", "CR"])
def test_events_are_told_apart_with_each_line_end_wherever_the_body_is_cut(end: bytes) -> None:
    body = "data: {'a': 'ü😀\u2028'}|id: 7|data: {'b': 2}||data: [DONE]||".replace("'", '"').encode().replace(b"|", end)

    wanted = [{"a": "ü😀\u2028"}, {"b": 2}, "DONE"]
    assert data_of(body) == wanted
    assert data_of(*byte_by_byte(body)) == wanted


def test_an_event_is_there_as_soon_as_its_data_is_whole() -> None:
    decoder = EventDecoder()

    assert [event.data for event in decoder.feed(b'data: {"a": 1}\r')] == [{"a": 1}]
    assert list(decoder.feed(b'\n\r\ndata: {"b"')) == []
    assert [event.data for event in decoder.feed(b": 2}\n")] == [{"b": 2}]


@pytest.mark.parametrize(
    "nothing",
    [
        "retry: 1000\n\n",
        "id: 7\n\n",
        "event: ping\n\n",
        "data:\n\n",
        "data: \n\n",
        "data\n\n",
        ": ping\n\n",
        "\n\n",
        ":\n",
        "data: ping\n\n",
        "data: Keep-Alive\n\n",
        "data: : OPENROUTER PROCESSING\n\n",
        'data: ""\n\n',
    ],
)
def test_an_event_without_data_is_none(nothing: str) -> None:
    assert data_of(b'data: {"a": 1}\n\n', nothing.encode(), b'data: {"b": 2}\n\n') == [{"a": 1}, {"b": 2}]
    assert data_of(nothing.encode()) == []


@pytest.mark.parametrize(
    "body",
    [
        'data:{"a": 1}\n\ndata:{"b": 2}\n\n',
        'data: {"a": 1}\ndata: {"b": 2}\n',
        'data: {"a": 1}\n\ndata: {"b": 2}',
        'event: message\nid: 3\ndata: {"a":\ndata: 1}\n\ndata: {\ndata:   "b": 2\ndata: }\n\n',
        ' data : {"a": 1}\n\n\n\n\ndata:   {"b": 2}  \n\n',
        '\ufeffdata: {"a": 1}\n\n\ufeffdata: {"b": 2}\n\n',
        '{"a": 1}\n{"b": 2}\n',
        ': working\n\n{"a": 1}\n\n{\n  "b":\n\n 2\n}\n',
        '{"a": 1}\ndata: {"b": 2}\n\n',
        '\0\0data: {"a": 1}\n\n\u200bdata: {"b": 2}\n\n',
        'Data: {"a": 1}\n\nid: 7 data: {"b": 2}\n\n',
        'data: data: {"a": 1}\ndata: \ndata: \n\ndata: data:{"b": 2}\n\n',
        r'data: "{\"a\": 1}"' + "\n\n" + r'data: "{\"b\": 2}\n"' + "\n\n",
    ],
    ids=[
        "no blank after data:",
        "no blank lines between events",
        "no end of the last event",
        "data over several lines",
        "blanks everywhere",
        "byte order marks",
        "JSON lines",
        "plain JSON over several lines",
        "plain JSON, then events",
        "characters that nobody sees",
        "other things before the data",
        "events in events",
        "encoded twice",
    ],
)
def test_what_breaks_the_standard_is_taken(body: str) -> None:
    assert data_of(body.encode()) == [{"a": 1}, {"b": 2}]
    assert data_of(*byte_by_byte(body.encode())) == [{"a": 1}, {"b": 2}]


def test_a_whole_document_is_known_to_be_no_event() -> None:
    assert [event.is_bare for event in events_of(b'{\n "a": 1\n}\n', b'data: {"b": 2}\n\n')] == [True, False]


def test_line_breaks_that_a_string_should_not_have_are_taken() -> None:
    assert data_of(b'data: {"a": "x\ndata: y\tz"}\n\n') == [{"a": "x\ny\tz"}]


def test_scalars_and_lists_are_data() -> None:
    assert data_of(b'data: null\n\ndata: 3\n\ndata: [{"a": 1}]\n\ndata: null\ndata: {"b": 2}\n\n') == [
        None,
        3,
        [{"a": 1}],
        None,
        {"b": 2},
    ]


@pytest.mark.parametrize(
    "done", ["data: [DONE]", "data:[DONE]", "data: [done]", 'data: "[DONE]"', "[DONE]", "data: [DONE] "]
)
def test_the_mark_of_the_end_is_known_in_each_of_its_forms(done: str) -> None:
    assert data_of(f'data: {{"a": 1}}\n\n{done}'.encode()) == [{"a": 1}, "DONE"]


def test_a_word_of_an_answer_that_looks_like_the_mark_of_the_end_is_none() -> None:
    assert data_of(b'data: {"a": "[DONE]"}\n\n') == [{"a": "[DONE]"}]


def test_data_that_is_not_json_is_an_event_with_its_name() -> None:
    (event,) = events_of(b"event: error\ndata: out of memory\n\n")

    assert (event.name, event.text, event.data) == ("error", "out of memory", NOT_JSON)


def test_an_object_that_is_cut_off_by_the_end_is_no_event() -> None:
    whole = b'data: {"a": [1, true, "b\\u00fc \\\\"], "c": null}'

    for length in range(len(b"data: {"), len(whole)):
        assert data_of(b'data: {"a": 1}\n\n', whole[:length]) == [{"a": 1}]
    assert data_of(b'{"id": 1,\n "choices": [') == []


def test_what_is_wrong_long_before_the_end_was_not_cut_off() -> None:
    assert data_of(b"{malformed json: <<<") == [NOT_JSON]


def test_half_an_object_that_ends_in_time_is_an_event_that_is_not_json() -> None:
    assert data_of(b'data: {"a"\n\ndata: {"b": 2}\n\n') == [NOT_JSON, {"b": 2}]


def test_bytes_that_are_not_utf_8_do_not_cost_the_event_that_they_come_before() -> None:
    assert data_of(b'\xff\xfedata: {"a": 1}\n\n', b'\xbb\xbfdata: {"b": 2}\n\n') == [{"a": 1}, {"b": 2}]


def test_bytes_that_are_not_utf_8_are_replaced() -> None:
    assert data_of(b'data: {"a": "\xff\xe2\x82"}\n\n') == [{"a": "\ufffd\ufffd"}]


def test_what_belongs_to_no_event_is_kept_within_bounds() -> None:
    decoder = EventDecoder()

    assert list(decoder.feed(b"<html>\n<title>Welcome</title>\n")) == []
    assert decoder.stray == "<html>\n<title>Welcome</title>\n"
    assert not decoder.is_no_stream
    assert list(decoder.feed(b"<p>a line\n" * 1000)) == []
    assert decoder.is_no_stream
    assert len(decoder.stray) == 1000


@pytest.mark.parametrize("indent", [0, 1])
def test_a_document_of_many_lines_takes_no_longer_than_it_must(indent: int) -> None:
    # Each `}` might be the last one; to try them all would take minutes.
    document = json.dumps([{"a": n} for n in range(10_000)], indent=indent)

    assert data_of(document.encode()) == [json.loads(document)]
    lines = "".join(f"data: {line}\n" for line in document.splitlines())
    assert data_of(lines.encode(), b"\n") == [json.loads(document)]


def test_data_that_is_too_deep_to_be_gone_through_is_not_taken_for_data() -> None:
    deep = '{"a": ' * 500 + "1" + "}" * 500

    assert data_of(f"data: {deep}\n\n".encode()) == [NOT_JSON]
    assert data_of(b"data: " + b"[" * 5000 + b"]" * 5000 + b"\n\n") == [NOT_JSON]
    wide = [{"a": [{}]}] * 500
    assert data_of(json.dumps(wide).encode()) == [wide]
