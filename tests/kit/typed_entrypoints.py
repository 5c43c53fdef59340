"""Entrypoints whose second parameter is annotated, and the types that tests read results as."""

from __future__ import annotations

import datetime as dt
import enum
from dataclasses import dataclass
from typing import Any, TypedDict

import msgspec
import pydantic
from subactors.runtime import EntrypointTask

__all__ = [
    "Entry",
    "Invoice",
    "Item",
    "Level",
    "Order",
    "Row",
    "by_dataclass",
    "by_keyword",
    "by_list",
    "by_model",
    "by_name_only",
    "by_struct",
    "by_typed_dict",
    "data_or_default",
    "plain",
    "takes_no_data",
    "untyped",
]


class Level(enum.Enum):
    LOW = "low"
    HIGH = "high"


@dataclass
class Row:
    name: str
    count: int
    level: Level = Level.LOW
    day: dt.date | None = None


class Item(msgspec.Struct):
    name: str
    rows: list[Row]


class Order(pydantic.BaseModel):
    number: int
    tags: list[str] = []

    @pydantic.field_validator("number")
    @classmethod
    def _is_positive(cls, number: int) -> int:
        if number <= 0:
            raise ValueError("a number is above 0")
        return number


class Entry(TypedDict):
    key: str
    value: float


class Invoice(msgspec.Struct):
    order: Order


def _described(value: Any) -> list[Any]:
    return [type(value).__name__, value]


def by_dataclass(task: EntrypointTask, row: Row) -> list[Any]:
    assert isinstance(row, Row)
    return [*_described(row), task.data]


def by_struct(task: EntrypointTask, item: Item) -> list[Any]:
    del task
    return _described(item)


async def by_model(task: EntrypointTask, order: Order) -> list[Any]:
    del task
    return _described(order)


def by_typed_dict(task: EntrypointTask, entry: Entry) -> list[Any]:
    del task
    return _described(entry)


def by_list(task: EntrypointTask, rows: list[Row]) -> list[Any]:
    del task
    return [_described(row) for row in rows]


def by_keyword(task: EntrypointTask, *, row: Row) -> list[Any]:
    del task
    return _described(row)


def data_or_default(task: EntrypointTask, row: Row = Row("default", 0)) -> str:  # noqa: B008 - nobody changes it
    del task
    return row.name


def by_name_only(task: EntrypointTask, count: int) -> int:
    del task
    return count


def untyped(task, data):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201 - that is what is tested
    del task
    return data


def plain(task: EntrypointTask) -> Any:
    return task.data


def takes_no_data(task: EntrypointTask) -> str:
    return task.text
