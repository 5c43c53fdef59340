"""Values that the entrypoint `returns` returns: each of a kind that a result may, or may not, have."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any


@dataclass
class Point:
    """Plain data with names."""

    x: int
    y: int


def large_text() -> str:
    """Return some megabytes of text."""
    return "ä, [b] " * 800_000


def large_data() -> dict[str, Any]:
    """Return some megabytes of nested data."""
    row = {"values": [1, 0.5, None, "a, [b] {c}"], "parts": {}}
    return {"rows": [{"name": f"row {number}", **row} for number in range(90_000)]}


def returned(kind: str) -> object:
    """Return a value of the kind asked for."""
    nested: list[Any] = []
    for _ in range(200_000):  # Python 3.13 takes some thousand levels
        nested = [nested]
    values: dict[str, object] = {
        "none": None,
        "number": 1.5,
        "mapping": {"a": [1, None, {"b": True}]},
        "tuple": (1, (2,)),
        "dataclass": Point(1, 2),
        "uuid": uuid.UUID(int=1),
        "keys": {1: "one"},
        "surrogates": "a\ud83d\ude00b",
        "object": object(),
        "exception": ValueError("no"),
        "function": returned,
        "tuple keys": {(1, 2): 3},
        "surrogates inside": {"a": "\ud83d\ude00"},
        "deep": nested,
        "circle": nested,
        "long": "x" * 9_000_000,
        "huge number": 2**70,
        "many values": [[]] * 1_100_000 if kind == "many values" else None,
        "large text": large_text() if kind == "large text" else None,
        "large data": large_data() if kind == "large data" else None,
    }
    if kind == "circle":
        nested.append(nested)
    return values[kind]
