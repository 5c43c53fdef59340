"""Letters: what is said to the task while it runs, for its model between two turns, or for its function when it asks.

A letter comes in the mailbox thread of the process, and may come twice. Whoever takes one says so to the supervisor.
"""

from __future__ import annotations

import threading
from collections import deque
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Final

from ...actors.interrupts import result_of
from ..tasks.talk import LettersTaken, Listen

if TYPE_CHECKING:
    from ...actors import SupervisorRef
    from ..tasks.talk import Letter

__all__ = ["Letterbox", "letterbox"]


class Letterbox:
    """The letters of the one task of this process. Every method may be called from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._letters: deque[Letter] = deque()
        self._waiting: deque[Future[Letter | None]] = deque()
        self._unreported: list[int] = []
        self._last = 0
        self._is_closed = False

    def put(self, letter: Letter) -> None:
        """Put in a letter that has come. Runs in the mailbox thread."""
        with self._lock:
            if letter.number <= self._last:
                return
            self._last = letter.number
            self._letters.append(letter)
        self._hand_out()

    def close(self) -> None:
        """Let nobody wait any more: the task has been asked to stop."""
        with self._lock:
            self._is_closed = True
        self._hand_out()

    @property
    def is_empty(self) -> bool:
        """Whether nothing has come that is not taken."""
        return not self._letters

    def take_all(self) -> list[Letter]:
        """Take what is there, without saying so: `report` has it told with the turn in which it is."""
        if not self._letters:
            return []
        with self._lock:
            letters = list(self._letters)
            self._letters.clear()
        self._unreported += [letter.number for letter in letters]
        return letters

    def report(self) -> list[int]:
        """Return the numbers of what `take_all` has taken since this was called last."""
        numbers, self._unreported = self._unreported, []
        return numbers

    def receive(self, supervisor: SupervisorRef, timeout: float | None) -> str | None:
        """Take the oldest, once there is one; None if none has come in time, or the task is to stop."""
        future, heard = self._first(supervisor)
        try:
            if timeout is not None and timeout <= 0:
                result_of(heard)  # what was said before is on its way, or here
            result_of(future, timeout)
        except TimeoutError:
            pass
        except BaseException:
            self._give_up(supervisor, future)
            raise
        return self._taken(supervisor, future)

    async def areceive(self, supervisor: SupervisorRef, timeout: float | None) -> str | None:  # noqa: ASYNC109 - as `receive` has it
        """As `receive`, in an event loop of asyncio."""
        import asyncio  # noqa: PLC0415 - for functions that are async

        future, heard = self._first(supervisor)
        try:
            if timeout is not None and timeout <= 0:
                await asyncio.wait([asyncio.wrap_future(heard)])
            await asyncio.wait([asyncio.wrap_future(future)], timeout=timeout)
        except BaseException:
            self._give_up(supervisor, future)
            raise
        return self._taken(supervisor, future)

    def _first(self, supervisor: SupervisorRef) -> tuple[Future[Letter | None], Future[Any]]:
        """Return a future for the oldest letter that nobody else waits for, and one for when all have come so far."""
        future: Future[Letter | None] = Future()
        heard: Future[Any] = Future()
        with self._lock:
            self._waiting.append(future)
            if not self._letters and not self._is_closed:
                heard = supervisor.ask(Listen(len(self._waiting)))
            else:
                heard.set_result(None)
        self._hand_out()
        return future, heard

    def _taken(self, supervisor: SupervisorRef, future: Future[Letter | None]) -> str | None:
        """Return what a future has become, for good: nothing, if it is not settled yet."""
        letter = None if future.cancel() else future.result()
        with self._lock:
            self._forget(future)
            numbers = [] if letter is None else [letter.number]
            supervisor.tell(LettersTaken(numbers, len(self._waiting)))
        return None if letter is None else letter.text

    def _give_up(self, supervisor: SupervisorRef, future: Future[Letter | None]) -> None:
        """Let somebody else have what has come just now for one who does not wait any more."""
        letter = None if future.cancel() else future.result()
        with self._lock:
            self._forget(future)
            if letter is not None:
                self._letters.appendleft(letter)
            supervisor.tell(LettersTaken(waiting=len(self._waiting)))
        self._hand_out()

    def _forget(self, future: Future[Letter | None]) -> None:
        if future in self._waiting:
            self._waiting.remove(future)

    def _hand_out(self) -> None:
        """Give each who waits the oldest letter there is, in the order in which they came."""
        while True:
            with self._lock:
                if not self._waiting or not (self._letters or self._is_closed):
                    return
                future = self._waiting.popleft()
                if not future.set_running_or_notify_cancel():
                    continue
                letter = self._letters.popleft() if self._letters else None
            future.set_result(letter)


letterbox: Final = Letterbox()
"""A process has one task. It is made in the zygote, so that a task to which nobody says anything pays nothing."""
