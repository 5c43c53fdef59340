"""Pieces: what a mapping starts for its items, each for one item or for a chunk of them, and what comes of each."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, Literal, NamedTuple, TypeAlias, get_args

import msgspec

from ..tasks.calls import call_each, call_each_async
from ..tasks.chunks import collect_each, collect_each_async
from ..tasks.ends import TaskFailed, TaskStopped
from ..tasks.messages import RunOptions, RunTask
from ..tasks.views import TaskView
from ..team.callables import check_callable
from .arguments import check_choice, check_whole, several
from .request import CallRequests, options_of, run_request
from .steps import result_of_view
from .way import Way

__all__ = ["LATER", "OnError", "Piece", "Pieces", "outcomes_of", "pieces_of"]

OnError: TypeAlias = Literal["raise", "collect"]

Piece: TypeAlias = tuple[RunTask | Exception | None, int | None]
"""What to start, or why it cannot be, and for how many items; None: for one, whose result is the task's own."""

LATER: Final = object()
"""Stands, among items, for one that is still to come; and `(None, None)` does so among pieces."""

_NOT_YET: Final[Piece] = (None, None)


class Pieces(NamedTuple):
    """What is wanted for each item.

    Attributes:
        work: a function, or the name of an agent; an item that is no text is an agent's data, and its text as JSON.
        place: see `BlockingVerbs.run`.
        chunksize: items of one task.
        on_error: whether the items of a chunk fail each by itself.
    """

    work: Callable[..., Any] | str
    place: str | None
    chunksize: int
    on_error: OnError


def pieces_of(way: Way, wanted: Pieces, items: Iterable[Any]) -> Iterator[Piece]:
    """Return what to start for items: an agent's task, or a call of a function, for each, or for some together.

    Args:
        way: to the supervisor.
        wanted: what for each.
        items: may be endless; `LATER` among them is none.

    Raises:
        TypeError: an argument has the wrong type, there is nothing to call, or that cannot be sent to a process.
        ValueError: an argument is out of its range.
    """
    work, place, chunksize, on_error = wanted
    options = options_of(place=place)
    check_choice("on_error", on_error, get_args(OnError))
    check_whole("chunksize", chunksize)
    several(items, "items")
    if isinstance(work, str):
        if chunksize > 1:
            raise ValueError(f"chunksize is {chunksize}; it is 1 for an agent.")
        return _tasks(work, items, options)
    check_callable(work, "map")
    if chunksize == 1:
        return _calls(CallRequests(work, work, options, by_value=way.sends_code), items)
    each: Callable[..., Any] = collect_each if on_error == "collect" else call_each
    if inspect.iscoroutinefunction(work) or inspect.iscoroutinefunction(type(work).__call__):
        each = collect_each_async if on_error == "collect" else call_each_async
    function = functools.partial(each, work)
    requests = CallRequests(function, work, options, by_value=way.sends_code, are_chunks=True)
    return _chunks(requests, items, chunksize)


def _tasks(agent: str, items: Iterable[Any], options: RunOptions) -> Iterator[Piece]:
    number = 0
    for item in items:
        if item is LATER:
            yield _NOT_YET
            continue
        yield _task(agent, item, options, f"items[{number}]"), None
        number += 1


def _task(agent: str, item: Any, options: RunOptions, place: str) -> RunTask | TypeError:
    if isinstance(item, str):
        return run_request(agent, item, None, None, options)
    try:
        task = run_request(agent, "", None, item, options, what=place)
    except TypeError as error:
        return error
    return msgspec.structs.replace(task, task=task.data or "null")


def _calls(requests: CallRequests, items: Iterable[Any]) -> Iterator[Piece]:
    number = 0
    for item in items:
        if item is LATER:
            yield _NOT_YET
            continue
        yield _call(requests, item, item, f"items[{number}]"), None
        number += 1


def _call(requests: CallRequests, argument: Any, item: Any, place: str) -> RunTask | TypeError:
    try:
        return requests.request(argument, [(place, item)])
    except TypeError as error:
        return error


def _chunks(requests: CallRequests, items: Iterable[Any], size: int) -> Iterator[Piece]:
    source = iter(items)
    chunk: list[Any] = []
    number = 0
    error: Exception | None = None
    while error is None:
        try:
            item = next(source)
        except StopIteration:
            break
        except Exception as raised:  # noqa: BLE001 - of the program's own iterator: raised behind what came before
            error = raised
            continue
        if item is LATER:
            yield _NOT_YET
            continue
        chunk.append(item)
        if len(chunk) == size:
            yield from _chunk(requests, chunk, number)
            number += size
            chunk = []
    if chunk:
        yield from _chunk(requests, chunk, number)
    if error is not None:
        raise error


def _chunk(requests: CallRequests, chunk: list[Any], number: int) -> Iterator[Piece]:
    """Yield what is to be started for a chunk: several, where some of its items cannot be sent.

    Args:
        requests: makes them.
        chunk: the items.
        number: of the first of them.
    """
    places = [(f"items[{place}]", item) for place, item in enumerate(chunk, number)]
    try:
        whole: RunTask | None = requests.request(chunk, places)
    except TypeError:
        whole = None
    if whole is not None:
        yield whole, len(chunk)
        return
    good: list[Any] = []
    for place, item in places:
        alone = _call(requests, [item], item, place)
        if isinstance(alone, RunTask):
            good.append(item)
            continue
        if good:
            yield requests.request(good, places), len(good)
            good = []
        yield alone, None
    if good:
        yield requests.request(good, places), len(good)


def outcomes_of(view: TaskView, count: int | None, on_error: OnError) -> list[Any]:
    """Return the results that a task has for its items; where it has none, raise why, or return that for each.

    Args:
        view: the task, as it ended.
        count: its items; None: one, whose result is the task's own.
        on_error: see `BlockingVerbs.map`.
    """
    try:
        result: Any = result_of_view(view)
    except (TaskFailed, TaskStopped) as error:
        if on_error == "raise":
            raise
        return [error] * (count or 1)
    if count is None:
        return [result]
    return _outcomes_in(result, view) if on_error == "collect" else list(result)


def _outcomes_in(result: Any, view: TaskView) -> list[Any]:
    """Return the results and failures that the result of a task that worked through a chunk stands for.

    Args:
        result: as `Outcomes.encode` has made it.
        view: the task; that of a failure is the same, but failed.
    """
    return [each["result"] if "result" in each else TaskFailed(_failed(view, each)) for each in result]


def _failed(view: TaskView, outcome: dict[str, str]) -> TaskView:
    return msgspec.structs.replace(
        view,
        status="failed",
        reason=outcome["reason"],
        error=outcome["error"],
        traceback=outcome["traceback"],
        error_args=outcome["arguments"],
        result_json=None,
        result_file="",
    )
