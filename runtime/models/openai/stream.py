"""Turn assembly: puts one turn together from the chunks of a streamed chat completion, or from a whole one.

Servers that call themselves OpenAI-compatible differ in what they leave out and what they repeat. Those differences end
here and in the modules for parts of a chunk: `calls`, `opaque`, `inline_reasoning`, `usage`, `finish_reasons`. Nothing
in this file does input or output, and nothing here decides what becomes of an answer that is not whole.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from ...team.config import Cost
from ...text import encodable
from ..base import Turn, Usage
from .calls import ShapeError, ToolCalls, whole_number
from .finish_reasons import End, calls_tools, finish_word, meaning
from .inline_reasoning import InlineReasoning, without_unopened
from .opaque import OpaqueFields
from .usage import UsageFigures

__all__ = ["ShapeError", "TurnAssembler", "reported_error"]

_CUT = "[The answer ends here because the model's token limit was reached.]"

_THOUGHT_END = "</thought>"
"""With which Gemini ends its thoughts, at the beginning of the answer."""

_VISIBLE: Final = re.compile(r"[^\s\u200b-\u200d\u2060\ufeff]")
"""What makes a text more than blank."""

_NO_ERROR: Final = frozenset({"", "0", "200", "null", "none", "ok", "success"})
"""What servers put in an `error` that each chunk has, or in its fields."""

_WELL: Final = frozenset({"0", "200", "202", "ok", "success", "queued", "pending", "processing", "running"})
"""The `code` or `status` with which gateways say that somebody is at work."""


@dataclass
class TurnAssembler:
    """Takes chunks in order and makes the turn.

    Attributes:
        on_text: called with each piece of text, in order; every piece can be encoded as UTF-8.
        cost: what tokens cost; None: unknown.
        refusal: the words of a refusal so far.
        finish_reason: the word as the server gave it; None until then.
        is_over: whether the server has said that the answer is complete, by `[DONE]` or with a whole completion.
        pieces: how often something of the answer, or of the reasoning before it, has come.
        is_completion: whether anything had the shape of a chat completion.
        is_ending: whether the last that came was an end, after something usable, so that all that may follow is usage.
    """

    on_text: Callable[[str], None]
    cost: Cost | None = None
    refusal: str = ""
    finish_reason: str | None = None
    is_over: bool = False
    pieces: int = 0
    is_completion: bool = False
    is_ending: bool = False
    _text: list[str] = field(default_factory=list)
    _raw: list[str] = field(default_factory=list)
    _inline: InlineReasoning = field(default_factory=InlineReasoning)
    _held: str = ""
    _in_thought: bool = False
    _has_deltas: bool = False
    _index: int | None = None
    _calls: ToolCalls = field(default_factory=ToolCalls)
    _opaque: OpaqueFields = field(default_factory=OpaqueFields)
    _figures: UsageFigures = field(default_factory=UsageFigures)

    @property
    def text_length(self) -> int:
        """Characters of text so far."""
        return sum(map(len, self._text))

    @property
    def usage(self) -> Usage:
        """Usage of the answer so far, as far as the server has said."""
        return self._figures.usage(self.cost)

    @property
    def has_usage(self) -> bool:
        """Whether the server has said anything of it."""
        return not self._figures.are_missing

    @property
    def end(self) -> End | None:
        """The answer's end; None while nothing has said that it ended."""
        if self.finish_reason is not None:
            return meaning(self.finish_reason)
        return End.WHOLE if self.is_over else None

    @property
    def is_usable(self) -> bool:
        """Whether there is text, or a tool call; reasoning is neither."""
        held = "" if self._inline.found else self._inline.held
        return bool(self._calls) or any(map(_is_visible, (held, *self._text)))

    @property
    def has_answer(self) -> bool:
        """Whether there is anything usable, now that all has come."""
        return self.is_usable and (bool(self._calls) or self._inline.found or _is_visible(self._answer))

    @property
    def _answer(self) -> str:
        text = "".join((*self._text, "" if self._inline.found else self._inline.held))
        return text if self._inline.found else without_unopened(text)

    @property
    def has_reasoning(self) -> bool:
        """Whether there was reasoning."""
        return self._opaque.has_reasoning or self._inline.found

    @property
    def lacks_calls(self) -> bool:
        """Whether tools are to be called, says the finish reason, and none of the calls has come."""
        return calls_tools(self.finish_reason) and not self._calls

    def add(self, event: object, *, is_bare: bool = False) -> None:
        """Take what an event holds; passes its text to `on_text`.

        Args:
            event: plain data.
            is_bare: whether it is a JSON document rather than an event; a whole message in it is a whole answer.

        Raises:
            ShapeError: it cannot be understood.
        """
        for chunk in event if isinstance(event, list) else [event]:
            if chunk is None:
                continue
            if not isinstance(chunk, dict):
                raise ShapeError("{value} ({kind}), where a chunk was due", chunk)
            self.add_usage(chunk)
            for choice in self._choices(chunk):
                self._add_choice(choice, is_bare=is_bare)

    def add_usage(self, event: object) -> None:
        """Take nothing but the usage of an event."""
        for chunk in event if isinstance(event, list) else [event]:
            if isinstance(chunk, dict):
                groq = chunk.get("x_groq")
                if self._figures.add(chunk.get("usage") or (groq.get("usage") if isinstance(groq, dict) else None)):
                    self.is_completion = True

    def end_stream(self) -> None:
        """Note that the server has said that its answer is complete."""
        self.is_over = self.is_ending = True

    def finish(self, provider: str = "") -> Turn:
        """End the answer and return the turn.

        Args:
            provider: who answered; see `Turn`.
        """
        if rest := self._inline.finish() or self._held:
            self._say(encodable(rest))
            self._held = ""
        is_cut = self.end is End.CUT
        if is_cut and self.is_usable:
            # A cut answer must not pass for a whole one, and the model must know why a call has but half its arguments.
            self._say(f"\n{_CUT}" if self._text else _CUT)
        opaque = self._opaque.finish()
        answer = self._answer
        if self._inline.found or len(answer) < self.text_length:
            # Its server gets the text back as it came: some models want to see what they thought.
            opaque["content"] = encodable("".join(self._raw) + (f"\n{_CUT}" if is_cut else ""))
        return Turn(answer, self._calls.finish(is_cut=is_cut), self.usage, opaque, provider)

    def _choices(self, chunk: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Return the choices of the one answer that counts: `n` above 1 is not asked for."""
        if "choices" not in chunk:
            return []
        self.is_completion = True
        # Some servers write an empty object as an empty list.
        choices = chunk["choices"] or []
        if isinstance(choices, dict):
            choices = [choices]
        if not isinstance(choices, list):
            raise ShapeError("`choices` is {value} ({kind}), and not a list", choices)
        found = []
        for choice in filter(None, choices):
            if not isinstance(choice, dict):
                raise ShapeError("a choice is {value} ({kind}), and not an object", choice)
            index = whole_number(choice.get("index")) or 0
            self._index = index if self._index is None else self._index
            if index == self._index:
                found.append(choice)
        return found

    def _add_choice(self, choice: Mapping[str, Any], *, is_bare: bool) -> None:
        # Moonshot's is here, and not in the chunk.
        self._figures.add(choice.get("usage"))
        delta, message = choice.get("delta") or None, choice.get("message") or None
        if isinstance(delta, str) or (delta is None and message is None):
            # `text` is what completions have; some servers make their chunks of those.
            delta = {"content": delta or choice.get("text")}
        if not isinstance(delta, dict | None) or not isinstance(message, dict | str | None):
            raise ShapeError("a choice has neither delta nor message, but {value} ({kind})", delta or message)
        if message or any(value for name, value in (delta or {}).items() if name != "role"):
            self.pieces += 1
        says_something = bool(delta) and self._add_delta(delta or {})
        self._has_deltas = self._has_deltas or says_something
        if message:
            self._add_message({"content": message} if isinstance(message, str) else message)
            self.is_over = self.is_over or is_bare
        self._add_reason(choice.get("finish_reason"))
        self.is_ending = self.finish_reason is not None and not says_something and self.is_usable

    def _add_reason(self, reason: object) -> None:
        word = finish_word(reason)
        if word is None:
            return
        # Some proxies end every answer with a `stop` of their own.
        if self.end in (None, End.WHOLE, End.FAILED) or meaning(word) is not End.WHOLE:
            self.finish_reason = word

    def _add_delta(self, delta: Mapping[str, Any]) -> bool:
        """Take a piece of a message, and return whether it has anything of an answer."""
        content = _text(delta.get("content"))
        is_thought = _is_thought(delta)
        if not is_thought:
            self._opaque.add(delta)
            if content and self._in_thought:
                content = content.removeprefix(_THOUGHT_END)
            self._add_text(content)
        self._in_thought = is_thought or (self._in_thought and not content)
        refusal = _refusal(delta)
        self.refusal += refusal
        known = len(self._calls)
        if calls := delta.get("tool_calls"):
            self._calls.add(calls)
        if call := delta.get("function_call"):
            # What servers sent before there were several calls; it has no id, and its pieces no index.
            self._calls.add([{"index": -1, "function": call}])
        return bool(content or refusal or calls or call or len(self._calls) > known)

    def _add_message(self, message: Mapping[str, Any]) -> None:
        """Take a whole message: all of an answer, what came of it so far, or the next piece by the wrong name."""
        content, so_far = _text(message.get("content")), "".join(self._raw)
        self._raw = [so_far]  # pieces by the wrong name come many times
        if content.startswith(so_far):
            self._add_text(content[len(so_far) :])
        elif not self._has_deltas:
            self._add_text(content)
        if not self.refusal:
            self.refusal = _refusal(message)
        self._opaque.add_whole(message, may_be_piece=not self._has_deltas)
        if self._has_deltas and self._calls:
            return
        if calls := message.get("tool_calls"):
            self._calls.add_whole(calls)
        elif (call := message.get("function_call")) and not self._calls:
            self._calls.add([{"index": -1, "function": call}])

    def _add_text(self, content: str) -> None:
        self._raw.append(content)
        content = self._inline.feed(content) if content else ""
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


def reported_error(event: object, name: str = "") -> object | None:
    """Return the error that an event reports, in the shape in which it came; None if it reports none.

    Args:
        event: plain data.
        name: the event's name.
    """
    for chunk in event if isinstance(event, list) else [event]:
        if not isinstance(chunk, dict):
            continue
        choices = chunk.get("choices")
        parts = [part for part in choices if isinstance(part, dict)] if isinstance(choices, list) else []
        found: list[object] = [part["error"] for part in (chunk, *parts) if not _is_no_error(part.get("error"))]
        if found:
            return chunk if found[0] is True else found[0]
        if chunk.get("object") == "error" or name == "error":
            return chunk
        # Without `choices` these are the words of a gateway, unless they only say that somebody is there.
        is_other = "choices" in chunk or chunk.get("type") not in (None, "error") or _says_well(chunk)
        if not is_other and any(isinstance(chunk.get(key), str) for key in ("message", "detail")):
            return chunk
    return None


def _is_visible(text: str) -> bool:
    return _VISIBLE.search(text) is not None


def _is_no_error(error: object) -> bool:
    """Whether what is called an error says that there is none."""
    if isinstance(error, dict):
        return all(map(_is_no_error, error.values()))
    return not error or (isinstance(error, str | int) and str(error).strip().lower() in _NO_ERROR)


def _says_well(chunk: Mapping[str, Any]) -> bool:
    """Whether a chunk says of itself that it is not about an error."""
    states = (chunk.get(key) for key in ("code", "status"))
    return any(str(state).strip().lower() in _WELL for state in states if isinstance(state, str | int))


def _text(content: object) -> str:
    """Return the text of content, which may be a list of parts; those of reasoning have none."""
    match content:
        case None:
            return ""
        case str():
            return content
        case list():
            return "".join(map(_text, content))
        case {"type": str(kind)} if kind not in ("text", "output_text"):
            return ""
        case {"text": str(text)}:
            return text
        case dict():
            return ""
        case _:
            raise ShapeError("`content` is {value} ({kind}), and not text", content)


def _refusal(message: Mapping[str, Any]) -> str:
    """Return the words of a refusal, which may be a part of the content."""
    content = message.get("content")
    parts = [part for part in content if isinstance(part, dict)] if isinstance(content, list) else []
    found = [message.get("refusal"), *(part.get("refusal") for part in parts)]
    return "".join(words for words in found if isinstance(words, str))


def _is_thought(delta: Mapping[str, Any]) -> bool:
    """Whether the content of a piece is what the model thinks: Gemini marks it so beside the content."""
    extra = delta.get("extra_content")
    marks = extra.values() if isinstance(extra, dict) else ()
    return any(isinstance(mark, dict) and mark.get("thought") is True for mark in marks)
