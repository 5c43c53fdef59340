"""People: the persons whom a host can ask, each through somebody who shows them a question and brings their answer.

That is a function of the program (`on_question`), a prompt on a terminal, or an MCP host. An answer may take long: a
question is shown by a thread of its own, or by somebody who has an event loop for that. Whoever shows it hears when it
waits for no answer any more.
"""

from __future__ import annotations

import contextlib
import inspect
import logging
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import Future
from typing import Any, Final, Protocol, TypeAlias

from .errors import RunError, RuntimeClosedError
from .tasks.gateway import Caller
from .tasks.questions import APPROVAL, AnswerQuestion, Question, Settled

__all__ = ["MOST_TRIES", "AskPerson", "Gone", "OnQuestion", "People", "ShowQuestion", "asks_program"]

logger = logging.getLogger("subactors.runtime")

OnQuestion: TypeAlias = Callable[[Question], "str | Awaitable[str | None] | None"]
"""A function of the program's that answers questions; None leaves one to others."""

MOST_TRIES: Final = 5
"""Answers that are none of the choices, after which a person is not asked again."""

_MOST_SHOWN: Final = 200
"""Questions that are shown at a time by a thread each; tasks could ask thousands."""

_PATIENCE: Final = 1.0
"""Seconds that the end of a host waits for those who show questions."""


class Gone:
    """Whether a question waits for no answer any more, and how it ended. Every method may be called from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._callbacks: list[Callable[[], object]] = []
        self.how: Settled | None = None

    def is_set(self) -> bool:
        """Whether it does not wait any more."""
        return self.how is not None

    def call(self, callback: Callable[[], object]) -> None:
        """Have a function called when it does not, at once if so; in any thread. It must return at once."""
        with self._lock:
            if self.how is None:
                self._callbacks.append(callback)
                return
        callback()

    def set(self, how: Settled) -> None:
        """It does not wait any more."""
        with self._lock:
            self.how = self.how or how
            callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback()


class AskPerson(Protocol):
    """Shows somebody a question, and brings the answer. Runs in a thread of its own."""

    def __call__(self, question: Question, gone: Gone, wrong: str) -> str | None:
        """Return the answer; None if there is none, or `gone` is set.

        Args:
            question: what to ask.
            gone: whether it waits for no answer any more; then this is to return soon.
            wrong: why the last answer does not count, as a sentence; empty if there was none.
        """
        ...


ShowQuestion: TypeAlias = Callable[[Question, Gone], object]
"""Has somebody shown a question, and hands the answer in itself. Runs in the supervisor's thread; returns at once."""


NONE_FITS: Final = "no answer to it was one of those to choose from"
"""Why a call is denied whose answers did not count, as often as they may."""


def not_answered(question: Question, why: str = "") -> str | None:
    """Return what counts where nobody answers: that denies a call, and leaves other questions to others."""
    if question.kind != "approval":
        return None
    return f"{APPROVAL[-1]}: {why}" if why else APPROVAL[-1]


class Tries:
    """Answers to one question, until one counts, or as many did not as may be: yields why the last one did not.

    Attributes:
        are_over: whether none is wanted any more: one counts, or the host ends.
    """

    def __init__(self) -> None:
        self.are_over = False
        self._wrong = ""

    def __iter__(self) -> Iterator[str]:
        for _ in range(MOST_TRIES):
            if not self.are_over:
                yield self._wrong

    @contextlib.contextmanager
    def answering(self) -> Iterator[None]:
        """Hand an answer in, inside of the block."""
        try:
            yield
        except RuntimeClosedError:
            self.are_over = True
        except RunError as error:
            self._wrong = str(error)
        else:
            self.are_over = True


class People:
    """See the module, and `supervisor/questions`. Every method may be called from any thread.

    Args:
        answer: hands in an answer; the future is settled when it counts, or is refused.
    """

    def __init__(self, answer: Callable[[AnswerQuestion, Caller], Future[Any]]) -> None:
        self._answer = answer
        self._askers: list[tuple[AskPerson, Caller]] = []
        self._showing: list[ShowQuestion] = []
        self._lock = threading.Lock()
        self._open: dict[str, Gone] = {}
        self._threads: set[threading.Thread] = set()

    @property
    def are_there(self) -> bool:
        """Whether there is anybody."""
        return bool(self._askers or self._showing)

    def attach(self, asker: AskPerson, who: str) -> None:
        """Have questions shown by somebody, from now on.

        Args:
            asker: shows them.
            who: who answers then, for the events.
        """
        with self._lock:
            self._askers = [*self._askers, (asker, Caller(title=who))]

    def detach(self, asker: AskPerson) -> None:
        """Have them shown by that one no longer."""
        with self._lock:
            self._askers = [each for each in self._askers if each[0] is not asker]

    def attach_showing(self, show: ShowQuestion) -> None:
        """Have questions shown by somebody who needs no thread of ours, from now on."""
        with self._lock:
            self._showing = [*self._showing, show]

    def detach_showing(self, show: ShowQuestion) -> None:
        """Have them shown by that one no longer."""
        with self._lock:
            self._showing = [each for each in self._showing if each != show]

    def ask(self, question: Question) -> None:
        """Have a question shown by all who show any. Runs in the supervisor's thread."""
        if not self.are_there:
            return  # it is still in lists and views, and an event
        gone = self._open[question.id] = Gone()
        for show in self._showing:
            show(question, gone)
        if len(self._threads) >= _MOST_SHOWN:
            return  # the same
        for asker, caller in self._askers:
            thread = threading.Thread(
                target=self._show, args=(asker, caller, question, gone), name="subactors-question", daemon=True
            )
            with self._lock:
                self._threads.add(thread)
            thread.start()

    def settled(self, question_id: str, how: Settled) -> None:
        """A question waits for no answer any more. Runs in the supervisor's thread."""
        gone = self._open.pop(question_id, None)
        if gone is not None:
            gone.set(how)

    def close(self) -> None:
        """Have all questions gone, and wait a moment for those who show them."""
        for question_id in list(self._open):
            self.settled(question_id, "withdrawn")
        with self._lock:
            threads = list(self._threads)
        for thread in threads:
            if thread is not threading.current_thread():
                thread.join(_PATIENCE)

    def _show(self, asker: AskPerson, caller: Caller, question: Question, gone: Gone) -> None:
        try:
            tries = Tries()
            for wrong in tries:
                said = asker(question, gone, wrong)
                if said is None or gone.is_set():
                    return
                with tries.answering():
                    self._answer(AnswerQuestion(question.id, said), caller).result()
            if not tries.are_over:
                self._deny(question, caller, NONE_FITS)
        except BaseException:  # sys.exit, too, in a function of the program's
            logger.exception("Whoever was to answer %s of %s has raised an exception.", question.id, question.task_id)
            self._deny(question, caller, "whoever was to approve it has failed")
        finally:
            with self._lock:
                self._threads.discard(threading.current_thread())

    def _deny(self, question: Question, caller: Caller, why: str) -> None:
        """Deny a call that somebody was to approve who cannot; other questions are left to others."""
        if (denied := not_answered(question, why)) is not None:
            with contextlib.suppress(RunError, RuntimeClosedError):  # answered meanwhile, or the host ends
                self._answer(AnswerQuestion(question.id, denied), caller).result()


def asks_program(function: OnQuestion) -> AskPerson:
    """Return what has a function of the program's answer questions.

    Args:
        function: is called with each in a thread of its own. Where it is async, it runs in the event loop of asyncio
            that runs now, and else in one of its own.

    Raises:
        TypeError: it cannot be called.
    """
    if not callable(function):
        raise TypeError(f"on_question is of type {type(function).__name__}; it must be a function of one question.")
    loop = _running_loop()

    def ask(question: Question, gone: Gone, wrong: str) -> str | None:
        if wrong:
            logger.warning("The answer of on_question to %s does not count. %s", question.id, wrong)
            return not_answered(question, "the program's answer does not count")
        said = function(question)
        if inspect.isawaitable(said):
            said = _awaited(said, loop, gone)
        if said is not None and not isinstance(said, str):
            raise TypeError(f"on_question has returned something of type {type(said).__name__}; it must be text.")
        return said

    return ask


def _running_loop() -> Any:
    asyncio = sys.modules.get("asyncio")
    with contextlib.suppress(RuntimeError):
        return None if asyncio is None else asyncio.get_running_loop()
    return None


def _awaited(said: Awaitable[str | None], loop: Any, gone: Gone) -> str | None:
    import asyncio  # noqa: PLC0415 - for programs that have an event loop

    async def work() -> str | None:
        return await said

    if loop is None:
        return asyncio.run(work())
    future = asyncio.run_coroutine_threadsafe(work(), loop)
    gone.call(future.cancel)
    try:
        return future.result()
    except BaseException:
        if gone.is_set():
            return None
        raise
