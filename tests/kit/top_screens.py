"""Screens of `subactors top`: the real app on a state folder, without a terminal, as Textual's pilot drives it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from subactors.runtime.top.app import Top
from textual.pilot import Pilot

__all__ = ["NARROW", "WIDE", "Screen", "is_", "on_screen", "reason", "short"]

NARROW = (80, 24)
WIDE = (170, 50)

PATIENCE = 30.0


class Screen:
    """What is shown, and a person who presses keys.

    Attributes:
        app: the app.
    """

    def __init__(self, app: Top, pilot: Pilot[Any]) -> None:
        self.app = app
        self._pilot = pilot

    @property
    def lines(self) -> list[str]:
        """The lines that are shown, without blanks at their ends."""
        return ["".join(part.text for part in strip).rstrip() for strip in self.app.screen._compositor.render_strips()]

    @property
    def text(self) -> str:
        """All that is shown."""
        return "\n".join(self.lines)

    def line(self, part: str) -> str:
        """Return the line of the table that has this in it."""
        return next(line for line in self.lines if part in line)

    async def press(self, *keys: str) -> None:
        """Press keys."""
        await self._pilot.press(*keys)

    async def write(self, text: str) -> None:
        """Press the keys of a text."""
        await self.press(*("space" if character == " " else character for character in text))

    async def until(self, condition: Callable[[], object] | str, what: str = "") -> None:
        """Return when a text is shown, or a condition holds; fail if that does not come."""
        holds = (lambda: condition in self.text) if isinstance(condition, str) else condition
        deadline = time.monotonic() + PATIENCE
        while not holds():
            if time.monotonic() > deadline:
                raise AssertionError(f"It did not come to this: {what or condition}\n{self.text}")
            await self._pilot.pause(0.02)

    async def go_to(self, task_id: str) -> None:
        """Give the keys to a task's row, when it is there."""
        await self.until(lambda: self.app.listing.place(task_id) is not None, f"{task_id} is in the table")
        self.app.table.go_to(task_id)
        await self._pilot.pause()


def short(task_id: str) -> str:
    """Return what differs in an id."""
    return task_id.removeprefix("agent_task_")


def reason(screen: Screen, task_id: str) -> str:
    """Return why a task has ended."""
    return screen.app.listing.tasks[task_id].reason


def is_(screen: Screen, task_id: str, status: str) -> bool:
    """Whether a task is there, and has a status."""
    task = screen.app.listing.tasks.get(task_id)
    return task is not None and task.status == status


def on_screen(
    root: Path, play: Callable[[Screen], Awaitable[None]], size: tuple[int, int] = NARROW, **options: Any
) -> None:
    """Show a state folder on a screen of a size, and do what a person does there."""

    async def shown() -> None:
        app = Top(root, **options)
        async with app.run_test(size=size, notifications=True) as pilot:
            await play(Screen(app, pilot))

    asyncio.run(shown())
