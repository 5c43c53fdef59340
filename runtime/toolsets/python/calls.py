"""Calls: runs a function to its end, or to the end of its time; sync ones in a thread, async ones in the event loop.

Each call has a thread of its own, a daemon: a function that never ends must neither keep others waiting, as it would in
a pool, nor the process at its end.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import inspect
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

__all__ = ["OutOfTimeError", "call"]

_TIME_TO_TIDY_UP: Final = 1.0
"""Seconds that a coroutine has to end once it is cancelled."""


class OutOfTimeError(Exception):
    """The call has not ended in time. Not `TimeoutError`, which the function itself may raise."""


class _Outcome(NamedTuple):
    value: Any
    error: BaseException | None = None


async def call(
    function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any], *, seconds: float, name: str
) -> Any:
    """Return what a function returns.

    Args:
        function: sync or async.
        args: its arguments.
        kwargs: its keyword arguments.
        seconds: how long it may take. A coroutine is cancelled then; a thread goes on, as nothing can end it.
        name: of the thread.

    Raises:
        OutOfTimeError: it takes longer.
        asyncio.CancelledError: this call is cancelled, or the function's coroutine is, from within.
        BaseException: whatever the function raised, `SystemExit` too.
    """
    work = asyncio.ensure_future(_outcome(function, args, kwargs, name))
    try:
        ended, _ = await asyncio.wait({work}, timeout=seconds)
    except asyncio.CancelledError:
        await _end(work)
        raise
    if not ended:
        await _end(work)
        raise OutOfTimeError
    value, error = work.result()
    if error is not None:
        raise error
    return value


async def _end(work: asyncio.Future[_Outcome]) -> None:
    work.cancel()
    await asyncio.wait({work}, timeout=_TIME_TO_TIDY_UP)


async def _outcome(function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any], name: str) -> _Outcome:
    """Call a function. An exception is part of the outcome: some, raised in an event loop, would end it."""
    try:
        if inspect.iscoroutinefunction(function):
            return _Outcome(await function(*args, **kwargs))
        outcome = await _in_thread(function, args, kwargs, name)
        # What a sync wrapper around an async function returns.
        return _Outcome(await outcome.value) if inspect.isawaitable(outcome.value) else outcome
    except (Exception, SystemExit) as error:  # noqa: BLE001 - it is the call's outcome
        return _Outcome(None, error)


async def _in_thread(
    function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any], name: str
) -> _Outcome:
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[_Outcome] = loop.create_future()
    context = contextvars.copy_context()

    def settle(outcome: _Outcome) -> None:
        if not ended.done():
            ended.set_result(outcome)

    def work() -> None:
        try:
            outcome = _Outcome(context.run(function, *args, **kwargs))
        except BaseException as error:  # noqa: BLE001 - whoever called it is told
            outcome = _Outcome(None, error)
        with contextlib.suppress(RuntimeError):  # the loop is closed, and nobody waits any more
            loop.call_soon_threadsafe(settle, outcome)

    threading.Thread(target=work, name=name, daemon=True).start()
    return await ended
