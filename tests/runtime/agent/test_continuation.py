"""A conversation that broke off in the middle of its tool calls, as its model goes on with it."""

from __future__ import annotations

from typing import Any

import pytest
import strict_server_rules
from subactors.runtime.agent.continuation import EFFECTS_UNKNOWN, with_unknown_effects
from subactors.runtime.models.base import Message
from subactors.runtime.models.sendable import Server, sendable

BEGIN: list[Message] = [{"role": "system", "content": "Work."}, {"role": "user", "content": "Go."}]


def turn(*ids: str) -> Message:
    calls = [{"id": made, "type": "function", "function": {"name": "shell", "arguments": "{}"}} for made in ids]
    return {"role": "assistant", "content": None, "tool_calls": calls}


def answer(made: str, content: str = "done") -> Message:
    return {"role": "tool", "tool_call_id": made, "content": content}


@pytest.mark.parametrize(
    ("broken", "whole"),
    [
        ([turn("a")], [turn("a"), answer("a", EFFECTS_UNKNOWN)]),
        (
            [turn("a", "b", "c"), answer("b")],
            [turn("a", "b", "c"), answer("a", EFFECTS_UNKNOWN), answer("b"), answer("c", EFFECTS_UNKNOWN)],
        ),
        ([turn("a", "a"), answer("a")], [turn("a", "a"), answer("a"), answer("a", EFFECTS_UNKNOWN)]),
        (
            [turn("a"), {"role": "user", "content": "Go on."}, turn("b"), answer("b")],
            [turn("a"), answer("a", EFFECTS_UNKNOWN), {"role": "user", "content": "Go on."}, turn("b"), answer("b")],
        ),
        ([turn("a"), turn("b")], [turn("a"), answer("a", EFFECTS_UNKNOWN), turn("b"), answer("b", EFFECTS_UNKNOWN)]),
        ([turn("a"), answer("a")], [turn("a"), answer("a")]),
        ([], []),
    ],
)
def test_each_call_has_an_answer(broken: list[Message], whole: list[Message]) -> None:
    assert with_unknown_effects([*BEGIN, *broken]) == [*BEGIN, *whole]
    assert with_unknown_effects([*BEGIN, *whole]) == [*BEGIN, *whole]


@pytest.mark.parametrize("server", [Server("a/b@c"), Server("m/m@m", is_mistral=True)], ids=["any", "mistral"])
def test_the_strictest_servers_take_it(server: Server) -> None:
    broken: list[Any] = [*BEGIN, turn("a", "b"), answer("b"), {"role": "user", "content": "Go on."}, turn("c")]

    sent = sendable(with_unknown_effects(broken), server, has_tools=True)

    strict_server_rules.check(sent, short_ids=server.is_mistral)
    assert [message["content"] for message in sent].count(EFFECTS_UNKNOWN) == 2
