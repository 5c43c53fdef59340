"""Functions that say much, for tests that follow tasks; tasks find them by this module's name."""

from __future__ import annotations

import random
import sys
import time
from pathlib import Path

__all__ = ["LINE", "chatter", "says", "says_and_waits", "says_at_length"]

LINE = "a naïve 你好 𝄞\n"


def says(text: str) -> str:
    """Say it, and be done."""
    sys.stdout.write(text)
    return text


def chatter(lines: int, seed: int = 0) -> int:
    """Say lines in pieces that end anywhere, with short pauses."""
    chance = random.Random(seed)  # noqa: S311 - where they end is no secret
    left = (LINE * lines).encode()
    while left:
        count = chance.choice([1, 2, 3, 20, 100])
        sys.stdout.buffer.write(left[:count])
        sys.stdout.flush()
        left = left[count:]
        if chance.random() < 0.01:
            time.sleep(0.001)
    return lines


def says_at_length(count: int) -> int:
    """Say many characters at once: frames of the channel end within some."""
    sys.stdout.write("x" + "é" * count)
    return count


def says_and_waits(text: str, *paths: str) -> str:
    """Say something, then for each file wait until it is there, and say that."""
    sys.stdout.write(f"{text}\n")
    for path in paths:
        while not Path(path).exists():
            time.sleep(0.005)
        sys.stdout.write("go\n")
    return text
