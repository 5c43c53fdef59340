"""Opens the model of an agent: the one place that knows which class answers for which provider."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ._model import Model
    from ._team import ModelConfig

__all__ = ["open_model", "preload"]


def open_model(config: ModelConfig, *, environ: Mapping[str, str], idle_timeout: float) -> Model:
    """Return the model; its `close` must be awaited in the event loop that used it.

    Args:
        config: from a checked team.
        environ: where keys are looked up.
        idle_timeout: seconds without a byte from the model's server before it counts as stalled.

    Raises:
        SubactorsError: the key is missing, or there is no such function.
    """
    # Each imported only when used: openai alone takes half a second.
    if config.provider == "python":
        from ._python_model import PythonModel  # noqa: PLC0415 - see above

        return PythonModel(config.name)
    from ._openai_model import OpenAIModel  # noqa: PLC0415 - see above

    return OpenAIModel(config, environ=environ, idle_timeout=idle_timeout)


def preload() -> None:
    """Load what models need ahead of time, in the process that task processes are forked from.

    All of it would otherwise happen at the first request of every task. Leaves no thread and no event loop behind.
    """
    from . import _openai_model, _python_model  # noqa: PLC0415 - heavy, see above

    del _python_model
    _openai_model.warm_up()
