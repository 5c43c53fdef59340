"""Agent loop: ask the model, call the tools it asks for, and again, until it answers without a tool call.

The same loop serves an orchestrator and its sub-agents. It never judges a tool call (the tools answer for themselves),
and never prints. Whenever it ends, the conversation can be continued: a turn is in it with all answers to its tool
calls, or not at all. Whoever listens can keep more of it: a turn before its tools are called, and each answer.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from ..errors import ContextLengthError, LimitError
from ..models.base import Message, Model, ToolCall, ToolSchema, Turn
from ..tasks.origin import calling
from ..team.config import AgentConfig
from ..text import encodable
from ..toolsets.base import ToolAnswer, ToolBox
from .history import History
from .progress import Progress
from .turn_budget import TurnBudget

if TYPE_CHECKING:
    from .answer_check import AnswerCheck

__all__ = ["AgentLoop", "LoopListener", "assistant_message", "tool_message", "unanswered"]


class LoopListener(Protocol):
    """Hears what happens in a loop, in the thread of its event loop; must return soon.

    What a method raises ends the loop.
    """

    def text(self, piece: str) -> None:
        """Text came from the model, or a line break that keeps the texts of two turns apart."""

    def calls_begin(self, turn: Turn, messages_added: Sequence[Message], told: Sequence[str] = ()) -> None:
        """The tools are about to be called that a turn asks for; the conversation has grown so far by these messages.

        `turn_ended` has these again, and the answers. `told` are the tasks of whose ends they tell.
        """

    async def calls_written(self) -> None:
        """Return when what `calls_begin` has told would survive the host: the calls may change something."""

    def tool_called(self, call: ToolCall) -> None:
        """A tool call begins."""

    def tool_answered(self, call: ToolCall, answer: ToolAnswer) -> None:
        """A tool call ended; calls of one turn end in any order."""

    def turn_waits(self, answers: Sequence[ToolAnswer]) -> None:
        """All tools of a turn have answered, and it may be long until it ends: the next has to wait for its budget."""

    def turn_ended(self, turn: Turn, messages_added: Sequence[Message], told: Sequence[str] = ()) -> None:
        """A turn ended; called once for each answer of the model, whatever happens after it.

        `messages_added` is what the conversation grew by: the model's message and the answers to its tool calls. It is
        empty where the turn was broken off, so that only its usage counts. `told` are the tasks of whose ends it tells.
        """


class AgentLoop:
    """One agent at work on one conversation.

    Args:
        agent: for `max_iterations` and `max_old_tool_call_tokens`.
        model: answers the turns; stays open.
        tools: what the model may call; stays open.
        listener: hears what happens.
        max_identical_turns: turns in a row without anything new that end the loop; see `progress`.
        check: looks at the final answer; None: it may be anything.
        budget: says before each turn whether there may be another; None: as the agent's `max_iterations` has it.
    """

    def __init__(
        self,
        agent: AgentConfig,
        model: Model,
        tools: ToolBox,
        listener: LoopListener,
        max_identical_turns: int = 5,
        *,
        check: AnswerCheck | None = None,
        budget: TurnBudget | None = None,
    ) -> None:
        self._agent = agent
        self._model = model
        self._tools = tools
        self._listener = listener
        self._progress = Progress(agent.name, tools, max_identical_turns)
        self._check = check
        self._budget = budget or TurnBudget(agent)
        tools.tell_by_turns()

    async def run(self, messages: list[Message]) -> str:
        """Go on with the conversation until the final answer, and return it.

        Cancelling ends all running tool calls before it returns.

        Args:
            messages: the conversation; grows by every finished turn.

        Raises:
            ModelError: the model could not answer.
            ContextLengthError: the conversation is too long for the model, with old tool answers shortened.
            LimitError: a limit was reached; the conversation has grown by one turn without tools.
            LoopError: `max_iterations` was reached, or the model repeated itself.
            OutputSchemaError: the final answer does not fit the output schema, and was repaired once.
            Exception: whatever a `python/…` model raised.
        """
        try:
            return await self._run(messages)
        except asyncio.CancelledError:
            # Its time was over before its last turn was: what it has said until then is not lost.
            said = _last_said(messages)
            if not said or not (limit := self._budget.time_reached()):
                raise
            raise LimitError(limit, said) from None

    async def _run(self, messages: list[Message]) -> str:
        added: list[Message] = []
        if messages and messages[-1]["role"] == "assistant" and not messages[-1].get("tool_calls"):
            # An earlier attempt ended between its final answer and its end, or because of that answer.
            answer = str(messages[-1]["content"])
            added = self._sent_back(answer, is_last=False) or await self._woken()
            if not added:
                return answer
            messages += added
        schemas = self._tools.schemas
        budget = self._budget
        history = History(self._agent.max_old_tool_call_tokens, self._agent.num_history_items)
        while not await budget.is_at_its_end():
            turn = await self._turn(messages, history, schemas)
            budget.count(turn)
            try:
                self._progress.before(turn)
                said = assistant_message(turn)
                if turn.tool_calls:
                    self._end_line(turn)
                    self._listener.calls_begin(turn, [*added, said], self._tools.take_told())
                    if any(self._tools.may_change(call.name) for call in turn.tool_calls):
                        await self._listener.calls_written()
                answers = await self._answers(turn.tool_calls)
                new = [said, *map(tool_message, turn.tool_calls, answers)]
                news = await self._tell(turn, new, answers)
                messages += new
                added += new
                await self._progress.after(turn, answers)
                sent_back = [] if turn.tool_calls else self._sent_back(turn.content, news, is_last=budget.was_last_turn)
                messages += sent_back
                added += sent_back
            finally:
                # Whatever became of the turn, its tokens are spent.
                self._listener.turn_ended(turn, tuple(added), self._tools.take_told() if added else ())
            added = []
            if turn.tool_calls:
                continue
            if not sent_back:
                # Its answer is written now, and counts if nothing of it runs any more.
                added = [] if budget.was_last_turn else await self._woken()
                if not added:
                    return turn.content
                messages += added
            self._end_line(turn)
        raise LimitError(budget.limit, await self._handed_back(messages, history, added))

    async def _tell(self, turn: Turn, new: list[Message], answers: Sequence[ToolAnswer]) -> str:
        """Put what there is to tell behind the last tool answer of a turn, and return the news in it."""
        # First, as it may wait for what there is to tell.
        note = await self._budget.note(lambda: self._listener.turn_waits(answers)) if turn.tool_calls else ""
        # Not after the last turn that it has: an answer that is there must not be lost.
        news = "" if self._budget.was_last_turn else await self._tools.news(answered=not turn.tool_calls)
        if turn.tool_calls:
            for told in filter(None, (news, note)):
                new[-1] = _with_news(new[-1], told)
        return news

    async def _handed_back(self, messages: list[Message], history: History, added: Sequence[Message]) -> str:
        """Have the model say, in a turn without tools, what there is now that a limit is reached, and return that.

        Args:
            messages: the conversation; grows by what the model says.
            history: selects what the model is shown.
            added: what the conversation has grown by since the last turn.
        """
        if self._budget.is_over:
            return _last_said(messages)
        shown = [*messages]
        if note := self._budget.unsaid:
            shown[-1] = _with_news(shown[-1], note)
        turn = await self._turn(shown, history, ())
        # Without what it may call all the same: nobody would answer it.
        said = assistant_message(msgspec.structs.replace(turn, tool_calls=()))
        if not turn.content.strip():
            self._listener.turn_ended(turn, ())
            return _last_said(messages)
        messages.append(said)
        self._listener.turn_ended(turn, (*added, said), self._tools.take_told())
        return turn.content

    async def _woken(self) -> list[Message]:
        """Return what the agent has to know before its answer counts; nothing: it counts. May take long."""
        waking = asyncio.ensure_future(self._tools.wake())
        try:
            await self._budget.wait_for([waking])
            if self._budget.is_time_up:
                await asyncio.wait([waking])
            told: str | None = "" if waking.cancelled() else await waking
        finally:
            waking.cancel()
            await asyncio.gather(waking, return_exceptions=True)
        if not told and self._budget.is_time_up:
            told = await self._tools.wake_at_once()
            if told is not None:
                told = "\n\n".join(filter(None, [told, self._budget.last_note()]))
        return [{"role": "user", "content": told}] if told else []

    def _end_line(self, turn: Turn) -> None:
        if turn.content and not turn.content.endswith("\n"):
            self._listener.text("\n")

    def _sent_back(self, answer: str, news: str = "", *, is_last: bool) -> list[Message]:
        """Return what the conversation grows by after an answer that is not the last: there is news, or it is bad."""
        if news:
            return [{"role": "user", "content": news}]
        wrong = self._check.wrong_with(answer, is_last=is_last) if self._check is not None else None
        return [] if wrong is None else [wrong]

    async def _turn(self, messages: Sequence[Message], history: History, schemas: Sequence[ToolSchema]) -> Turn:
        """Ask the model, with less of old tool answers where the conversation is too long for it."""
        shortened = False
        began = time.monotonic()
        try:
            while True:
                try:
                    turn = await self._model.complete(history.shown(messages), schemas, self._listener.text)
                    return msgspec.structs.replace(turn, seconds=time.monotonic() - began)
                except ContextLengthError as error:
                    if history.shorten(messages):
                        shortened = True
                        continue
                    done = (
                        "Old tool answers were shortened already" if shortened else "No tool answer could be shortened"
                    )
                    raise ContextLengthError(
                        f"{error} {done}: give the agent a smaller task, or a model that takes longer conversations."
                    ) from None
        except BaseException as error:
            self._listener.turn_ended(unanswered(self._model, began, error), ())
            raise

    async def _answers(self, calls: Sequence[ToolCall]) -> list[ToolAnswer]:
        """Call tools concurrently; returns the answers in the order of the calls, and leaves no call running."""
        # A task group would wrap what a listener raises in an exception group, and hide a call that was cancelled from
        # within; `gather` alone would, when cancelled, not wait for the calls to end.
        running = [asyncio.create_task(self._answer(call)) for call in calls]
        try:
            await self._budget.wait_for(running)
            return await asyncio.gather(*running)
        except BaseException:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
            raise

    async def _answer(self, call: ToolCall) -> ToolAnswer:
        calling.set(call.id)
        self._listener.tool_called(call)
        try:
            answer = await self._tools.call(call.name, call.arguments)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if self._budget.is_time_up:
                answer = ToolAnswer(f"{call.name} was cut short, because the time of the task is up.", is_error=True)
            elif task is None or task.cancelling():
                raise
            else:  # something inside the tool was cancelled, not the agent
                answer = ToolAnswer(f"{call.name} failed: it was cancelled.", is_error=True)
        self._listener.tool_answered(call, answer)
        return answer


def unanswered(model: Model, began: float, error: BaseException) -> Turn:
    """Return what stands for a turn that a model has not answered: what it has cost, how long it took, and why.

    Args:
        model: the model, which forgets what this has cost.
        began: when it was asked (monotonic).
        error: what it has raised.
    """
    seconds = time.monotonic() - began
    return Turn("", usage=model.take_unreported(), seconds=seconds, error=type(error).__name__)


def _with_news(answer: Message, news: str) -> Message:
    """Return a message, the last tool answer of a turn, with what the agent is told behind it.

    The chat templates of several models refuse a user's message there.
    """
    return {**answer, "content": f"{answer['content']}\n\n{news}"}


def _last_said(messages: Sequence[Message]) -> str:
    said = (message["content"] for message in reversed(messages) if message["role"] == "assistant")
    return next((content for content in said if isinstance(content, str) and content.strip()), "")


def assistant_message(turn: Turn) -> Message:
    """Return a turn for the conversation, as it came; `models/sendable` makes it fit for the server that gets it."""
    message: Message = {"role": "assistant", "content": turn.content}
    if turn.tool_calls:
        message |= {"content": turn.content or None, "tool_calls": [_tool_call(call) for call in turn.tool_calls]}
    if turn.opaque:
        message["opaque"] = turn.opaque
    return message | {"provider": turn.provider} if turn.provider else message


def _tool_call(call: ToolCall) -> dict[str, Any]:
    made = {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
    return made if call.extra is None else {**made, "extra_content": call.extra}


def tool_message(call: ToolCall, answer: ToolAnswer) -> Message:
    """Return the answer to a call for the conversation."""
    return {"role": "tool", "tool_call_id": call.id, "content": encodable(answer.text)}
