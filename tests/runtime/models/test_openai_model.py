from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import Any

import pytest
from model_questions import KEY, ask, config
from model_server import Calls, ModelServer, Reply, Request, Stall, Text
from subactors.runtime.models.base import Turn, Usage
from subactors.runtime.models.open import open_model

TOOL = {"type": "function", "function": {"name": "look", "description": "Look.", "parameters": {"type": "object"}}}


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
    assert turn.usage.estimated == 1  # nobody says what it was


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
