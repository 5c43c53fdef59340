"""Functions that tests name as `python_tools:…` in toolsets of type `python`."""

from __future__ import annotations

import asyncio
import contextvars
import dataclasses
import datetime as dt
import enum
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import pydantic

if TYPE_CHECKING:
    from decimal import Decimal

    from subactors.runtime import EntrypointTask

log: list[str] = []
"""What functions have done, for tests in whose process they run."""

variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")


def look_up(word: str, limit: int = 5, *, exact: bool = False) -> str:
    """Look a word up.

    It looks in all books.

    Args:
        word: the word, in lower case.
        limit: at most so many places.
        exact: whether nothing similar counts.

    Returns:
        the places, one a line.
    """
    return f"{word} {limit} {exact}"


def look_up_numpy(word: str, limit: int = 5) -> str:
    """Look a word up.

    Parameters
    ----------
    word : str
        the word, in lower case.
    limit : int, optional
        at most so many places.
    """
    return f"{word} {limit}"


def look_up_sphinx(word: str, limit: int = 5) -> str:
    """Look a word up.

    :param word: the word, in lower case.
    :param int limit: at most so many places.
    :returns: the places.
    """
    return f"{word} {limit}"


class Colour(enum.Enum):
    RED = "red"
    GREEN = "green"


@dataclasses.dataclass
class Point:
    x: int
    y: int = 0


class Order(pydantic.BaseModel):
    """An order."""

    article: str = pydantic.Field(description="what is ordered")
    count: int = pydantic.Field(default=1, ge=1)


def takes_much(
    colour: Colour,
    points: list[Point],
    order: Order | None = None,
    mode: Annotated[Literal["fast", "slow"], "how to do it"] = "fast",
    *,
    day: dt.date | None = None,
    size: int = pydantic.Field(default=3, le=9, description="how large"),
    weights: Annotated[dict[str, float], pydantic.Field(description="of each")] = {},  # noqa: B006 - as authors write it
) -> dict[str, Any]:
    """Take much."""
    assert isinstance(colour, Colour)
    assert all(isinstance(point, Point) for point in points)
    assert order is None or isinstance(order, Order)
    return {
        "colour": colour,
        "points": points,
        "order": order,
        "mode": mode,
        "day": day,
        "size": size,
        "weights": weights,
    }


def odd_names(copy: str, json: int, _hidden: bool = False, /, *schema: str, model_config: str = "") -> str:
    """Parameters with the names of a model's methods."""
    return f"{copy} {json} {_hidden} {schema} {model_config}"


def takes_anything(first, **more):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN003, ANN201 - as authors write it
    return {"first": first, **more}


async def in_the_loop(text: str) -> str:
    """Say where it runs."""
    await asyncio.sleep(0)
    return f"{text} in {threading.current_thread().name}"


def in_a_thread(text: str) -> str:
    """Say where it runs."""
    return f"{text} in {threading.current_thread().name} with {variable.get()}"


def raises(text: str) -> None:
    """Fail."""
    error = ValueError(text)
    error.add_note("Try another.")
    raise error


async def raises_in_the_loop() -> None:
    raise RuntimeError("no luck")


def leaves() -> None:
    """Leave the program."""
    raise SystemExit(3)


async def leaves_in_the_loop() -> None:
    raise SystemExit(3)


def runs_out() -> str:
    return next(iter(()))


def waits_for_a_file(path: str) -> str:
    """Wait for a file."""
    while not Path(path).exists():
        threading.Event().wait(0.01)
    return "It is there."


async def sleeps() -> None:
    """Sleep for long."""
    try:
        await asyncio.sleep(600)
    finally:
        log.append("cancelled")


def says_its_task(text: str, task: EntrypointTask) -> str:
    """Say the task's id.

    Args:
        text: what to say.
        task: it.
    """
    task.emit(f"<{text}>")
    return f"{task.agent} {task.id} {task.text}"


def may_say_its_task(task: EntrypointTask | None = None) -> str:
    return "no task" if task is None else task.id


def process_id() -> int:
    """Return the id of its process."""
    return os.getpid()


def shows_key() -> str:
    """Show a key."""
    return os.environ["OPENAI_API_KEY"][-4:]


def quotes_key() -> None:
    """Fail, and quote a key."""
    raise ConnectionError(f"https://example.com/?key={os.environ['OPENAI_API_KEY']} cannot be reached")


def not_plain() -> object:
    return object()


def yields() -> Any:
    yield 1


def unknown_annotation(price: Decimal) -> str:
    return str(price)


def not_of_json(stream: threading.Lock) -> str:
    return str(stream)


class Shop:
    """With a method."""

    def sell(self, article: str) -> str:
        return f"{article} sold"

    @staticmethod
    def open_at(day: str) -> str:
        """Say when it opens."""
        return f"{day} at nine"
