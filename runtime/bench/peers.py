"""Peers: the same work in threads, in a `ProcessPoolExecutor`, and as coroutines, as the standard library has them.

Whatever a function prints is thrown away, and only the moment of its first word is noted.
"""

from __future__ import annotations

import asyncio
import contextvars
import ctypes
import inspect
import io
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, Final, NoReturn, Self

from ..child.entrypoint import EntrypointTask, call_entrypoint
from ..errors import RunError
from ..team.references import resolve
from .work import COROUTINES, PROCESSES, THREADS, FanOut, Span, Work

__all__ = ["Peer", "open_peer"]


_DIE_WITH_PARENT: Final = 1
"""PR_SET_PDEATHSIG, which is private to `actors`."""


class NotATaskError(RunError):
    """A function has asked for what only a task has."""


# --- one call -------------------------------------------------------------------------------------------------------


class _Call:
    """One call of the function, and its moments by the monotonic clock, which all processes share."""

    __slots__ = ("began", "said")

    def __init__(self) -> None:
        self.began = time.monotonic()
        self.said: float | None = None

    def say(self) -> None:
        """Note that something was said."""
        if self.said is None:
            self.said = time.monotonic()


_current: contextvars.ContextVar[_Call] = contextvars.ContextVar("call")


class _Nowhere(io.TextIOBase):
    """Takes the place of standard output."""

    def write(self, text: str) -> int:
        """Note the moment, in the call that writes."""
        call = _current.get(None)
        if call is not None and text:
            call.say()
        return len(text)


class _Outside:
    """What is behind the task of an entrypoint that is called outside of any task; implements `Inside`."""

    def __init__(self, call: _Call) -> None:
        self._call = call

    def emit(self, text: str) -> None:
        """Say something."""
        if text:
            self._call.say()

    def progress(self, done: float, total: float | None, note: str) -> None:
        """Nobody is told."""

    def count(self, usage: Any) -> None:
        """Nobody counts."""

    def way(self) -> NoReturn:
        """There is no supervisor."""
        raise NotATaskError("it uses task.runtime")

    def belongings(self) -> NoReturn:
        """There is no agent."""
        raise NotATaskError("it uses task.tools or task.model")

    def receive(self, *_: Any) -> NoReturn:
        """Nobody says anything."""
        raise NotATaskError("it waits for messages")

    def ask(self, *_: Any) -> NoReturn:
        """Nobody answers."""
        raise NotATaskError("it asks questions")


def _called(work: Work, call: _Call) -> Any:
    """Call the function and return what it returns: of one that is async a coroutine."""
    _current.set(call)
    function = resolve(work.function, what="The function")
    if not work.team:
        return function(*work.args)
    task = EntrypointTask(
        id="", agent=work.agent, text=work.task, expected_output=None, inside=_Outside(call), stop=threading.Event()
    )
    return call_entrypoint(function, task, None)


def _done(work: Work) -> tuple[Any, ...]:
    """Do the work once, in this thread; return its moments, why it failed, and its result. Also in other processes."""
    call, failure, result, place = _Call(), "", None, (os.getpid(), threading.get_ident())
    try:
        result = _called(work, call)
        if inspect.iscoroutine(result):
            result = asyncio.run(result)
    except Exception as error:  # noqa: BLE001 - the function's own
        failure = _told(error)
    return call.began, call.said, time.monotonic(), failure, place, result


async def _awaited(work: Work, room: asyncio.Semaphore) -> tuple[Any, ...]:
    """Do the work once, as a coroutine."""
    async with room:
        slot = time.monotonic()
        call, failure = _Call(), ""
        try:
            await _called(work, call)
        except Exception as error:  # noqa: BLE001 - the function's own
            failure = _told(error)
        return call.began, call.said, time.monotonic(), failure, slot


def _told(error: Exception) -> str:
    if isinstance(error, NotATaskError):
        return f"{_ONLY_TASKS}{error}"
    return f"{type(error).__name__}: {error}"


_ONLY_TASKS: Final = "Only a task can do that: "


def _become_worker() -> None:
    """Make a process of the pool ready; it ends with the program, however that ends."""
    ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)
    sys.stdout = _Nowhere()


# --- the ways -------------------------------------------------------------------------------------------------------


class Peer:
    """One of these ways.

    Args:
        work: what is done.
    """

    def __init__(self, work: Work) -> None:
        self._work = work
        self._concurrency = work.concurrency
        sys.stdout = _Nowhere()
        resolve(work.function, what="The function")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Give back what it holds."""

    def fan_out(self, tasks: int) -> FanOut:
        """Do the work as many times, all at once."""
        raise NotImplementedError

    def _fan_out(self, began: float, spans: Sequence[Span]) -> FanOut:
        wall = time.monotonic() - began
        only = [span.failure for span in spans if span.failure.startswith(_ONLY_TASKS)]
        return FanOut(wall=wall, spans=list(spans), fault=only[0].removeprefix(_ONLY_TASKS) if only else "")


class _Pool(Peer):
    """A pool of the standard library's, of threads or of processes."""

    def __init__(self, work: Work, make: Callable[[int], Executor]) -> None:
        super().__init__(work)
        self._make = make
        self._open()

    def _open(self) -> None:
        self._pool = self._make(self._concurrency)
        self._pool.submit(abs, -1).result()

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    def fan_out(self, tasks: int) -> FanOut:
        """Do the work as many times, all at once."""
        began = time.monotonic()
        futures: list[tuple[float, Future[Any]]] = []
        for _ in range(tasks):
            asked = time.monotonic() - began
            futures.append((asked, self._submitted()))
        ends = [(asked, _outcome(future)) for asked, future in futures]
        result = self._fan_out(began, _spans(ends, began))
        if any(isinstance(end, BrokenProcessPool) for _, end in ends):
            self._pool.shutdown(wait=False)
            self._open()
        return result

    def _submitted(self) -> Future[Any]:
        try:
            return self._pool.submit(_done, self._work)
        except BrokenProcessPool as error:
            broken: Future[Any] = Future()
            broken.set_exception(error)
            return broken


def _outcome(future: Future[Any]) -> tuple[Any, ...] | BaseException:
    """Return what a call has told, or what became of it in place of that."""
    error = future.exception()
    return future.result() if error is None else error


def _spans(ends: Sequence[tuple[float, tuple[Any, ...] | BaseException]], began: float) -> list[Span]:
    """Return the spans of calls: there is room for one when the call before it, of the same worker, has ended."""
    spans: list[Span] = []
    free: dict[Any, float] = {}
    told = [(asked, end) for asked, end in ends if isinstance(end, tuple)]
    for asked, (start, said, ended, failure, place, _) in sorted(told, key=lambda entry: entry[1][0]):
        slot = max(asked, free.get(place, 0.0))
        free[place] = ended - began
        said_at = None if said is None else said - began
        spans.append(Span(slot=slot, began=start - began, said=said_at, ended=ended - began, failure=failure))
    now = time.monotonic() - began
    for asked, end in ends:
        if not isinstance(end, tuple):
            spans.append(Span(slot=asked, ended=now, failure=f"{type(end).__name__}: {end}"))
    return spans


class _Coroutines(Peer):
    """Coroutines of one event loop."""

    def fan_out(self, tasks: int) -> FanOut:
        """Do the work as many times, all at once."""

        async def run() -> list[tuple[Any, ...]]:
            room = asyncio.Semaphore(self._concurrency)
            return await asyncio.gather(*(_awaited(self._work, room) for _ in range(tasks)))

        began = time.monotonic()
        ends = asyncio.run(run())
        return self._fan_out(
            began,
            [
                Span(
                    slot=slot - began,
                    began=start - began,
                    said=None if said is None else said - began,
                    ended=ended - began,
                    failure=failure,
                )
                for start, said, ended, failure, slot in ends
            ],
        )


def open_peer(way: str, work: Work) -> Peer:
    """Return a way to do the work.

    Raises:
        RunError: the work cannot be done so; the message says why.
        ImportTargetError: there is no such function.
    """
    if way == THREADS:
        return _Pool(work, ThreadPoolExecutor)
    if way == PROCESSES:
        return _Pool(work, lambda most: ProcessPoolExecutor(most, initializer=_become_worker))
    assert way == COROUTINES, way  # noqa: S101 - there are no others
    function = resolve(work.function, what="The function")
    if not inspect.iscoroutinefunction(function):
        raise RunError("the function is not async")
    return _Coroutines(work)
