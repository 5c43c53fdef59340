"""Opening a model: the only place that knows which class answers for which provider."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ..team.config import RATE_PATIENCE

if TYPE_CHECKING:
    from ..team.config import AgentConfig, ModelConfig
    from .base import Model
    from .patient import AskForTurn

__all__ = ["open_agent_model", "open_model", "preload", "preload_without_certificates"]


def open_agent_model(
    agent: AgentConfig,
    *,
    environ: Mapping[str, str],
    idle_timeout: float,
    rate_patience: float = RATE_PATIENCE,
    ask_for_turn: AskForTurn | None = None,
) -> Model:
    """Return an agent's model, with those that stand in for it; for the rest see `open_model`.

    The rate limit of a model is waited for only where none of the others can answer. With `ask_for_turn`, the tasks of
    the host take turns at a limited model.
    """
    assert agent.model is not None, agent.name  # noqa: S101 - whoever opens a model has seen that there is one
    fallback = agent.fallback
    configs = (agent.model, *fallback.models)
    models = [_open(config, environ, idle_timeout, fallback.retries) for config in configs]
    if len(models) == 1:
        return _patient(models[0], configs, rate_patience, ask_for_turn)
    from .fallback import FallbackModel  # noqa: PLC0415 - few agents have one

    references = (config.reference for config in configs)
    together = FallbackModel(list(zip(references, models, strict=True)), cooldown=fallback.cooldown)
    return _patient(together, configs, rate_patience, ask_for_turn)


def open_model(
    config: ModelConfig,
    *,
    environ: Mapping[str, str],
    idle_timeout: float,
    retries: int = 2,
    rate_patience: float = RATE_PATIENCE,
) -> Model:
    """Return the model; its `close` must be awaited in the event loop that used it.

    Args:
        config: from a checked team.
        environ: where keys are looked up.
        idle_timeout: seconds without a byte from the model's server before it counts as stalled.
        retries: how often a request is sent again where that may help.
        rate_patience: seconds that a turn may wait for the model's rate limit.

    Raises:
        SubactorsError: the key is missing, or there is no such function.
    """
    return _patient(_open(config, environ, idle_timeout, retries), [config], rate_patience)


def _open(config: ModelConfig, environ: Mapping[str, str], idle_timeout: float, retries: int) -> Model:
    # Each imported only when used: openai alone takes a tenth of a second, and what is under it another.
    if config.is_function:
        from .python import PythonModel  # noqa: PLC0415 - it is slow to import

        return PythonModel(config.name, config.cost)
    from .openai.client import OpenAIModel  # noqa: PLC0415 - it is slow to import

    return OpenAIModel(config, environ=environ, idle_timeout=idle_timeout, retries=retries)


def _patient(
    model: Model, configs: Sequence[ModelConfig], patience: float, ask_for_turn: AskForTurn | None = None
) -> Model:
    """Return the model as one that waits for rate limits; functions have none."""
    if all(config.is_function for config in configs):
        return model
    from .patient import PatientModel  # noqa: PLC0415 - entrypoints and functions have no use for it

    return PatientModel(model, patience=patience, ask_for_turn=ask_for_turn, is_alone=len(configs) == 1)


def preload() -> None:
    """Load what models need ahead of time, in the process that task processes are forked from.

    All of it would otherwise happen at the first request of every task. Leaves no thread and no event loop behind.
    """
    _preload(secure=True)


def preload_without_certificates() -> None:
    """Do the same for models whose servers have no TLS: certificates of authorities are most of a tenth of a second."""
    _preload(secure=False)


def _preload(*, secure: bool) -> None:
    from . import patient, python  # noqa: PLC0415 - heavy, see above
    from .openai.warm_up import warm_up  # noqa: PLC0415 - heavy, see above

    del patient, python
    warm_up(secure=secure)
