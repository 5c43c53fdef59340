"""Puts one turn together from the pieces of a streamed chat completion.

Servers that call themselves OpenAI-compatible differ in what they leave out and what they repeat; those differences
end here. Nothing in this file does input or output, and nothing here judges a tool call: arguments stay as they came.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from ._encodable import encodable
from ._model import ToolCall, Turn, Usage
from ._team import Cost

__all__ = ["Chunk", "TurnAssembler", "new_call_id"]

_CUT = "\n[The answer ends here because the model's token limit was reached.]"


_MILLION = 1_000_000


class _TextPart(msgspec.Struct, frozen=True):
    """A part of content that is a list; parts of other types (thinking) have no text."""

    text: str | None = None


class _FunctionDelta(msgspec.Struct, frozen=True):
    name: str | None = None
    arguments: str | dict[str, Any] | None = None


class _ToolCallDelta(msgspec.Struct, frozen=True):
    index: int | None = None
    id: str | None = None
    function: _FunctionDelta | None = None


class _Delta(msgspec.Struct, frozen=True):
    content: str | list[_TextPart] | None = None
    refusal: str | None = None
    tool_calls: list[_ToolCallDelta] | None = None


class _Choice(msgspec.Struct, frozen=True):
    index: int | None = None
    delta: _Delta | None = None
    finish_reason: str | None = None


class _UsageFigures(msgspec.Struct, frozen=True):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: Any = None


class Chunk(msgspec.Struct, frozen=True):
    """One event of the stream, with what is used of it.

    Attributes:
        choices: empty or missing in a chunk that only carries usage.
        usage: the tokens of the whole request so far.
        object: `error` where a server reports an error as a chunk; its text is then in `message`.
        message: see `object`.
    """

    choices: list[_Choice] | None = None
    usage: _UsageFigures | None = None
    object: str | None = None
    message: str | None = None


@dataclass
class _Call:
    """A tool call in the making."""

    id: str = ""
    name: str = ""
    arguments: str = ""

    @property
    def is_complete(self) -> bool:
        """Whether the arguments are already a whole JSON value."""
        try:
            json.loads(self.arguments)
        except ValueError:
            return False
        return True


@dataclass
class TurnAssembler:
    """Takes chunks in order and makes the turn.

    Attributes:
        on_text: called with each piece of text, in order; every piece can be encoded as UTF-8.
        cost: what tokens cost; None: unknown.
        refusal: the words of a refusal so far.
        finish_reason: as the server gave it; None until then.
    """

    on_text: Callable[[str], None]
    cost: Cost | None = None
    refusal: str = ""
    finish_reason: str | None = None
    _text: list[str] = field(default_factory=list)
    _held: str = ""
    _calls: list[_Call] = field(default_factory=list)
    _by_index: dict[int, _Call] = field(default_factory=dict)
    _usage: _UsageFigures = field(default_factory=_UsageFigures)

    @property
    def text_length(self) -> int:
        """Characters of text so far."""
        return sum(map(len, self._text))

    @property
    def usage(self) -> Usage:
        """What the answer has cost so far, as far as the server has said."""
        figures = self._usage
        given, made = max(0, figures.prompt_tokens or 0), max(0, figures.completion_tokens or 0)
        return Usage(given, made, 1, _price(self.cost, given, made, figures.prompt_tokens_details))

    @property
    def is_complete(self) -> bool:
        """Whether the server has shown that the answer ends here; a few count tokens without a reason to finish."""
        return self.finish_reason is not None or self._usage != _UsageFigures()

    @property
    def is_empty(self) -> bool:
        """Whether neither text nor a tool call has come."""
        return not self._text and not self._calls

    def add(self, chunk: Chunk) -> None:
        """Take one chunk; passes its text to `on_text`."""
        if chunk.usage is not None:
            # Where every chunk has usage, it is the sum so far: the last one counts.
            self._usage = chunk.usage
        for choice in chunk.choices or ():
            if choice.index not in (None, 0):
                continue  # `n` above 1 is not asked for; one turn has one answer
            self.finish_reason = choice.finish_reason or self.finish_reason
            if choice.delta is None:
                continue
            self._add_text(choice.delta.content)
            self.refusal += choice.delta.refusal or ""
            for delta in choice.delta.tool_calls or ():
                self._add_call(delta)

    def finish(self) -> Turn:
        """End the stream and return the turn."""
        if self._held:
            self._say(encodable(self._held))
            self._held = ""
        if self.finish_reason == "length" and self._text and not self._calls:
            # A cut answer must not pass for a whole one.
            self._say(_CUT)
        used: set[str] = set()
        for call in self._calls:
            if not call.id or call.id in used:
                call.id = new_call_id()
            used.add(call.id)
        return Turn(
            content="".join(self._text),
            tool_calls=tuple(
                ToolCall(id=call.id, name=encodable(call.name), arguments=encodable(call.arguments))
                for call in self._calls
            ),
            usage=self.usage,
        )

    def _add_text(self, content: str | list[_TextPart] | None) -> None:
        if isinstance(content, list):
            content = "".join(part.text or "" for part in content)
        if not content:
            return
        text = self._held + content
        # A server may cut an emoji in two between its escaped halves; half of one cannot be written anywhere.
        self._held = text[-1] if "\ud800" <= text[-1] <= "\udbff" else ""
        if whole := text[: len(text) - len(self._held)]:
            self._say(encodable(whole))

    def _say(self, text: str) -> None:
        self._text.append(text)
        self.on_text(text)

    def _add_call(self, delta: _ToolCallDelta) -> None:
        function = delta.function or _FunctionDelta()
        call = self._find(delta, function)
        call.id = call.id or delta.id or ""
        # Some servers repeat the name with every piece.
        call.name = call.name or function.name or ""
        if isinstance(function.arguments, dict):
            call.arguments = json.dumps(function.arguments)
        else:
            call.arguments += function.arguments or ""

    def _find(self, delta: _ToolCallDelta, function: _FunctionDelta) -> _Call:
        """Return the call that a piece belongs to, a new one where it starts one."""
        if delta.index is not None:
            call = self._by_index.get(delta.index)
            # Some servers give every call the index 0: a name with a new id, after whole arguments, is the next call.
            # The arguments decide because other servers send a new id with every piece of one call.
            if call is None or (function.name and delta.id not in (None, "", call.id) and call.is_complete):
                call = self._by_index[delta.index] = self._new()
            return call
        if delta.id:
            return next((call for call in self._calls if call.id == delta.id), None) or self._new()
        last = self._calls[-1] if self._calls else None
        if last is None or (function.name and function.name != last.name):
            return self._new()
        # The same name again: either the next call of the same tool, or a server that repeats the name.
        return self._new() if function.name and function.arguments and last.is_complete else last

    def _new(self) -> _Call:
        call = _Call()
        self._calls.append(call)
        return call


def _price(cost: Cost | None, given: int, made: int, details: object) -> float:
    """Return what tokens cost; `details` says how many of the prompt's were read from or written to a cache."""
    if cost is None:
        return 0.0
    cached = details if isinstance(details, dict) else {}
    total, plain = 0.0, given
    for key, price in (("cached_tokens", cost.cache_read), ("cache_write_tokens", cost.cache_write)):
        count = cached.get(key)
        if isinstance(count, int) and price is not None:
            count = min(max(0, count), plain)
            plain -= count
            total += count * price
    return (total + plain * cost.input + made * cost.output) / _MILLION


def new_call_id() -> str:
    """Return an id for a tool call whose server gave none."""
    return f"call_{uuid.uuid4().hex[:24]}"
