"""Functions and classes of a module, for tests that submit them. Tasks import it by its name."""

from __future__ import annotations

import asyncio
import atexit
import enum
import os
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = [
    "Account",
    "Adder",
    "Colour",
    "Point",
    "add",
    "counts_itself",
    "fails",
    "generates",
    "had",
    "later",
    "named",
    "norm",
    "notes_what_it_imports",
    "process_id",
    "returns_a_generator",
    "returns_a_lock",
    "says",
    "where",
]


_HAD = frozenset(sys.modules)


@dataclass
class Point:
    x: int
    y: int


class Colour(enum.Enum):
    RED = "red"


class Account:
    def __init__(self, balance: int) -> None:
        self.balance = balance

    def after(self, amount: int) -> int:
        return self.balance + amount

    @classmethod
    def empty(cls) -> int:
        return cls(0).balance

    @staticmethod
    def currency() -> str:
        return "EUR"


class Adder:
    def __init__(self, number: int) -> None:
        self.number = number

    def __call__(self, other: int) -> int:
        return self.number + other


def add(first: int, second: int = 1) -> int:
    return first + second


def norm(point: Point) -> int:
    return point.x**2 + point.y**2


async def later(value: Any) -> Any:
    await asyncio.sleep(0)
    return value


def fails(text: str) -> None:
    raise ValueError(text)


def named(name: str, key: int = 0) -> list[Any]:
    return [name, key]


def generates() -> Iterator[int]:
    yield 1


def returns_a_generator() -> Iterator[int]:
    return iter(number for number in range(3))


def returns_a_lock() -> Any:
    return {"rows": [1, threading.Lock()]}


def had(module: str) -> bool:
    """Whether the task's process had a module before it came to this one."""
    return module in _HAD


def process_id() -> int:
    return os.getpid()


def says(text: str) -> str:
    print(text)
    return text


def where() -> str:
    return str(Path.cwd())


def counts_itself(file: str) -> int:
    """Write down that it was called, and fail until that is so for the third time."""
    with Path(file).open("a") as written:
        written.write("x")
    count = Path(file).stat().st_size
    if count < 3:
        raise RuntimeError(f"call {count}")
    return count


def notes_what_it_imports(file: str) -> None:
    """Have the modules that this process imports from now on written to a file when it exits."""
    had = frozenset(sys.modules)
    atexit.register(lambda: Path(file).write_text(" ".join(sorted(sys.modules.keys() - had))))
