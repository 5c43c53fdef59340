"""Answers of model servers as they come over HTTP: which framing is taken, and what is blamed for the rest."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from model_server import Chunks, ModelServer, Raw, Reply, Request, Text
from server_answers import STREAM, answer, ask, config, failure, said, whole
from subactors.runtime.errors import ModelError
from subactors.runtime.models.base import Usage
from subactors.runtime.models.open import open_model


def framed(*events: dict[str, Any] | str, lead: str = "data: ", end: str = "\n\n") -> str:
    return "".join(f"{lead}{event if isinstance(event, str) else json.dumps(event)}{end}" for event in events)


EVENTS = (said("he"), said("llo"), said(None, "stop"))

FRAMED: dict[str, Raw] = {
    "CRLF": Raw(framed(*EVENTS, "[DONE]", end="\r\n\r\n"), STREAM),
    "CR": Raw(framed(*EVENTS, "[DONE]", end="\r\r"), STREAM),
    "no blank": Raw(framed(*EVENTS, "[DONE]", lead="data:"), STREAM),
    "no blank lines": Raw(framed(*EVENTS, "[DONE]", end="\n"), STREAM),
    "no last line end": Raw(framed(*EVENTS).rstrip(), STREAM),
    "a byte order mark": Raw("\ufeff" + framed(*EVENTS), STREAM),
    "ids and names": Raw(framed(*EVENTS, lead="id: 1\nevent: message\ndata: "), STREAM),
    "ids, then a comment": Raw("id: 1\n" + framed(EVENTS[0]) + ": ping\n\n" + framed(*EVENTS[1:]), STREAM),
    "events without data": Raw(
        "retry: 9\n\n" + framed(*EVENTS[:2], "") + "event: ping\n\n" + framed(EVENTS[2]), STREAM
    ),
    "null events": Raw(framed(*EVENTS[:2], "null", EVENTS[2], "null"), STREAM),
    "pings of an own kind": Raw(framed({"type": "ping"}, *EVENTS, {"type": "ping"}), STREAM),
    "lists of chunks": Raw(framed(json.dumps(EVENTS[:2]), EVENTS[2]), STREAM),
    "a stream labelled as JSON": Raw(framed(*EVENTS, "[DONE]"), "application/json"),
    "a stream labelled as a page": Raw(framed(*EVENTS), "text/html; charset=latin-1"),
    "JSON lines": Raw(framed(*EVENTS, lead="", end="\n"), "application/x-ndjson"),
    "a whole completion": Raw(json.dumps(whole("hello")), "application/json"),
    "a whole completion labelled as a stream": Raw(json.dumps(whole("hello"), indent=2), STREAM),
    "a whole completion labelled as text": Raw("\n" + json.dumps(whole("hello")) + "\n", "text/plain"),
    "a whole completion after signs of life": Raw(": working\n\n\n" + json.dumps(whole("hello")), STREAM),
    "a whole completion without a finish reason": Raw(json.dumps(whole("hello", None)), "application/json"),
    "a whole completion as an event": Raw(framed(whole("hello"), "[DONE]"), STREAM),
    "a message in pieces": Raw(framed(whole("he", None), whole("llo", None), whole("", "stop")), STREAM),
    "a message that grows": Raw(framed(whole("he", None), whole("hello", None), whole("hello", "stop")), STREAM),
    "the whole message after its pieces": Raw(framed(*EVENTS[:2], whole("hello")), STREAM),
    "text, as completions have it": Raw(
        framed({"choices": [{"text": "hello"}]}, {"choices": [{"text": "", "finish_reason": "stop"}]}), STREAM
    ),
}


@pytest.mark.parametrize("reply", FRAMED.values(), ids=FRAMED.keys())
def test_each_framing_is_taken(reply: Raw) -> None:
    heard: list[str] = []

    assert answer(reply, heard=heard).content == "hello"
    assert "".join(heard) == "hello"


def test_a_delta_beside_the_message_so_far_is_taken_once() -> None:
    """So does Perplexity."""

    def chunk(piece: str, so_far: str, finish: str | None = None) -> dict[str, Any]:
        choice = {"delta": {"content": piece}, "message": {"content": so_far}, "finish_reason": finish}
        return {"choices": [choice]}

    events = [chunk("ha", "ha"), chunk("ha", "haha"), chunk("", "haha", "stop")]
    assert answer(Chunks(*events)).content == "haha"


def test_a_whole_completion_has_calls_and_usage() -> None:
    calls = [{"id": "1", "function": {"name": "look", "arguments": "{}"}}] * 2
    body = whole(None, "tool_calls", tool_calls=calls, reasoning_content="Where is it?")

    turn = answer(Raw(json.dumps(body), "application/json"))

    assert [call.name for call in turn.tool_calls] == ["look", "look"]
    assert turn.opaque == {"reasoning_content": "Where is it?"}
    assert turn.usage == Usage(10, 5, 1)


def test_a_connection_is_used_again_after_a_stream() -> None:
    async def complete(server: ModelServer) -> None:
        model = open_model(config(server), environ={}, idle_timeout=20.0)
        for _ in range(3):
            await model.complete([{"role": "user", "content": "Hello?"}], [], lambda _: None)
        await model.close()

    connections: list[Any] = []
    with ModelServer([Text("one"), Text("two"), Text("three")]) as server:
        server.connected = connections.append
        asyncio.run(complete(server))

    assert len(connections) == 1


# --- blame ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("event", "words"),
    [
        ("{half an", "'{half an', which is not JSON"),
        (json.dumps("just text"), "'just text' (str), where a chunk was due"),
        ({"choices": "none"}, "`choices` is 'none' (str), and not a list"),
        ({"choices": ["a"]}, "a choice is 'a' (str), and not an object"),
        (said(17), "`content` is 17 (int), and not text"),
        ({"choices": [{"delta": 17}]}, "a choice has neither delta nor message, but 17 (int)"),
        ({"choices": [{"delta": {"tool_calls": "look"}}]}, "`tool_calls` is 'look', and not a list"),
        ({"choices": [{"delta": {"tool_calls": ["look"]}}]}, "a tool call is 'look', and not an object"),
        ({"choices": [{"delta": {"tool_calls": [{"function": 3}]}}]}, "the `function` of a tool call is 3"),
    ],
)
def test_what_cannot_be_understood_is_named_and_base_url_is_not_blamed(event: Any, words: str) -> None:
    message = failure(Chunks(said("Well, "), event))

    assert words in message
    assert "after 6 characters of text" in message
    assert "base_url" not in message


@pytest.mark.parametrize("event", ["{half an", '"just text"', "nonsense"])
def test_a_first_event_that_cannot_be_understood_is_asked_for_once_more(event: str) -> None:
    assert answer(Chunks(event), Text("At last.")).content == "At last."
    assert "base_url" not in failure(Chunks(event))


def test_what_cannot_be_understood_after_the_end_of_an_answer_does_no_harm() -> None:
    assert answer(Chunks(said("All of it.", "stop"), "{half an", {"choices": 3})).content == "All of it."


@pytest.mark.parametrize(
    "reply",
    [
        Raw("<html><title>Welcome!</title></html>"),
        Raw("Welcome!\n" * 2000, STREAM),
        Raw('{"hello": "Welcome!"}', STREAM),
        Raw("{Welcome! }"),
    ],
    ids=["a page", "plain text", "other JSON", "no JSON"],
)
def test_what_is_no_completion_at_all_is_shown_and_base_url_is_blamed(reply: Raw) -> None:
    message = failure(reply, requests=1)

    assert "Welcome!" in message
    assert "Check that base_url is the root" in message


@pytest.mark.parametrize(
    "reply",
    [
        Chunks({"error": {"message": "out of memory"}}),
        Chunks({"error": "out of memory"}),
        Chunks({"object": "error", "message": "out of memory", "code": 400}),
        Chunks({"choices": [{"delta": {}, "finish_reason": "error", "error": {"message": "out of memory"}}]}),
        Chunks({"detail": "out of memory"}),
        Chunks('[{"error": {"message": "out of memory"}}]'),
        Raw('{"error": {"message": "out of memory"}}', "application/json"),
        Raw('[{"error": {"message": "out of memory"}}]', STREAM),
        Raw(': working\n\n{"error": {"message": "out of memory"}}', STREAM),
        Raw("event: error\ndata: out of memory\n\n", STREAM),
        Raw('event: error\ndata: {"reason": "out of memory"}\n\n', STREAM),
    ],
)
def test_an_error_inside_an_answer_is_told_in_the_servers_words(reply: Reply) -> None:
    with ModelServer(lambda _: reply) as server, pytest.raises(ModelError, match="out of memory"):
        ask(server, retries=0)


@pytest.mark.parametrize("nothing", [None, {}, "", False, []])
def test_an_error_that_says_nothing_is_none(nothing: Any) -> None:
    assert answer(Chunks(said("All of it.", "stop", error=nothing))).content == "All of it."


def test_requests_do_not_change_what_is_asked_for_again() -> None:
    seen: list[Request] = []

    def reply(request: Request) -> Reply:
        seen.append(request)
        return Chunks(done=False) if len(seen) == 1 else Text("At last.")

    with ModelServer(reply) as server:
        ask(server)

    assert seen[0].body == seen[1].body
