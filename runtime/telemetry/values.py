"""Values: what the supervisor tells telemetry of tasks, and the names that the conventions have for it."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from ..models.base import Usage
from ..tasks.views import Status
from ..team.config import ModelConfig

__all__ = ["BeginningTask", "EndedTask", "attributes_of_model", "nanoseconds"]

_PROVIDERS: Final = {
    "azure": "azure.ai.openai",
    "google": "gcp.gemini",
    "mistral": "mistral_ai",
    "moonshot": "moonshot_ai",
    "xai": "x_ai",
}
"""Providers that the conventions have other names for. All others are told by the team file's name."""


class BeginningTask(msgspec.Struct, frozen=True, kw_only=True):
    """A task that was accepted.

    Attributes:
        id: its id.
        agent: its agent's name, or what stands for it.
        models: that its agent may ask, the first first.
        run: the name of the run's folder.
        parent: id of the task, or the orchestrator, that starts it; None: the host program.
        calling: the tool call of the parent's model that starts it; empty if none does.
        span: that the host program asks in; None if it is in none.
        continues: id of the task that it continues; empty if it continues none.
        is_queued: whether it has to wait for a slot.
        began: when it was accepted, in seconds since the epoch.
        text: what it is to do.
    """

    id: str
    agent: str
    models: tuple[ModelConfig, ...]
    run: str
    parent: str | None
    calling: str
    span: Any
    continues: str
    is_queued: bool
    began: float
    text: str


class EndedTask(msgspec.Struct, frozen=True, kw_only=True):
    """How a task has ended.

    Attributes:
        status: its last.
        reason: why.
        kind: the kind of its end; empty if it has completed.
        ended: when, in seconds since the epoch.
        usage: its own.
        attempts: how many processes it had.
        result: its answer as JSON text; None if it has none, or it is in a file.
    """

    status: Status
    reason: str
    kind: str
    ended: float
    usage: Usage
    attempts: int
    result: str | None


def attributes_of_model(model: ModelConfig) -> dict[str, str]:
    """Return the attributes that tell a model."""
    provider = _PROVIDERS.get(model.provider, model.provider)
    return {"gen_ai.provider.name": provider, "gen_ai.request.model": model.name}


def nanoseconds(seconds: float) -> int:
    """Return a time as OpenTelemetry has it."""
    return int(seconds * 1e9)
