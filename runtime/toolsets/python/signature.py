"""Signatures: a function's parameters as a JSON schema, and a call's arguments as the function wants them.

pydantic makes the schema and checks the arguments. It is shown a stand-in: a function that has the same parameters, but
all of them by name, as in JSON. The alternative, a model with a field for each parameter, forbids parameters with the
names of a model's methods (`copy`, `json`, `schema`).
"""

from __future__ import annotations

import inspect
import json
import re
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Final

from pydantic import Field, PydanticSchemaGenerationError, PydanticUserError, TypeAdapter, ValidationError
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaWarningKind

from ...errors import ToolsetError

__all__ = ["Signature"]

_SHOWN_MISTAKES: Final = 5
"""Wrong arguments that one answer names."""

_TASK: Final = "EntrypointTask"
"""The class of the parameter that is given the task; known by name, as the rooms below this one define it."""

_NAMES_A_TASK: Final = re.compile(rf"(?:[\w.]+\[)?(?:\w+\.)*{_TASK}\]?(?:\s*\|\s*None)?")


class Signature:
    """The parameters of one function.

    Args:
        name: what the model calls it, for messages.
        function: the function.
        descriptions: of its parameters, by name; those that annotations give win.

    Attributes:
        schema: of the arguments, as JSON schema.

    Raises:
        ToolsetError: a parameter is of a type that JSON cannot give.
    """

    def __init__(self, name: str, function: Callable[..., Any], descriptions: Mapping[str, str]) -> None:
        self._name = name
        self._parameters = _parameters_of(name, function)
        self._task = next((one for one in self._parameters if _is_task(one.annotation)), None)
        offered = [_by_name(one, descriptions.get(one.name, "")) for one in self._parameters if one is not self._task]
        self._optional = {one.name for one in offered if one.default is not one.empty}
        try:
            stand_in: Any = _stand_in(offered)
            self._adapter: TypeAdapter[dict[str, Any]] = TypeAdapter(stand_in)
            schema = self._adapter.json_schema(schema_generator=_Generator)
        except (PydanticSchemaGenerationError, PydanticUserError, TypeError, NameError) as error:
            reason = str(error).partition("\n")[0]
            raise ToolsetError(
                f"The function {name} cannot be a tool: a model gives arguments as JSON, and that is not possible for "
                f"each of its parameters. {reason} Annotate them with types that can be written as JSON."
            ) from error
        self.schema = {"properties": {}, **_without_titles(schema)}

    @property
    def takes_task(self) -> bool:
        """Whether the function wants the task."""
        return self._task is not None

    @property
    def needs_task(self) -> bool:
        """Whether it cannot be called without."""
        return self._task is not None and self._task.default is self._task.empty

    def bound(self, arguments: Mapping[str, Any], task: object) -> tuple[list[Any], dict[str, Any]]:
        """Return a call's arguments, those by position and those by name.

        Args:
            arguments: as they came from JSON.
            task: for the parameter that wants it; None: there is none.

        Raises:
            ValueError: they are not what the function takes; the message has the remedy in it.
        """
        values = self._checked(dict(arguments))
        if self._task is not None and (task is not None or self.needs_task):
            values[self._task.name] = task
        rest = next((one for one in self._parameters if one.kind is one.VAR_POSITIONAL), None)
        by_position: list[Any] = []
        for one in self._parameters:
            if one is rest:
                by_position += values.pop(one.name, ())
            elif one.kind is one.POSITIONAL_ONLY or (rest is not None and one.kind is one.POSITIONAL_OR_KEYWORD):
                by_position.append(values.pop(one.name, one.default))
        return by_position, values

    def _checked(self, arguments: dict[str, Any]) -> dict[str, Any]:
        try:
            return self._valid(arguments)
        except ValidationError as error:
            # Models send null for "not given".
            nulls = {
                str(mistake["loc"][0]) for mistake in error.errors() if mistake["loc"] and mistake["input"] is None
            }
            if not (left_out := {name for name in nulls & self._optional if arguments.get(name, 0) is None}):
                raise ValueError(self._described(error)) from None
        try:
            return self._valid({name: value for name, value in arguments.items() if name not in left_out})
        except ValidationError as error:
            raise ValueError(self._described(error)) from None

    def _valid(self, arguments: dict[str, Any]) -> dict[str, Any]:
        # As JSON, because there dates, enums and the like are text in strict types, too.
        return self._adapter.validate_json(json.dumps(arguments))

    def _described(self, error: ValidationError) -> str:
        mistakes = [
            _mistake(mistake["type"], mistake["loc"], mistake["msg"])
            for mistake in error.errors(include_url=False, include_context=False, include_input=False)
        ]
        shown = "; ".join(mistakes[:_SHOWN_MISTAKES])
        more = f"; and {len(mistakes) - _SHOWN_MISTAKES} more" if len(mistakes) > _SHOWN_MISTAKES else ""
        required = self.schema.get("required", ())
        names = [f"{name}{'*' if name in required else ''}" for name in self.schema["properties"]]
        return f"{shown}{more}. Parameters (* required): {', '.join(names) or 'none'}."


class _Generator(GenerateJsonSchema):
    """Makes schemas; a default that JSON cannot hold is left out of them without a word."""

    ignored_warning_kinds: set[JsonSchemaWarningKind] = {"skipped-choice", "non-serializable-default"}  # noqa: RUF012 - as pydantic has it

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002 - as pydantic calls it
        """A name in other letters tells a model nothing."""
        return False


def _parameters_of(name: str, function: Callable[..., Any]) -> list[inspect.Parameter]:
    """Return a function's parameters, with their annotations as objects; only the task's may be left as text."""
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError) as error:
        raise ToolsetError(
            f"The function {name} cannot be a tool: nobody can tell its parameters ({error}). Wrap it in a function."
        ) from error
    if parameters and parameters[0].name == "self" and parameters[0].annotation is inspect.Parameter.empty:
        raise ToolsetError(f"The function {name} cannot be a tool: it is a method of no object. Name a function.")
    names = getattr(inspect.unwrap(getattr(function, "func", function)), "__globals__", {})
    return [one.replace(annotation=_resolved(name, one, names)) for one in parameters]


def _resolved(function: str, parameter: inspect.Parameter, names: dict[str, Any]) -> Any:
    """Return an annotation as an object. Each by itself: the task's class is often imported for type checkers only."""
    annotation = parameter.annotation
    if annotation is parameter.empty:
        return Any

    def holder() -> None: ...

    holder.__annotations__ = {"it": annotation}
    try:
        return typing.get_type_hints(holder, globalns=names, include_extras=True)["it"]
    except Exception as error:
        if isinstance(annotation, str) and _NAMES_A_TASK.fullmatch(annotation.strip()):
            return annotation
        raise ToolsetError(
            f"The function {function} cannot be a tool: the annotation {annotation!r} of its parameter "
            f"{parameter.name} cannot be understood ({type(error).__name__}: {error}). Import what it names where the "
            "function is defined, and not for type checkers only."
        ) from error


def _is_task(annotation: Any) -> bool:
    if isinstance(annotation, str):
        return True  # see `_resolved`
    if isinstance(annotation, type):
        return annotation.__name__ == _TASK and annotation.__module__.startswith("subactors.runtime.")
    return any(map(_is_task, _inner(annotation)))


def _inner(annotation: Any) -> Sequence[Any]:
    """Return what a union is of, and what `Annotated` is about; nothing for other types."""
    match typing.get_origin(annotation):
        case typing.Annotated:
            return typing.get_args(annotation)[:1]
        case typing.Union | types.UnionType:
            return typing.get_args(annotation)
        case _:
            return ()


def _by_name(parameter: inspect.Parameter, description: str) -> inspect.Parameter:
    """Return a parameter as a model sees it: by name, and with its description."""
    annotation = _described_type(parameter.annotation, description)
    if parameter.kind is parameter.VAR_POSITIONAL:
        several: Any = types.GenericAlias(tuple, (annotation, ...))
        return inspect.Parameter(parameter.name, inspect.Parameter.KEYWORD_ONLY, default=(), annotation=several)
    if parameter.kind is parameter.VAR_KEYWORD:
        return parameter
    return parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY, annotation=annotation)


def _described_type(annotation: Any, description: str) -> Any:
    """Return a type with its description: that of `Annotated[..., "text"]`, or else the docstring's."""
    told: list[Any] = [Field(description=description)] if description else []
    if typing.get_origin(annotation) is Annotated:
        annotation, *marks = typing.get_args(annotation)
        # `Doc` of PEP 727 has its text in an attribute. What comes later wins.
        texts = [getattr(mark, "documentation", mark) for mark in marks]
        told += [
            Field(description=text) if isinstance(text, str) else mark for text, mark in zip(texts, marks, strict=True)
        ]
    return Annotated[(annotation, *told)] if told else annotation


def _stand_in(parameters: Sequence[inspect.Parameter]) -> Callable[..., dict[str, Any]]:
    def given(**values: Any) -> dict[str, Any]:
        return values

    by_name = sorted(parameters, key=lambda one: one.kind)
    given.__signature__ = inspect.Signature(by_name)  # type: ignore[attr-defined]  # as `inspect` looks for it
    given.__annotations__ = {one.name: one.annotation for one in by_name}
    return given


def _without_titles(schema: Any) -> Any:
    """Return a schema without the titles of its types, which say nothing that their names do not."""
    if isinstance(schema, list):
        return [_without_titles(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    # Where `title` is a parameter's name there is a schema under it, and not text.
    return {
        key: value if key in {"default", "enum", "const", "examples"} else _without_titles(value)
        for key, value in schema.items()
        if key != "title" or not isinstance(value, str)
    }


def _mistake(kind: str, place: Sequence[str | int], message: str) -> str:
    where = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in place).lstrip(".")
    match kind:
        case "missing_keyword_only_argument":
            return f"missing required parameter `{where}`"
        case "unexpected_keyword_argument":
            return f"there is no parameter `{where}`"
        case _:
            return f"`{where}`: {message[:1].lower()}{message[1:]}"
