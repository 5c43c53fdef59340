"""Elicitation: asks the user of an MCP client what its tasks ask a person, if the client can.

A client that began with a handshake is sent a request, a form for its user. If the way breaks off that the form went
by, it may be lost, so it is made anew as soon as the client can be reached again. On the client's own stream the former
one is cancelled first. Of a call that broke off nothing can be cancelled, so its form stays open: the first answer to
any of them counts, and the others are cancelled then.

One of the protocol of 2026-07-28 is told in an answer what input is required (`inputs`).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine, Iterable
from typing import TYPE_CHECKING, Any

from mcp.shared.exceptions import NoBackChannelError

from ..errors import RunError, RuntimeClosedError
from ..people import NONE_FITS, Gone, Tries, not_answered
from ..tasks.gateway import Caller
from ..tasks.questions import AnswerQuestion, Question
from .client import PERSON, Client
from .elicitation_form import answer_of, form_of, message_of
from .reach import Reach, Way

if TYPE_CHECKING:
    from mcp_types import ElicitResult

    from ..host import Host

__all__ = ["Elicitation"]

logger = logging.getLogger("subactors.runtime")

_CANNOT = "the MCP client cannot ask its user"


class Elicitation:
    """See the module, and `ShowQuestion`. Made in the event loop of the server.

    Args:
        host: whose tasks ask.
        clients: returns the clients that there are.
    """

    def __init__(self, host: Host, clients: Callable[[], Iterable[Client]]) -> None:
        self._host = host
        self._clients = clients
        self._loop = asyncio.get_running_loop()
        self._is_attached = False

    def attach(self) -> None:
        """Ask, from now on: there is a client that can ask its user."""
        if not self._is_attached:
            self._is_attached = True
            self._host.people.attach_showing(self._show)

    def close(self) -> None:
        """Ask nothing any more."""
        self._host.people.detach_showing(self._show)

    def _show(self, question: Question, gone: Gone) -> None:
        """Ask; what is being answered is cancelled when it is gone. Runs in the supervisor's thread."""
        asking = self._answer(question, gone)
        try:
            gone.call(asyncio.run_coroutine_threadsafe(asking, self._loop).cancel)
        except RuntimeError:  # the server has ended
            asking.close()

    async def _answer(self, question: Question, gone: Gone) -> None:
        """Ask until an answer counts, and hand it in."""
        tries = Tries()
        for wrong in tries:
            said = await self._said(question, gone, wrong)
            if said is None:
                return
            with tries.answering():
                await self._hand_in(question, said)
        if not tries.are_over and (denied := not_answered(question, NONE_FITS)) is not None:
            with contextlib.suppress(RunError, RuntimeClosedError):  # answered meanwhile, or the host ends
                await self._hand_in(question, denied)

    async def _hand_in(self, question: Question, said: str) -> None:
        await asyncio.wrap_future(self._host.ask(AnswerQuestion(question.id, said), Caller(title=PERSON)))

    async def _said(self, question: Question, gone: Gone, wrong: str) -> str | None:
        try:
            return await self._ask(question, gone, wrong)
        except Exception as error:  # noqa: BLE001 - whatever the other end does
            if gone.is_set():
                return None
            logger.warning("The MCP host could not ask its user %s of %s: %s", question.id, question.task_id, error)
            return not_answered(question, "the MCP host could not ask its user")

    async def _ask(self, question: Question, gone: Gone, wrong: str) -> str | None:
        client = self._whose(question)
        if client is None:
            return None
        if client.reach.session is None or not client.can_be_asked:
            if not client.takes(question):
                return not_answered(question, _CANNOT)
            client.ask(question)
            gone.call(lambda: self._ask_no_more(client, question))
            return None  # the answer comes with a request
        message, form = message_of(question, wrong), form_of(question)
        async with client.asking:
            answered = await first_answer(client.reach, lambda way: way.session.elicit_form(message, form, way.call))
        if answered is None:
            return None
        if answered.action == "accept":
            return answer_of(question, answered.content or {})
        return not_answered(question)

    def _ask_no_more(self, client: Client, question: Question) -> None:
        with contextlib.suppress(RuntimeError):  # the server has ended
            self._loop.call_soon_threadsafe(client.ask_no_more, question.id)

    def _whose(self, question: Question) -> Client | None:
        """Return the client that has started the task, or one above it; one may ask about its own calls, too."""
        task = self._host.registry.get(question.task_id)
        callers = {question.task_id, *(() if task is None else task.owners)}
        return next((client for client in self._clients() if client.id in callers), None)


async def first_answer(reach: Reach, ask: Callable[[Way], Coroutine[Any, Any, ElicitResult]]) -> ElicitResult | None:
    """Ask by one way, and anew whenever it breaks off; return the first answer. None: the client has gone away.

    Args:
        reach: where the client can be asked.
        ask: asks by a way, and returns the answer. If it is cancelled, so is the form at the client.
    """
    forms: dict[asyncio.Task[ElicitResult], Way] = {}
    following = asyncio.create_task(reach.way())
    try:
        while True:
            await asyncio.wait([*forms, following], return_when=asyncio.FIRST_COMPLETED)
            for form in [form for form in forms if form.done()]:
                if not isinstance(form.exception(), NoBackChannelError):
                    return form.result()
                del forms[form]  # the call that it should go along with has just been answered
                following.cancel()
                following = asyncio.create_task(reach.way())
            if following.done():
                way = following.result()
                if way is None:
                    return None
                if way.call is None:
                    lost = [form for form, former in forms.items() if former.call is None]
                    await _cancelled(lost)
                    forms = {form: former for form, former in forms.items() if form not in lost}
                forms[asyncio.create_task(ask(way))] = way
                following = asyncio.create_task(reach.after(way))
    finally:
        await _cancelled([*forms, following])


async def _cancelled(works: list[asyncio.Task[Any]]) -> None:
    """Cancel tasks, and wait until they are."""
    for work in works:
        work.cancel()
    await asyncio.gather(*works, return_exceptions=True)
