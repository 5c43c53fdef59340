"""Conversations that grow too long for their model, in the loop and with a server that says so."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from model_server import Calls, ModelServer, Reply, Request, Status, Text
from subactors.runtime.agent.history import History
from subactors.runtime.agent.loop import AgentLoop
from subactors.runtime.errors import ContextLengthError
from subactors.runtime.models.base import Message, ToolCall, Turn
from subactors.runtime.models.open import open_model
from subactors.runtime.team.config import AgentConfig, ModelConfig
from subactors.runtime.toolsets.base import NoParameters, Tool, ToolAnswer, ToolBox, Toolset

TOO_LONG = "This model's maximum context length is 8192 tokens. However, your messages resulted in 20000 tokens."


class _Reads(Toolset):
    """A tool whose answers are long, and different each time."""

    def __init__(self, length: int) -> None:
        self._length = length
        self._count = 0

    @property
    def tools(self) -> Sequence[Tool]:
        async def read(_: object) -> ToolAnswer:
            self._count += 1
            return ToolAnswer(f"{self._count}:" + "x" * self._length)

        return [Tool("read", "Reads.", NoParameters, read)]


class _Deaf:
    def text(self, piece: str) -> None: ...
    def calls_begin(self, turn: Turn, messages_added: Sequence[Message], told: Sequence[str] = ()) -> None: ...
    async def calls_written(self) -> None: ...
    def tool_called(self, call: ToolCall) -> None: ...
    def tool_answered(self, call: ToolCall, answer: ToolAnswer) -> None: ...
    def turn_ended(self, turn: Turn, messages_added: Sequence[Message], *_: Any) -> None: ...


def run(server: ModelServer, *, length: int, bound: int = 0, items: int = 0) -> tuple[str, list[Message]]:
    async def work() -> tuple[str, list[Message]]:
        config = ModelConfig(reference="acme/m", provider="acme", name="m", base_url=server.base_url)
        model = open_model(config, environ={}, idle_timeout=20.0)
        messages: list[Message] = [{"role": "user", "content": "Go ahead."}]
        try:
            agent = AgentConfig(name="a", max_old_tool_call_tokens=bound, num_history_items=items)
            box = ToolBox([_Reads(length)], limit=10**6)
            return await AgentLoop(agent, model, box, _Deaf(), 100).run(messages), messages
        finally:
            await model.close()

    return asyncio.run(work())


def holding(limit: int, reads: int) -> Callable[[Request], Reply]:
    """Make a script of a model that takes so many characters, and asks for so many reads."""

    def reply(request: Request) -> Reply:
        if sum(len(str(message["content"])) for message in request.messages) > limit:
            return Status(400, TOO_LONG)
        return Calls(("read", {})) if request.turn < reads else Text("done")

    return reply


def tool_lengths(request: Request) -> list[int]:
    return [len(message["content"]) for message in request.messages if message["role"] == "tool"]


def test_old_tool_answers_are_shortened_when_the_server_says_that_it_is_too_long() -> None:
    with ModelServer(holding(30_000, reads=5)) as server:
        answer, messages = run(server, length=8000)

    assert answer == "done"
    # The journal, and with it a restart, has the whole.
    assert [len(message["content"]) for message in messages if message["role"] == "tool"] == [8002] * 5
    assert tool_lengths(server.requests[-1])[-1] == 8002
    assert max(tool_lengths(server.requests[-1])[:3]) < 600
    assert "characters left out here. Call the tool again if they are needed." in str(server.requests[-1].messages)


def test_the_latest_tool_answer_is_shortened_when_nothing_else_helps() -> None:
    with ModelServer(holding(10_000, reads=1)) as server:
        assert run(server, length=50_000)[0] == "done"

    (length,) = tool_lengths(server.requests[-1])
    assert 4000 < length < 4200


def test_a_conversation_that_cannot_be_made_to_fit_is_an_error_that_says_so() -> None:
    with ModelServer(lambda _: Status(400, TOO_LONG)) as server:
        with pytest.raises(ContextLengthError) as caught:
            run(server, length=10)

        assert len(server.requests) == 1
    assert "too long for it" in str(caught.value)
    assert "maximum context length is 8192 tokens" in str(caught.value)
    assert "give the agent a smaller task, or a model that takes longer conversations" in str(caught.value)


def test_a_server_that_never_says_anything_else_ends_the_loop() -> None:
    def reply(request: Request) -> Reply:
        return Status(400, TOO_LONG) if request.turn else Calls(("read", {}))

    with ModelServer(reply) as server, pytest.raises(ContextLengthError, match="were shortened already"):
        run(server, length=50_000)
    assert len(server.requests) == 3


def test_beyond_the_stated_size_the_oldest_answers_are_shortened_without_being_asked() -> None:
    with ModelServer(holding(10**9, reads=6)) as server:
        run(server, length=4000, bound=3000)

    lengths = [tool_lengths(request) for request in server.requests]
    assert lengths[3] == [4002] * 3
    assert [sum(length < 1000 for length in answers) for answers in lengths] == [0, 0, 0, 0, 2, 2, 4]


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (400, TOO_LONG),
        (400, "prompt is too long: 210000 tokens > 200000 maximum"),
        (400, "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576)."),
        (400, "Input is too long for requested model."),
        (400, "Please reduce the length of the messages or completion."),
        (400, "the request exceeds the available context size (4096 tokens), try increasing it"),
        (400, "Prompt contains 40000 tokens, too large for model with 32768 maximum context length"),
        (413, "Request Entity Too Large"),
        (422, "inputs tokens + max_new_tokens must be <= 4096. Too many tokens"),
    ],
)
def test_the_words_of_many_servers_for_too_long_are_known(status: int, words: str) -> None:
    with ModelServer(lambda _: Status(status, words)) as server, pytest.raises(ContextLengthError):
        run(server, length=10)


@pytest.mark.parametrize("words", ["max_tokens is too large: 100000.", "Unknown parameter: top_k", "Invalid message 3"])
def test_other_bad_requests_are_not_taken_for_too_long(words: str) -> None:
    with ModelServer(lambda _: Status(400, words)) as server, pytest.raises(Exception, match="rejected") as caught:
        run(server, length=10)
    assert not isinstance(caught.value, ContextLengthError)


def test_a_short_answer_stays_and_so_does_what_is_no_tool_answer() -> None:
    messages: list[dict[str, Any]] = [
        {"role": "system", "content": "s" * 9000},
        {"role": "assistant", "content": "a" * 9000, "tool_calls": []},
        {"role": "tool", "tool_call_id": "1", "content": "short"},
        {"role": "assistant", "content": "b"},
    ]
    assert not History().shorten(messages)
    assert History(1).shown(messages) == messages


def conversation(*turns: int) -> list[Message]:
    """A conversation with a turn for each number, of so many tool calls; 0 is one without."""
    messages: list[Message] = [{"role": "system", "content": "s"}, {"role": "user", "content": "go"}]
    for turn, calls in enumerate(turns):
        messages.append({"role": "assistant", "content": f"{turn}"})
        messages += [{"role": "tool", "tool_call_id": f"{turn}.{call}", "content": "x"} for call in range(calls)]
    return messages


@pytest.mark.parametrize(
    ("most", "shown"),
    [
        (0, ["s", "go", "0", "x", "1", "x", "x", "2", "x"]),
        (100, ["s", "go", "0", "x", "1", "x", "x", "2", "x"]),
        (5, ["s", "go", "1", "x", "x", "2", "x"]),
        (4, ["s", "go", "2", "x"]),
        (1, ["s", "go", "2", "x"]),
    ],
)
def test_a_model_is_shown_its_latest_turns_whole_and_all_that_it_was_told(most: int, shown: list[str]) -> None:
    messages = conversation(1, 2, 1)
    assert [message["content"] for message in History(0, most).shown(messages)] == shown
    assert len(messages) == 9


def test_a_bound_on_the_history_leaves_a_conversation_without_turns_alone() -> None:
    assert History(0, 1).shown(conversation()) == conversation()


def test_what_was_told_later_stays_in_its_place() -> None:
    messages = [*conversation(1, 1), {"role": "user", "content": "and"}, *conversation(1)[2:]]
    assert [message["content"] for message in History(0, 2).shown(messages)] == ["s", "go", "and", "0", "x"]


def test_the_bound_on_the_history_of_an_agent_is_the_one_of_its_team_file() -> None:
    seen: list[int] = []

    def script(request: Request) -> Reply:
        seen.append(len(request.messages))
        return Text("done") if len(seen) == 5 else Calls(("read", {}))

    with ModelServer(script) as server:
        _, messages = run(server, length=10, items=2)
    assert seen == [1, 3, 3, 3, 3]
    assert len(messages) == 10
