"""Sendable: turns a conversation as it came into one that a given server accepts.

Servers differ in what they refuse: a second system message, roles that do not alternate, a tool name with a blank, a
call id of another provider, half-written arguments. A single such message makes them refuse every later request, so all
of this is put right for each request. The conversation itself, and with it the journal, stays as it came.

The result depends on the messages and on the server alone. A conversation that grows keeps its beginning, because that
is what servers cache. Nothing here does input or output.
"""

from __future__ import annotations

import dataclasses
import hashlib
import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec

from ..team.config import ModelConfig
from ..text import encodable
from .base import Message
from .tool_names import plain_name

__all__ = ["Server", "for_function", "sendable"]

_GO_ON: Final = "Go on."
"""Said by the user where servers want a user's message and there is none."""

_NOTED: Final = "Noted."
"""Said by the model between the answer of a tool and a user's message; Mistral and templates like its own want that."""

_EMPTY: Final = "(empty)"
"""In place of a tool's answer without text: some servers refuse blank content."""

_NO_ANSWER: Final = "There is no answer: the call was cut off. Whether it had an effect is unknown."
"""The answer to a call that has none; servers refuse a call without one."""

_NO_REASONING: Final = " "
"""In place of the reasoning of another model. Not empty: DeepSeek and Moonshot take an empty text for a missing one."""

_SHORT_ID: Final = re.compile(r"[A-Za-z0-9]{9}")
"""A call id that every server accepts. Mistral accepts no other; OpenAI accepts 40 characters, Anthropic no dots."""

_MISTRAL: Final = re.compile(r"stral|ixtral", re.IGNORECASE)
"""In the names of Mistral's models, whoever serves them: their chat templates check call ids, too."""

_WANTS_REASONING: Final = re.compile(r"deepseek|moonshot", re.IGNORECASE)
"""In the names or addresses of providers that refuse a turn without reasoning while their model thinks."""

_WANTS_SIGNATURE: Final = re.compile(r"gemini-(?![12][.-])", re.IGNORECASE)
"""In the names of Google's models that refuse a turn whose first call has no thought signature."""

_NO_SIGNATURE: Final = {"google": {"thought_signature": "skip_thought_signature_validator"}}
"""What Google wants with a call of another model, which cannot have a signature of its own."""


_OPAQUE: Final = re.compile(r"\b(reasoning(?:_(?:content|details|text|opaque))?|thinking_blocks|extra_content)\b")

_NOT_TAKEN: Final = re.compile(
    r"extra[ _](input|field|propert|param|attribute|key|forbidden)|additional propert|not (supported|permitted|allowed)"
    r"|un(supported|known|recogni[sz]ed|expected)|forbidden",
    re.IGNORECASE,
)
"""With which servers refuse a field that they do not know."""

_NO_SYSTEM: Final = re.compile(
    r"system (role|message|prompt)s?\W+((is|are) )?(not |un)(supported|allowed)|only user, assistant,? and tool",
    re.IGNORECASE,
)
"""With which chat templates refuse a system message at all."""

_ONE_CALL: Final = re.compile(r"single tool.?calls? at once|(one|single) tool.?call (at a time|per)", re.IGNORECASE)
"""With which chat templates of Llama refuse several calls in one message."""

_ALTERNATE: Final = re.compile(r"roles must alternate|only user and assistant", re.IGNORECASE)
"""With which chat templates refuse any role but those of user and assistant, or one that they do not expect there."""


@dataclasses.dataclass(frozen=True)
class Server:
    """Server: who gets a request.

    Attributes:
        identity: what `Turn.provider` says of the turns that came from here.
        is_mistral: whether it serves a model of Mistral's. Then it may accept no call ids but those of nine letters and
            digits, not even its own, and no message with both text and calls but its own.
        wants_reasoning: whether it may refuse turns of other models that have no `reasoning_content`.
        wants_signature: whether it may refuse turns of other models whose first call has no thought signature.
        refused: opaque fields that it sends and does not take back.
        takes_system: whether it accepts a system message.
        takes_calls: whether it accepts calls and answers of tools; it may have made them all the same.
        takes_several: whether it accepts several calls in one message; as before.
    """

    identity: str
    is_mistral: bool = False
    wants_reasoning: bool = False
    wants_signature: bool = False
    refused: frozenset[str] = frozenset()
    takes_system: bool = True
    takes_calls: bool = True
    takes_several: bool = True

    @classmethod
    def of(cls, config: ModelConfig) -> Server:
        """Return the server of a model whose `base_url` is known.

        The same provider, address and model make the same server. Another model of the same provider is another one:
        reasoning may be signed or encrypted for one model, and a provider refuses what it cannot read. Of the address
        only a digest is kept, because some gateways have a key in it.
        """
        digest = hashlib.blake2b(config.base_url.rstrip("/").encode(), digest_size=6).hexdigest()
        is_google = config.provider == "google" or "googleapis.com" in config.base_url
        return cls(
            identity=f"{config.provider}/{config.name}@{digest}",
            is_mistral=config.provider == "mistral" or _MISTRAL.search(config.name) is not None,
            wants_reasoning=_WANTS_REASONING.search(f"{config.provider} {config.base_url}") is not None,
            wants_signature=is_google and _WANTS_SIGNATURE.search(config.name) is not None,
        )

    def learned(self, words: str, sent: Sequence[Message]) -> Server | None:
        """Return the server as its refusal shows it; None: the refusal shows nothing that could be put right.

        Some servers send fields that they, or the gateway before them, do not take back. Many chat templates know no
        tools, one call at a time, or no system message. Nobody can tell before.

        Args:
            words: the server's error.
            sent: the messages that it refused.
        """
        fields = {key for message in sent for key in (*message, *(key for call in _calls_of(message) for key in call))}
        if _NOT_TAKEN.search(words) and (unknown := fields.intersection(_OPAQUE.findall(words))):
            return dataclasses.replace(self, refused=self.refused | unknown)
        if _ONE_CALL.search(words) and any(len(_calls_of(message)) > 1 for message in sent):
            return dataclasses.replace(self, takes_several=False)
        roles = {message["role"] for message in sent}
        if _ALTERNATE.search(words) and "tool" in roles:
            return dataclasses.replace(self, takes_calls=False)
        if (_ALTERNATE.search(words) or _NO_SYSTEM.search(words)) and "system" in roles:
            return dataclasses.replace(self, takes_system=False)
        return None


def sendable(messages: Sequence[Message], server: Server, *, has_tools: bool) -> list[Message]:
    """Return a conversation as `server` accepts it.

    * One system message at most, at the front. Later ones become the user's, in their place.
    * The user speaks first after it. User and assistant alternate; what is said twice in a row is joined. The answers
      of tools directly follow their calls, one for each, and the assistant follows them. The last message is one that
      can be answered.
    * No message is empty. Names, ids and arguments of calls have a form that every server accepts; an id is unique in
      the conversation, and the server's own ids stay as they came. Where the request offers no tools, calls and their
      answers become text, because several servers accept the one only with the other.
    * What a server has refused before (`Server.learned`) is not sent to it.
    * Opaque fields (reasoning, signatures) are on the messages that they came with, if they came from this server.

    Args:
        messages: the conversation as the loop keeps it; not changed.
        server: who gets it.
        has_tools: whether the request offers tools.
    """
    start = next((index for index, message in enumerate(messages) if message["role"] != "system"), len(messages))
    conversation = _Conversation(server, _reasons(messages, server))
    conversation.begin([message["content"] for message in messages[:start]])
    for answer, tools, told in _turns(messages[start:]):
        if answer is not None and _calls_of(answer) and not (has_tools and server.takes_calls):
            conversation.add_as_text(answer, tools)
        elif answer is not None:
            conversation.add_answer(answer, tools)
        for message in told:
            conversation.add_told(message["content"])
    conversation.go_on()
    return conversation.messages


def for_function(messages: Sequence[Message]) -> list[Message]:
    """Return a conversation as a function in the place of a model gets it: as it came, without what is opaque.

    The arguments of calls can be parsed.
    """
    return [_without_opaque(message) for message in messages]


class _Conversation:
    """A sendable conversation in the making.

    Args:
        server: who gets it.
        reasons: whether the server's model has shown its reasoning in this conversation.

    Attributes:
        messages: what has been added.
    """

    def __init__(self, server: Server, reasons: bool) -> None:
        self._server = server
        self._reasons = reasons
        self.messages: list[Message] = []
        self._ids: set[str] = set()

    def begin(self, contents: Sequence[Any]) -> None:
        """Add the system message."""
        system: Any = ""
        for content in contents:
            system = _joined(system, content)
        if not self._server.takes_system:
            self.add_told(system)
        elif not _is_blank(system):
            self.messages.append({"role": "system", "content": system})

    def add_told(self, content: Any) -> None:
        """Add what the model was told."""
        if _is_blank(content):
            return
        if self._last == "tool":
            self._add_assistant({"content": _NOTED}, is_own=False)
        if self._last == "user":
            self.messages[-1] = {"role": "user", "content": _joined(self.messages[-1]["content"], content)}
        else:
            self.messages.append({"role": "user", "content": content})

    def add_answer(self, answer: Message, tools: Sequence[Message]) -> None:
        """Add an answer of a model, with what tools answered to it."""
        content = None if _is_blank(answer["content"]) else answer["content"]
        is_own = answer.get("provider", "") == self._server.identity
        calls = [self._call(call, is_own=is_own) for call in _calls_of(answer)]
        if content is None and not calls:
            return
        self.go_on()
        if content is not None and calls and self._server.is_mistral and not is_own:
            self._add_assistant({"content": content}, is_own=False)
            self.go_on()
            content = None
        if self._server.wants_signature and not is_own and calls:
            calls[0]["extra_content"] = _NO_SIGNATURE
        opaque = answer.get("opaque", {}) if is_own else {}
        opaque = {key: value for key, value in opaque.items() if key not in self._server.refused}
        answers = _tool_answers(answer, tools)
        # At least one part, because a message without calls is one, too.
        at_once = len(calls) if calls and self._server.takes_several else 1
        for start in range(0, len(calls) or 1, at_once):
            made = calls[start : start + at_once]
            # A list of no calls is an error to several servers.
            fields = {"content": content, **({"tool_calls": made} if made else {}), **opaque}
            self._add_assistant(fields, is_own=is_own)
            for sent, text in zip(made, answers, strict=False):
                self.messages.append({"role": "tool", "tool_call_id": sent["id"], "content": text})
            content, opaque = None, {}

    def add_as_text(self, answer: Message, tools: Sequence[Message]) -> None:
        """Add an answer of a model, and what tools answered to it, as what the two said to each other."""
        functions = [
            (plain_name(call["function"]["name"]), call["function"]["arguments"]) for call in answer["tool_calls"]
        ]
        calls = "\n".join(f"[I called {name} with {arguments}]" for name, arguments in functions)
        # The text as it came, with its reasoning, has no calls in it.
        opaque = {key: value for key, value in answer.get("opaque", {}).items() if key != "content"}
        made = {"content": _joined(answer["content"], calls), "tool_calls": None, "opaque": opaque}
        self.add_answer({**answer, **made}, ())
        for (name, _), text in zip(functions, _tool_answers(answer, tools), strict=True):
            self.add_told(f"[{name} answered: {text}]")

    def go_on(self) -> None:
        """Have the user speak, unless the model is to speak next anyway."""
        if self._last not in ("user", "tool"):
            self.messages.append({"role": "user", "content": _GO_ON})

    @property
    def _last(self) -> str | None:
        return self.messages[-1]["role"] if self.messages else None

    def _add_assistant(self, fields: dict[str, Any], *, is_own: bool) -> None:
        # A model that thinks is refused by its own server after a turn that another one answered in its place.
        wanted = self._reasons or (self._server.wants_reasoning and not is_own)
        if wanted and "reasoning_content" not in self._server.refused:
            fields = {**fields, "reasoning_content": fields.get("reasoning_content") or _NO_REASONING}
        self.messages.append({"role": "assistant", **fields})

    def _call(self, call: dict[str, Any], *, is_own: bool) -> dict[str, Any]:
        goes_back = is_own and "extra_content" in call.keys() - self._server.refused
        extra = {"extra_content": call["extra_content"]} if goes_back else {}
        sent = _call(call, self._id(call["id"], is_own=is_own), plain_name(call["function"]["name"]))
        return {**sent, **extra}

    def _id(self, came: str, *, is_own: bool) -> str:
        """Return the id under which a call is sent; the same for the same conversation."""
        fits = _SHORT_ID.fullmatch(came) or (is_own and came and not self._server.is_mistral)
        sent, number = came if fits else _derived(came, 0), 0
        while sent in self._ids:
            number += 1
            sent = _derived(came, number)
        self._ids.add(sent)
        return sent


def _turns(messages: Sequence[Message]) -> Iterator[tuple[Message | None, list[Message], list[Message]]]:
    """Split a conversation: each answer of a model, what tools answered to it, and what the model was told then."""
    answer: Message | None = None
    tools: list[Message] = []
    told: list[Message] = []
    for message in messages:
        match message["role"]:
            case "assistant":
                yield answer, tools, told
                answer, tools, told = message, [], []
            case "tool":
                tools.append(message)
            case _:
                told.append(message)
    yield answer, tools, told


def _without_opaque(message: Message) -> Message:
    kept = {key: value for key, value in message.items() if key not in ("opaque", "provider")}
    if calls := kept.get("tool_calls"):
        kept["tool_calls"] = [_call(call, call["id"], call["function"]["name"]) for call in calls]
    return kept


def _call(call: dict[str, Any], call_id: str, name: str) -> dict[str, Any]:
    function = {"name": name, "arguments": _arguments(call["function"]["arguments"])}
    return {"id": call_id, "type": "function", "function": function}


def _calls_of(message: Message) -> Sequence[dict[str, Any]]:
    return message.get("tool_calls") or ()


def _tool_answers(answer: Message, tools: Sequence[Message]) -> Iterator[Any]:
    """Yield what was answered to each call of a turn, in the order of the calls; of two with one id, in their order."""
    unused = list(tools)
    for call in _calls_of(answer):
        found = next((tool for tool in unused if tool["tool_call_id"] == call["id"]), None)
        if found is None:
            yield _NO_ANSWER
        else:
            unused.remove(found)
            yield _EMPTY if _is_blank(found["content"]) else found["content"]


def _reasons(messages: Sequence[Message], server: Server) -> bool:
    return any(
        message["role"] == "assistant"
        and message.get("provider", "") == server.identity
        and bool(message.get("opaque", {}).get("reasoning_content"))
        for message in messages
    )


def _derived(came: str, number: int) -> str:
    return hashlib.blake2b(f"{number} {encodable(came)}".encode(), digest_size=5).hexdigest()[:9]


def _arguments(arguments: str) -> str:
    """Return arguments as the model wrote them, or `{}` where they are not a JSON object.

    Several servers parse the arguments of earlier calls, and refuse the whole conversation for one that is half
    written. What was wrong is in the tool's answer. msgspec, because it takes neither NaN nor half a character.
    """
    try:
        msgspec.json.decode(arguments, type=dict)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return "{}"
    return arguments


def _is_blank(content: Any) -> bool:
    return not (content.strip() if isinstance(content, str) else content)


def _joined(first: Any, second: Any) -> Any:
    """Return two contents as one: texts as paragraphs, anything else as parts."""
    if _is_blank(first) or _is_blank(second):
        return second if _is_blank(first) else first
    if isinstance(first, str) and isinstance(second, str):
        return f"{first}\n\n{second}"
    return [*_parts(first), *_parts(second)]


def _parts(content: Any) -> list[Any]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else list(content)
