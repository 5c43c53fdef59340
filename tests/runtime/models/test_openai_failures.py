"""What a server does wrong, or refuses, becomes an error in words."""

from __future__ import annotations

import socket

import pytest
from first_forms import first_always
from model_questions import KEY, ask, config, failure
from model_server import Chunks, Cut, KeepAlive, ModelServer, Raw, Refusal, Reply, Stall, Status, Text
from subactors.runtime.errors import ModelError

NO_RETRY = {"x-should-retry": "false"}


def test_a_missing_key_is_an_error_that_names_the_variables() -> None:
    with pytest.raises(ModelError, match=r"ACME_KEY or ACME_TOKEN"):
        ask(config("http://127.0.0.1:1/v1"), environ={})


def test_a_rejected_key_is_an_error_that_names_the_variables_and_not_the_key() -> None:
    message = failure(Status(401, f"Incorrect API key provided: {KEY}."))

    assert "does not accept the key" in message
    assert "ACME_KEY or ACME_TOKEN" in message
    assert "Incorrect API key provided: [key]." in message


@first_always("length", range(0, 320, 16), keep=8)
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
