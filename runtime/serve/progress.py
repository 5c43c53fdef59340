"""Progress: tells a client that waits in a call what its tasks say meanwhile, if it has asked for that."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, Final

from mcp.server import ServerRequestContext

from ..errors import SubactorsError
from ..tasks.views import TaskView
from ..text import one_line

if TYPE_CHECKING:
    from .client import Client

__all__ = ["last_words", "telling_progress"]

_PERIOD: Final = 1.0
"""Seconds between two looks at the tasks."""

_LONGEST_LINE: Final = 200
"""Characters of the last words of one task."""

_MOST_LINES: Final = 10
"""Tasks whose last words one message has."""


@contextlib.asynccontextmanager
async def telling_progress(
    client: Client, context: ServerRequestContext[Any, Any], task_ids: list[str] | None
) -> AsyncIterator[None]:
    """Tell of progress as long as the block is at work, where the request has a token for that.

    Args:
        client: whose request it is.
        context: of the request.
        task_ids: the tasks that it is about, see `Client.tasks`.
    """
    if context.meta is None or context.meta.get("progress_token") is None:
        yield
        return
    telling = asyncio.create_task(_tell(client, context, task_ids))
    try:
        yield
    finally:
        telling.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await telling


async def _tell(client: Client, context: ServerRequestContext[Any, Any], task_ids: list[str] | None) -> None:
    before, step = "", 0
    while True:
        await asyncio.sleep(_PERIOD)
        try:
            views = (await client.tasks(task_ids)).tasks
        except SubactorsError:
            return  # the host ends
        said = _said(views)
        if said and said != before:
            step += 1
            before = said
            # Of what share is done, nobody knows: only that it goes on.
            await context.session.report_progress(step, message=said)


def _said(views: list[TaskView]) -> str:
    running = [view for view in views if not view.ended]
    lines = [f"{view.agent} ({view.id}): {last_words(view)}" for view in running[:_MOST_LINES]]
    more = [f"and {len(running) - _MOST_LINES} more"] if len(running) > _MOST_LINES else []
    return "\n".join([f"{len(views) - len(running)} of {len(views)} tasks have ended.", *lines, *more]) if views else ""


def last_words(view: TaskView) -> str:
    """Return what a task has said last, or else what it does, as one line."""
    lines = view.output.strip().splitlines()
    return one_line(lines[-1], _LONGEST_LINE) if lines else view.doing or view.status
