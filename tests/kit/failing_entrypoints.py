"""Functions that fail, each in its own way, for tests that name them as entrypoint or as model of an agent."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from typing import Any, NoReturn

from subactors.runtime import EntrypointTask

CAUSE = "the server at port 4711 is gone"


async def _lose_the_server() -> NoReturn:
    raise ConnectionError(CAUSE)


async def task_group(_task: EntrypointTask) -> None:
    """Fail in a task of a task group."""
    async with asyncio.TaskGroup() as group:
        group.create_task(_lose_the_server())


def nested_groups(_task: EntrypointTask) -> NoReturn:
    """Raise a group in a group."""
    raise ExceptionGroup("outer", [ExceptionGroup("inner", [ConnectionError(CAUSE), KeyError("x")]), OSError("disk")])


def large_group(_task: EntrypointTask) -> NoReturn:
    """Raise many things at once."""
    raise ExceptionGroup("all of it", [ValueError(f"number {number}") for number in range(500)])


def cause(_task: EntrypointTask) -> NoReturn:
    """Raise one error for another."""
    try:
        _ask_the_server()
    except ConnectionError as error:
        raise RuntimeError("the report failed") from error


def cause_that_is_said(_task: EntrypointTask) -> NoReturn:
    """Raise one error for another, and say so in its text."""
    try:
        _ask_the_server()
    except ConnectionError as error:
        raise RuntimeError(f"the report failed: {error}") from error


def _ask_the_server() -> NoReturn:
    raise ConnectionError(CAUSE)


def circle(_task: EntrypointTask) -> NoReturn:
    """Raise an error whose cause has it as its cause."""
    first, second = ValueError("first"), ValueError("second")
    first.__cause__, second.__cause__ = second, first
    raise first


def note(_task: EntrypointTask) -> NoReturn:
    """Raise an error with a note."""
    error = KeyError("steps")
    error.add_note("The plan has no steps.\nWrite some.")
    raise error


def long_chain(_task: EntrypointTask) -> NoReturn:
    """Raise what a loop that tries again a hundred times has come to."""
    error: Exception = ConnectionError(CAUSE)
    for attempt in range(100):
        try:
            _fail_again(attempt, error)
        except RuntimeError as failed:
            error = failed
    raise error


def _fail_again(attempt: int, error: Exception) -> NoReturn:
    raise RuntimeError(f"attempt {attempt}") from error


class BrokenError(Exception):
    """Cannot say what it is."""

    def __str__(self) -> str:
        raise ZeroDivisionError


def broken_error(_task: EntrypointTask) -> NoReturn:
    """Raise what cannot be printed."""
    raise BrokenError


def key(task: EntrypointTask) -> str:
    """Look up what is not there."""
    plan: dict[str, str] = {}
    return _step_of(plan, task.text)


def _step_of(plan: dict[str, str], name: str) -> str:
    return plan[name]


async def key_async(task: EntrypointTask) -> str:
    """Do the same in an event loop, in a thread."""
    return await asyncio.to_thread(key, task)


def library(task: EntrypointTask) -> Any:
    """Fail inside the standard library."""
    return json.loads(task.text)


def endless(task: EntrypointTask) -> Any:
    """Call itself without an end."""
    return endless(task)


def succeeds_at_last(task: EntrypointTask) -> str:
    """Fail in the first attempt."""
    if task.attempt == 1:
        raise ValueError("first attempt")
    return "done"


def fails_each_time(task: EntrypointTask) -> NoReturn:
    """Fail in every attempt, and say in which."""
    if task.attempt == 1:
        raise ValueError("first attempt")
    _fail_later()


def _fail_later() -> NoReturn:
    raise ValueError("second attempt")


def fails_when_stopped(task: EntrypointTask) -> NoReturn:
    """Wait for a stop, and fail then."""
    task.emit("so far ")
    task.wait_for_stop(600)
    raise OSError("no room to save")


def model(_messages: list[dict[str, Any]], _tools: list[dict[str, Any]]) -> str:
    """Be a model that fails."""
    return _step_of({}, "steps")


async def streaming_model(_messages: list[dict[str, Any]], _tools: list[dict[str, Any]]) -> Any:
    """Be a model that fails in the middle of what it says."""
    yield "so far "
    yield _step_of({}, "steps")


class _Odd(str):
    """Text that is none."""

    __slots__ = ()

    def __len__(self) -> int:
        return -1  # noqa: PLE0303 - what it should not be is the point

    def __str__(self) -> str:
        return self


class OddError(Exception):
    """Its text is of a type of its own."""

    def __str__(self) -> str:
        return _Odd("odd")


class LeavingError(Exception):
    """Its text ends the program."""

    def __str__(self) -> str:  # noqa: PLE0307 - that there is none is the point
        sys.exit(3)


def odd_text(_task: EntrypointTask) -> NoReturn:
    """Raise what breaks whoever handles its text."""
    raise OddError


def leaving_text(_task: EntrypointTask) -> NoReturn:
    """Raise what ends whoever asks for its text."""
    raise LeavingError


def with_logging(_task: EntrypointTask) -> NoReturn:
    """Set up logging as most programs do, and fail."""
    logs_all(_task)
    raise ValueError(CAUSE)


def logs_all(_task: EntrypointTask) -> None:
    """Set up logging so that nothing is left out."""
    logging.basicConfig(level=logging.DEBUG, force=True)
    logging.getLogger(__name__).info("on it")
