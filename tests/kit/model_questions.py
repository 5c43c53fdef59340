"""Questions to models: a model behind a server of a test is asked once, for its answer or its error."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from model_server import ModelServer, Reply
from subactors.runtime.errors import ModelError
from subactors.runtime.models.base import Turn
from subactors.runtime.models.open import open_model
from subactors.runtime.team.config import ModelConfig

KEY = "sk-a-very-secret-key"


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
