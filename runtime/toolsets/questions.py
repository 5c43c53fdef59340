"""Questions: the toolsets `ask_parent` and `user_prompt`, by which an agent asks who has started it, or a person."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, TypeAlias

import msgspec

from ..errors import NoAnswerError
from ..tasks.gateway import Gateway
from ..tasks.questions import LONGEST_CHOICE, LONGEST_QUESTION, MOST_CHOICES, AskQuestion
from ..text import encodable, one_line
from .asking import ask, errors_as_answers
from .base import Tool, ToolAnswer, ToolParameters, Toolset

__all__ = ["AskParentToolset", "UserPromptToolset"]

_ASK_PARENT = """\
## Questions

Where something that you need to know is missing, and a wrong guess would cost more than the wait, ask whoever gave \
you the task, with `ask_parent`. Else decide for yourself."""

_USER_PROMPT = """\
## Questions to the user

Where you need a decision or a fact that only a person has, ask with `user_prompt`. The person may be away: then you \
are told so, and go on as well as you can."""


_Choice: TypeAlias = Annotated[str, msgspec.Meta(min_length=1, max_length=LONGEST_CHOICE)]


class _AskParameters(ToolParameters, frozen=True):
    """The parameters of `ask_parent`."""

    question: Annotated[
        str,
        msgspec.Meta(
            min_length=1,
            max_length=LONGEST_QUESTION,
            description="What you need to know, with all that is needed to answer.",
        ),
    ]
    choices: Annotated[
        Annotated[list[_Choice], msgspec.Meta(max_length=MOST_CHOICES)] | None,
        msgspec.Meta(description="The answers to choose from, if there are only some."),
    ] = None


class AskParentToolset(Toolset):
    """The tool `ask_parent` of one task.

    Args:
        gateway: the task's way to the supervisor.
        timeout: seconds that it waits for an answer; None: as the settings have it.
    """

    instruction = _ASK_PARENT

    def __init__(self, gateway: Gateway, *, timeout: float | None = None) -> None:
        self._gateway = gateway
        self._timeout = timeout

    @property
    def tools(self) -> Sequence[Tool]:
        """The one tool."""
        return (
            Tool(
                name="ask_parent",
                description="Ask whoever gave you this task, and wait for the answer.",
                parameters=_AskParameters,
                handler=self._ask,
            ),
        )

    @errors_as_answers
    async def _ask(self, parameters: _AskParameters) -> ToolAnswer:
        choices = tuple(map(encodable, parameters.choices or ()))
        request = AskQuestion(encodable(parameters.question), choices, "owner", self._timeout)
        answered = await ask(self._gateway, request)
        return ToolAnswer(answered.text, {"answer": answered.text, "by": answered.by})


class _PromptParameters(ToolParameters, frozen=True):
    """The parameters of `user_prompt`, as Docker's agents have them."""

    message: Annotated[
        str,
        msgspec.Meta(
            min_length=1, max_length=LONGEST_QUESTION // 2, description="The question that the user is shown."
        ),
    ]
    title: Annotated[str | None, msgspec.Meta(description="A title for it.")] = None
    schema: Annotated[
        dict[str, Any] | None,
        msgspec.Meta(description="JSON schema of the answer: an object, or one value, which may have an `enum`."),
    ] = None


class UserPromptToolset(Toolset):
    """The tool `user_prompt` of one agent.

    Args:
        gateway: the agent's way to the supervisor.
        timeout: seconds that it waits for an answer; None: as the settings have it.
    """

    instruction = _USER_PROMPT

    def __init__(self, gateway: Gateway, *, timeout: float | None = None) -> None:
        self._gateway = gateway
        self._timeout = timeout

    @property
    def tools(self) -> Sequence[Tool]:
        """The one tool."""
        return (
            Tool(
                name="user_prompt",
                description=(
                    "Ask the user a question, and wait for the answer. It is JSON: `action` is `accept` or `cancel`, "
                    "and `content` is what the user has answered, one value as `response`."
                ),
                parameters=_PromptParameters,
                handler=self._prompt,
            ),
        )

    @errors_as_answers
    async def _prompt(self, parameters: _PromptParameters) -> ToolAnswer:
        schema = parameters.schema or {}
        title = f"{one_line(parameters.title, 200)}: " if parameters.title else ""
        request = AskQuestion(
            encodable(f"{title}{parameters.message}{_form(schema)}"), _choices(schema), "person", self._timeout
        )
        try:
            answered = await ask(self._gateway, request)
        except NoAnswerError as error:
            given: dict[str, Any] = {"action": "cancel", "reason": str(error)}
        else:
            given = {"action": "accept", "content": _content(schema, answered.text)}
        return ToolAnswer(json.dumps(given, ensure_ascii=False), given)


def _choices(schema: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the answers to choose from, where a schema has only some for one value."""
    values = schema.get("enum")
    if schema.get("type") == "boolean":
        values = ["true", "false"]
    if not isinstance(values, list) or not 0 < len(values) <= MOST_CHOICES:
        return ()
    return tuple(value if isinstance(value, str) else json.dumps(value) for value in values)


def _fields(schema: Mapping[str, Any]) -> dict[str, Any]:
    fields = schema.get("properties")
    return fields if schema.get("type") == "object" and isinstance(fields, dict) else {}


def _form(schema: Mapping[str, Any]) -> str:
    """Return how the answer is to be written, where it is more than a text."""
    fields = _fields(schema)
    if len(fields) > 1:
        return f"\nAnswer as JSON with these fields: {json.dumps(fields, ensure_ascii=False)[: LONGEST_QUESTION // 2]}"
    return ""


def _content(schema: Mapping[str, Any], text: str) -> dict[str, Any]:
    """Return what the user has answered as the schema has it, as far as it is that."""
    fields = _fields(schema)
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = text
    if fields and isinstance(value, dict):
        return value
    if len(fields) == 1:
        ((name, field),) = fields.items()
        return {name: text if isinstance(field, dict) and field.get("type") == "string" else value}
    return {"response": text if schema.get("type", "string") == "string" else value}
