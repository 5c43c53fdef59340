"""Words for page and pictures: values with their units, and one cell of the isolation matrix."""

from __future__ import annotations

import math
from typing import Final

from .results import Outcome

__all__ = ["FAULT_TITLES", "digits", "formatted", "outcome_text"]

FAULT_TITLES: Final = {
    "raise": "exception",
    "exit": "os._exit",
    "segfault": "SIGSEGV",
    "hang": "hang in C",
    "leak": "memory leak",
}
_PARTLY: Final = {"hang": "cannot be stopped", "leak": "no limit"}


def formatted(value: float, unit: str) -> str:
    """Return a value with a unit that suits its size, to three digits."""
    if math.isinf(value):
        return "any"
    if unit == "s":
        for factor, name in ((1, "s"), (1e3, "ms"), (1e6, "µs")):
            if abs(value) * factor >= 1 or name == "µs":
                return f"{digits(value * factor)} {name}"
    if unit == "B":
        for size, name in ((1e6, "MB"), (1e3, "kB")):
            if abs(value) >= size:
                return f"{digits(value / size)} {name}"
    return f"{digits(value)} {unit}".strip()


def digits(value: float) -> str:
    """Return a number to three digits."""
    if value == 0:
        return "0"
    places = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:,.{places}f}"


def outcome_text(cell: Outcome) -> str:
    """Return what one fault did to the host and the other tasks."""
    if cell.host != "alive":
        return "host lost"
    if cell.verdict != "partly":
        return cell.verdict
    if len(set(cell.siblings.split(" of "))) > 1:
        return f"siblings: {cell.siblings}"
    return _PARTLY.get(cell.fault, cell.verdict)
