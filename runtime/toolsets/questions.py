"""Questions: the toolsets `ask_parent` and `user_prompt`, by which an agent asks who has started it, or a person."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Final, TypeAlias

import msgspec

from ..errors import NoAnswerError, OutputSchemaError
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


_TRIES: Final = 2
"""How often a person is asked whose answer does not fit."""

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
        choices = tuple(dict.fromkeys(map(encodable, parameters.choices or ())))
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
        try:
            given = await self._content(parameters)
        except NoAnswerError as error:
            given = {"action": "cancel", "reason": str(error)}
        return ToolAnswer(json.dumps(given, ensure_ascii=False), given)

    async def _content(self, parameters: _PromptParameters) -> dict[str, Any]:
        """Ask, and once more if the answer is not what the schema wants; raises OutputSchemaError for a wrong one."""
        schema = parameters.schema or {}
        check = _checker(schema)
        title = f"{one_line(parameters.title, 200)}: " if parameters.title else ""
        text = encodable(f"{title}{parameters.message}")
        form = encodable(json.dumps(schema, ensure_ascii=False)) if _fields(schema) else ""
        if len(form) > LONGEST_QUESTION:
            raise OutputSchemaError(f"The schema has {len(form):,} characters; {LONGEST_QUESTION:,} may be.")
        fault = ""
        for _ in range(_TRIES):
            asked = f"{text}\nThe last answer does not fit: {one_line(fault, 1000)}" if fault else text
            request = AskQuestion(asked, _choices(schema), "person", self._timeout, schema=form)
            try:
                answered = await ask(self._gateway, request)
            except NoAnswerError as error:
                raise NoAnswerError(f"{error} The first answer did not fit: {fault}" if fault else str(error)) from None
            meant = _meant(schema, answered.text)
            fitting = next((content for content, value in meant if not check(value)), None)
            if fitting is not None:
                return {"action": "accept", "content": fitting}
            fault = check(meant[0][1])
        return {"action": "cancel", "reason": f"The user was asked twice, and no answer fits the schema: {fault}"}


def _checker(schema: Mapping[str, Any]) -> Callable[[Any], str]:
    """Return what says how a value does not fit a schema; raises OutputSchemaError if that cannot be used."""
    if not schema:
        return lambda _: ""
    from ..tasks.output_schema import OutputSchema, encode_schema  # noqa: PLC0415 - few prompts want a form

    try:
        return OutputSchema(encode_schema(schema)).fault
    except OutputSchemaError as error:
        raise OutputSchemaError(str(error).replace("The output schema", "The schema")) from None


def _values(schema: Mapping[str, Any]) -> list[Any]:
    """Return the values that a schema of one value has, if it has only some."""
    values = schema.get("enum")
    if schema.get("type") == "boolean":
        values = [True, False]
    return values if isinstance(values, list) and 0 < len(values) <= MOST_CHOICES else []


def _choices(schema: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the answers to choose from, where a schema has only some for one value."""
    return tuple(dict.fromkeys(map(_as_text, _values(schema))))


def _as_text(value: Any) -> str:
    return encodable(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))


def _fields(schema: Mapping[str, Any]) -> dict[str, Any]:
    fields = schema.get("properties")
    return fields if schema.get("type") == "object" and isinstance(fields, dict) else {}


def _meant(schema: Mapping[str, Any], text: str) -> list[tuple[dict[str, Any], Any]]:
    """Return what an answer may mean, the likeliest first: as the content of the tool's answer, and as a value."""
    fields = _fields(schema)
    values: list[Any] = [value for value in _values(schema) if _as_text(value) == text]
    with contextlib.suppress(ValueError, RecursionError):
        values.append(json.loads(text))
    if fields:
        whole = [value for value in values if isinstance(value, dict)]
        if len(fields) == 1:
            (name,) = fields
            whole += [{name: value} for value in (*values, text)]
        return [(value, value) for value in whole or [*values, text][:1]]
    if schema.get("type", "string") == "string":
        values = [text, *values]
    return [({"response": value}, value) for value in (*values, text)]
