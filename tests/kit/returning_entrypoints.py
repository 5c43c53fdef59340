"""Functions that return what JSON does not know, for tests that name them as entrypoint of an agent."""

from __future__ import annotations

import atexit
import collections
import dataclasses
import datetime as dt
import decimal
import enum
import os
import sys
import types
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import attrs
import msgspec
import pydantic
from subactors.runtime import EntrypointTask

NAN, INFINITY = float("nan"), float("inf")


class Colour(enum.Enum):
    """A choice."""

    RED = "red"


class Level(enum.IntEnum):
    """A choice that is a number."""

    HIGH = 3


class Place(pydantic.BaseModel):
    """A pydantic model in another."""

    path: Path
    score: float = 0.5


class Report(pydantic.BaseModel):
    """A pydantic model."""

    title: str
    at: dt.datetime
    places: list[Place]


class Numbers(pydantic.RootModel[list[int]]):
    """A pydantic model that is a list."""


class OldModel:
    """As models of pydantic 1 are."""

    __fields__: ClassVar[dict[str, Any]] = {"at": None}

    def dict(self) -> dict[str, Any]:
        """Return the fields."""
        return {"at": dt.date(2026, 1, 2)}


class Opaque(pydantic.BaseModel):
    """A pydantic model with what pydantic cannot dump."""

    model_config = pydantic.ConfigDict(arbitrary_types_allowed=True)
    array: Any


class Stubborn(pydantic.BaseModel):
    """A pydantic model that cannot be dumped."""

    @pydantic.model_serializer
    def refuse(self) -> str:
        """Fail."""
        raise KeyError("no such field")


@attrs.define
class Part:
    """An attrs class."""

    name: str
    folder: Path


@dataclasses.dataclass
class Whole:
    """A dataclass."""

    parts: list[Part]
    tags: set[str]


class Record(msgspec.Struct):
    """A struct."""

    number: int


class Point(NamedTuple):
    """A named tuple."""

    x: int
    y: int


class Array:
    """As NumPy's arrays and scalars are: this suite does without NumPy."""

    dtype = "float64"

    def __init__(self, values: Any) -> None:
        self._values = values

    def tolist(self) -> Any:
        """Return the values as Python's own."""
        return self._values


class Scalar(float):
    """As NumPy's float64, which is a float."""

    dtype = "float64"

    def tolist(self) -> float:
        """Return the value as Python's own."""
        return float(self)


class Number(int):
    """A number of a type of its own."""


class Text(str):
    """Text of a type of its own."""

    __slots__ = ()


@dataclasses.dataclass
class Outer:
    """Holds another."""

    inner: Any


def _circle() -> Any:
    circle: list[Any] = []
    circle.append(circle)
    return circle


def _deep(levels: int) -> Any:
    nested: Any = None
    for _ in range(levels):
        nested = [nested, None]
    return nested


def _deep_mapping(levels: int) -> Any:
    nested: Any = "[{"
    for _ in range(levels):
        nested = {"in": nested}
    return nested


def _deep_object(levels: int) -> Any:
    nested: Any = None
    for _ in range(levels):
        nested = Outer(nested)
    return nested


VALUES: dict[str, Callable[[], Any]] = {
    "pydantic": lambda: Report(title="one", at=dt.datetime(2026, 1, 2, tzinfo=dt.UTC), places=[Place(path=Path("/a"))]),
    "pydantic in data": lambda: {"list": [Place(path=Path("b"), score=1)], "root": Numbers([1, 2])},
    "pydantic 1": OldModel,
    "pydantic with an array": lambda: Opaque(array=Array([1.5])),
    "attrs in a dataclass": lambda: Whole([Part("one", Path("/c"))], {"tag"}),
    "struct": lambda: [Record(1)],
    "named tuple": lambda: Point(1, 2),
    "enums": lambda: [Colour.RED, Level.HIGH],
    "same key": lambda: {"rows": [{"1": "a", 1: "b"}]},
    "same key of a date": lambda: [{dt.date(2026, 1, 2): 1, "2026-01-02": 2}],
    "same key of nothing": lambda: {None: float("1"), "null": 2},
    "half a pair": lambda: "half \ud800",
    "half a pair inside": lambda: {"names": ["a", "\udcff"]},
    "half a pair as key": lambda: {"a": {"\udcff": 1}},
    "path that is no text": lambda: [Path(os.fsdecode(b"\xff"))],
    "paths": lambda: {"path": Path("/d"), "odd": os.fsencode("\udcff")},
    "dates": lambda: [dt.date(2026, 1, 2), dt.time(3, 4), dt.timedelta(hours=1)],
    "sets": lambda: [{1}, frozenset({2}), {"a": 1}.keys(), {"a": 1}.values()],
    "numbers": lambda: [decimal.Decimal("1.10"), Number(4), Scalar(0.5), Array(7), Array([[1, 2], [3, 4]])],
    "uuid": lambda: uuid.UUID(int=1),
    "bytes": lambda: b"ab\xff",
    "text": lambda: [Text("own"), collections.UserString("wrapped"), "whole \ud83d\ude00"],
    "sequences": lambda: [(1,), range(2), collections.deque([3]), collections.UserList([4])],
    "mappings": lambda: [
        types.MappingProxyType({"a": 1}),
        collections.UserDict(b=2),
        collections.Counter("c"),
        collections.OrderedDict(d=3),
    ],
    "keys": lambda: {1: "a", None: "b", 2.5: "c", Path("d"): 1, Colour.RED: 2, Level.HIGH: 3, Scalar(4.0): 4},
    "truth as key": lambda: {True: 1, False: 0},
    "nothing": lambda: {"a": None, "b": [None]},
    "deep": lambda: _deep(500),
    # What cannot be:
    "nan": lambda: {"score": NAN, "limit": INFINITY},
    "nan in an array": lambda: {"rows": [1, {"values": Array([1.0, -INFINITY])}]},
    "nan in a model": lambda: [Place(path=Path("/"), score=NAN)],
    "nan as a key": lambda: {"a": {NAN: 1}},
    "nan alone": lambda: NAN,
    "many nans": lambda: [NAN] * 5,
    "object": lambda: {"rows": [1, {"x": object()}]},
    "function": lambda: [_deep],
    "class": lambda: Report,
    "complex": lambda: 1j,
    "tuple as key": lambda: {"a": {(1, 2): 3}},
    "stubborn": lambda: [Stubborn()],
    "long number": lambda: {"primes": [7, 2**20_000]},
    "long number as key": lambda: {"a": {2**20_000: 1}},
    "long number alone": lambda: -(2**20_000),
    "circle": _circle,
    "too deep": lambda: _deep(501),
    "too deep by far": lambda: _deep(5000),
    "too deep mappings": lambda: _deep_mapping(501),
    "too deep objects": lambda: _deep_object(501),
}


def value(task: EntrypointTask) -> Any:
    """Return the value of that name."""
    return VALUES[task.text]()


def text(task: EntrypointTask) -> str:
    """Return so many characters, of which one takes two bytes, and say a word before."""
    task.emit("so far ")
    return "é" + "x" * (int(task.text) - 2)


def numbers(task: EntrypointTask) -> list[int]:
    """Return so many numbers."""
    return [7] * int(task.text)


def rows(_task: EntrypointTask) -> list[dict[str, Any]]:
    """Return some more than eight megabytes of data."""
    return [{"number": number, "text": 'a, "b" [c]' * 10, "none": None} for number in range(70_000)]


def swaps_its_result(task: EntrypointTask) -> str:
    """Return a large text, and put something else in the place of its file."""
    log = Path(f"/proc/self/fd/{sys.stdout.fileno()}").readlink()
    file = log.parents[1] / "results" / f"{task.id}.json"

    def swap() -> None:
        file.unlink()
        match task.text:
            case "fifo":
                os.mkfifo(file)
            case "link":
                file.symlink_to("/etc/passwd")
            case "larger":
                file.write_bytes(b'"' + b"x" * 70_000_000 + b'"')
            case "damaged":
                file.write_bytes(b"[1, 2")

    atexit.register(swap)
    return "x" * 9_000_000
