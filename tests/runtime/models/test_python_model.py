from __future__ import annotations

import asyncio
import functools
import json
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import pytest
from subactors.runtime.errors import ModelError, SubactorsError
from subactors.runtime.models.base import Turn, Usage
from subactors.runtime.models.open import open_model
from subactors.runtime.team.config import ModelConfig

MESSAGES = [{"role": "user", "content": "Hello?"}]
TOOLS = [{"type": "function", "function": {"name": "look", "description": "", "parameters": {}}}]


def ask(function: str) -> tuple[Turn, list[str]]:
    """Ask a function of this file; returns the turn and the pieces of text."""
    pieces: list[str] = []

    async def complete() -> Turn:
        target = f"{__name__}:{function}"
        config = ModelConfig(reference=f"python/{target}", provider="python", name=target)
        model = open_model(config, environ={}, idle_timeout=1.0)
        try:
            return await model.complete(MESSAGES, TOOLS, pieces.append)
        finally:
            await model.close()

    return asyncio.run(complete()), pieces


def text(messages: Any, _tools: Any) -> str:
    return f"You said {messages[0]['content']}"


async def text_async(messages: Any, tools: Any) -> str:
    await asyncio.sleep(0)
    return text(messages, tools)


def text_wrapped(messages: Any, tools: Any) -> Awaitable[str]:
    return text_async(messages, tools)


class Answerer:
    async def __call__(self, messages: Any, tools: Any) -> str:
        return text(messages, tools)


answerer = Answerer()
bound = functools.partial(text_async)


@pytest.mark.parametrize("function", ["text", "text_async", "text_wrapped", "answerer", "bound"])
def test_a_string_is_the_final_answer_whatever_kind_of_function_returns_it(function: str) -> None:
    assert ask(function) == (Turn("You said Hello?", (), Usage(0, 0, 1)), ["You said Hello?"])


def stream(_messages: Any, _tools: Any) -> Iterator[str]:
    yield "a"
    yield ""
    yield "b"


async def stream_async(_messages: Any, _tools: Any) -> AsyncIterator[str]:
    yield "a"
    await asyncio.sleep(0)
    yield "b"


async def stream_later(messages: Any, tools: Any) -> AsyncIterator[str]:
    return stream_async(messages, tools)


@pytest.mark.parametrize("function", ["stream", "stream_async", "stream_later"])
def test_an_iterator_is_streamed_piece_by_piece(function: str) -> None:
    assert ask(function) == (Turn("ab", (), Usage(0, 0, 1)), ["a", "b"])


def message(_messages: Any, _tools: Any) -> dict[str, Any]:
    call = {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": '{"at": 1}'}}
    return {"role": "assistant", "content": "Let me look.", "tool_calls": [call]}


def test_an_assistant_message_is_taken_as_it_is() -> None:
    turn, pieces = ask("message")

    assert pieces == ["Let me look."]
    assert turn.content == "Let me look."
    assert [(call.id, call.name, call.arguments) for call in turn.tool_calls] == [("call_1", "look", '{"at": 1}')]


def sketchy_message(_messages: Any, _tools: Any) -> dict[str, Any]:
    return {"tool_calls": [{"function": {"name": "look", "arguments": {"at": "ü"}}}, {"function": {"name": "look"}}]}


def test_what_a_message_leaves_out_is_filled_in() -> None:
    turn, pieces = ask("sketchy_message")

    assert (turn.content, pieces) == ("", [])
    assert [json.loads(call.arguments) for call in turn.tool_calls] == [{"at": "ü"}, {}]
    assert len({call.id for call in turn.tool_calls}) == 2


def silent_message(_messages: Any, _tools: Any) -> dict[str, Any]:
    return {"content": None}


def test_a_message_without_content_is_an_empty_answer() -> None:
    assert ask("silent_message") == (Turn("", (), Usage(0, 0, 1)), [])


def nothing(_messages: Any, _tools: Any) -> None:
    pass


def number(_messages: Any, _tools: Any) -> int:
    return 17


def other_dict(_messages: Any, _tools: Any) -> dict[str, Any]:
    return {"text": "hm"}


def pieces_of_other_types(_messages: Any, _tools: Any) -> Iterator[Any]:
    yield "a"
    yield 17


def content_of_other_type(_messages: Any, _tools: Any) -> dict[str, Any]:
    return {"content": 17}


def calls_of_other_type(_messages: Any, _tools: Any) -> dict[str, Any]:
    return {"tool_calls": "look"}


def call_without_name(_messages: Any, _tools: Any) -> dict[str, Any]:
    return {"tool_calls": [{"name": "look"}]}


def call_with_a_list(_messages: Any, _tools: Any) -> dict[str, Any]:
    return {"tool_calls": [{"function": {"name": "look", "arguments": [1]}}]}


def call_with_a_set(_messages: Any, _tools: Any) -> dict[str, Any]:
    return {"tool_calls": [{"function": {"name": "look", "arguments": {"at": {1}}}}]}


@pytest.mark.parametrize(
    ("function", "complaint"),
    [
        ("nothing", "returned None. Return a string"),
        ("number", r"returned 17 \(int\). Return a string"),
        ("other_dict", "neither `content` nor `tool_calls`"),
        ("pieces_of_other_types", r"streamed 17 \(int\); every piece must be a string"),
        ("content_of_other_type", r"`content` is 17 \(int\)"),
        ("calls_of_other_type", r"`tool_calls` is 'look' \(str\)"),
        ("call_without_name", "tool call that is"),
        ("call_with_a_list", r"arguments that are \[1\] \(list\)"),
        ("call_with_a_set", "JSON cannot hold"),
    ],
)
def test_anything_else_is_an_error_that_says_what_is_allowed(function: str, complaint: str) -> None:
    with pytest.raises(ModelError, match=complaint) as caught:
        ask(function)

    assert function in str(caught.value)


def broken(_messages: Any, _tools: Any) -> str:
    raise KeyError("no such animal")


async def broken_async(_messages: Any, _tools: Any) -> str:
    raise KeyError("no such animal")


def broken_stream(_messages: Any, _tools: Any) -> Iterator[str]:
    yield "a"
    raise KeyError("no such animal")


@pytest.mark.parametrize("function", ["broken", "broken_async", "broken_stream"])
def test_an_exception_of_the_function_goes_through_as_it_is(function: str) -> None:
    with pytest.raises(KeyError, match="no such animal"):
        ask(function)


def run_out(_messages: Any, _tools: Any) -> str:
    answers: Iterator[str] = iter(())
    return next(answers)


def test_an_iterator_that_has_run_out_inside_the_function_ends_the_turn_with_an_error() -> None:
    with pytest.raises(RuntimeError, match="StopIteration"):
        ask("run_out")


def vandal(messages: Any, tools: Any) -> str:
    messages[0]["content"] = "spoiled"
    messages.clear()
    tools[0]["function"].clear()
    return "done"


def test_the_function_cannot_spoil_the_conversation() -> None:
    ask("vandal")

    assert MESSAGES == [{"role": "user", "content": "Hello?"}]
    assert TOOLS[0]["function"] == {"name": "look", "description": "", "parameters": {}}


def half_an_emoji(_messages: Any, _tools: Any) -> str:
    return "odd file name: \udcff"


def test_text_that_cannot_be_encoded_is_made_encodable() -> None:
    turn, pieces = ask("half_an_emoji")

    assert turn.content == "odd file name: \ufffd"
    assert pieces == [turn.content]


def test_a_function_that_does_not_exist_is_an_error_that_names_it() -> None:
    with pytest.raises(SubactorsError, match="no_such_function"):
        ask("no_such_function")


def meet(messages: Any, _tools: Any) -> Iterator[str]:
    """Hand over to the event loop and wait for it, in the call and in each step."""
    meeting: Callable[[], None] = messages[0]["meeting"]
    meeting()
    return meet_again(meeting)


def meet_again(meeting: Callable[[], None]) -> Iterator[str]:
    meeting()
    yield "met"


class Meeting:
    """Two threads that have to be here at one moment; stays one when it is copied."""

    def __init__(self) -> None:
        self.barrier = threading.Barrier(2)

    def __deepcopy__(self, _memo: object) -> Meeting:
        return self

    def __call__(self) -> None:
        self.barrier.wait(20)


def test_a_sync_function_does_not_block_the_event_loop() -> None:
    meeting = Meeting()

    async def complete() -> Turn:
        config = ModelConfig(reference="python/…", provider="python", name=f"{__name__}:meet")
        model = open_model(config, environ={}, idle_timeout=1.0)
        asking = asyncio.create_task(model.complete([{"meeting": meeting}], [], lambda _: None))
        for _ in range(2):
            await asyncio.to_thread(meeting)
        return await asking

    assert asyncio.run(complete()).content == "met"
