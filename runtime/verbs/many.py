"""Many: mapping and completion, for a thread that waits; see `BlockingVerbs.map` and `as_completed`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

from .chunk_mapping import mapping_of
from .completion import Completions, Ended
from .handle import TaskHandle, TaskRef
from .inbox import Inbox
from .mapping import Arrived, Mapping
from .pieces import Pieces, pieces_of
from .way import Way

__all__ = ["Pieces", "completed", "results"]

Handle = TypeVar("Handle", bound=TaskHandle)


def results(
    way: Way,
    wanted: Pieces,
    items: Iterable[Any],
    *,
    concurrency: int | None,
    ordered: bool,
) -> Iterator[Any]:
    """Yield the results of a mapping; see `BlockingVerbs.map`."""
    inbox: Inbox[Arrived] = Inbox()
    pieces = pieces_of(way, wanted, items)
    return _results(mapping_of(way, wanted, pieces, inbox, concurrency=concurrency, ordered=ordered), inbox)


def completed(
    way: Way, tasks: Iterable[TaskRef], timeout: float | None, handle: Callable[[str, str, Way], Handle]
) -> Iterator[Handle]:
    """Yield tasks as they end; see `BlockingVerbs.as_completed`."""
    inbox: Inbox[Ended] = Inbox()
    return _completed(Completions(way, tasks, inbox, handle, timeout), inbox)


def _results(mapping: Mapping, inbox: Inbox[Arrived]) -> Iterator[Any]:
    try:
        while True:
            mapping.fill()
            while (outcomes := mapping.ready()) is not None:
                yield from outcomes
                mapping.fill()
            if mapping.is_over:
                return
            mapping.take(inbox.get())
            while (arrived := inbox.take()) is not None:
                mapping.take(arrived)
    finally:
        mapping.close()


def _completed(completions: Completions[Handle], inbox: Inbox[Ended]) -> Iterator[Handle]:
    try:
        while len(completions):
            yield completions.take(inbox.get())
    finally:
        completions.close()
