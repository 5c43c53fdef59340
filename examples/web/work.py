"""What the tasks of the web service do, each in a process of its own."""

from __future__ import annotations

import time

__all__ = ["PARTS", "research"]

PARTS = ("history", "biology", "economy", "language", "future")


def research(topic: str, part: str, steps: int = 3) -> str:
    """Find out about a part of a topic; what is printed reaches the browser at once."""
    for step in range(1, steps + 1):
        print(f"{part} of {topic}: step {step} of {steps}")
        time.sleep(0.1)
    return f"all about the {part} of {topic}"
