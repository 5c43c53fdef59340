"""Asking: how a tool asks the supervisor, and what it refuses becomes an answer for the model."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from ..errors import SubactorsError
from ..tasks.gateway import Gateway
from ..tasks.messages import Request
from .base import ToolAnswer

__all__ = ["ask", "errors_as_answers"]

Reply = TypeVar("Reply")
Handler = Callable[..., Awaitable[ToolAnswer]]


def errors_as_answers(handler: Handler) -> Handler:
    """Turn what the supervisor refuses into an answer for the model: its text says what would be right."""

    @functools.wraps(handler)
    async def guarded(*arguments: Any) -> ToolAnswer:
        try:
            return await handler(*arguments)
        except SubactorsError as error:
            return ToolAnswer(str(error), is_error=True)

    return guarded


async def ask(gateway: Gateway, request: Request[Reply]) -> Reply:
    """Send a request and wait for its reply without holding up the event loop."""
    return await asyncio.wrap_future(gateway.ask(request))
