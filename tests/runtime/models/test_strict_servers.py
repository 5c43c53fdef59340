"""Agents at servers that refuse a whole conversation for one message: with fallbacks, restarts and short histories."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from model_server import Calls, Chunks, ModelServer, Reply, Request, Status, Text
from strict_server_rules import check, roles
from subactors.runtime import Runtime
from subactors.runtime.agent.continuation import EFFECTS_UNKNOWN
from subactors.runtime.agent.loop import AgentLoop
from subactors.runtime.errors import ModelError
from subactors.runtime.models.base import Message, ToolCall, Turn
from subactors.runtime.models.open import open_agent_model
from subactors.runtime.team.config import AgentConfig, Fallback, ModelConfig
from subactors.runtime.team.permissions import Permissions
from subactors.runtime.toolsets.base import NoParameters, Tool, ToolAnswer, ToolBox, Toolset
from teams import PATIENCE

REASONING = "I should look first."
GO_AHEAD: Sequence[Message] = ({"role": "user", "content": "Go ahead."},)
SIGNATURE = {"google": {"thought_signature": "c2lnbmVk"}}


class Strict:
    """A script of a server that checks each request before it answers as another script says.

    Args:
        script: answers what has been found right.
        short_ids: whether call ids must have nine letters and digits.
        wants: the field that each turn of a model must have.
    """

    def __init__(self, script: Callable[[Request], Reply], *, short_ids: bool = False, wants: str = "") -> None:
        self._script = script
        self._short_ids = short_ids
        self._wants = wants

    def __call__(self, request: Request) -> Reply:
        check(request.messages, short_ids=self._short_ids)
        if self._wants:
            assert all(message.get(self._wants) for message in request.messages if message["role"] == "assistant")
        return self._script(request)


class Looks(Toolset):
    """A tool whose answers differ."""

    def __init__(self) -> None:
        self.answers = 0

    @property
    def tools(self) -> Sequence[Tool]:
        async def look(_: object) -> ToolAnswer:
            self.answers += 1
            return ToolAnswer("" if self.answers == 2 else f"Look {self.answers}.")

        return [Tool("look", "Looks.", NoParameters, look)]


class Deaf:
    def text(self, piece: str) -> None: ...
    def calls_begin(self, turn: Turn, messages_added: Sequence[Message], told: Sequence[str] = ()) -> None: ...
    async def calls_written(self) -> None: ...
    def tool_called(self, call: ToolCall) -> None: ...
    def tool_answered(self, call: ToolCall, answer: ToolAnswer) -> None: ...
    def turn_ended(self, turn: Turn, messages_added: Sequence[Message], *_: Any) -> None: ...


def model(server: ModelServer, name: str = "large", provider: str = "acme") -> ModelConfig:
    return ModelConfig(reference=name, provider=provider, name=name, base_url=server.base_url)


def run(
    *models: ModelConfig, start: Sequence[Message] = GO_AHEAD, items: int = 0, **of_box: Any
) -> tuple[str, list[Message], Looks]:
    """Run an agent's loop; return its answer, the conversation and the toolset."""
    looks = Looks()
    fallback = Fallback(models=models[1:], retries=0, cooldown=0.0)
    agent = AgentConfig(name="a", model=models[0], fallback=fallback, num_history_items=items)
    messages = list(start)

    async def work() -> str:
        client = open_agent_model(agent, environ={}, idle_timeout=20.0)
        try:
            return await AgentLoop(agent, client, ToolBox([looks], **of_box), Deaf(), 100).run(messages)
        finally:
            await client.close()

    return asyncio.run(work()), messages, looks


def thinks(name: str | None = "look", call_id: object = "call_0", **more: Any) -> Chunks:
    """A reply that reasons and calls a tool."""
    called = {"index": 0, "id": call_id, "type": "function", "function": {"name": name, "arguments": "{}"}, **more}
    return Chunks(
        {"choices": [{"index": 0, "delta": {"reasoning_content": REASONING[:7]}}]},
        {"choices": [{"index": 0, "delta": {"reasoning_content": REASONING[7:]}}]},
        {"choices": [{"index": 0, "delta": {"tool_calls": [called]}}]},
        {"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]},
    )


def reasoning_of(request: Request) -> list[str | None]:
    """Return the reasoning of each turn in a request."""
    return [message.get("reasoning_content") for message in request.messages if message["role"] == "assistant"]


MADE_UP: list[str | None] = [
    "",
    None,
    " ",
    "look at that",
    "<tool_call>look</tool_call>",
    "$LOOK",
    "browser.tabs.open",
    "look" * 40,
    "ünïcode",
    "functions.find",
]


@pytest.mark.parametrize("name", MADE_UP)
def test_a_name_that_a_model_made_up_is_answered_and_does_not_spoil_the_conversation(name: str | None) -> None:
    replies = itertools.chain([thinks(name)], [Text("done")])
    with ModelServer(Strict(lambda _: next(replies))) as server:
        answer, messages, looks = run(model(server))

        assert answer == "done"
        assert "Available tools: look." in server.requests[1].tool_answers[0]
    assert looks.answers == 0
    assert messages[1]["tool_calls"][0]["function"]["name"] == (name or "")


@pytest.mark.parametrize("name", ["functions.look", " look\n", "look<|channel|>commentary", "default_api.look"])
def test_a_name_in_the_models_own_format_calls_the_tool_that_it_means(name: str) -> None:
    replies = itertools.chain([thinks(name)], [Text("done")])
    with ModelServer(Strict(lambda _: next(replies))) as server:
        assert run(model(server))[2].answers == 1

        assert server.requests[1].messages[1]["tool_calls"][0]["function"]["name"] == "look"
        assert server.requests[1].tool_answers == ["Look 1."]


def test_a_denied_tool_is_not_called_under_another_spelling() -> None:
    replies = itertools.chain([thinks("functions.look")], [Text("done")])
    with ModelServer(Strict(lambda _: next(replies))) as server:
        assert run(model(server), permissions=Permissions(deny=("look",)))[2].answers == 0

        # The request offers no other tool, so the call and its answer are text in it.
        assert "[look answered: Tool 'look' is denied by the team file's" in server.requests[1].messages[-1]["content"]
        assert server.requests[1].tools == []


def test_a_fallback_gets_call_ids_that_it_takes_and_none_of_the_reasoning() -> None:
    def fails_later(request: Request) -> Reply:
        return (
            Status(400, "gone") if request.turn else thinks(call_id="chatcmpl-tool-0123456789", extra_content=SIGNATURE)
        )

    with (
        ModelServer(fails_later) as first,
        ModelServer(Strict(lambda _: Text("done"), short_ids=True)) as second,
    ):
        assert run(model(first), model(second, "mistral-large", "mistral"))[0] == "done"

        assert reasoning_of(second.requests[0]) == [None]
        assert roles(second.requests[0].messages) == "uCt"
        assert "extra_content" not in second.requests[0].messages[1]["tool_calls"][0]


@pytest.mark.parametrize("status", [400, 422])
def test_a_server_that_does_not_take_back_what_it_sends_gets_it_no_more(status: int) -> None:
    def script(request: Request) -> Reply:
        if any(reasoning_of(request)):
            return Status(status, "Extra inputs are not permitted, field: 'messages[1].reasoning_content'")
        if any("extra_content" in made for message in request.messages for made in message.get("tool_calls", ())):
            return Status(status, "property 'extra_content' is unsupported")
        return Text("done") if request.turn == 3 else thinks(extra_content=SIGNATURE)

    with ModelServer(Strict(script)) as server:
        assert run(model(server))[0] == "done"
        # It was asked again once for each of the two fields, and not at all in later turns.
        assert len(server.requests) == 6


def gemma(request: Request) -> str | None:
    """Return how the chat template of Gemma 2 complains, which knows neither tools nor a system message."""
    said = [message["role"] for message in request.messages]
    if said[0] == "system":
        return "System role not supported"
    if said != ["user", "assistant"] * (len(said) // 2) + ["user"]:
        return "Conversation roles must alternate user/assistant/user/assistant/..."
    return None


def mistral_7b(request: Request) -> str | None:
    """Return how the chat template of Mistral 7B complains, in whose words a system message is out of turn, too."""
    return gemma(request) and "Conversation roles must alternate user/assistant/user/assistant/..."


@pytest.mark.parametrize("template", [gemma, mistral_7b])
@pytest.mark.parametrize("status", [400, 500])
def test_a_template_that_knows_neither_tools_nor_system_messages_gets_all_of_it_as_text(
    template: Callable[[Request], str | None], status: int
) -> None:
    def script(request: Request) -> Reply:
        if complaint := template(request):
            return Status(status, complaint)
        return Text("done") if request.turn == 2 else thinks(call_id=None)

    start = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Go ahead."}]
    with ModelServer(Strict(script)) as server:
        assert run(model(server), start=start)[0] == "done"

        first, *_, last = (message["content"] for message in server.requests[-1].messages)
        assert first == "Be brief.\n\nGo ahead."
        assert last == "[look answered: (empty)]"
        # Each of the two is learned once.
        assert len(server.requests) == 5


def test_a_server_that_misses_what_it_was_sent_is_not_asked_without_it() -> None:
    def script(request: Request) -> Reply:
        return Status(400, "The `reasoning_content` must be passed back.") if request.turn else thinks()

    with ModelServer(Strict(script)) as server:
        with pytest.raises(ModelError, match="must be passed back"):
            run(model(server))
        assert len(server.requests) == 2


def test_a_model_that_is_back_after_a_fallback_gets_its_own_reasoning_back_and_none_of_the_others() -> None:
    away = iter([False, True, False, False])

    def first_script(request: Request) -> Reply:
        if next(away):
            return Status(400, "away")
        return Text("done") if request.turn == 3 else thinks()

    def second_script(_: Request) -> Reply:
        return thinks(call_id="abcdefghi")

    with (
        ModelServer(Strict(first_script, wants="reasoning_content")) as first,
        ModelServer(Strict(second_script, short_ids=True)) as second,
    ):
        assert run(model(first, "thinker", "deepseek"), model(second, "mistral-large", "mistral"))[0] == "done"

        assert reasoning_of(first.requests[-1]) == [REASONING, " ", REASONING]
        assert reasoning_of(second.requests[-1]) == [None]


@pytest.mark.parametrize("call_id", [None, "", "same", 7, 0])
def test_ids_that_are_missing_or_come_twice_are_unique_and_fit_mistral(call_id: object) -> None:
    def script(request: Request) -> Reply:
        return Text("done") if request.turn == 4 else thinks(call_id=call_id)

    with ModelServer(Strict(script, short_ids=True)) as server:
        assert run(model(server, "mistral-small", "mistral"))[0] == "done"


@pytest.mark.parametrize("items", [1, 2, 3, 4, 5])
def test_a_history_that_is_cut_keeps_to_the_rules(items: int) -> None:
    def script(_: Request) -> Reply:
        turn = next(turns)
        return Text("done") if turn == 6 else thinks() if turn % 2 else Calls(("look", {}), ("find", {}), text="Hm.")

    turns = itertools.count()
    with ModelServer(Strict(script)) as server:
        assert run(model(server), items=items)[0] == "done"
        assert len(server.requests[-1].messages) < 7


def test_the_beginning_of_a_conversation_never_changes() -> None:
    def script(request: Request) -> Reply:
        return Text("done") if request.turn == 6 else thinks(call_id="same" if request.turn % 2 else None)

    with ModelServer(Strict(script, wants="reasoning_content")) as server:
        run(model(server))
        for earlier, later in itertools.pairwise(server.requests):
            assert later.messages[: len(earlier.messages)] == earlier.messages


TEAM = """\
agents:
  root:
    model: thinker
    description: Works
    {instruction}
    restart: {{policy: transient, backoff: 0.01}}
    toolsets: [{{type: shell}}, {{type: think}}]
models:
  thinker: {{provider: deepseek, model: thinker, base_url: "{url}", token_key: A_KEY}}
"""


@pytest.mark.parametrize("instruction", ["instruction: Be brief.", ""])
def test_a_restarted_task_sends_back_what_is_opaque_and_keeps_to_the_rules(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, instruction: str
) -> None:
    monkeypatch.setenv("A_KEY", "k-of-a-test-server")
    crashed = tmp_path / "crashed"

    def script(request: Request) -> Reply:
        if request.turn == 0:
            return thinks("think", "call_of_think", extra_content=SIGNATURE)
        if crashed.exists():
            return Text("done")
        return Calls(("shell", {"cmd": f"touch {crashed}; kill -9 $PPID"}))

    with ModelServer(Strict(script, wants="reasoning_content")) as server:
        team = tmp_path / "team.yaml"
        team.write_text(TEAM.format(url=server.base_url, instruction=instruction))
        with Runtime.from_file(team, state_dir=tmp_path / "state", standby=0, stop_grace=1.0) as runtime:
            task = runtime.run("root", "The task.")
            (view,) = runtime.wait([task], timeout=PATIENCE)

        assert (view.status, view.result, view.attempts) == ("completed", "done", 2), view.reason
        assert roles(server.requests[-1].messages) == "suCtCt"
        assert server.requests[-1].messages[-1]["content"] == EFFECTS_UNKNOWN
        assert server.requests[-1].messages[:4] == server.requests[1].messages
        sent = server.requests[-1].messages[2]
        assert sent["reasoning_content"] == REASONING
        assert sent["tool_calls"][0]["extra_content"] == SIGNATURE


@pytest.mark.parametrize("name", ["thinker", "mistral-large"])
def test_a_task_that_is_continued_keeps_to_the_rules(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("A_KEY", "k-of-a-test-server")

    def script(request: Request) -> Reply:
        if request.turn == 0:
            return Calls(("shell", {"cmd": "echo quick"}), ("shell", {"cmd": "kill -9 $PPID"}))
        return Text(f"Answer {request.turn}.")

    with ModelServer(Strict(script, short_ids=name.startswith("mistral"))) as server:
        team = tmp_path / "team.yaml"
        text = TEAM.format(url=server.base_url, instruction="").replace("policy: transient", "policy: temporary")
        team.write_text(text.replace("model: thinker, base", f"model: {name}, base"))
        with Runtime.from_file(team, state_dir=tmp_path / "state", standby=0, stop_grace=1.0) as runtime:
            task = runtime.run("root", "The task.")
            (died,) = runtime.wait([task], timeout=PATIENCE)
            assert died.status == "failed"
            second = task.resume("Mind the rules.")
            assert second.result(PATIENCE) == "Answer 2."
            assert second.resume("And now?").result(PATIENCE) == "Answer 3."

        assert roles(server.requests[-1].messages) == "suCttauau"
