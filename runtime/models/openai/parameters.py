"""Request parameters: translates a team file's parameters into the names and values that a model takes.

Known models are translated for in advance. A parameter that a server refuses by name is translated or left out from
then on, for all later requests, because the names of deployments and gateways tell nothing.
"""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from ..reasoning_models import is_reasoning_model, samples_by_itself
from ..thinking import thinking_parameters
from .server_faults import error_in

if TYPE_CHECKING:
    from ...team.config import ModelConfig

__all__ = ["Parameters"]

_SAMPLING: Final = ("temperature", "top_p", "frequency_penalty", "presence_penalty")
"""Parameters that a request can do without, as it can without `parallel_tool_calls` and a thinking budget."""

_OTHER_LIMIT: Final = {"max_tokens": "max_completion_tokens", "max_completion_tokens": "max_tokens"}
"""The two names of the limit on an answer's length."""

_REFUSED: Final = re.compile(
    r"unsupported|not supported|does(n't| not) support|unrecogni[sz]ed|unknown|unexpected|not permitted|not allowed"
    r"|extra (inputs|fields)|extra_forbidden|no longer|deprecated|invalid (argument|parameter|field)|not accept"
    r"|may only be set",
    re.IGNORECASE,
)
"""How servers say that they do not take a parameter."""


class Parameters:
    """The parameters of one model's requests.

    Args:
        config: the model, with nothing left to be replaced in its name and options.

    Attributes:
        now: name to value; None takes a parameter out that every request has otherwise.
    """

    def __init__(self, config: ModelConfig) -> None:
        options = dict(config.options)
        thinking = {}
        if config.thinking_budget is not None:
            thinking = thinking_parameters(config.provider, config.name, config.thinking_budget)
        self.now: dict[str, Any] = {**thinking, **options}
        self._may_go = {*_SAMPLING, "parallel_tool_calls", *(thinking.keys() - options.keys())}
        self._may_change = set(_OTHER_LIMIT)
        if is_reasoning_model(config.name):
            self._rename("max_tokens")
        if samples_by_itself(config.name):
            for name in _SAMPLING:
                self.now.pop(name, None)

    def adapt(self, status: int, body: object) -> str:
        """Change what a server has refused.

        Args:
            status: of the response.
            body: of the response, parsed where it was JSON.

        Returns:
            What was changed, as a sentence; empty if nothing was, because the request was refused for another reason.
        """
        if status not in (HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY):
            return ""
        error = error_in(body)
        words = f"{error.get('message', '')} {error.get('code', '')} {error.get('detail', '')}"
        if not _REFUSED.search(words):
            return ""
        named = error.get("param")
        for name in [named] if named in self.now else [name for name in self.now if re.search(rf"\b{name}\b", words)]:
            if name in self._may_change and self.now[name] is not None:
                self._may_change.clear()  # a server that takes neither is to say so
                self._rename(name)
                return f"It takes no `{name}`, and is asked again with `{_OTHER_LIMIT[name]}`."
            if name in self._may_go:
                del self.now[name]
                return f"It does not take this `{name}`, and is asked again without it."
        return ""

    def _rename(self, name: str) -> None:
        """Give the limit on the answer its other name, unless it has that, too."""
        if self.now.get(name) is not None:
            self.now.setdefault(_OTHER_LIMIT[name], self.now.pop(name))
