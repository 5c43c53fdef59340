"""Model: what the agent loop asks of one, and the types of a turn. `models/openai` and `models/python` are clients."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Final, Protocol, SupportsIndex, TypeAlias

import msgspec

__all__ = ["RATE_WAIT", "Message", "Model", "Said", "ToolCall", "ToolSchema", "Turn", "Usage", "checked_usage"]

ToolSchema = dict[str, Any]
"""A tool in OpenAI's format: `{"type": "function", "function": {"name", "description", "parameters"}}`."""

Message = dict[str, Any]
"""A message in OpenAI's chat format.

In a conversation, a model's message has two more keys where its turn has them: `opaque` and `provider` (see `Turn`).
`sendable` takes them out again: no server and no function is sent them under these names.
"""


RATE_WAIT = "waiting for the rate limit of "
"""How `TaskView.doing` begins while a task waits for the rate limit of a model."""

_MOST: Final = 2**63 - 1
"""The largest whole number that crosses to every process and into the journal."""


_FIGURES: Final = ("input_tokens", "output_tokens", "requests", "cost")

Count: TypeAlias = Annotated[int, msgspec.Meta(ge=0)]


class Usage(msgspec.Struct, frozen=True):
    """Tokens as the model's server counted them, or an estimate where it did not say.

    Attributes:
        input_tokens: prompt tokens, cached ones included.
        output_tokens: completion tokens, reasoning included.
        requests: answered requests.
        cost: US dollars, where the team file says what the model's tokens cost.
        estimated: how many of the requests have tokens, and with them cost, that are an estimate: a token for every
            four bytes that were sent and answered.
    """

    input_tokens: Count = 0
    output_tokens: Count = 0
    requests: Count = 0
    cost: Annotated[float, msgspec.Meta(ge=0.0, le=1e12)] = 0.0
    estimated: Count = 0

    def __add__(self, other: Usage) -> Usage:
        # Bounded, as what a task reports of itself adds up in its owners, too, and must not keep those from being told.
        return Usage(
            min(self.input_tokens + other.input_tokens, _MOST),
            min(self.output_tokens + other.output_tokens, _MOST),
            min(self.requests + other.requests, _MOST),
            self.cost + other.cost,
            min(self.estimated + other.estimated, _MOST),
        )


def checked_usage(
    input_tokens: SupportsIndex, output_tokens: SupportsIndex, requests: SupportsIndex, cost: float
) -> Usage:
    """Return figures that a program gives.

    Raises:
        ValueError: one is below 0, or is no number.
    """
    try:
        counts = [min(operator.index(count), _MOST) for count in (input_tokens, output_tokens, requests)]
        return msgspec.convert(dict(zip(_FIGURES, [*counts, float(cost)], strict=True)), Usage)
    except (TypeError, ValueError, msgspec.ValidationError) as error:
        raise ValueError(f"Usage is whole numbers of tokens and requests, and dollars; none below 0: {error}") from None


class ToolCall(msgspec.Struct, frozen=True):
    """One call that the model asks for.

    Attributes:
        id: the name that its answer refers to; never empty, and unique within the turn.
        name: the tool, as the model wrote it.
        arguments: the JSON text as the model wrote it, valid or not.
        extra: the call's `extra_content` as it came, which its server wants back with the call (Gemini's thought
            signature); None: there was none.
    """

    id: str
    name: str
    arguments: str
    extra: dict[str, Any] | None = None


class Turn(msgspec.Struct, frozen=True):
    """One answer of a model: text, tool calls, or both. Without tool calls it is the final answer.

    Attributes:
        content: the text; never the reasoning.
        tool_calls: in the order in which they came.
        usage: what the answer cost.
        opaque: fields of the message that its server wants back with it (`reasoning_content`, `reasoning`,
            `reasoning_details` and others; `content` where the text came with reasoning in it), pieces joined and
            otherwise as they came.
        provider: the server that may get `opaque` and the calls' `extra` back; empty: no server may.
        model: the model that has answered, as the team file has it; empty: the agent's first.
        seconds: how long it took.
        error: the type of what was raised in place of an answer; empty: this is one.
    """

    content: str
    tool_calls: tuple[ToolCall, ...] = ()
    usage: Usage = Usage()
    opaque: dict[str, Any] = msgspec.field(default_factory=dict)
    provider: str = ""
    model: str = ""
    seconds: float = 0.0
    error: str = ""


class Model(Protocol):
    """Model: answers a conversation; used from one event loop only."""

    def take_unreported(self) -> Usage:
        """Return, once, what answers cost that `complete` did not return: those that broke off or were refused."""
        ...

    async def complete(
        self, messages: Sequence[Message], tools: Sequence[ToolSchema], on_text: Callable[[str], None]
    ) -> Turn:
        """Answer the conversation.

        Args:
            messages: the conversation so far, in OpenAI's format.
            tools: the tools that may be called.
            on_text: called with each piece of text, in order, as it arrives.

        Raises:
            ModelError: the model could not answer; the message says why and what to do.
            ContextLengthError: because the conversation is too long for it.
        """
        ...

    async def close(self) -> None:
        """Give back connections."""
        ...


class Said:
    """Passes text on, and knows whether there was any.

    Args:
        on_text: gets each piece.
    """

    def __init__(self, on_text: Callable[[str], None]) -> None:
        self._on_text = on_text
        self.anything = False

    def __call__(self, piece: str) -> None:
        """Pass a piece on."""
        self.anything = True
        self._on_text(piece)
