"""Rate limits of one model: waited for, told, and bounded; faults inside a stream, tried again like those outside."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import Any

import pytest
from model_server import Chunks, ModelServer, Raw, Reply, Status, Text
from subactors.runtime.errors import ModelError, RateLimitError
from subactors.runtime.models.base import Turn, Usage
from subactors.runtime.models.open import open_agent_model, open_model
from subactors.runtime.team.config import AgentConfig, Fallback, ModelConfig

SOON = {"retry-after-ms": "1"}
BUSY = Status(429, "slow down", SOON)


def config(server: ModelServer, name: str = "m") -> ModelConfig:
    return ModelConfig(reference=f"acme/{name}", provider="acme", name=name, base_url=server.base_url)


def ask(
    server: ModelServer,
    *,
    on_text: Callable[[str], None] = lambda _: None,
    patience: float = 600.0,
    retries: int = 2,
) -> Turn:
    async def complete() -> Turn:
        model = open_model(config(server), environ={}, idle_timeout=20.0, retries=retries, rate_patience=patience)
        try:
            return await model.complete([{"role": "user", "content": "Hello?"}], [], on_text)
        finally:
            await model.close()

    return asyncio.run(complete())


def error(body: dict[str, Any], text: str = "") -> Reply:
    pieces = [{"choices": [{"index": 0, "delta": {"content": text}}]}] if text else []
    return Chunks(*pieces, body)


def test_a_rate_limit_is_asked_again_more_often_than_a_fault_is() -> None:
    with ModelServer([BUSY, BUSY, Text("at last")]) as server:
        assert ask(server, retries=0).content == "at last"


@pytest.mark.parametrize(
    "body",
    [
        {"error": {"code": 429, "message": "Rate limit exceeded"}},
        {"error": {"message": "Please try again in 1ms.", "type": "requests", "code": "rate_limit_exceeded"}},
        {"object": "error", "message": "slow down", "type": "RateLimitError", "code": 429},
    ],
)
def test_a_rate_limit_inside_a_stream_is_waited_for(body: dict[str, Any]) -> None:
    with ModelServer([error(body), Text("at last")]) as server:
        assert ask(server, retries=0).content == "at last"


@pytest.mark.parametrize(
    "body",
    [
        {"error": {"code": 502, "message": "Provider returned error"}, "id": "x", "choices": []},
        {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}},
        {"object": "error", "message": "engine is restarting", "type": "ServiceUnavailable", "code": 503},
        {"error": "upstream connection reset"},
        {"error": "busy", "code": 503},
        {"choices": [{"index": 0, "error": {"code": 502, "message": "Provider returned error"}}]},
    ],
)
def test_a_fault_of_the_server_inside_a_stream_is_tried_again(body: dict[str, Any]) -> None:
    with ModelServer([error(body), Text("second try")]) as server:
        assert ask(server).content == "second try"


def test_a_request_that_is_sent_again_says_so_and_why() -> None:
    heard: list[str] = []
    busy = Status(503, "too many guests", {"retry-after-ms": "1"})
    with ModelServer([busy, Text("The answer.")]) as server:
        ask(server, on_text=heard.append)

    said, answer = "".join(heard).split("\n")
    assert re.fullmatch(r"\[.*503: too many guests.* It is asked again in 0\.0 s\.\]", said)
    assert answer == "The answer."


def test_a_fault_in_the_middle_of_an_answer_is_tried_again_and_what_was_said_is_marked() -> None:
    heard: list[str] = []
    with ModelServer([error({"error": {"code": 502, "message": "gone"}}, "The ans"), Text("The answer.")]) as server:
        turn = ask(server, on_text=heard.append)

    assert turn.content == "The answer."
    assert "".join(heard) == "The ans\n[The answer broke off here, and is asked for again.]\nThe answer."


def test_a_rate_limit_in_the_middle_of_an_answer_is_waited_for() -> None:
    heard: list[str] = []
    limited = error({"error": {"code": 429, "message": "try again in 1ms"}}, "The ans")
    with ModelServer([limited, Text("The answer.")]) as server:
        turn = ask(server, on_text=heard.append)

    assert turn.content == "The answer."
    assert "".join(heard) == "The ans\n[waiting for the rate limit of acme/m, 0 s]\nThe answer."


def test_too_many_tokens_in_a_minute_are_a_rate_limit_and_not_too_long_a_conversation() -> None:
    body = '{"error": {"message": "Too many tokens, please wait before trying again.", "type": "throttling_error"}}'
    with ModelServer([Status(429, body=body, headers={"Retry-After": "0"}), Text("at last")]) as server:
        assert ask(server).content == "at last"


def test_a_fault_inside_a_stream_that_stays_is_an_error_that_tells_how_often_it_was_tried() -> None:
    gone = error({"error": {"code": 502, "message": "gone"}})
    with ModelServer([gone] * 3) as server, pytest.raises(ModelError, match=r"502: gone\. It was tried 3 times\."):
        ask(server)


def test_an_error_of_the_request_inside_a_stream_is_told_at_once() -> None:
    bad = error({"error": {"code": 400, "message": "bad schema", "type": "invalid_request_error"}})
    with ModelServer([bad]) as server, pytest.raises(ModelError, match="400: bad schema"):
        ask(server)


@pytest.mark.parametrize("inside", [False, True])
def test_an_exhausted_quota_fails_at_once(inside: bool) -> None:
    body = '{"error": {"message": "You exceeded your current quota.", "code": "insufficient_quota"}}'
    reply = Raw(body=f"data: {body}\n\n", content_type="text/event-stream") if inside else Status(429, body=body)
    with ModelServer([reply]) as server, pytest.raises(ModelError, match=r"quota is exhausted.*Waiting does not help"):
        ask(server)


def test_patience_has_an_end() -> None:
    with ModelServer(lambda _: Status(429, "slow down", {"retry-after-ms": "50"})) as server:
        with pytest.raises(RateLimitError, match=r"slow down.*`rate_patience` is 0\.2 s"):
            ask(server, patience=0.2)

        assert len(server.requests) > 1


def test_without_patience_a_rate_limit_is_an_error_at_once() -> None:
    with ModelServer([BUSY]) as server, pytest.raises(RateLimitError, match="`rate_patience` is 0 s"):
        ask(server, patience=0.0)


def test_a_server_that_asks_for_more_than_the_patience_is_not_waited_for() -> None:
    tomorrow = Status(429, "come tomorrow", {"retry-after": "86400"})
    with ModelServer([tomorrow]) as server, pytest.raises(RateLimitError, match="to come back after 86400 s"):
        ask(server)


def test_a_wait_ends_at_once_when_the_turn_is_cancelled() -> None:
    async def cancel() -> None:
        waits = asyncio.Event()
        model = open_model(config(server), environ={}, idle_timeout=20.0)
        turn = asyncio.create_task(model.complete([], [], lambda _: waits.set()))
        await waits.wait()
        turn.cancel()
        with pytest.raises(asyncio.CancelledError):
            await turn
        await model.close()

    with ModelServer([Status(429, "slow down", {"retry-after": "500"})]) as server:
        asyncio.run(asyncio.wait_for(cancel(), 20.0))


def test_a_conversation_that_has_more_tokens_than_a_minute_may_have_is_too_long() -> None:
    words = "Request too large for gpt-4o on tokens per min (TPM): Limit 30000, Requested 40000."
    body = f'{{"error": {{"message": "{words}", "type": "tokens", "code": "rate_limit_exceeded"}}}}'
    with ModelServer([Status(429, body=body)]) as server, pytest.raises(ModelError, match="conversation is too long"):
        ask(server)


def together(*servers: ModelServer) -> Turn:
    first, *others = (config(server, f"m{n}") for n, server in enumerate(servers))
    agent = AgentConfig(name="a", model=first, fallback=Fallback(models=tuple(others), retries=0))

    async def complete() -> Turn:
        model = open_agent_model(agent, environ={}, idle_timeout=20.0)
        try:
            return await model.complete([{"role": "user", "content": "Hello?"}], [], lambda _: None)
        finally:
            await model.close()

    return asyncio.run(complete())


def test_another_model_is_asked_instead_of_waiting() -> None:
    with ModelServer([Status(429, "slow", {"retry-after": "500"})]) as first, ModelServer([Text("here")]) as second:
        assert together(first, second).content == "here"


def test_a_limited_model_is_waited_for_when_the_other_cannot_answer_at_all() -> None:
    with ModelServer([BUSY, Text("at last")]) as first, ModelServer(lambda _: Status(404, "gone")) as second:
        assert together(first, second).content == "at last"


def test_what_an_answer_cost_that_was_limited_counts_with_the_next() -> None:
    event = {"choices": [{"delta": {"content": "half"}}], "usage": {"prompt_tokens": 100, "completion_tokens": 1}}
    limited = Chunks(event, {"error": {"code": 429, "message": "try again in 1ms"}})
    with ModelServer([limited, Text("whole")]) as server:
        assert ask(server).usage == Usage(110, 6, 2)
