"""Questions: asks the task's owner, or a person, for the task's code, and waits for the answer."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

from ...actors import ForkedError
from ...actors.interrupts import result_of
from ..tasks.gateway import TaskGateway
from ..tasks.messages import checked
from ..tasks.questions import LONGEST_WAIT, Answered, AskApproval, AskQuestion, QuestionDropped
from ..verbs.arguments import check_choice, check_seconds

if TYPE_CHECKING:
    from concurrent.futures import Future

    from ...actors import SupervisorRef

__all__ = ["Asking", "check_question"]

_numbers: Final = itertools.count(1)


def check_question(
    question: Any, choices: Sequence[str], timeout: float | None, default: str | None, to: Literal["owner", "person"]
) -> None:
    """Refuse what cannot be asked; see `EntrypointTask.ask`.

    Raises:
        TypeError, ValueError: an argument has the wrong type, or cannot be.
    """
    check_choice("to", to, ("owner", "person"))
    check_seconds(timeout)
    if timeout is not None and not 0 <= timeout <= LONGEST_WAIT:
        raise ValueError(
            f"timeout is {timeout:g}; a question waits for 0 to {LONGEST_WAIT:,.0f} seconds. Leave it out for the "
            "setting `question_timeout`."
        )
    if not isinstance(question, str) or isinstance(choices, str):
        raise TypeError("A question is text, and its choices are several texts.")
    if not question.strip():
        raise ValueError("The question is empty.")
    for choice in choices:
        if choices.count(choice) > 1:
            raise ValueError(f"The choice {choice!r} is there twice.")
    if default is not None and choices and default not in choices:
        raise ValueError(f"The default {default!r} is none of the choices: {', '.join(map(repr, choices))}.")


class Asking:
    """Asks one question; see the module. One that is not waited for any more is withdrawn.

    Args:
        supervisor: the task's.
        request: the question.
    """

    def __init__(self, supervisor: SupervisorRef, request: AskQuestion | AskApproval) -> None:
        self._supervisor = supervisor
        changes: dict[str, Any] = {"number": next(_numbers)}
        self._request = msgspec.structs.replace(request, **changes)

    def answer(self) -> Answered:
        """Wait for the answer, on the calling thread.

        Raises:
            NoAnswerError: nobody has answered in time.
            RunError: it is refused, in the way that the type and its message say.
            TypeError: it is no question.
        """
        future = self._ask()
        try:
            return result_of(future)
        except BaseException:
            self._give_up(future)
            raise

    async def aanswer(self) -> Answered:
        """Wait for it in an event loop of asyncio; raises as `answer`."""
        import asyncio  # noqa: PLC0415 - for code that is async

        future = self._ask()
        try:
            return await asyncio.wrap_future(future)
        except BaseException:
            self._give_up(future)
            raise

    async def text(self) -> str:
        """Return the text of the answer; as `aanswer`."""
        return (await self.aanswer()).text

    def _ask(self) -> Future[Answered]:
        return TaskGateway(self._supervisor).ask(checked(self._request))

    def _give_up(self, future: Future[Answered]) -> None:
        if future.cancelled() or not future.done():
            with contextlib.suppress(ForkedError):
                self._supervisor.tell(QuestionDropped(self._request.number))
