"""Elicitation: asks the user of an MCP host what tasks ask a person, if the host can."""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import CancelledError
from typing import TYPE_CHECKING

from mcp_types import ClientCapabilities, ElicitationCapability

from ..people import Gone
from ..tasks.questions import APPROVAL, Question
from ..tasks.wording import form_text
from ..terminal.control_sequences import visible
from .elicitation_form import answer_of, fields_of, form_of

if TYPE_CHECKING:
    from mcp.server.session import ServerSession

    from ..host import Host

__all__ = ["Elicitation"]

logger = logging.getLogger("subactors.runtime")


class Elicitation:
    """See the module, and `AskPerson`. Made in the event loop of the session.

    Args:
        host: whose tasks ask.
    """

    def __init__(self, host: Host) -> None:
        self._host = host
        self._loop = asyncio.get_running_loop()
        self._session: ServerSession | None = None

    def seen(self, session: ServerSession) -> None:
        """Take note of a request of the MCP host; from the first on, its user is asked, if it says that it can."""
        if self._session is not None:
            self._session = session
        elif session.check_client_capability(ClientCapabilities(elicitation=ElicitationCapability())):
            self._session = session
            self._host.people.attach(self, "a person at the MCP host")

    def close(self) -> None:
        """Ask nothing any more."""
        self._host.people.detach(self)

    def __call__(self, question: Question, gone: Gone, wrong: str) -> str | None:
        """Ask; what is being answered is cancelled when it is gone. Runs in a thread of its own."""
        asking = asyncio.run_coroutine_threadsafe(self._ask(question, wrong), self._loop)
        gone.call(asking.cancel)
        try:
            return asking.result()
        except CancelledError:
            return None
        except Exception as error:  # noqa: BLE001 - whatever the other end does
            if gone.is_set():
                return None
            logger.warning("The MCP host could not ask its user %s of %s: %s", question.id, question.task_id, error)
            return _not_answered(question, "the MCP host could not ask its user")

    async def _ask(self, question: Question, wrong: str) -> str | None:
        assert self._session is not None  # noqa: S101 - it is attached when it has one
        head = f"{wrong}\n\n" if wrong else ""
        hint = "" if fields_of(question) is not None else form_text(question)
        # Each line behind a mark: a question must not look like words of the host, nor like another question.
        asked = f"{visible(question.text)}{hint}".replace("\n", "\n| ")
        text = f"{head}{question.agent} ({question.task_id}) asks: {asked}"
        answered = await self._session.elicit_form(text, form_of(question))
        if answered.action == "accept":
            return answer_of(question, answered.content or {})
        return _not_answered(question, "")


def _not_answered(question: Question, why: str) -> str | None:
    """Return what counts where the user does not answer: that denies a call, and leaves other questions to others."""
    if question.kind != "approval":
        return None
    return f"{APPROVAL[-1]}: {why}" if why else APPROVAL[-1]
