"""Which answers of model servers count as whole, and which hold nothing that an agent could use."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass
from typing import Any

import pytest
from model_server import Chunks, ModelServer, Raw, Reply, Text, Wire
from server_answers import STREAM, answer, ask, called, config, failure, said, whole
from subactors.runtime.errors import ModelError, RefusalError
from subactors.runtime.models.base import Turn, Usage
from subactors.runtime.models.open import open_agent_model
from subactors.runtime.models.openai import client
from subactors.runtime.team.config import AgentConfig, Fallback

BROKE_OFF = "\n[The answer broke off here, and is asked for again.]\n"
CALLING = ("tool_calls", "function_call", "tool_use")


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


# --- reasoning whose beginning is missing -----------------------------------------------------------------------------


def test_reasoning_that_the_template_began_is_not_part_of_the_answer_and_goes_back_as_it_came() -> None:
    turn = answer(Chunks(said("It may be Rome.\n</th"), said("ink>\n\nIt is Paris."), said(None, "stop")))

    assert turn.content == "It is Paris."
    assert turn.opaque == {"content": "It may be Rome.\n</think>\n\nIt is Paris."}


def test_reasoning_that_the_template_began_and_nothing_after_it_is_nothing_usable() -> None:
    assert "ended before anything was said" in failure(Chunks(said("It may be Rome.\n</think>\n"), said("", "stop")))


@pytest.mark.parametrize(
    "text",
    ["Close it with </think>.", "Write\n```\nhm\n</think>\n```\n", "So:\n<think>\nhm\n</think>\nIt is Paris."],
    ids=["in a sentence", "in a block of code", "with its beginning"],
)
def test_an_answer_about_the_tags_of_reasoning_stays_whole(text: str) -> None:
    assert answer(Chunks(said(text), said(None, "stop"))).content == text


# --- what is no error ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [None, "", {}, False, {"code": 0, "message": ""}, {"code": None}, {"message": "ok"}])
def test_an_error_in_each_chunk_that_says_nothing_is_none(error: Any) -> None:
    assert answer(Chunks(said("All.", error=error), said(None, "stop", error=error))).content == "All."


@pytest.mark.parametrize(
    "event",
    [{"code": 200, "message": "OK"}, {"status": "processing", "detail": "queued"}, {"code": "0", "message": ""}],
)
def test_an_event_that_says_that_somebody_is_at_work_is_no_error(event: dict[str, Any]) -> None:
    assert answer(Chunks(event, said("All."), said(None, "stop"))).content == "All."


def test_an_error_that_is_only_said_to_be_one_is_told_in_the_words_beside_it() -> None:
    assert "reported an error after 0 characters of text: no disk." in failure(
        Chunks({"error": True, "message": "no disk"}), requests=1
    )


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


@dataclass(frozen=True)
class Ticking(Reply):
    """Says something, and then sends the same event fifty times a second until the client has gone."""

    event: dict[str, Any] | str

    def send(self, wire: Wire) -> None:
        wire.open()
        wire.delta({"content": "Well, "})
        while True:
            wire.event(self.event if isinstance(self.event, str) else json.dumps(self.event))
            time.sleep(0.02)


@pytest.mark.parametrize(
    "event",
    ["null", {}, {"type": "ping"}, {"choices": []}, {"choices": [{"delta": {}}]}, said("", None), {"usage": {}}],
)
def test_events_that_say_nothing_are_signs_of_life_and_no_more(event: dict[str, Any] | str) -> None:
    with ModelServer(lambda _: Ticking(event)) as server, pytest.raises(ModelError) as caught:
        ask(server, idle_timeout=0.4, retries=0)

    assert "it kept the connection alive, and said nothing for 2 s, after 6 characters of text" in str(caught.value)


def test_reasoning_is_more_than_a_sign_of_life(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "_SIGNS_OF_LIFE", 0.1)
    thought = {"choices": [{"delta": {"reasoning": "hm"}}]}

    class Thinking(Reply):
        def send(self, wire: Wire) -> None:
            wire.open()
            for _ in range(60):
                wire.event(json.dumps(thought))
                time.sleep(0.02)
            wire.delta({"content": "4"}, "stop")
            wire.close(done=True)

    with ModelServer([Thinking()]) as server:
        assert ask(server, idle_timeout=10.0).content == "4"


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
    "characters that nobody sees": Chunks(said("\ufeff\u200b\u00a0\n"), said("", "stop")),
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
@pytest.mark.parametrize("content", [None, "", " \n"])
def test_calls_that_are_announced_and_do_not_come_are_asked_for_once_more(calls: Any, content: str | None) -> None:
    event = {"choices": [{"delta": {"content": content, "tool_calls": calls}, "finish_reason": "tool_calls"}]}

    assert "said that the model calls tools (finish reason 'tool_calls'), and sent no call" in failure(Chunks(event))


def test_calls_that_get_lost_beside_a_text_are_asked_for_once_more() -> None:
    heard: list[str] = []

    turn = answer(Chunks(said("I will look.", "tool_calls")), Chunks(called(), said(None, "tool_calls")), heard=heard)

    assert [call.name for call in turn.tool_calls] == ["look"]
    assert turn.content == ""
    assert "".join(heard) == f"I will look.{BROKE_OFF}"


@pytest.mark.parametrize("word", CALLING)
def test_a_server_that_says_of_plain_text_that_it_calls_tools_is_believed_the_second_time(word: str) -> None:
    usage = {"prompt_tokens": 9, "completion_tokens": 2}

    turn = answer(*[Chunks(said("It is Paris."), said("", word, usage=usage))] * 2)

    assert turn.content == "It is Paris."
    assert turn.usage == Usage(18, 4, 2)


def test_text_that_is_said_to_be_a_call_is_taken_where_nothing_is_asked_for_again() -> None:
    with ModelServer([Chunks(said("It is Paris.", "tool_calls"))]) as server:
        assert ask(server, retries=0).content == "It is Paris."


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
