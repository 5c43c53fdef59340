"""Tasks whose model servers answer in ways of their own: what becomes of the task, and what its server gets back."""

from __future__ import annotations

import json
from typing import Any

import pytest
from model_server import Chunks, ModelServer, Raw, Reply, Request, Text
from subactors.runtime import Runtime, TaskView
from teams import run_and_wait

pytestmark = pytest.mark.usefixtures("zygote_for_models")


def run(server: ModelServer) -> TaskView:
    agent = {"model": "m", "toolsets": [{"type": "think"}, {"type": "todo"}]}
    models = {"m": {"provider": "acme", "model": "large", "base_url": server.base_url}}
    with Runtime.from_mapping({"agents": {"a": agent}, "models": models}, standby=0) as runtime:
        return run_and_wait(runtime, "a")


def chunk(finish: str | None = None, **delta: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}


def called(name: str, arguments: Any, **more: Any) -> dict[str, Any]:
    return {"index": 0, "type": "function", "function": {"name": name, "arguments": arguments}, **more}


def test_a_task_whose_model_only_reasons_fails_with_a_reason() -> None:
    with ModelServer(lambda _: Chunks(chunk(reasoning_content="It is Paris."), chunk("stop"))) as server:
        view = run(server)
        assert len(server.requests) == 2

    assert view.status == "failed"
    assert "ended before anything was said (but had reasoned)" in view.reason
    assert "Paris" not in view.output + view.reason


def test_a_task_whose_model_only_reasons_in_its_text_fails_with_a_reason() -> None:
    with ModelServer(lambda _: Chunks(chunk(content="<think>It is Paris.</think>"), chunk("stop"))) as server:
        view = run(server)

    assert view.status == "failed"
    assert "Paris" not in view.output + view.reason


def test_calls_in_odd_shapes_are_made_and_what_is_opaque_goes_back() -> None:
    signature = {"google": {"thought_signature": "abc"}}
    calls = [called("list_todos", None, id=1), called("think", {"thought": "hm"}, id=2), called("list_todos", [], id=3)]
    late = {"index": 0, "id": 2, "extra_content": signature}

    def reply(request: Request) -> Reply:
        if request.turn:
            return Raw(json.dumps({"choices": [{"message": {"content": "Done."}, "finish_reason": "stop"}]}))
        return Chunks(
            chunk(reasoning="Let me "),
            chunk(reasoning="see.", content="<think>Hm.</think>I look."),
            chunk(tool_calls=calls),
            chunk("function_call", tool_calls=[late]),
        )

    with ModelServer(reply) as server:
        view = run(server)
        sent = server.requests[1].messages

    assert (view.status, view.result) == ("completed", "Done.")
    assert view.output == "I look.\nDone."
    (message,) = (message for message in sent if message["role"] == "assistant")
    assert (message["content"], message["reasoning"]) == ("<think>Hm.</think>I look.", "Let me see.")
    assert [call["function"]["name"] for call in message["tool_calls"]] == ["list_todos", "think", "list_todos"]
    assert [call.get("extra_content") for call in message["tool_calls"]] == [None, signature, None]
    assert [message["role"] for message in sent][-3:] == ["tool"] * 3
    assert "Invalid" not in json.dumps(sent)


def test_half_a_call_that_breaks_off_is_not_made_and_the_task_goes_on() -> None:
    replies = [Chunks(chunk(tool_calls=[called("think", '{"thought": "h', id="1")]), chunk("abort")), Text("Done.")]
    with ModelServer(replies) as server:
        view = run(server)
        assert server.requests[0].body == server.requests[1].body

    assert (view.status, view.result, view.usage.requests) == ("completed", "Done.", 2)
