"""Task model: the model of an agent for its own function, with all that stands in for it and waits for it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from ..agent.loop import assistant_message, unanswered
from ..errors import LimitError, LoopError, ModelError
from ..models.base import Message, ToolCall, ToolSchema, Usage

if TYPE_CHECKING:
    from ..agent.loop_thread import LoopThread
    from ..models.base import Model
    from ..tasks.gateway import Gateway
    from ..team.config import AgentConfig
    from .reporter import Reporter

__all__ = ["ModelAnswer", "TaskModel"]


class ModelAnswer(msgspec.Struct, frozen=True):
    """Answer of a model.

    Attributes:
        text: what it says; may be empty where it calls tools.
        tool_calls: the calls that it asks for; give them to `task.tools`.
        usage: what the answer cost.
        message: the answer as a message, to be added to the conversation.
    """

    text: str
    tool_calls: tuple[ToolCall, ...]
    usage: Usage
    message: Message


class TaskModel:
    """The model of a task's agent, with its fallbacks, retries and rate limits; what it costs counts for the task.

    Every method may be called from any thread, also at the same time.

    Args:
        agent: whose model it is.
        loop: where it works.
        open_model: opens it, at the first use.
        reporter: hears of usage, and of text that is to be said.
        gateway: asks before each turn whether there may be one; None: it uses no budget.
    """

    def __init__(
        self,
        agent: AgentConfig,
        loop: LoopThread,
        open_model: Callable[[], Model],
        reporter: Reporter,
        gateway: Gateway | None = None,
    ) -> None:
        self._agent = agent
        self._loop = loop
        self._open_model = open_model
        self._reporter = reporter
        self._gateway = gateway
        self._model: Model | None = None
        self._turns = 0

    async def complete(
        self, messages: str | Sequence[Message], tools: Sequence[ToolSchema] | None = None, *, stream: bool = False
    ) -> ModelAnswer:
        """Ask the model; to cancel the wait cancels the request.

        Args:
            messages: the conversation in OpenAI's format, or text, which is the user's message. The agent's
                `instruction` is put before it, unless it has a system message of its own.
            tools: schemas of the tools that the model may call; `task.tools.schemas`, say.
            stream: whether the text is output of the task, as it comes.

        Raises:
            ModelError: the agent has no model, or the model could not answer; the message says why and what to do.
            ContextLengthError: because the conversation is too long for it.
            LimitError: nothing is left of the task's tokens or dollars for another turn.
            LoopError: the limit on `iterations` is reached.
            TypeError: it is no conversation, or a message is none.
            RuntimeClosedError: the task has come to its end.
        """
        from ..verbs.awaiting import future_result  # noqa: PLC0415 - for functions that are async

        future = self._loop.start(self._complete, self._conversation(messages), [*(tools or ())], stream)
        return await future_result(future, lambda: self._loop.cut_short("its model"))

    def ask(
        self, messages: str | Sequence[Message], tools: Sequence[ToolSchema] | None = None, *, stream: bool = False
    ) -> ModelAnswer:
        """As `complete`, blocking."""
        return self._loop.run(
            self._complete, self._conversation(messages), [*(tools or ())], stream, called="its model"
        )

    async def close(self) -> None:
        """Give back connections. In the loop of the model."""
        if self._model is not None:
            await self._model.close()

    async def _complete(self, messages: list[Message], tools: list[ToolSchema], stream: bool) -> ModelAnswer:
        model = self._opened()
        if self._gateway is not None:
            await self._check_budget(self._gateway)
        began = time.monotonic()
        try:
            turn = await model.complete(messages, tools, self._reporter.text if stream else _unsaid)
        except BaseException as error:
            self._reporter.turn_ended(unanswered(model, began, error), ())
            raise
        self._reporter.turn_ended(msgspec.structs.replace(turn, seconds=time.monotonic() - began), ())
        return ModelAnswer(turn.content, turn.tool_calls, turn.usage, assistant_message(turn))

    async def _check_budget(self, gateway: Gateway) -> None:
        import asyncio  # noqa: PLC0415 - for tasks with a budget

        from ..tasks.turns import AskTurn  # noqa: PLC0415 - as above

        leave = await asyncio.wrap_future(gateway.ask(AskTurn(wait=True)))
        if leave.is_over:
            raise LimitError(leave.limit)

    def _opened(self) -> Model:
        """Return the model, for one turn more."""
        if self._agent.model is None:
            whose = repr(self._agent.name) if self._agent.name else "A function that was submitted"
            raise ModelError(
                f"{whose} has no model. Give its agent a `model` beside the `entrypoint` in the team file."
            )
        if 0 < self._agent.max_iterations <= self._turns:
            raise LoopError(f"The task has asked its model {self._turns} times, which is its limit on iterations.")
        self._turns += 1
        if self._model is None:
            self._model = self._open_model()
        return self._model

    def _conversation(self, messages: str | Sequence[Message]) -> list[Message]:
        given: Sequence[Any] = [{"role": "user", "content": messages}] if isinstance(messages, str) else messages
        if isinstance(given, Mapping) or not isinstance(given, Iterable):
            raise TypeError(
                f"A conversation is text, or a list of messages, and this is of type {type(given).__name__}."
            )
        given = [*given]
        if not all(isinstance(message, Mapping) and isinstance(message.get("role"), str) for message in given):
            raise TypeError('A message is a mapping, such as {"role": "user", "content": "…"}.')
        shown = [dict(message) for message in given]
        if self._agent.instruction and all(message["role"] not in {"system", "developer"} for message in shown):
            shown.insert(0, {"role": "system", "content": self._agent.instruction})
        return shown


def _unsaid(_piece: str) -> None:
    pass
