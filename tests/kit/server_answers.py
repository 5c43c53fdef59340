"""Asking model servers that answer as a test says, and the events of their answers."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from model_server import ModelServer, Reply
from subactors.runtime.errors import ModelError
from subactors.runtime.models import retries as retries_module
from subactors.runtime.models.base import Turn
from subactors.runtime.models.open import open_model
from subactors.runtime.team.config import ModelConfig

__all__ = ["STREAM", "answer", "ask", "called", "config", "failure", "said", "whole"]

STREAM = "text/event-stream"


def config(server: ModelServer, name: str = "large") -> ModelConfig:
    return ModelConfig(reference=f"acme/{name}", provider="acme", name=name, base_url=server.base_url)


def ask(server: ModelServer, *, idle_timeout: float = 20.0, heard: list[str] | None = None, retries: int = 2) -> Turn:
    async def complete() -> Turn:
        model = open_model(config(server), environ={}, idle_timeout=idle_timeout, retries=retries)
        try:
            return await model.complete(
                [{"role": "user", "content": "Hello?"}], [], [].append if heard is None else heard.append
            )
        finally:
            await model.close()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(retries_module, "_FIRST_PAUSE", 0.0)
        return asyncio.run(complete())


def answer(*replies: Reply, heard: list[str] | None = None) -> Turn:
    """Return the turn that these replies lead to, all of which are asked for."""
    with ModelServer(replies) as server:
        turn = ask(server, heard=heard)
        assert len(server.requests) == len(replies)
    return turn


def failure(reply: Reply, *, requests: int = 2) -> str:
    """Return the sentence of the error to which a server leads that always replies so, after so many requests."""
    with ModelServer(lambda _: reply) as server:
        with pytest.raises(ModelError) as caught:
            ask(server)
        assert len(server.requests) == requests
    return str(caught.value)


def said(content: Any, finish: Any = None, **fields: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": {"content": content}, "finish_reason": finish}], **fields}


def called(name: str = "look", finish: Any = None) -> dict[str, Any]:
    call = {"index": 0, "id": "call_1", "type": "function", "function": {"name": name, "arguments": "{}"}}
    return {"choices": [{"index": 0, "delta": {"tool_calls": [call]}, "finish_reason": finish}]}


def whole(content: str | None, finish: str | None = "stop", **fields: Any) -> dict[str, Any]:
    message = {"role": "assistant", "content": content, **fields}
    usage = {"prompt_tokens": 10, "completion_tokens": 5}
    choice = {"index": 0, "message": message, "finish_reason": finish}
    return {"id": "1", "object": "chat.completion", "choices": [choice], "usage": usage}
