"""Answers of model servers as they come over HTTP: which framing is taken, and which answers count as whole."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import Any

import pytest
from model_server import Chunks, ModelServer, Raw, Reply, Request, Text, Wire
from subactors.runtime import _retries
from subactors.runtime._errors import ModelError, RefusalError
from subactors.runtime._model import Turn, Usage
from subactors.runtime._models import open_agent_model, open_model
from subactors.runtime._team import AgentConfig, Fallback, ModelConfig

STREAM = "text/event-stream"
CALLING = ("tool_calls", "function_call", "tool_use")
BROKE_OFF = "\n[The answer broke off here, and is asked for again.]\n"


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_retries, "_FIRST_PAUSE", 0.0)


def config(server: ModelServer, name: str = "large") -> ModelConfig:
    return ModelConfig(reference=f"acme/{name}", provider="acme", name=name, base_url=server.base_url)


def ask(server: ModelServer, *, idle_timeout: float = 20.0, heard: list[str] | None = None, retries: int = 2) -> Turn:
    async def complete() -> Turn:
        model = open_model(config(server), environ={}, idle_timeout=idle_timeout, retries=retries)
        try:
            return await model.complete(
                [{"role": "user", "content": "Hello?"}], [], [].append if heard is None else heard.append
            )
        finally:
            await model.close()

    return asyncio.run(complete())


def answer(*replies: Reply, heard: list[str] | None = None) -> Turn:
    """Return the turn that these replies lead to, all of which are asked for."""
    with ModelServer(replies) as server:
        turn = ask(server, heard=heard)
        assert len(server.requests) == len(replies)
    return turn


def failure(reply: Reply, *, requests: int = 2) -> str:
    """Return the sentence of the error to which a server leads that always replies so, after so many requests."""
    with ModelServer(lambda _: reply) as server:
        with pytest.raises(ModelError) as caught:
            ask(server)
        assert len(server.requests) == requests
    return str(caught.value)


def said(content: Any, finish: Any = None, **fields: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": {"content": content}, "finish_reason": finish}], **fields}


def called(name: str = "look", finish: Any = None) -> dict[str, Any]:
    call = {"index": 0, "id": "call_1", "type": "function", "function": {"name": name, "arguments": "{}"}}
    return {"choices": [{"index": 0, "delta": {"tool_calls": [call]}, "finish_reason": finish}]}


def whole(content: str | None, finish: str | None = "stop", **fields: Any) -> dict[str, Any]:
    message = {"role": "assistant", "content": content, **fields}
    usage = {"prompt_tokens": 10, "completion_tokens": 5}
    choice = {"index": 0, "message": message, "finish_reason": finish}
    return {"id": "1", "object": "chat.completion", "choices": [choice], "usage": usage}


@dataclass(frozen=True)
class Held(Reply):
    """Sends these events, and then neither says anything nor ends the stream; or breaks the connection."""

    events: tuple[dict[str, Any] | str, ...]
    breaks: bool = False

    def send(self, wire: Wire) -> None:
        wire.open()
        for event in self.events:
            wire.event(event if isinstance(event, str) else json.dumps(event))
        if self.breaks:
            wire.break_off()
        else:
            wire.hold()


# --- ends -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "word",
    [
        "stop",
        "STOP",
        "eos",
        "eos_token",
        "end_turn",
        "stop_sequence",
        "COMPLETE",
        "FINISH_REASON_STOP",
        "normal",
        *CALLING,
    ],
)
def test_the_words_of_old_servers_for_the_end_of_an_answer_are_ends(word: str) -> None:
    event = called() if word in CALLING else said("All of it.")

    turn = answer(Chunks(event, said(None, word), done=False))

    assert turn.content == "All of it." or [call.name for call in turn.tool_calls] == ["look"]


@pytest.mark.parametrize("word", ["length", "MAX_TOKENS", "model_length", "max_output_tokens", {"type": "length"}])
def test_an_answer_that_was_cut_at_a_limit_says_so(word: Any) -> None:
    turn = answer(Chunks(said("It begins"), said("", word)))

    assert turn.content == "It begins\n[The answer ends here because the model's token limit was reached.]"


@pytest.mark.parametrize("word", ["content_filter", "SAFETY", "refusal", "sensitive", "RECITATION"])
def test_an_answer_that_a_filter_ended_is_a_refusal(word: str) -> None:
    with ModelServer([Chunks(said("Once upon"), said("", word))]) as server, pytest.raises(RefusalError) as caught:
        ask(server)

    assert "Once upon" in str(caught.value)
    assert word in str(caught.value)


@pytest.mark.parametrize(
    "word",
    [
        "error",
        "abort",
        "insufficient_system_resource",
        "network_error",
        "pause_turn",
        "function_call_filter: MALFORMED_FUNCTION_CALL",
        "a word nobody knows",
        7,
    ],
)
def test_half_an_answer_with_any_other_word_is_asked_for_again_and_then_fails_with_the_word(word: Any) -> None:
    message = failure(Chunks(said("The first half"), said("", word)))

    assert f"the finish reason {str(word)!r}" in message
    assert message.endswith("It was the second time.")


def test_half_an_answer_is_not_part_of_the_whole_one_and_its_tokens_count() -> None:
    heard: list[str] = []

    turn = answer(Chunks(said("The first h", usage={"prompt_tokens": 3}), said("", "abort")), Text("All."), heard=heard)

    assert turn.content == "All."
    assert turn.usage == Usage(13, 5, 2)
    assert "".join(heard) == f"The first h{BROKE_OFF}All."


@pytest.mark.parametrize("usage", [{"prompt_tokens": 9, "completion_tokens": 4}, {"prompt_tokens": 9}])
def test_usage_is_no_end(usage: dict[str, int]) -> None:
    """Servers send it first, or with each chunk."""
    for events in ([said("half a sen", usage=usage)], [{"choices": [], "usage": usage}, said("half a sen")]):
        assert "without saying that it was complete" in failure(Chunks(*events, done=False))


@pytest.mark.parametrize("reason", [None, "", "null"], ids=["none", "empty", "the word null"])
def test_done_after_content_is_an_end_without_a_finish_reason(reason: str | None) -> None:
    assert answer(Chunks(said("All of it.", reason))).content == "All of it."
    assert [call.name for call in answer(Chunks(called(finish=reason))).tool_calls] == ["look"]


def test_what_comes_after_done_is_not_part_of_the_answer_but_its_usage_counts() -> None:
    usage = {"choices": [], "usage": {"prompt_tokens": 10, "completion_tokens": 5}}

    turn = answer(Chunks(said("All of it.", "stop"), "[DONE]", usage, said(" And more."), {"error": "too late"}, "{"))

    assert (turn.content, turn.usage) == ("All of it.", Usage(10, 5, 1))


def test_a_stop_that_a_proxy_adds_does_not_make_a_cut_answer_whole() -> None:
    assert "token limit" in answer(Chunks(said("It begins", "length"), said("", "stop"))).content


def test_a_finish_reason_in_each_chunk_does_not_end_the_answer() -> None:
    assert answer(Chunks(said("All ", "stop"), said("of it.", "stop"))).content == "All of it."


@pytest.mark.parametrize("breaks", [True, False], ids=["a broken connection", "a connection that stays open"])
def test_an_answer_that_has_ended_cannot_be_taken_back_by(breaks: bool) -> None:
    with ModelServer([Held((said("All of it."), said(None, "stop")), breaks)]) as server:
        assert ask(server, idle_timeout=0.2).content == "All of it."


def test_a_connection_that_stays_open_after_done_is_not_waited_for() -> None:
    with ModelServer([Held((said("All of it."), "[DONE]"))]) as server:
        assert ask(server, idle_timeout=60.0).content == "All of it."


def test_an_answer_that_breaks_off_inside_an_event_is_not_whole() -> None:
    event = json.dumps(said("All", "stop"))
    body = f"data: {json.dumps(said('All'))}\n\ndata: {event[: len(event) // 2]}"

    assert "after 3 characters of text without saying that it was complete" in failure(Raw(body, STREAM))


# --- nothing usable ---------------------------------------------------------------------------------------------------

NOTHING: dict[str, Reply] = {
    "no event": Chunks(done=False),
    "done alone": Chunks(),
    "an empty body": Raw("", STREAM),
    "an empty body labelled as JSON": Raw("", "application/json"),
    "comments": Raw(": working\n\n: working\n\n", STREAM),
    "null events": Chunks("null", "null"),
    "no choices": Chunks({"choices": []}, {"choices": None}),
    "a filter's results, of Azure": Chunks({"choices": [], "prompt_filter_results": [{"prompt_index": 0}]}),
    "empty text": Chunks(said(""), said("", "stop")),
    "white space": Chunks(said("\n\n"), said(None, "stop")),
    "a stop alone": Chunks(said(None, "stop")),
    "usage alone": Chunks({"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 4}}),
    "reasoning": Chunks({"choices": [{"delta": {"reasoning_content": "It is Paris."}}]}, said(None, "stop")),
    "reasoning, by another name": Chunks({"choices": [{"delta": {"reasoning": "It is Paris."}}]}, said("", "stop")),
    "reasoning in a part": Chunks(
        {"choices": [{"delta": {"content": [{"type": "thinking", "thinking": [{"text": "It is Paris."}]}]}}]},
        said("", "stop"),
    ),
    "a whole message without content": Raw(json.dumps(whole(None)), "application/json"),
}


@pytest.mark.parametrize("reply", NOTHING.values(), ids=NOTHING.keys())
def test_nothing_usable_is_asked_for_once_more_and_then_fails(reply: Reply) -> None:
    message = failure(reply)

    assert "ended before anything was said" in message
    assert message.endswith("It was the second time.")
    assert "base_url" not in message
    assert answer(reply, Text("At last.")).content == "At last."


@pytest.mark.parametrize("calls", [[], None, [{}], [None]], ids=["empty", "null", "an empty call", "a null call"])
@pytest.mark.parametrize("content", [None, "I will look."])
def test_calls_that_are_announced_and_do_not_come_are_asked_for_once_more(calls: Any, content: str | None) -> None:
    event = {"choices": [{"delta": {"content": content, "tool_calls": calls}, "finish_reason": "tool_calls"}]}

    assert "said that the model calls tools (finish reason 'tool_calls'), and sent no call" in failure(Chunks(event))


def test_that_there_was_reasoning_is_said() -> None:
    assert "ended before anything was said (but had reasoned)" in failure(NOTHING["reasoning"])


def test_reasoning_up_to_the_token_limit_is_told_at_once() -> None:
    event = {"choices": [{"delta": {"reasoning": "Well, "}, "finish_reason": "length"}]}

    assert "before it said anything (but had reasoned). Raise max_tokens" in failure(Chunks(event), requests=1)


def test_after_nothing_usable_a_fallback_answers() -> None:
    with ModelServer([NOTHING["reasoning"]] * 2) as first, ModelServer([Text("Paris.")]) as second:
        agent = AgentConfig(
            name="a", model=config(first), fallback=Fallback(models=(config(second, "small"),), retries=1)
        )

        async def complete() -> Turn:
            model = open_agent_model(agent, environ={}, idle_timeout=20.0)
            try:
                return await model.complete([{"role": "user", "content": "Hello?"}], [], lambda _: None)
            finally:
                await model.close()

        turn = asyncio.run(complete())
        assert len(first.requests) == 2

    assert turn.content == "Paris."


# --- framing ----------------------------------------------------------------------------------------------------------


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
        return NOTHING["no event"] if len(seen) == 1 else Text("At last.")

    with ModelServer(reply) as server:
        ask(server)

    assert seen[0].body == seen[1].body
