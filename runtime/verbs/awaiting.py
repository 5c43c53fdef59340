"""Awaiting: waits for replies in an event loop, without a thread for any of them.

A reply comes in the supervisor's thread. It is put beside others that are due in the same loop, and the loop is woken
once for all of them. asyncio and trio are known; each event loop has one `Doorbell`.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import logging
import sys
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Generator
from concurrent.futures import Future
from typing import Any, Final, Generic, TypeVar

import msgspec

from ..tasks.given_up import given_up
from ..tasks.messages import ListTasks, Reading
from .steps import Steps, seen_ends
from .way import Way, stop_unknown

__all__ = [
    "AsyncInbox",
    "Doorbell",
    "begin",
    "breathe",
    "doorbell",
    "driven",
    "future_result",
    "in_thread",
    "tool_answer",
    "uncancelled",
]

logger = logging.getLogger("subactors.runtime")

_NOT_YET: Final = object()

T = TypeVar("T")


class Doorbell:
    """Calls functions in one event loop, soon, for any thread; rings once for all that have come meanwhile.

    Args:
        ring: has the loop call a function soon; may be called from any thread.
    """

    def __init__(self, ring: Callable[[Callable[[], None]], object]) -> None:
        self._ring = ring
        self._due: deque[Callable[[], object]] = deque()
        self._has_rung = False

    def call(self, function: Callable[[], object], unheard: Callable[[], object] = lambda: None) -> None:
        """Have a function called in the loop, or, if that is closed, the other one here. In any thread."""
        self._due.append(function)
        if not self._has_rung:
            self._has_rung = True
            try:
                self._ring(self._answer)
            except RuntimeError:  # the loop is closed, and so is whatever waited in it
                self._has_rung = False
                self._due.clear()
                unheard()

    def _answer(self) -> None:
        # First: what is added from now on rings again, and what was added before is in the line.
        self._has_rung = False
        for _ in range(len(self._due)):
            try:
                self._due.popleft()()
            except Exception:
                logger.exception("A callback of a task has raised an exception.")


class _OfThread(threading.local):
    loop: object = None
    doorbell: Doorbell | None = None


_of_thread: Final = _OfThread()


def doorbell() -> Doorbell:
    """Return the doorbell of the event loop that runs in this thread.

    Raises:
        RuntimeError: none does, or one of neither asyncio nor trio.
    """
    trio = _running_trio()
    loop: Any = asyncio.get_running_loop() if trio is None else trio.lowlevel.current_trio_token()
    if _of_thread.loop is not loop or _of_thread.doorbell is None:
        _of_thread.loop = loop
        _of_thread.doorbell = Doorbell(loop.call_soon_threadsafe if trio is None else loop.run_sync_soon)
    return _of_thread.doorbell


def _running_trio() -> Any:
    """Return the module, if the code that calls runs under it; else None."""
    trio = sys.modules.get("trio")
    return trio if trio is not None and trio.lowlevel.in_trio_run() else None


class _Sleeping:
    """Sleeps in an event loop until it is woken there; one sleeps at a time."""

    __slots__ = ("_doorbell", "_sleeper")

    def __init__(self) -> None:
        self._doorbell = doorbell()
        self._sleeper: Any = None

    def __await__(self) -> Generator[Any, None, Any]:
        """Sleep. No generator of its own: thousands may sleep."""
        trio = _running_trio()
        if trio is None:
            self._sleeper = asyncio.get_running_loop().create_future()
            sleep: Generator[Any, None, Any] = self._sleeper.__await__()
        else:
            self._sleeper = _SleeperOfTrio(trio)
            sleep = trio.lowlevel.wait_task_rescheduled(self._sleeper.abort).__await__()
        return sleep

    def _awake(self) -> None:
        if self._sleeper is not None and not self._sleeper.done():
            self._sleeper.set_result(None)


class _Slot(_Sleeping):
    """Takes the reply to one request; see `ReplyTo`. Made, and awaited where it `has_reply` not, in the event loop.

    There may be thousands that wait, so each is no more than itself and a future of the loop.
    """

    __slots__ = ("_abandoned", "_reply")

    def __init__(self) -> None:
        super().__init__()
        self._reply: Any = _NOT_YET
        self._abandoned: Way | None = None

    def set(self, value: Any) -> None:
        """Take the reply. In any thread."""
        self._reply = value
        if self._abandoned is not None:
            stop_unknown(self._abandoned, value)
        else:
            self._doorbell.call(self._awake)

    def set_exception(self, error: BaseException) -> None:
        """Take what the request was refused with. In any thread."""
        self.set(_Refused(error))

    @property
    def has_reply(self) -> bool:
        """Whether the reply is there."""
        return self._reply is not _NOT_YET

    @property
    def reply(self) -> Any:
        """The reply, once it is there; raises what the request was refused with."""
        if isinstance(self._reply, _Refused):
            raise self._reply.error
        return self._reply

    def abandon(self, way: Way) -> None:
        """See to it that nothing comes of a reply that nobody waits for any more: a task that nobody would know."""
        # This thread sets the one and looks at the other, and the one that replies the other way round: at least one
        # of them finds both.
        self._abandoned = way
        if self._reply is _NOT_YET:
            way.forget(self)
        else:
            stop_unknown(way, self._reply)


class AsyncInbox(_Sleeping, Generic[T]):
    """Takes what other threads put in, for one coroutine that takes it out. Made in that one's event loop."""

    __slots__ = ("_items",)

    def __init__(self) -> None:
        super().__init__()
        self._items: deque[T] = deque()

    def put(self, item: T) -> None:
        """Put something in. In any thread."""
        self._items.append(item)
        self._doorbell.call(self._awake)

    async def get(self) -> T:
        """Take the oldest out, once there is one. Cancelled, it has taken nothing."""
        while not self._items:
            await self
        return self._items.popleft()

    def take(self) -> T | None:
        """Take the oldest out, if there is one."""
        return self._items.popleft() if self._items else None


class _SleeperOfTrio:
    """A task of trio that sleeps, as a future of asyncio would have it."""

    def __init__(self, trio: Any) -> None:
        self._lowlevel = trio.lowlevel
        self._task = trio.lowlevel.current_task()
        self._is_done = False

    def done(self) -> bool:
        """Whether it was woken, or cancelled."""
        return self._is_done

    def set_result(self, _: None) -> None:
        """Wake it."""
        self._is_done = True
        self._lowlevel.reschedule(self._task)

    def abort(self, _raise_cancelled: object) -> Any:
        """Let it be cancelled."""
        self._is_done = True
        return self._lowlevel.Abort.SUCCEEDED


class _Refused:
    """Stands for an error among replies."""

    __slots__ = ("error",)

    def __init__(self, error: BaseException) -> None:
        self.error = error


async def driven(way: Way, verb: Steps[T]) -> T:
    """Take a verb to its end. A wait that is cancelled is dropped, and stops no task that anybody knows."""
    try:
        request = next(verb)
        while True:
            slot = _Slot()
            if way.acknowledges and isinstance(request, Reading):
                request = msgspec.structs.replace(request, peek=True)
            try:
                way.send(request, slot)
                shows_ends = not isinstance(request, ListTasks)
                del request  # thousands may wait
                if not slot.has_reply:
                    await slot
                reply = slot.reply
            except Exception as error:  # noqa: BLE001 - refused; the verb decides
                request = verb.throw(error)
            except BaseException:  # cancelled, in whatever way
                slot.abandon(way)
                raise
            else:
                # Here, and not when it was sent: what is cancelled in the tick of the end has seen nothing.
                if shows_ends and way.acknowledges and (seen := seen_ends(reply)):
                    way.acknowledge(seen)
                if shows_ends:
                    way.held.note_ends(reply)
                request = verb.send(reply)
    except StopIteration as done:
        value: T = done.value
        return value


async def breathe() -> None:
    """Let others in the event loop have their turn."""
    trio = _running_trio()
    await (asyncio.sleep(0) if trio is None else trio.lowlevel.checkpoint())


async def tool_answer(start: Callable[[], Future[T]], cut_short: Callable[[], BaseException]) -> T:
    """Return the answer of a tool call. A wait that is cancelled ends the call, but no task that it has waited for.

    Args:
        start: starts the call, in the context of whoever calls.
        cut_short: see `future_result`.
    """
    is_given_up = threading.Event()
    token = given_up.set(is_given_up)
    try:
        future = start()
    finally:
        given_up.reset(token)
    return await future_result(future, cut_short, is_given_up.set)


async def future_result(
    future: Future[T], cut_short: Callable[[], BaseException], give_up: Callable[[], object] = lambda: None
) -> T:
    """Return the result of a future that another thread settles; a wait that is cancelled cancels the future.

    Args:
        future: what to wait for.
        cut_short: makes the error to raise where the future was cancelled by somebody else.
        give_up: is called first where the wait is cancelled.
    """
    settled = _Slot()
    future.add_done_callback(lambda _: settled.set(None))
    try:
        if not settled.has_reply:
            await settled
    except BaseException:
        give_up()
        future.cancel()
        raise
    if future.cancelled():
        raise cut_short()
    return future.result()


async def in_thread(function: Callable[[], T]) -> T:
    """Call a function that blocks, and bounded, in a thread of its own; return, or raise, what it does.

    The wait for its end is not cut short by a cancellation.
    """
    ended = _Slot()

    def work() -> None:
        try:
            ended.set(function())
        except BaseException as error:  # noqa: BLE001 - whoever waits hears it
            ended.set_exception(error)

    async def wait() -> T:
        if not ended.has_reply:
            await ended
        value: T = ended.reply
        return value

    thread = threading.Thread(target=work, name="subactors-blocking", daemon=True)
    thread.start()
    try:
        return await uncancelled(wait)
    finally:
        thread.join()  # it has nothing more to do


async def uncancelled(wait: Callable[[], Awaitable[T]]) -> T:
    """Wait for something, again each time that the wait is cancelled; raise the cancellation when it is over.

    Args:
        wait: begins to wait; what it waits for must come.
    """
    cancelled: BaseException | None = None
    with _shield():
        while True:
            try:
                value = await wait()
                break
            except Exception:
                raise
            except BaseException as error:  # noqa: BLE001 - a cancellation of asyncio, which comes once
                cancelled = error
    if cancelled is not None:
        raise cancelled
    return value


def _shield() -> contextlib.AbstractContextManager[object]:
    """Return what keeps cancellations of trio and anyio out; asyncio's own come once each."""
    library = _running_trio() or sys.modules.get("anyio")
    return contextlib.nullcontext() if library is None else library.CancelScope(shield=True)


def begin(work: Callable[[], Awaitable[object]]) -> Callable[[], None]:
    """Have a coroutine run beside whoever calls, in the same event loop; return what cancels it, in any thread.

    Args:
        work: the coroutine function; raises nothing but a cancellation.
    """
    trio = _running_trio()
    if trio is not None:
        scope = trio.CancelScope()

        async def within() -> None:
            with scope:
                await work()

        # Beside `asyncio.create_task`, this has no nursery: what runs ends when its map is closed, or the loop ends.
        trio.lowlevel.spawn_system_task(within, context=contextvars.copy_context())
        token = trio.lowlevel.current_trio_token()
        return lambda: _rung(token.run_sync_soon, scope.cancel)
    loop = asyncio.get_running_loop()

    async def beside() -> None:
        await work()

    task = loop.create_task(beside())
    return lambda: _rung(loop.call_soon_threadsafe, task.cancel)


def _rung(ring: Callable[[Callable[[], object]], object], function: Callable[[], object]) -> None:
    with contextlib.suppress(RuntimeError):  # the loop has ended, and so has all that ran in it
        ring(function)
