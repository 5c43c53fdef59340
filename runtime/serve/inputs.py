"""Inputs: what the user of an MCP client is asked in answers, where the protocol has the server ask nothing by itself.

Since 2026-07-28 a server sends no requests. An answer says what input it requires (`inputRequests`), and the client
brings that with its next request (`inputResponses`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Final

import msgspec
from mcp_types import ElicitResult

from ..errors import RunError, RuntimeClosedError
from ..people import MOST_TRIES, NONE_FITS, not_answered
from ..tasks.questions import Question
from .elicitation_form import answer_of, form_of, message_of

__all__ = ["Inputs"]

_MOST: Final = 1000
"""Questions that are remembered; of those that nobody asks any more, too."""


class _Asked(msgspec.Struct):
    """A question, as the user is asked it.

    Attributes:
        question: what is asked.
        tries: answers to it that did not count. Each makes another request of it, as no key may be used twice.
        wrong: why the last of them did not, as a sentence.
        is_left: whether the user has left it to others.
    """

    question: Question
    tries: int = 0
    wrong: str = ""
    is_left: bool = False

    @property
    def key(self) -> str:
        return f"{self.question.id}.{self.tries}" if self.tries else self.question.id


class Inputs:
    """See the module. Used in one event loop.

    Args:
        answer: hands in the answer to a question, given its id; raises a RunError if it does not count.
    """

    def __init__(self, answer: Callable[[str, str], Awaitable[object]]) -> None:
        self._answer = answer
        self._asked: dict[str, _Asked] = {}

    def requests(self, questions: Iterable[Question]) -> dict[str, dict[str, Any]]:
        """Return what the user is to be asked: elicitations, by their keys."""
        asked = [self._asked.setdefault(question.id, _Asked(question)) for question in questions]
        for question_id in list(self._asked)[:-_MOST]:
            del self._asked[question_id]
        return {each.key: _request(each) for each in asked if not each.is_left}

    async def take(self, responses: Mapping[str, ElicitResult]) -> None:
        """Hand in what the user has answered, by keys. What is not asked, or not any more, is passed over."""
        for key, response in responses.items():
            each = self._asked.get(key.partition(".")[0])
            if each is not None and each.key == key and not each.is_left:
                await self._take(each, response)

    async def _take(self, each: _Asked, response: ElicitResult) -> None:
        if response.action == "accept":
            text: str | None = answer_of(each.question, response.content or {})
        else:
            text = not_answered(each.question)
        if text is not None:
            try:
                await self._answer(each.question.id, text)
            except RuntimeClosedError:
                return
            except RunError as error:
                each.tries += 1
                each.wrong = str(error)
                if each.tries < MOST_TRIES:
                    return
                if (denied := not_answered(each.question, NONE_FITS)) is not None:
                    with contextlib.suppress(RunError, RuntimeClosedError):  # answered meanwhile, or the host ends
                        await self._answer(each.question.id, denied)
            else:
                return
        each.is_left = True


def _request(asked: _Asked) -> dict[str, Any]:
    message = message_of(asked.question, asked.wrong)
    form = {"mode": "form", "message": message, "requestedSchema": form_of(asked.question)}
    return {"method": "elicitation/create", "params": form}
