"""Pages of dashboards, as people find things on them: by role and label, with patience."""

from __future__ import annotations

import re
from typing import Any, Final

from browsers import Tab
from dashboards import Served

__all__ = ["OVERLAPS", "WRAPPED", "filtered", "focused", "has", "live", "row", "short", "stop"]

OVERLAPS: Final = """
[...document.querySelectorAll(".row, #head")].flatMap((row) => {
  const cells = [...row.children].map((cell) => cell.getBoundingClientRect()).filter((box) => box.width > 2);
  return cells.flatMap((box, place) => cells.slice(place + 1).filter((other) =>
    box.left < other.right - 1 && other.left < box.right - 1).map(() => row.textContent));
})
"""
"""Script that returns the texts of rows in which one cell covers another."""

WRAPPED: Final = """
[...document.querySelectorAll(".charts > span")].filter((chart) => {
  const box = chart.querySelector("svg").getBoundingClientRect();
  return chart.getBoundingClientRect().height > box.height + 4;
}).map((chart) => chart.textContent)
"""
"""Script that returns the words of charts that are not beside them."""


def live(seen: Tab) -> None:
    """Wait until it is up to date."""
    seen.page.get_by_text("live", exact=True).first.wait_for()


def short(task_id: str) -> str:
    """Return what differs in an id."""
    return task_id.removeprefix("agent_task_")


def row(seen: Tab, task_id: str) -> Any:
    """Return the row of a task."""
    return seen.page.get_by_role("row").filter(has_text=short(task_id))


def has(locator: Any, text: str) -> None:
    """Wait until it has a text."""
    locator.filter(has_text=re.compile(text)).first.wait_for()


def stop(served: Served, *task_ids: str) -> None:
    """Have tasks stopped."""
    for task_id in task_ids:
        served.ask(f"/api/tasks/{task_id}/stop", {})


def focused(seen: Tab, selector: str) -> None:
    """Wait until it has the keys."""
    seen.page.wait_for_function("selector => document.activeElement.matches(selector)", arg=selector)


def filtered(seen: Tab, words: str) -> None:
    """Filter."""
    seen.page.get_by_label("Filter").fill(words)
