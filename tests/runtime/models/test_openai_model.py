from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from model_server import Calls, Chunks, Cut, KeepAlive, ModelServer, Raw, Refusal, Reply, Request, Stall, Status, Text
from subactors.runtime.errors import ModelError
from subactors.runtime.models.base import Turn, Usage
from subactors.runtime.models.open import open_model
from subactors.runtime.team.config import ModelConfig

KEY = "sk-a-very-secret-key"
NO_RETRY = {"x-should-retry": "false"}
TOOL = {"type": "function", "function": {"name": "look", "description": "Look.", "parameters": {"type": "object"}}}


def config(base_url: str, **fields: Any) -> ModelConfig:
    defaults: dict[str, Any] = {
        "reference": "acme/large",
        "provider": "acme",
        "name": "large",
        "base_url": base_url,
        "key_variables": ("ACME_KEY", "ACME_TOKEN"),
    }
    return ModelConfig(**(defaults | fields))


def ask(
    model: ModelConfig,
    *,
    idle_timeout: float = 20.0,
    tools: Sequence[dict[str, Any]] = (),
    on_text: Callable[[str], None] = lambda _: None,
    environ: dict[str, str] | None = None,
    retries: int = 2,
) -> Turn:
    async def complete() -> Turn:
        environ_now = {"ACME_KEY": KEY} if environ is None else environ
        client = open_model(model, environ=environ_now, idle_timeout=idle_timeout, retries=retries)
        try:
            return await client.complete([{"role": "user", "content": "Hello?"}], tools, on_text)
        finally:
            await client.close()

    return asyncio.run(complete())


def failure(reply: Reply, *, idle_timeout: float = 20.0, **fields: Any) -> str:
    """Return the message of the ModelError that a reply leads to."""
    with ModelServer(lambda _: reply) as server, pytest.raises(ModelError) as caught:
        ask(config(server.base_url, **fields), idle_timeout=idle_timeout)
    assert KEY not in str(caught.value)
    assert "acme/large" in str(caught.value)
    return str(caught.value)


def test_text_is_passed_on_piece_by_piece_as_it_comes() -> None:
    pieces: list[str] = []

    with ModelServer([Text("A rather long answer, ünïcode included. 😀")]) as server:
        turn = ask(config(server.base_url), on_text=pieces.append)

    assert (turn.content, turn.tool_calls) == ("A rather long answer, ünïcode included. 😀", ())
    assert turn.usage == Usage(10, 5, 1)
    assert "".join(pieces) == turn.content
    assert len(pieces) > 3


def test_text_arrives_while_the_stream_is_still_open() -> None:
    with ModelServer([Stall(after="early", then=" late")]) as server:

        def release(piece: str) -> None:
            if piece == "early":
                server.release()

        turn = ask(config(server.base_url), on_text=release)

    assert turn.content == "early late"


def test_several_tool_calls_come_with_their_arguments_whole() -> None:
    calls: list[tuple[str, dict[str, Any] | str]] = [
        ("run_background_agent", {"agent": "a", "task": "find it"}),
        ("look", {"where": ["ü", "😀"]}),
        ("noop", {}),
    ]

    with ModelServer([Calls(*calls, text="Let me see.")]) as server:
        turn = ask(config(server.base_url), tools=[TOOL])

    assert turn.content == "Let me see."
    assert [call.name for call in turn.tool_calls] == ["run_background_agent", "look", "noop"]
    assert turn.tool_calls[0].arguments == '{"agent": "a", "task": "find it"}'
    assert len({call.id for call in turn.tool_calls}) == 3


def test_the_request_holds_conversation_tools_and_options_as_the_team_file_has_them() -> None:
    with ModelServer([Text("ok")]) as server:
        ask(config(server.base_url, options={"temperature": 0.5, "top_k": 40, "stop": None}), tools=[TOOL])
        body = server.requests[0].body

    assert body == {
        "model": "large",
        "messages": [{"role": "user", "content": "Hello?"}],
        "tools": [TOOL],
        "temperature": 0.5,
        "top_k": 40,
        "stream": True,
        "stream_options": {"include_usage": True},
    }


def test_without_tools_the_request_names_none() -> None:
    with ModelServer([Text("ok")]) as server:
        ask(config(server.base_url))

    assert "tools" not in server.requests[0].body


def test_an_option_that_is_null_takes_a_parameter_out() -> None:
    with ModelServer([Text("ok")]) as server:
        turn = ask(config(server.base_url, options={"stream_options": None}))

    assert "stream_options" not in server.requests[0].body
    assert turn.usage == Usage(0, 0, 1)


def test_the_key_is_sent_to_the_server() -> None:
    with ModelServer([Text("ok")]) as server:
        ask(config(server.base_url))

    assert server.authorizations == [f"Bearer {KEY}"]


def test_without_a_key_variable_no_key_is_sent_even_if_the_environment_has_one_of_openai(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for variable in ("OPENAI_API_KEY", "OPENAI_ADMIN_KEY", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID"):
        monkeypatch.setenv(variable, KEY)

    with ModelServer([Text("ok")]) as server:
        ask(config(server.base_url, key_variables=()))
        headers = server.requests[0].headers

    assert KEY not in "".join(headers.values())


def test_a_missing_key_is_an_error_that_names_the_variables() -> None:
    with pytest.raises(ModelError, match=r"ACME_KEY or ACME_TOKEN"):
        ask(config("http://127.0.0.1:1/v1"), environ={})


def test_a_rejected_key_is_an_error_that_names_the_variables_and_not_the_key() -> None:
    message = failure(Status(401, f"Incorrect API key provided: {KEY}."))

    assert "does not accept the key" in message
    assert "ACME_KEY or ACME_TOKEN" in message
    assert "Incorrect API key provided: [key]." in message


@pytest.mark.parametrize("length", range(0, 320, 16))
def test_no_part_of_a_key_is_left_where_what_a_server_sent_is_cut(length: int) -> None:
    long = f"{'=' * length} {KEY} {'=' * 1000}"
    replies: list[Reply] = [
        Raw(long),
        Raw(f"{' ' * (1000 - length)}{KEY}"),
        Chunks(f"{{{long}"),
        Chunks({"choices": long}),
        Chunks({"choices": [{"delta": {"tool_calls": [long]}}]}),
        Chunks({"choices": [{"delta": {"content": long}, "finish_reason": "content_filter"}]}),
        Chunks({"choices": [{"delta": {"content": "Well, "}, "finish_reason": long}]}),
        Status(307, "elsewhere", headers={"location": f"http://else/{long.replace(' ', '/')}"}),
    ]
    for reply in replies:
        with ModelServer(lambda _, reply=reply: reply) as server, pytest.raises(ModelError) as caught:
            ask(config(server.base_url), retries=0)
        assert "sk-" not in str(caught.value)
        assert len(str(caught.value)) < 1500


@pytest.mark.parametrize("begin", ['{"error": ', '{"message": ', "["])
def test_an_error_nested_more_deeply_than_anybody_would_is_an_error_in_words(begin: str) -> None:
    end = "}" if begin.startswith("{") else "]"
    for depth in (5, 300, *range(900, 990, 3), 2000):
        message = failure(Status(400, body=f'{begin * depth}"no such thing"{end * depth}'))
        assert "rejected the request (400: " in message


def test_a_server_that_asks_for_an_unforeseen_key_is_told_about_token_key() -> None:
    assert "token_key" in failure(Status(401, "who are you?"), key_variables=())


def test_a_denied_model_is_an_error_that_names_it() -> None:
    message = failure(Status(403, "not in your country"))

    assert "not in your country" in message
    assert "'large'" in message


def test_an_unknown_model_is_an_error_that_names_model_and_base_url() -> None:
    message = failure(Status(404, "no such model"))

    assert "no such model" in message
    assert "'large'" in message
    assert "http://127.0.0.1:" in message


def test_a_wrong_path_in_the_base_url_is_an_error_that_names_it() -> None:
    with ModelServer([]) as server, pytest.raises(ModelError) as caught:
        ask(config(server.base_url + "/wrong"))

    assert server.base_url + "/wrong" in str(caught.value)


def test_a_rejected_request_is_an_error_in_the_servers_words() -> None:
    assert "context is too long" in failure(Status(400, "context is too long"))
    assert "top_k: not allowed" in failure(Status(422, body='{"detail": [{"msg": "top_k: not allowed"}]}'))
    assert "plain words" in failure(Status(400, body="plain words"))


def test_a_rate_limit_is_tried_again() -> None:
    with ModelServer([Status(429, headers={"retry-after-ms": "1"}), Text("at last")]) as server:
        turn = ask(config(server.base_url))

    assert turn.content == "at last"
    assert turn.usage.requests == 1
    assert len(server.requests) == 2


def test_a_rate_limit_that_was_not_tried_again_claims_no_retries() -> None:
    message = failure(Status(429, "quota used up", NO_RETRY))

    assert "quota used up" in message
    assert "times" not in message


def test_a_failure_of_the_server_is_an_error_that_says_whose_fault_it_is() -> None:
    message = failure(Status(503, "overloaded", NO_RETRY))

    assert "503: overloaded" in message
    assert "The fault is the server's" in message


def test_a_redirect_is_an_error_that_names_the_target() -> None:
    message = failure(Status(308, headers={"location": "https://elsewhere.example/v1"}))

    assert "https://elsewhere.example/v1" in message
    assert "base_url" in message


def test_a_server_that_does_not_run_is_an_error_that_names_the_url() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

    with pytest.raises(ModelError, match=rf"cannot connect to http://127\.0\.0\.1:{port}/v1.*Is the server running"):
        ask(config(f"http://127.0.0.1:{port}/v1"))


def test_a_server_that_breaks_the_connection_at_once_is_an_error() -> None:
    message = failure(Cut(after=None))

    assert "closed the connection without an answer" in message
    assert "It was tried 3 times." in message


def test_a_server_that_does_not_begin_to_answer_is_an_error() -> None:
    message = failure(Stall(after=None), idle_timeout=0.2)

    assert "did not begin to answer within 0.2 s" in message
    assert "model_idle_timeout" in message


def test_a_stalled_stream_is_an_error_that_says_after_how_much() -> None:
    message = failure(Stall(after="0123456789"), idle_timeout=1.0)

    assert "stalled: nothing came for 1 s, after 10 characters" in message


def test_a_stream_cut_in_the_middle_is_an_error() -> None:
    assert "broke the connection after 5 characters" in failure(Cut(after="01234"))


def test_a_stream_that_ends_before_anything_was_said_is_an_error() -> None:
    assert "ended before anything was said" in failure(Chunks(done=False))
    assert "ended before anything was said" in failure(Raw("", "text/event-stream"))


def test_a_web_page_in_place_of_a_stream_is_an_error_that_shows_its_beginning() -> None:
    message = failure(Raw("<html><title>Welcome to nginx!</title></html>"))

    assert "not a streamed chat completion" in message
    assert "Welcome to nginx!" in message


def test_json_in_place_of_a_stream_is_an_error_that_shows_its_beginning() -> None:
    assert "no model loaded" in failure(Raw('{"error": "no model loaded"}', "application/json"))


def test_an_event_that_is_no_json_is_an_error() -> None:
    assert "not a streamed chat completion" in failure(Chunks("{half an"))


def test_an_event_that_is_no_chunk_is_an_error() -> None:
    assert "not a streamed chat completion" in failure(Chunks('"just a string"'))
    assert "not a streamed chat completion" in failure(Chunks({"choices": [{"delta": {"content": 17}}]}))


def test_an_error_inside_the_stream_is_an_error_in_the_servers_words() -> None:
    assert "out of memory" in failure(Chunks({"error": {"message": "out of memory"}}))
    assert "out of memory" in failure(Chunks({"error": "out of memory"}))
    assert "out of memory" in failure(Chunks({"object": "error", "message": "out of memory", "code": 500}))


def test_a_refusal_is_an_error_with_the_models_words() -> None:
    assert "the model refused: I will not do that." in failure(Refusal("I will not do that."))


def test_a_content_filter_is_an_error_with_what_was_said() -> None:
    message = failure(Text("Once upon", finish="content_filter"))

    assert "the model refused" in message
    assert "content filter" in message
    assert "Once upon" in message


def test_tokens_used_up_before_anything_was_said_are_an_error() -> None:
    assert "Raise max_tokens" in failure(Text("", finish="length"))


def test_a_stream_that_says_done_without_a_finish_reason_is_an_answer() -> None:
    with ModelServer([Text("all there is", finish=None)]) as server:
        assert ask(config(server.base_url)).content == "all there is"


@pytest.mark.parametrize("after", [None, "half an ans"], ids=["before the answer", "in the answer"])
def test_cancelling_closes_the_connection(after: str | None) -> None:
    async def cancel(server: ModelServer) -> None:
        client = open_model(config(server.base_url), environ={"ACME_KEY": KEY}, idle_timeout=60.0)
        spoken = asyncio.Event()
        asking = asyncio.create_task(client.complete([], [], lambda _: spoken.set()))
        await asyncio.to_thread(server.wait_for_requests, 1)
        if after is not None:
            await spoken.wait()
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        await asyncio.to_thread(server.wait_for_disconnects, 1)
        await client.close()

    with ModelServer([Stall(after=after)]) as server:
        asyncio.run(cancel(server))


def test_an_error_of_the_listener_goes_through_and_closes_the_connection() -> None:
    def fail(_: str) -> None:
        raise ZeroDivisionError

    with ModelServer([Stall(after="something")]) as server:
        with pytest.raises(ZeroDivisionError):
            ask(config(server.base_url), on_text=fail)
        server.wait_for_disconnects(1)


def test_a_server_that_only_keeps_the_connection_alive_has_stalled_in_the_end() -> None:
    message = failure(KeepAlive(), idle_timeout=0.1)
    assert "it kept the connection alive, and said nothing for 0.5 s" in message
    assert "It was the second time." in message


def test_a_stream_that_ends_before_the_answer_is_complete_is_an_error() -> None:
    message = failure(Chunks({"choices": [{"index": 0, "delta": {"content": "half a sen"}}]}, done=False))
    assert "after 10 characters of text without saying that it was complete" in message


def test_a_time_to_come_back_that_is_too_far_is_told_and_not_waited_for() -> None:
    message = failure(Status(429, "slow down", {"retry-after": "3600"}))
    assert "It says to come back after 3600 s." in message
    assert "It was not waited for, as `rate_patience` is 600 s." in message


def test_azure_gets_the_key_under_both_names() -> None:
    with ModelServer([Text("ok")]) as server:
        ask(config(server.base_url, provider="azure"))

    headers = server.requests[0].headers
    assert (headers["api-key"], headers["authorization"]) == (KEY, f"Bearer {KEY}")


def test_many_requests_at_once_share_one_client() -> None:
    async def complete_all(server: ModelServer) -> list[Turn]:
        client = open_model(config(server.base_url), environ={"ACME_KEY": KEY}, idle_timeout=20.0)
        try:
            return await asyncio.gather(
                *(client.complete([{"role": "user", "content": str(n)}], [], lambda _: None) for n in range(20))
            )
        finally:
            await client.close()

    def echo(request: Request) -> Reply:
        return Text(f"you said {request.messages[-1]['content']}")

    with ModelServer(echo) as server:
        turns = asyncio.run(complete_all(server))

    assert [turn.content for turn in turns] == [f"you said {n}" for n in range(20)]


def test_after_preloading_the_first_request_imports_nothing_and_starts_no_process() -> None:
    script = """
import asyncio, subprocess, sys
from subactors.runtime.models.open import open_model, preload
from subactors.runtime.team.config import ModelConfig

async def main():
    model = open_model(
        ModelConfig(reference="a/b", provider="a", name="b", base_url=sys.argv[1]), environ={}, idle_timeout=20.0
    )
    turn = await model.complete([{"role": "user", "content": "Hello?"}], [], lambda _: None)
    await model.close()
    return turn.content

preload()
loaded = set(sys.modules)
subprocess.Popen = None
print(asyncio.run(main()), sorted(set(sys.modules) - loaded))
"""
    with ModelServer([Text("ok")]) as server:
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", script, server.base_url],
            capture_output=True,
            text=True,
            timeout=50,
            check=False,
        )

    assert (done.returncode, done.stdout, done.stderr) == (0, "ok []\n", "")
