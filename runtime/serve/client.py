"""Client: one MCP client: its tools, its tasks, what its user is asked. It sees no other client's tasks."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, Final

from mcp_types import ClientCapabilities, ElicitationCapability, Tool
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from ..tasks.gateway import Caller
from ..tasks.messages import ListTasks
from ..tasks.questions import AnswerQuestion, Question
from ..toolsets.asking import ask
from .inputs import Inputs
from .reach import Reach

if TYPE_CHECKING:
    from mcp.server.session import ServerSession

    from ..host import Host
    from ..tasks.views import TaskList
    from ..toolsets.base import ToolAnswer, ToolBox
    from .offer import Offer

__all__ = ["PERSON", "Client", "takes_input"]

PERSON: Final = "a person at the MCP host"
"""Who answers, for the events."""

_MOST_ASKED: Final = 100
"""Questions that a client is sent at a time; tasks could ask thousands."""

_CAN_ASK: Final = ClientCapabilities(elicitation=ElicitationCapability())


def takes_input(session: ServerSession) -> bool:
    """Whether a request may be answered with what its client's user is to be asked."""
    return session.protocol_version in MODERN_PROTOCOL_VERSIONS and session.check_client_capability(_CAN_ASK)


class Client:
    """See the module. Used in the event loop of the server.

    Args:
        host: runs its tasks.
        offer: what it gets.
        can_ask: is called when it turns out that it can ask its user.

    Attributes:
        id: whose the tasks are, for the supervisor.
        reach: where it can be told and asked something, if it has a session.
        can_be_asked: whether its user can be asked there.
        linger: seconds for which a task of it is kept when it is not asked for; None: as long as the client is there.
        inputs: what its user is asked in answers.
        asked: is set when there is more of that.
        asking: has room for as many questions as it may be sent at a time.
    """

    def __init__(self, host: Host, offer: Offer, can_ask: Callable[[], object]) -> None:
        self._host = host
        self._can_ask = can_ask
        self._questions: dict[str, Question] = {}
        self.offer = offer
        self.gateway = offer.gateway()
        self.id = self.gateway.caller.id
        self.box = offer.tool_box(self.gateway)
        self.reach = Reach()
        self.can_be_asked = False
        self.linger: float | None = None
        self._takes_input = False
        self._left = ""
        self.inputs = Inputs(self._answer)
        self.asked = asyncio.Event()
        self.asking = asyncio.Semaphore(_MOST_ASKED)

    @property
    def tools(self) -> Sequence[Tool]:
        """The tools that it gets."""
        return self.offer.described(self.box)

    def seen(self, session: ServerSession) -> None:
        """Take note of a request: of what the client can do, and where it can be reached."""
        is_modern = session.protocol_version in MODERN_PROTOCOL_VERSIONS
        if not is_modern:
            self.reach.session = session
        if session.check_client_capability(_CAN_ASK):
            self._takes_input |= is_modern
            self.can_be_asked |= not is_modern
            self._can_ask()

    # --- what its user is asked -------------------------------------------------------------------------------------

    def takes(self, _question: Question) -> bool:
        """Whether its user can be asked a question in an answer."""
        return self._takes_input

    def ask(self, question: Question) -> None:
        """Have its user asked with the next answer."""
        self._questions[question.id] = question
        self.asked.set()

    def ask_no_more(self, question_id: str) -> None:
        """A question waits for no answer any more."""
        self._questions.pop(question_id, None)

    def questions(self, task_ids: Iterable[str] | None = None) -> list[Question]:
        """Return what its user is to be asked in answers.

        Args:
            task_ids: only what these tasks ask, and those that they have started; None: all.
        """
        if task_ids is None:
            return list(self._questions.values())
        wanted = {*task_ids}
        return [question for question in self._questions.values() if wanted & self._of(question.task_id)]

    def _of(self, task_id: str) -> set[str]:
        """Return the ids of a task, and of all who own it."""
        task = self._host.registry.get(task_id)
        return {task_id, *(() if task is None else task.owners)}

    async def _answer(self, question_id: str, text: str) -> None:
        answer = self._host.ask(AnswerQuestion(question_id, text), Caller(title=PERSON))
        await asyncio.wrap_future(answer)

    # --- its tasks --------------------------------------------------------------------------------------------------

    async def call(self, name: str, arguments: Mapping[str, Any], *, asks: bool = False) -> ToolAnswer:  # noqa: ARG002 - see below
        """Call a tool; answers, and never raises but on cancellation.

        Args:
            name: the tool's.
            arguments: its arguments.
            asks: whether the call comes from somebody who can ask a user; see `SessionlessClient`.
        """
        return await self._call(self.box, name, arguments)

    async def _call(self, box: ToolBox, name: str, arguments: Mapping[str, Any]) -> ToolAnswer:
        answer = await box.call(name, json.dumps(arguments))
        if answer.told:
            self.gateway.acknowledge(answer.told)
        if self._left:
            self.gateway.abandon(None, self._left)  # it may have started one after it had gone
        return answer

    def named(self, _arguments: Mapping[str, Any]) -> list[str] | None:
        """Return the ids of the tasks that a call is about; None: of all of its tasks."""
        return None

    def own_id(self, given: str) -> str | None:
        """Return the id of a task by what the client calls it; None if it has none of that."""
        return given

    async def tasks(self, task_ids: Iterable[str] | None) -> TaskList:
        """Return its tasks.

        Args:
            task_ids: only these, and those that they have started; None: all.

        Raises:
            RuntimeClosedError: the host ends.
        """
        return await ask(self.gateway, ListTasks(None if task_ids is None else list(task_ids)))

    def holding(self, _task_ids: Iterable[str]) -> AbstractContextManager[object]:
        """Keep tasks from being ended for want of a client, in a `with` block."""
        return nullcontext()

    def end(self, why: str) -> None:
        """Stop its tasks, without waiting until they are gone, and keep no end for it: it has gone away.

        Args:
            why: who stops them, for their reasons.
        """
        self._left = why
        self.reach.close()
        self.gateway.abandon(None, why)
