from __future__ import annotations

import asyncio

import pytest
from agent_loops import ECHO, Listener, Scripted, calls, loop_of, tool, user
from model_server import Calls, ModelServer, Text
from subactors.runtime.errors import LoopError, ModelError
from subactors.runtime.models.base import Message, ToolCall, Turn, Usage
from subactors.runtime.models.open import open_model
from subactors.runtime.team.config import ModelConfig
from subactors.runtime.toolsets.base import ToolAnswer


def test_a_turn_without_tool_calls_is_the_final_answer() -> None:
    listener = Listener()
    messages = user("Hello?")

    answer = asyncio.run(loop_of(Scripted(Turn("Hello!")), listener=listener).run(messages))

    assert answer == "Hello!"
    assert listener.spoken == "Hello!"
    assert messages == [*user("Hello?"), {"role": "assistant", "content": "Hello!"}]


def test_an_empty_answer_is_a_final_answer() -> None:
    assert asyncio.run(loop_of(Scripted(Turn(""))).run(user("Hello?"))) == ""


def test_tool_answers_go_back_to_the_model() -> None:
    model = Scripted(calls(("echo", '{"word": "miau"}'), content="Let me try."), Turn("It works."))
    messages = user("Try it")

    assert asyncio.run(loop_of(model, ECHO).run(messages)) == "It works."

    assert model.conversations[1] == messages[:3]
    assert messages[1:3] == [
        {
            "role": "assistant",
            "content": "Let me try.",
            "tool_calls": [
                {"id": "c0", "type": "function", "function": {"name": "echo", "arguments": '{"word": "miau"}'}}
            ],
        },
        {"role": "tool", "tool_call_id": "c0", "content": "You said miau."},
    ]


def test_a_turn_is_told_before_its_tools_are_called() -> None:
    listener = Listener()
    told_first: list[bool] = []

    async def look() -> ToolAnswer:
        told_first.append(len(listener.began) == 1)
        return ToolAnswer("seen")

    messages = user("Look")
    asyncio.run(
        loop_of(Scripted(calls(("look", "{}")), Turn("Done.")), tool("look", look), listener=listener).run(messages)
    )

    assert told_first == [True]
    ((begun, added),) = listener.began
    assert [call.name for call in begun] == ["look"]
    assert list(added) == messages[1:2]


def test_calls_that_may_change_something_wait_until_they_are_written_down() -> None:
    listener = Listener()
    peek = tool("peek", _nothing, polling=True)
    model = Scripted(calls(("peek", "{}")), calls(("peek", "{}"), ("look", "{}")), Turn("Done."))

    asyncio.run(loop_of(model, peek, tool("look", _nothing), listener=listener).run(user("Look")))

    assert listener.called == ["peek", "peek", "look"]
    assert listener.written == [1]


async def _nothing() -> ToolAnswer:
    return ToolAnswer("nothing")


def test_the_tool_calls_of_one_turn_run_concurrently_and_are_answered_in_their_order() -> None:
    async def run() -> list[Message]:
        first, second = asyncio.Event(), asyncio.Event()

        async def slow() -> ToolAnswer:
            first.set()
            await second.wait()
            return ToolAnswer("slow")

        async def quick() -> ToolAnswer:
            await first.wait()
            second.set()
            return ToolAnswer("quick")

        messages = user("Go")
        model = Scripted(calls(("slow", ""), ("quick", "")), Turn("done"))
        await loop_of(model, tool("slow", slow), tool("quick", quick)).run(messages)
        return messages

    messages = asyncio.run(asyncio.wait_for(run(), 20))

    assert [(message["tool_call_id"], message["content"]) for message in messages if message["role"] == "tool"] == [
        ("c0", "slow"),
        ("c1", "quick"),
    ]


def test_unknown_tools_and_bad_arguments_are_answered_to_the_model() -> None:
    listener = Listener()
    model = Scripted(calls(("ecko", "{}"), ("echo", '{"word": "mi'), ("echo", '{"wort": "x"}')), Turn("I see."))

    assert asyncio.run(loop_of(model, ECHO, listener=listener).run(user("Go"))) == "I see."

    answers = [message["content"] for message in model.conversations[1] if message["role"] == "tool"]
    assert "There is no tool 'ecko'" in answers[0]
    assert "not valid JSON" in answers[1]
    assert "word" in answers[2]
    assert all(is_error for _, _, is_error in listener.answered)


def test_a_tool_that_fails_is_answered_to_the_model() -> None:
    async def fail() -> ToolAnswer:
        raise OSError("disk full")

    model = Scripted(calls(("fail", "")), Turn("I see."))

    assert asyncio.run(loop_of(model, tool("fail", fail)).run(user("Go"))) == "I see."
    assert "disk full" in model.conversations[1][-1]["content"]


def test_a_tool_that_is_cancelled_from_within_is_answered_to_the_model() -> None:
    async def give_up() -> ToolAnswer:
        raise asyncio.CancelledError

    model = Scripted(calls(("give_up", ""), ("echo", '{"word": "a"}')), Turn("I see."))

    assert asyncio.run(loop_of(model, tool("give_up", give_up), ECHO).run(user("Go"))) == "I see."
    assert [message["content"] for message in model.conversations[1][-2:]] == [
        "give_up failed: it was cancelled.",
        "You said a.",
    ]


def test_max_iterations_ends_the_loop_after_the_tools_of_the_last_turn() -> None:
    listener = Listener()
    messages = user("Go")
    model = Scripted(calls(("echo", '{"word": "a"}')), calls(("echo", '{"word": "b"}')), Turn("never asked for"))

    with pytest.raises(LoopError, match=r"'finder' reached max_iterations \(2\) without a final answer; raise it"):
        asyncio.run(loop_of(model, ECHO, listener=listener, max_iterations=2).run(messages))

    assert [text for _, text, _ in listener.answered] == ["You said a.", "You said b."]
    assert len(messages) == 5


def test_a_final_answer_in_the_last_iteration_is_an_answer() -> None:
    model = Scripted(calls(("echo", '{"word": "a"}')), Turn("just in time"))

    assert asyncio.run(loop_of(model, ECHO, max_iterations=2).run(user("Go"))) == "just in time"


def test_five_identical_turns_in_a_row_end_the_loop_and_name_the_call() -> None:
    listener = Listener()
    # The order of keys and white space are no difference.
    same = [calls(("echo", arguments)) for arguments in ('{"word": "a"}', '{ "word":"a" }') * 3]

    with pytest.raises(LoopError, match=r'5 identical turns in a row: echo\({"word": "a"}\)'):
        asyncio.run(loop_of(Scripted(*same), ECHO, listener=listener).run(user("Go")))

    assert len(listener.called) == 4
    assert len(listener.ended) == 5


@pytest.mark.parametrize(
    "other",
    [
        calls(("echo", '{"word": "b"}')),
        calls(("echo", '{"word": "a"}'), content="Hm."),
        calls(("echo", '{"word": "a"}'), ("echo", '{"word": "a"}')),
    ],
    ids=["other arguments", "other text", "more calls"],
)
def test_a_different_turn_in_between_starts_the_count_anew(other: Turn) -> None:
    same = calls(("echo", '{"word": "a"}'))
    turns = [*[same] * 4, other, *[same] * 4, Turn("done")]

    assert asyncio.run(loop_of(Scripted(*turns), ECHO).run(user("Go"))) == "done"


def test_polling_is_no_repetition() -> None:
    async def look() -> ToolAnswer:
        return ToolAnswer("still running")

    turns = [*[calls(("look", ""))] * 20, Turn("done")]

    assert asyncio.run(loop_of(Scripted(*turns), tool("look", look, polling=True)).run(user("Go"))) == "done"


def test_polling_along_with_another_tool_is_repetition() -> None:
    async def look() -> ToolAnswer:
        return ToolAnswer("still running")

    turns = [calls(("look", ""), ("echo", '{"word": "a"}'))] * 5

    with pytest.raises(LoopError, match="identical turns"):
        asyncio.run(loop_of(Scripted(*turns), tool("look", look, polling=True), ECHO).run(user("Go")))


def test_each_turn_is_reported_with_its_usage_and_the_messages_that_it_added() -> None:
    listener = Listener()
    messages = user("Go")
    turns = [calls(("echo", '{"word": "a"}')), Turn("done", (), Usage(5, 1, 1))]

    asyncio.run(loop_of(Scripted(*turns), ECHO, listener=listener).run(messages))

    assert [turn.usage for turn, _ in listener.ended] == [turn.usage for turn in turns]
    assert [list(added) for _, added in listener.ended] == [messages[1:3], messages[3:]]


def test_a_model_that_fails_ends_the_loop_and_earlier_turns_stay_reported() -> None:
    listener = Listener()
    messages = user("Go")
    model = Scripted(calls(("echo", '{"word": "a"}')), ModelError("out of words"))

    with pytest.raises(ModelError, match="out of words"):
        asyncio.run(loop_of(model, ECHO, listener=listener).run(messages))

    assert [turn.error for turn, _ in listener.ended] == ["", "ModelError"]
    assert len(messages) == 3


def test_the_texts_of_two_turns_do_not_run_together() -> None:
    listener = Listener()
    model = Scripted(
        calls(("echo", '{"word": "a"}'), content="First I look."),
        calls(("echo", '{"word": "b"}'), content="Then again.\n"),
        calls(("echo", '{"word": "c"}')),
        Turn("That is all."),
    )

    asyncio.run(loop_of(model, ECHO, listener=listener).run(user("Go")))

    assert listener.spoken == "First I look.\nThen again.\nThat is all."


def test_cancelling_ends_all_tool_calls_before_the_loop_returns() -> None:
    listener = Listener()
    messages = user("Go")
    ended: list[str] = []

    async def run() -> None:
        all_run = asyncio.Barrier(3)

        async def wait() -> ToolAnswer:
            try:
                await all_run.wait()
                await asyncio.Event().wait()
            finally:
                await asyncio.sleep(0)  # a tool may need a moment to clean up
                ended.append("tool")
            raise AssertionError

        async def stubborn() -> ToolAnswer:
            try:
                return await wait()
            finally:
                await asyncio.sleep(0)

        model = Scripted(calls(("wait", ""), ("stubborn", "")))
        loop = loop_of(model, tool("wait", wait), tool("stubborn", stubborn), listener=listener)
        running = asyncio.create_task(loop.run(messages))
        await all_run.wait()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        ended.append("loop")

    asyncio.run(asyncio.wait_for(run(), 20))

    assert ended == ["tool", "tool", "loop"]
    # The tokens are spent all the same; the conversation holds no turn without its answers.
    assert [(turn.usage, list(added)) for turn, added in listener.ended] == [(Usage(3, 2, 1), [])]
    assert messages == user("Go")


def test_an_error_of_the_listener_ends_the_loop_as_it_is_and_leaves_no_tool_call_running() -> None:
    class Broken(Listener):
        def tool_answered(self, call: ToolCall, answer: ToolAnswer) -> None:
            raise BrokenPipeError(f"{call.id}: {answer.text}")

    ended: list[str] = []

    async def wait() -> ToolAnswer:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("tool")
        raise AssertionError

    model = Scripted(calls(("wait", ""), ("echo", '{"word": "a"}')))

    with pytest.raises(BrokenPipeError, match="c1: You said a"):
        asyncio.run(loop_of(model, tool("wait", wait), ECHO, listener=Broken()).run(user("Go")))

    assert ended == ["tool"]


def test_a_conversation_goes_on_where_it_ended() -> None:
    messages = user("Go")
    with pytest.raises(ModelError):
        asyncio.run(loop_of(Scripted(calls(("echo", '{"word": "a"}')), ModelError("cut")), ECHO).run(messages))
    model = Scripted(Turn("done"))

    assert asyncio.run(loop_of(model, ECHO).run(messages)) == "done"
    assert [message["role"] for message in model.conversations[0]] == ["user", "assistant", "tool"]


def test_a_conversation_that_has_its_final_answer_is_not_continued() -> None:
    messages = [*user("Go"), {"role": "assistant", "content": "done"}]

    assert asyncio.run(loop_of(Scripted()).run(messages)) == "done"


def test_the_loop_works_against_a_server() -> None:
    listener = Listener()

    async def run(server: ModelServer) -> str:
        config = ModelConfig(reference="acme/large", provider="acme", name="large", base_url=server.base_url)
        model = open_model(config, environ={}, idle_timeout=20.0)
        try:
            return await loop_of(model, ECHO, listener=listener).run(user("Try it"))
        finally:
            await model.close()

    script = {
        "large": [Calls(("echo", {"word": "miau"}), ("echo", '{"word": "br'), text="Let me try."), Text("It works.")]
    }
    with ModelServer(script) as server:
        assert asyncio.run(run(server)) == "It works."

    assert server.requests[0].tools == ["echo"]
    answers = server.requests[1].tool_answers
    assert answers[0] == "You said miau."
    assert "not valid JSON" in answers[1]
    assert listener.spoken == "Let me try.\nIt works."
    assert [turn.usage for turn, _ in listener.ended] == [Usage(10, 5, 1)] * 2
