"""Approvals: asks a person whether a tool may be called that `permissions: ask` names."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from ..errors import NoAnswerError, SubactorsError
from ..tasks.gateway import Gateway
from ..tasks.questions import APPROVAL, LONGEST_ARGUMENTS, AskApproval
from ..team.permissions import unasked
from ..text import encodable
from .asking import ask

__all__ = ["Approvals"]

_ALLOWED: Final = frozenset(APPROVAL[:-1])


class Approvals:
    """Asks for one agent; see the module.

    Args:
        gateway: the agent's way to the supervisor.
    """

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def refusal(self, tool: str, pattern: str, arguments: Mapping[str, Any]) -> str:
        """Return why a call must not be made, for the model, once a person has said so; empty if it may be."""
        shown = encodable(json.dumps(arguments, ensure_ascii=False))
        if len(shown) > LONGEST_ARGUMENTS:
            return (
                f"This call of {tool!r} needs a person's approval (ask: `{pattern}`), and with arguments of "
                f"{len(shown):,} characters it is too long to be shown to one: {LONGEST_ARGUMENTS:,} is the limit. "
                "It is denied. Make several shorter calls."
            )
        try:
            answered = await ask(self._gateway, AskApproval(encodable(tool)[:200], pattern[:2000], shown))
        except NoAnswerError:
            return f"A person was asked about this call of {tool!r} (ask: `{pattern}`), and did not answer. {_REST}"
        except SubactorsError as error:
            return f"This call of {tool!r} needs a person's approval (ask: `{pattern}`): {error} {_REST}"
        if answered.text in _ALLOWED:
            return ""
        if not answered.by:
            return unasked(tool, pattern)
        word = f" Their word on it: {answered.word}." if answered.word else ""
        return f"{answered.by[0].upper()}{answered.by[1:]} has denied this call of {tool!r}.{word} {_REST}"


_REST: Final = "Do without it, and say in your answer what was left undone."
