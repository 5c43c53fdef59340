"""Kept calls: those that wait until their client is back with what its user was asked (`requestState`)."""

from __future__ import annotations

import asyncio
import secrets
from typing import TYPE_CHECKING, Any, Final

import msgspec

from ..toolsets.base import ToolAnswer

if TYPE_CHECKING:
    from .client import Client

__all__ = ["KeptCall", "KeptCalls"]

_MOST: Final = 100
"""Calls of one client that are kept; beyond, its oldest is given up."""

_LONGEST: Final = 600.0
"""Seconds for which one is kept."""


class KeptCall(msgspec.Struct, eq=False):
    """A call of a tool.

    Attributes:
        client: whose it is.
        name: the tool's.
        arguments: its arguments.
        work: makes it, and then has its answer.
        before: the questions that waited when it began: those it has not asked.
    """

    client: Client
    name: str
    arguments: dict[str, Any]
    work: asyncio.Task[ToolAnswer]
    before: frozenset[str]


class KeptCalls:
    """See the module. Used in one event loop."""

    def __init__(self) -> None:
        self._calls: dict[str, tuple[KeptCall, asyncio.TimerHandle]] = {}

    def keep(self, call: KeptCall) -> str:
        """Keep a call; return by what its client finds it again."""
        state = secrets.token_urlsafe(16)
        timer = asyncio.get_running_loop().call_later(_LONGEST, self._give_up, state)
        self._calls[state] = call, timer
        of_client = [state for state, (kept, _) in self._calls.items() if kept.client is call.client]
        for oldest in of_client[:-_MOST]:
            self._give_up(oldest)
        return state

    def take(self, state: str | None, client: Client, name: str, arguments: dict[str, Any]) -> KeptCall | None:
        """Take a call out; None: it is not kept, or it is another call."""
        call, timer = self._calls.get(state or "", (None, None))
        if call is None or timer is None or (call.client, call.name, call.arguments) != (client, name, arguments):
            return None
        timer.cancel()
        del self._calls[state or ""]
        return call

    async def close(self) -> None:
        """Give up all."""
        left = [call.work for call, _ in self._calls.values()]
        for state in list(self._calls):
            self._give_up(state)
        await asyncio.gather(*left, return_exceptions=True)

    def _give_up(self, state: str) -> None:
        call, timer = self._calls.pop(state)
        timer.cancel()
        call.work.cancel()
